"""Distinguished names as DER."""

from __future__ import annotations

import contextlib
import subprocess
from pathlib import Path

import pytest
from asn1crypto import x509
from hypothesis import given, settings
from hypothesis import strategies as st

from ca.encoding import tlv
from ca.encoding.dn import decode_name, encode_name
from ca.errors import EncodingError, IllegalName
from ca.names.distinguished import Attribute, DistinguishedName

NAMES = (
    "",
    "/CN=x",
    "/C=DE/ST=Bayern/L=Ort/O=Haus/OU=Keller/CN=nas.home.arpa/emailAddress=me@home.arpa",
    "/DC=arpa/DC=home/CN=x",
    "/serialNumber=A-1/dnQualifier=q 1/title=T/SN=Nach/GN=Vor/initials=I",
    "/O=Müller & Söhne €/CN=日本",
    "/CN=b+OU=a/O=z+UID=y+C=DE",
    "/1.3.6.1.4.1.311.60.2.1.3=DE/CN=x",
    "/CN=" + "x" * 64,
)


@pytest.mark.parametrize("text", NAMES)
def test_openssl_writes_the_same_name(text: str, tmp_path: Path) -> None:
    key, request = str(tmp_path / "k"), str(tmp_path / "r")
    for arguments in (
        ("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", key),
        (
            *("req", "-new", "-utf8", "-multivalue-rdn", "-subj", text or "/", "-key", key),
            *("-config", "/dev/null", "-outform", "DER", "-out", request),
        ),
    ):
        done = subprocess.run(["openssl", *arguments], capture_output=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr.decode()
    info = tlv.read_only(Path(request).read_bytes(), tlv.SEQUENCE)
    _, fields, _ = tlv.read(info)
    _, version, after = tlv.read(fields)
    assert version == b"\x00"
    _, content, end = tlv.read(fields, after)
    assert encode_name(DistinguishedName.parse(text)) == fields[after:end]
    assert tlv.sequence(content) == fields[after:end]


@pytest.mark.parametrize("text", NAMES)
def test_a_name_is_read_back(text: str) -> None:
    der = encode_name(DistinguishedName.parse(text))
    assert encode_name(decode_name(der)) == der
    if "+" not in text:
        assert decode_name(der) == DistinguishedName.parse(text)


@pytest.mark.parametrize(
    ("name", "tag"),
    [
        (("C", "DE"), tlv.PRINTABLE_STRING),
        (("serialNumber", "1"), tlv.PRINTABLE_STRING),
        (("dnQualifier", "1"), tlv.PRINTABLE_STRING),
        (("emailAddress", "a@b.c"), tlv.IA5_STRING),
        (("DC", "lan"), tlv.IA5_STRING),
        (("O", "abc"), tlv.UTF8_STRING),
        (("CN", "abc"), tlv.UTF8_STRING),
        (("UID", "abc"), tlv.UTF8_STRING),
    ],
)
def test_each_attribute_has_its_string_type(name: tuple[str, str], tag: int) -> None:
    der = encode_name(DistinguishedName.of(name))
    assert der[-len(name[1]) - 2] == tag


@pytest.mark.parametrize(
    ("name", "value"), [("serialNumber", "a@b"), ("emailAddress", "ü@b.c"), ("DC", "münchen")]
)
def test_a_value_without_an_encoding_is_refused(name: str, value: str) -> None:
    with pytest.raises(IllegalName):
        encode_name(DistinguishedName.of((name, value)))


@pytest.mark.parametrize(
    ("tag", "octets"),
    [
        (tlv.T61_STRING, "M\xfcller".encode("latin-1")),
        (tlv.BMP_STRING, "Müller".encode("utf-16-be")),
        (tlv.UNIVERSAL_STRING, "Müller".encode("utf-32-be")),
        (tlv.UTF8_STRING, "Müller".encode()),
    ],
)
def test_old_string_types_are_read(tag: int, octets: bytes) -> None:
    attribute = tlv.sequence(tlv.oid("2.5.4.10"), tlv.tlv(tag, octets))
    der = tlv.sequence(tlv.set_of([attribute]))
    assert decode_name(der) == DistinguishedName.of(("O", "Müller"))
    assert x509.Name.load(der).native["organization_name"] == "Müller"


@pytest.mark.parametrize(
    "der",
    [
        "",
        "0500",
        "300000",
        "3003020100",
        "30023100",
        "300431023000",
        "300b3109300706035504030500",
        "300d310b3009060355040a0c02c328",
        "300d310b3009060355040a1e02d800",
        "300b3109300706035504030c00",
        "300c310a3008060355040a0c0100",
        "301031103007060355040 30c0030050603550403".replace(" ", ""),
    ],
)
def test_what_is_no_name_is_refused(der: str) -> None:
    with pytest.raises(EncodingError):
        decode_name(bytes.fromhex(der))


@settings(deadline=None)
@given(st.binary(max_size=80))
def test_no_octets_make_the_reader_stumble(octets: bytes) -> None:
    with contextlib.suppress(EncodingError):
        decode_name(octets)
    with contextlib.suppress(EncodingError):
        decode_name(tlv.sequence(tlv.set_of([tlv.sequence(tlv.oid("2.5.4.3"), octets)])))


VALUES = st.text(
    st.characters(codec="utf-8", categories=("L", "N", "P", "S")), min_size=1, max_size=30
)


@settings(deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["CN", "O", "OU", "L"]), VALUES), max_size=5))
def test_any_legal_name_is_read_back(pairs: list[tuple[str, str]]) -> None:
    name = DistinguishedName.of(*pairs)
    assert decode_name(encode_name(name)) == name


def test_several_values_of_one_rdn_are_sorted() -> None:
    one = Attribute("2.5.4.3", "b"), Attribute("2.5.4.10", "a")
    assert encode_name(DistinguishedName((one,))) == encode_name(DistinguishedName((one[::-1],)))

"""Values of extensions: written, read, and what they say."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

import pytest
from asn1crypto import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509 import SubjectKeyIdentifier
from hypothesis import given, settings
from hypothesis import strategies as st

from ca.encoding.extensions import (
    basic_constraints,
    key_identifier,
    name_constraints,
    purposes,
    read_name_constraints,
    says_ca,
    usages,
)
from ca.encoding.general_names import encode_general_name
from ca.errors import CertificateMalformed, EncodingError
from ca.names.constraints import NameConstraints
from ca.names.general import OtherGeneralName, parse_general_name


def test_the_key_identifier_is_the_one_of_rfc_5280() -> None:
    key = ec.generate_private_key(ec.SECP256R1()).public_key()
    spki = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    assert key_identifier(spki) == SubjectKeyIdentifier.from_public_key(key).digest


@pytest.mark.parametrize("octets", ["", "3000", "30043000 0500", "3006300003020700"])
def test_what_is_no_public_key_has_no_identifier(octets: str) -> None:
    with pytest.raises(EncodingError):
        key_identifier(bytes.fromhex(octets))


@pytest.mark.parametrize(
    ("text", "der"),
    [
        ("DNS:nas.lan", "82076e61732e6c616e"),
        ("IP:10.0.0.1", "87040a000001"),
        ("IP:fd00::1", "8710fd000000000000000000000000000001"),
        ("email:a@b.lan", "8107614062 2e6c616e"),
        ("URI:http://a/", "8609687474703a2f2f612f"),
        ("UPN:a@b.lan", "a017060a2b060104018237140203a0090c07614062 2e6c616e"),
    ],
)
def test_a_general_name_has_its_tag(text: str, der: str) -> None:
    encoded = encode_general_name(parse_general_name(text))
    assert encoded == bytes.fromhex(der)
    assert x509.GeneralName.load(encoded).native


def test_a_kind_that_is_not_granted_has_no_encoding() -> None:
    with pytest.raises(EncodingError):
        encode_general_name(OtherGeneralName("RID", "1.2.3"))


CONSTRAINTS = (
    NameConstraints(),
    NameConstraints.parse(dns=["home.arpa", "lan"], ip=["192.168.0.0/16", "fd00::/8"]),
    NameConstraints.parse(ip=["0.0.0.0/0", "::/0", "10.1.2.3/32"]),
    NameConstraints(
        permitted_email=("home.arpa", "a@b.lan"),
        excluded_dns=("evil.lan",),
        excluded_ip=NameConstraints.parse(ip=["10.0.0.0/8"]).permitted_ip,
        excluded_email=(".lan",),
    ),
)


@pytest.mark.parametrize("constraints", CONSTRAINTS)
def test_name_constraints_are_read_back(constraints: NameConstraints) -> None:
    der = name_constraints(constraints)
    assert read_name_constraints(der) == constraints
    assert x509.NameConstraints.load(der).dump(force=True) == der


@pytest.mark.parametrize(
    ("der", "said"),
    [
        ("3005a203820161", "more than permitted"),
        ("300aa0083006820161800100", "minimum or maximum"),
        ("3009a007300587030a0000", "8 or 32"),
        ("300ea00c300a87080a000000ff00ff00", "holes"),
        ("300ea00c300a87080a000001ffffff00", "host bits"),
        ("3008a00630048602612e", "cannot judge"),
        ("3007a00530038201ff", "not ASCII"),
        ("0500", "stands where"),
        ("3000ff", "follow"),
        ("3004a0023000", "no base"),
    ],
)
def test_constraints_nobody_could_keep_are_refused(der: str, said: str) -> None:
    with pytest.raises(CertificateMalformed, match=said):
        read_name_constraints(bytes.fromhex(der))


@pytest.mark.parametrize(
    ("ca", "length"), [(False, None), (True, None), (True, 0), (True, 127), (True, 128)]
)
def test_basic_constraints_say_what_they_were_told(ca: bool, length: int | None) -> None:
    der = basic_constraints(ca=ca, path_length=length)
    assert says_ca(der) is ca
    assert x509.BasicConstraints.load(der).native == {"ca": ca, "path_len_constraint": length}


@pytest.mark.parametrize(
    ("read", "der"),
    [
        (says_ca, "3003010101"),
        (says_ca, "3003010100"),
        (says_ca, "30060101ff010100"),
        (says_ca, "300302010000"),
        (says_ca, "0101ff"),
        (usages, "030100"),
        (usages, "03020780ff"),
        (usages, "03020080"),
        (usages, "030407000080"),
        (usages, "0500"),
        (purposes, "3000"),
        (purposes, "30020500"),
        (purposes, "06032a0304"),
    ],
)
def test_what_a_lenient_reader_could_take_otherwise_is_refused(
    read: Callable[[bytes], object], der: str
) -> None:
    with pytest.raises(EncodingError):
        read(bytes.fromhex(der))


@settings(deadline=None)
@given(st.binary(max_size=60))
def test_no_octets_make_a_reader_stumble(octets: bytes) -> None:
    for read in (says_ca, usages, purposes, read_name_constraints, key_identifier):
        with contextlib.suppress(EncodingError):
            read(octets)

"""Files in and out: what is written is read back, by us and by openssl; nothing else gets in."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ca.encoding import tlv
from ca.encoding.containers import (
    fingerprint,
    pem,
    pkcs7_certificates,
    read_certificates,
    read_crls,
    read_request,
)
from ca.encoding.requests import parse_request
from ca.errors import CertificateMalformed, HomecaError, RequestMalformed
from tests.vectors.requests.build import GOOD, request
from tests.vectors.requests.cases_containers import certificate

DER = request(parts=[GOOD])
CERTIFICATE = certificate()


def _openssl(*arguments: str, stdin: bytes) -> bytes:
    try:
        done = subprocess.run(["openssl", *arguments], input=stdin, capture_output=True, check=True)
    except FileNotFoundError:
        pytest.fail("openssl is missing: apt-get install openssl")
    return done.stdout


@given(st.binary(min_size=1, max_size=500))
def test_pem_has_64_columns_and_is_what_openssl_style_readers_expect(octets: bytes) -> None:
    lines = pem("X", octets).decode("ascii").split("\n")
    assert (lines[0], lines[-2], lines[-1]) == ("-----BEGIN X-----", "-----END X-----", "")
    body = lines[1:-2]
    assert all(len(line) == 64 for line in body[:-1])
    assert 0 < len(body[-1]) <= 64


def test_openssl_reads_the_pem_we_write() -> None:
    text = pem("CERTIFICATE REQUEST", DER)
    assert _openssl("req", "-outform", "DER", stdin=text) == DER


def test_openssl_reads_the_pkcs7_we_write_and_we_read_it_back() -> None:
    other = CERTIFICATE.replace(b"nas.home.arpa", b"nat.home.arpa")
    bundle = pkcs7_certificates([other, CERTIFICATE])
    printed = _openssl("pkcs7", "-inform", "DER", "-print_certs", stdin=bundle)
    assert set(read_certificates(printed)) == {CERTIFICATE, other}
    assert set(read_certificates(bundle)) == {CERTIFICATE, other}
    assert set(read_certificates(pem("PKCS7", bundle))) == {CERTIFICATE, other}


def test_the_fingerprint_is_the_one_openssl_prints() -> None:
    printed = _openssl("x509", "-inform", "DER", "-noout", "-fingerprint", "-sha256",
                       stdin=CERTIFICATE)  # fmt: skip
    assert printed.decode().strip().partition("=")[2] == fingerprint(CERTIFICATE)


@pytest.mark.parametrize("codec", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_chain_is_read_in_its_order_in_any_text_encoding(codec: str, end: str) -> None:
    other = CERTIFICATE.replace(b"nas.home.arpa", b"nat.home.arpa")
    text = "leaf:\n" + (pem("CERTIFICATE", CERTIFICATE) + pem("CERTIFICATE", other)).decode()
    octets = text.replace("\n", end).encode(codec)
    assert read_certificates(octets) == (CERTIFICATE, other)


def test_a_private_key_beside_a_certificate_is_not_read() -> None:
    bundle = pem("PRIVATE KEY", b"\x30\x00") + pem("CERTIFICATE", CERTIFICATE)
    assert read_certificates(bundle) == (CERTIFICATE,)


@pytest.mark.parametrize(
    "octets",
    [b"", b"nothing", pem("CERTIFICATE", DER), pem("CERTIFICATE REQUEST", DER), DER,
     CERTIFICATE[:-1], CERTIFICATE + b"\0", pem("CERTIFICATE", CERTIFICATE)[:-30],
     pkcs7_certificates([]), b"\x00" * 100, bytes((1 << 20) + 1)],
    ids=["empty", "text", "request-labelled", "request", "request-der", "cut", "trailing",
         "no-end", "empty-pkcs7", "zeros", "too-large"],
)  # fmt: skip
def test_what_is_no_certificate_is_refused(octets: bytes) -> None:
    with pytest.raises(CertificateMalformed):
        read_certificates(octets)


def test_crls_are_read_from_pem_and_der_and_certificates_are_none() -> None:
    crl = tlv.sequence(
        tlv.sequence(
            tlv.integer(1),
            tlv.sequence(tlv.oid("1.2.840.10045.4.3.2")),
            tlv.sequence(),
            tlv.tlv(tlv.UTC_TIME, b"260101000000Z"),
        ),
        tlv.sequence(tlv.oid("1.2.840.10045.4.3.2")),
        tlv.tlv(tlv.BIT_STRING, b"\0\1"),
    )
    assert read_crls(crl) == (crl,)
    assert read_crls(pem("X509 CRL", crl) * 3) == (crl, crl, crl)
    for octets in (CERTIFICATE, pem("X509 CRL", CERTIFICATE), b"", crl + b"\0"):
        with pytest.raises(CertificateMalformed):
            read_crls(octets)


def test_a_file_of_16_mib_costs_nothing() -> None:
    octets = b"-----BEGIN CERTIFICATE REQUEST-----\n" + b"A" * (16 << 20)
    started = time.process_time()
    with pytest.raises(RequestMalformed, match="at most 65536"):
        read_request(octets)
    assert time.process_time() - started < 0.05


TEXTS = st.lists(
    st.one_of(
        st.sampled_from(
            ["-----BEGIN CERTIFICATE REQUEST-----", "-----END CERTIFICATE REQUEST-----", "\n",
             "\r\n", "-----BEGIN PRIVATE KEY-----", "-----BEGIN", "-----", "MIIB", "=", "SPKAC=",
             "-----BEGIN X509 CRL-----", "-----END CERTIFICATE-----", "-----BEGIN CERTIFICATE-----"]
        ),
        st.text(max_size=30),
    ),
    max_size=12,
).map("".join)  # fmt: skip


@given(st.one_of(st.binary(max_size=400), TEXTS.map(lambda text: text.encode("utf-8", "replace"))),
       st.sampled_from(["", "bom", "utf-16"]))  # fmt: skip
def test_readers_raise_nothing_but_their_own_errors(octets: bytes, dress: str) -> None:
    if dress == "bom":
        octets = b"\xef\xbb\xbf" + octets
    elif dress == "utf-16":
        octets = octets.decode("latin-1").encode("utf-16")
    for read in (read_request, read_certificates, read_crls):
        try:
            read(octets)
        except HomecaError as error:
            assert error.problem  # noqa: PT017 - some are read; the type is the claim
            assert error.remedy  # noqa: PT017


@pytest.mark.parametrize("path", ["../x", "/etc/shadow"])
def test_octets_are_never_taken_for_a_path(path: str) -> None:
    with pytest.raises(RequestMalformed):
        read_request(path.encode())
    assert not Path("x").exists()


def test_the_same_request_in_every_dress_has_one_hash() -> None:
    dresses = [DER, pem("CERTIFICATE REQUEST", DER), pem("NEW CERTIFICATE REQUEST", DER)]
    assert len({parse_request(read_request(dress)).sha256 for dress in dresses}) == 1


def test_a_file_of_empty_lines_is_read_at_once() -> None:
    begun = time.monotonic()
    with pytest.raises(RequestMalformed):
        read_request(b"\n" * 65000 + b"x")
    assert time.monotonic() - begun < 1

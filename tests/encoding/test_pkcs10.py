"""Requests as homeca writes them, read by two other implementations (RFC 2986)."""

from __future__ import annotations

from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from ca.algorithms import SIGNATURE_ALGORITHMS
from ca.encoding.certificate import assemble
from ca.encoding.dn import encode_name
from ca.encoding.extensions import Extension
from ca.encoding.pkcs10 import build_request_info
from ca.encoding.requests import parse_request
from ca.names.distinguished import DistinguishedName
from tests.interop.programs import run

KEY = ec.generate_private_key(ec.SECP256R1())
SPKI = KEY.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
KEY_USAGE = Extension(oid="2.5.29.15", critical=True, value=bytes.fromhex("03020106"))


def request_of(*extensions: Extension) -> bytes:
    info = build_request_info(
        subject_der=encode_name(DistinguishedName.of(("O", "Home"), ("CN", "Home CA 1"))),
        spki=SPKI,
        extensions=extensions,
    )
    signature = KEY.sign(info, ec.ECDSA(hashes.SHA256()))
    return assemble(info, SIGNATURE_ALGORITHMS["sha256_ecdsa"], signature)


def test_a_request_says_what_it_was_built_from_and_proves_its_key() -> None:
    request = x509.load_der_x509_csr(request_of(KEY_USAGE))
    assert request.subject.rfc4514_string() == "CN=Home CA 1,O=Home"
    assert request.is_signature_valid
    (extension,) = request.extensions
    assert (extension.oid.dotted_string, extension.critical) == ("2.5.29.15", True)


def test_a_request_without_extensions_has_no_attribute() -> None:
    assert list(x509.load_der_x509_csr(request_of()).attributes) == []


def test_openssl_verifies_a_request_and_refuses_it_with_a_bit_changed(tmp_path: Path) -> None:
    path = tmp_path / "request.der"
    der = request_of(KEY_USAGE)
    for octets, good in ((der, True), (der[:-1] + bytes([der[-1] ^ 1]), False)):
        path.write_bytes(octets)
        done = run("openssl", "req", "-inform", "DER", "-in", path, "-noout", "-verify")
        assert ("verify OK" in done.stdout + done.stderr) is good  # on stdout from 3.5 on


def test_homeca_reads_its_own_request() -> None:
    request = parse_request(request_of())
    assert request.violations == ()
    assert str(request.subject) == "O=Home,CN=Home CA 1"

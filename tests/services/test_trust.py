"""Whether one certificate was signed by another: the signature, and nothing else."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from ca.encoding.inspect import read_certificate, read_crl
from ca.errors import SignatureInvalid
from ca.interfaces.values import Validity
from ca.services.trust import check_signature, validity_of

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
NAME = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Root CA")])
EC = ec.generate_private_key(ec.SECP256R1())
RSA = rsa.generate_private_key(65537, 2048)
ED = ed25519.Ed25519PrivateKey.generate()
Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey


def root(key: Key, hash_: hashes.HashAlgorithm | None, *, pss: bool = False) -> bytes:
    """DER, self-signed."""
    builder = (
        x509.CertificateBuilder()
        .subject_name(NAME)
        .issuer_name(NAME)
        .public_key(key.public_key())
        .serial_number(1 << 80)
        .not_valid_before(NOON)
        .not_valid_after(NOON + timedelta(days=1))
    )
    scheme = padding.PSS(padding.MGF1(hashes.SHA256()), 32) if pss else None
    made = builder.sign(key, hash_, rsa_padding=scheme)  # type: ignore[arg-type]
    return made.public_bytes(Encoding.DER)


SELF_SIGNED = {
    "ecdsa-sha256": root(EC, hashes.SHA256()),
    "ecdsa-sha384": root(EC, hashes.SHA384()),
    "rsa-sha256": root(RSA, hashes.SHA256()),
    "rsa-sha512": root(RSA, hashes.SHA512()),
    "ed25519": root(ED, None),
}


@pytest.mark.parametrize("name", SELF_SIGNED)
def test_a_certificate_verifies_under_its_issuer_and_under_no_other(name: str) -> None:
    signed = read_certificate(SELF_SIGNED[name])
    check_signature(signed, signed.tbs.spki)
    for other, der in SELF_SIGNED.items():
        if other.split("-")[0] != name.split("-")[0]:
            with pytest.raises(SignatureInvalid):
                check_signature(signed, read_certificate(der).tbs.spki)


@pytest.mark.parametrize("name", SELF_SIGNED)
def test_a_changed_bit_anywhere_in_the_signature_or_the_serial_is_noticed(name: str) -> None:
    der = SELF_SIGNED[name]
    issuer = read_certificate(der)
    for changed in (
        der[:-1] + bytes([der[-1] ^ 1]),
        der.replace((1 << 80).to_bytes(11, "big"), (1 << 80 | 1).to_bytes(11, "big"), 1),
    ):
        assert changed != der
        with pytest.raises(SignatureInvalid):
            check_signature(read_certificate(changed), issuer.tbs.spki)


def test_an_algorithm_that_homeca_does_not_take_is_named() -> None:
    weak = read_certificate(root(EC, hashes.SHA224()))
    with pytest.raises(SignatureInvalid, match=r"1\.2\.840\.10045\.4\.3\.1"):
        check_signature(weak, weak.tbs.spki)


def test_a_crl_verifies_under_its_issuer_and_under_no_other() -> None:
    builder = x509.CertificateRevocationListBuilder().issuer_name(NAME)
    builder = builder.last_update(NOON).next_update(NOON + timedelta(days=1))
    builder = builder.add_extension(x509.CRLNumber(1), critical=False)
    crl = read_crl(builder.sign(EC, hashes.SHA256()).public_bytes(Encoding.DER))
    check_signature(crl, read_certificate(SELF_SIGNED["ecdsa-sha256"]).tbs.spki)
    with pytest.raises(SignatureInvalid):
        check_signature(crl, read_certificate(SELF_SIGNED["rsa-sha256"]).tbs.spki)


def test_a_validity_is_what_the_certificate_says() -> None:
    facts = read_certificate(SELF_SIGNED["ed25519"])
    expected = Validity(not_before=NOON, not_after=NOON + timedelta(days=1))
    assert validity_of(facts.tbs) == expected

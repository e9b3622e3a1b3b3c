"""The table of algorithms agrees with itself and with cryptography."""

from __future__ import annotations

import hashlib

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509 import SignatureAlgorithmOID

from ca.algorithms import (
    BROKEN_SIGNATURE_OIDS,
    CURVES,
    HASHES,
    KEY_KINDS,
    SIGNATURE_ALGORITHMS,
    Family,
    KeyKind,
    Scheme,
    signature_algorithm,
)

OIDS = {
    "sha256_ecdsa": SignatureAlgorithmOID.ECDSA_WITH_SHA256,
    "sha384_ecdsa": SignatureAlgorithmOID.ECDSA_WITH_SHA384,
    "sha512_ecdsa": SignatureAlgorithmOID.ECDSA_WITH_SHA512,
    "sha256_rsa": SignatureAlgorithmOID.RSA_WITH_SHA256,
    "sha384_rsa": SignatureAlgorithmOID.RSA_WITH_SHA384,
    "sha512_rsa": SignatureAlgorithmOID.RSA_WITH_SHA512,
    "sha256_pss": SignatureAlgorithmOID.RSASSA_PSS,
    "sha384_pss": SignatureAlgorithmOID.RSASSA_PSS,
    "sha512_pss": SignatureAlgorithmOID.RSASSA_PSS,
    "ed25519": SignatureAlgorithmOID.ED25519,
}


def test_signature_oids_are_those_cryptography_knows() -> None:
    assert {name: a.oid for name, a in SIGNATURE_ALGORITHMS.items()} == {
        name: oid.dotted_string for name, oid in OIDS.items()
    }


@pytest.mark.parametrize("kind", KEY_KINDS.values(), ids=str)
def test_a_ca_key_signs_with_a_digest_of_at_least_its_strength(kind: KeyKind) -> None:
    algorithm = signature_algorithm(kind)
    assert algorithm.family is kind.family
    if kind.family is Family.EC:
        assert HASHES[algorithm.hash].size * 8 >= min(kind.bits, 512)
        assert algorithm.scheme is Scheme.ECDSA


def test_curve_sizes_and_oids_are_those_of_cryptography() -> None:
    for curve in (ec.SECP256R1(), ec.SECP384R1(), ec.SECP521R1()):
        oid = getattr(ec.EllipticCurveOID, curve.name.upper()).dotted_string
        assert CURVES[oid].bits == curve.key_size
    assert len(CURVES) == 3


@pytest.mark.parametrize("name", HASHES)
def test_hash_sizes_are_those_of_hashlib(name: str) -> None:
    assert HASHES[name].size == hashlib.new(name).digest_size


def test_no_broken_algorithm_can_be_used() -> None:
    assert not {a.oid for a in SIGNATURE_ALGORITHMS.values()} & set(BROKEN_SIGNATURE_OIDS)

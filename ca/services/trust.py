"""Whether one certificate was signed by another, and until when."""

from __future__ import annotations

from ca.algorithms import SIGNATURE_ALGORITHMS, Scheme, SignatureAlgorithm
from ca.encoding.facts import AlgorithmFacts, CertificateFacts, CrlFacts, TbsFacts
from ca.encoding.spki import verify
from ca.errors import SignatureInvalid
from ca.interfaces import Validity

_BY_OID = {a.oid: a for a in SIGNATURE_ALGORITHMS.values() if a.scheme is not Scheme.PSS}


def signature_algorithm_of(identifier: AlgorithmFacts) -> SignatureAlgorithm:
    """Raises: SignatureInvalid for an algorithm homeca does not trust."""
    algorithm = _BY_OID.get(identifier.oid)
    if algorithm is None:
        raise SignatureInvalid(
            f"it is signed with the algorithm {identifier.oid}, which homeca does not take",
            remedy="have it signed with ECDSA or RSA and SHA-256 or better",
        )
    return algorithm


def verify_certificate(signed: CertificateFacts, issuer: CertificateFacts) -> None:
    """The signature, and nothing else. Raises: SignatureInvalid."""
    algorithm = signature_algorithm_of(signed.algorithm)
    verify(issuer.tbs.spki, algorithm, signed.signature, signed.tbs.der)


def verify_crl(signed: CrlFacts, issuer: CertificateFacts) -> None:
    """The signature, and nothing else. Raises: SignatureInvalid."""
    algorithm = signature_algorithm_of(signed.algorithm)
    verify(issuer.tbs.spki, algorithm, signed.signature, signed.tbs.der)


def validity_of(tbs: TbsFacts) -> Validity:
    return Validity(not_before=tbs.not_before.moment, not_after=tbs.not_after.moment)

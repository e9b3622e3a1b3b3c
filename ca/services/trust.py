"""Whether one certificate or CRL was signed by a key, and until when it holds."""

from __future__ import annotations

from ca.algorithms import SIGNATURE_ALGORITHMS, Scheme, SignatureAlgorithm
from ca.encoding.facts import AlgorithmFacts, CertificateFacts, CrlFacts, TbsFacts
from ca.encoding.spki import verify
from ca.errors import SignatureInvalid
from ca.interfaces.issuing import IssuerRecord
from ca.interfaces.values import Validity

_BY_OID = {a.oid: a for a in SIGNATURE_ALGORITHMS.values() if a.scheme is not Scheme.PSS}


def check_signature(signed: CertificateFacts | CrlFacts, spki: bytes) -> None:
    """The signature, and nothing else. Raises: SignatureInvalid."""
    verify(spki, signature_algorithm_of(signed.algorithm), signed.signature, signed.tbs.der)


def is_signed_by(signed: CertificateFacts | CrlFacts, spki: bytes) -> bool:
    """Whether `check_signature` has nothing to say."""
    try:
        check_signature(signed, spki)
    except SignatureInvalid:
        return False
    return True


def is_list_of(facts: CrlFacts, issuer: IssuerRecord) -> bool:
    """A CRL in an issuer's name, signed by its key."""
    return facts.tbs.issuer.der == issuer.subject_der and is_signed_by(facts, issuer.spki)


def signature_algorithm_of(identifier: AlgorithmFacts) -> SignatureAlgorithm:
    """By OID. Raises: SignatureInvalid for one homeca does not use, PSS and SHA-1 among them."""
    algorithm = _BY_OID.get(identifier.oid)
    if algorithm is None:
        raise SignatureInvalid(
            f"it is signed with the algorithm {identifier.oid}, which homeca does not take",
            remedy="have it signed with ECDSA or RSA and SHA-256 or better",
        )
    return algorithm


def validity_of(tbs: TbsFacts) -> Validity:
    return Validity(not_before=tbs.not_before.moment, not_after=tbs.not_after.moment)

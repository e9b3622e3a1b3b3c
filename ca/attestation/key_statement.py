"""Was this key made inside a TPM, to stay there? (TPM 2.0 Part 3 §18.2, §18.3; threat T16)

A key that was made elsewhere and imported may claim sensitiveDataOrigin, and the TPM lets it; but
it takes in no key that claims fixedTPM and fixedParent. So all three are asked for.
"""

from __future__ import annotations

import hashlib

from msgspec import Struct

from ca.attestation.signer import read_attested, read_signer
from ca.encoding.attest import ST_CERTIFY, ST_CREATION, about_key, read_creation
from ca.encoding.tpm import ALG_SHA256, BORN_AND_BOUND, Attributes, PublicArea
from ca.errors import EncodingError, StatementRefused, Violation
from ca.interfaces.ledger import KeyAttestation


class ProvenKey(Struct, frozen=True, kw_only=True):
    """What a good statement says.

    attestation_key: the Name of the key that signed, its fingerprint.
    at_birth:        signed when the key was made; else the TPM was asked about a key it held.
    clock:           milliseconds; reset_count, firmware: as the TPM told them.
    """

    attestation_key: bytes
    name: bytes
    at_birth: bool
    clock: int
    reset_count: int
    firmware: int


def verify_key_statement(said: KeyAttestation, *, spki: bytes, nonce: bytes = b"") -> ProvenKey:
    """The key of `spki` was made inside the TPM that has the attestation key, and cannot leave.

    Raises: StatementRefused with everything that speaks against it.
    """
    try:
        signer, found = read_signer(said.attestation_key)
        key = PublicArea.from_tpm2b(said.public)
        attest, wrong = read_attested(said.attested, signer, qualifying=about_key(nonce))
        found += wrong
        found += _about_key(key, spki=spki)
        if attest is not None:
            wanted = ST_CREATION if said.creation else ST_CERTIFY
            if attest.type != wanted:
                found.append(Violation("statement.type", "it is not a statement of that kind"))
            if attest.name != key.name:
                found.append(
                    Violation("statement.name", "it is about another key than the one shown")
                )
            if said.creation:
                found += _about_creation(said.creation, attest.creation_hash)
    except EncodingError as error:
        raise _refused((Violation("statement.malformed", str(error)),)) from error
    if found or attest is None:
        raise _refused(tuple(found))
    return ProvenKey(
        attestation_key=signer.name,
        name=key.name,
        at_birth=bool(said.creation),
        clock=attest.clock,
        reset_count=attest.reset_count,
        firmware=attest.firmware,
    )


def _about_key(key: PublicArea, *, spki: bytes) -> list[Violation]:
    found = []
    for flag, text in (
        (Attributes.FIXED_TPM, "it may leave its TPM (fixedTPM is not set)"),
        (Attributes.FIXED_PARENT, "it may move to another parent (fixedParent is not set)"),
        (
            Attributes.SENSITIVE_DATA_ORIGIN,
            "it was made outside the TPM (sensitiveDataOrigin is not set)",
        ),
    ):
        if flag in BORN_AND_BOUND and not key.attributes & flag:
            found.append(Violation("statement.key-origin", text))
    if not key.attributes & Attributes.SIGN or key.attributes & Attributes.DECRYPT:
        found.append(Violation("statement.key-usage", "it is not a key for signing alone"))
    if key.attributes & Attributes.RESTRICTED:
        found.append(
            Violation("statement.key-restricted", "it signs only what the TPM itself hashed")
        )
    if key.name_alg != ALG_SHA256:
        found.append(Violation("statement.key-name", "its Name is not a SHA-256 one"))
    if key.spki != spki:
        found.append(
            Violation("statement.key", "it is about another key than the certificate names")
        )
    return found


def _about_creation(octets: bytes, expected: bytes) -> list[Violation]:
    creation = read_creation(octets)
    if hashlib.sha256(creation.octets).digest() != expected:
        return [
            Violation("statement.creation", "the creation data are not those that were signed for")
        ]
    return []


def _refused(violations: tuple[Violation, ...]) -> StatementRefused:
    reasons = "; ".join(violation.text for violation in violations)
    return StatementRefused(
        f"the statement does not prove that the key is bound to a TPM: {reasons}",
        remedy="ask for a new one: `homeca prove --out FILE` on the CA's machine",
        violations=violations,
    )

"""The attestation key: is it one, did it sign, and what did it sign for whom?

That this key lives in a TPM of a trusted make, only an endorsement certificate could tell, which
many TPMs lack and software TPMs have none of. So it is known by its fingerprint: compare it once
with what the CA's own machine shows, and everything it signs is from that TPM.
"""

from __future__ import annotations

from ca.algorithms import EC_P256, SIGNATURE_ALGORITHMS
from ca.encoding.attest import RH_ENDORSEMENT, Attest, qualified, read_attest
from ca.encoding.spki import verify
from ca.encoding.tpm import (
    ALG_SHA256,
    BORN_AND_BOUND,
    Attributes,
    PublicArea,
    signature_value,
)
from ca.errors import EncodingError, Violation
from ca.interfaces.ledger import Attested

_ALGORITHM = SIGNATURE_ALGORITHMS["sha256_ecdsa"]


def read_signer(public: bytes) -> tuple[PublicArea, list[Violation]]:
    """An attestation key, and what keeps it from being one.

    public: TPM2B_PUBLIC. Raises: EncodingError when it is none.
    """
    area = PublicArea.from_tpm2b(public)
    found = []
    if area.attributes & BORN_AND_BOUND != BORN_AND_BOUND:
        found.append(
            Violation("statement.ak-origin", "the attestation key could be known outside the TPM")
        )
    if not area.attributes & Attributes.RESTRICTED:
        found.append(
            Violation(
                "statement.ak-restricted",
                "the attestation key is not restricted: it signs what anybody writes",
            )
        )
    if not area.attributes & Attributes.SIGN or area.attributes & Attributes.DECRYPT:
        found.append(
            Violation("statement.ak-usage", "the attestation key is not for signing alone")
        )
    try:
        fits = area.kind is EC_P256 and area.scheme is not None
        fits = fits and area.signature_algorithm == _ALGORITHM
    except EncodingError:
        fits = False
    if not fits or area.name_alg != ALG_SHA256:
        found.append(
            Violation(
                "statement.ak-algorithm",
                "the attestation key is not a P-256 key that signs with ECDSA and SHA-256",
            )
        )
    return area, found


def read_attested(
    attested: Attested, signer: PublicArea, *, qualifying: bytes
) -> tuple[Attest | None, list[Violation]]:
    """What was signed, and what is wrong with it, whatever it is about.

    qualifying: what it must have been signed with: the asker's nonce, or the words it belongs to.
    """
    found = []
    try:
        signature = signature_value(attested.signature, algorithm=_ALGORITHM, kind=EC_P256)
        verify(signer.spki, _ALGORITHM, signature, attested.attest)
    except EncodingError as error:
        found.append(Violation("statement.signature", f"its signature is not good: {error}"))
    try:
        attest = read_attest(attested.attest)
    except EncodingError as error:
        return None, [*found, Violation("statement.attest", str(error))]
    if attest.extra != qualifying:
        found.append(
            Violation(
                "statement.qualifying",
                "it was signed with another nonce, or for another purpose or text",
            )
        )
    if attest.signer != qualified(RH_ENDORSEMENT, signer.name):
        found.append(
            Violation(
                "statement.signer",
                "it names another signer than the attestation key of the endorsement hierarchy",
            )
        )
    return attest, found

"""The attestation key, and what it signs of keys and NV indices (TPM 2.0 Part 3 §18).

It is a primary key of the endorsement hierarchy: made anew from the TPM's own seed whenever it is
needed, the same each time, nothing of it is kept, and what it signs shows the TPM's clock and
firmware as they are. Restricted: it signs nothing but what the TPM itself says.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator
from typing import Any

from ca.encoding.attest import about_key
from ca.encoding.nv import NvKind
from ca.errors import TpmEndorsementRefused, TpmOwnerAuthNeeded, TpmStorageKeyUnusable
from ca.interfaces.ledger import Attested, KeyAttestation
from ca.keys.tpm.transaction import Transaction
from ca.keys.tpm.tss import (
    ESYS_TR,
    TPM2_ALG,
    TPM2B_PRIVATE,
    TPM2B_PUBLIC,
    TPM2B_SENSITIVE_CREATE,
    TPMT_SIG_SCHEME,
)

ATTESTATION_KEY = (
    "ecc256:ecdsa-sha256:null",
    "userwithauth|restricted|sign|noda|fixedtpm|fixedparent|sensitivedataorigin",
)

#: Makes the key homeca's: another program with the same template gets another one.
_UNIQUE = hashlib.sha256(b"homeca attestation key").digest()


@contextlib.contextmanager
def attestation_key(tpm: Transaction) -> Iterator[tuple[ESYS_TR, bytes]]:
    """Handle and TPM2B_PUBLIC. Raises: TpmEndorsementRefused, CustodyError."""
    template, attributes = ATTESTATION_KEY
    area = TPM2B_PUBLIC.parse(template, objectAttributes=attributes)
    area.publicArea.unique.ecc.x = _UNIQUE
    tpm.make_room()
    try:
        with tpm.esapi() as esapi, tpm.wire.patience(tpm.creation_deadline):
            made = esapi.create_primary(
                TPM2B_SENSITIVE_CREATE(), area, ESYS_TR.ENDORSEMENT, session1=tpm.session
            )
            handle, public = made[0], bytes(made[1].marshal())
    except (TpmOwnerAuthNeeded, TpmStorageKeyUnusable) as error:
        raise TpmEndorsementRefused(
            "the TPM makes no attestation key: its endorsement hierarchy has a password, is "
            "switched off, or knows no P-256",
            remedy="see `tpm2_getcap properties-variable`; the CA works without, but cannot "
            "prove anything about its keys",
        ) from error
    try:
        yield handle, public
    finally:
        tpm.drop(handle)


def of_creation(tpm: Transaction, made: Any) -> KeyAttestation | None:
    """What the TPM says of a key it has just made; None when it makes no attestation key.

    made: the answer of TPM2_Create; its ticket binds it to this TPM (Part 3 §18.3).
    """
    private, public = bytes(made[0].marshal()), bytes(made[1].marshal())
    creation, creation_hash, ticket = bytes(made[2].marshal()), made[3], made[4]
    try:
        with attestation_key(tpm) as (signing, attestation_public):
            with tpm.esapi() as esapi:
                inner, _ = TPM2B_PRIVATE.unmarshal(private)
                area, _ = TPM2B_PUBLIC.unmarshal(public)
                key = esapi.load(tpm.srk, inner, area, session1=tpm.session)
            try:
                with tpm.esapi() as esapi:
                    attest, signature = esapi.certify_creation(
                        signing,
                        key,
                        about_key(b""),
                        creation_hash,
                        _NULL,
                        ticket,
                        session1=tpm.session,
                    )
                    attested = _attested(attest, signature)
            finally:
                tpm.drop(key)
    except TpmEndorsementRefused:
        return None
    return KeyAttestation(
        attestation_key=attestation_public, public=public, attested=attested, creation=creation
    )


def of_key(tpm: Transaction, key: ESYS_TR, public: bytes, *, qualifying: bytes) -> KeyAttestation:
    """TPM2_Certify of a loaded key whose authValue is set. Raises: PinWrong, CustodyError."""
    with attestation_key(tpm) as (signing, attestation_public), tpm.esapi() as esapi:
        attest, signature = esapi.certify(
            key, signing, qualifying, _NULL, session1=tpm.session, session2=ESYS_TR.PASSWORD
        )
        attested = _attested(attest, signature)
    return KeyAttestation(attestation_key=attestation_public, public=public, attested=attested)


def of_index(
    tpm: Transaction, signing: ESYS_TR, index: ESYS_TR, kind: NvKind, qualifying: bytes
) -> Attested:
    """TPM2_NV_Certify of all that an index holds. Raises: CustodyError."""
    with tpm.esapi() as esapi:
        attest, signature = esapi.nv_certify(
            signing,
            index,
            qualifying,
            _NULL,
            kind.size,
            session1=ESYS_TR.PASSWORD,
            session2=tpm.session,
        )
        return _attested(attest, signature)


def attestation_public(tpm: Transaction) -> bytes | None:
    """Its TPM2B_PUBLIC; None when this TPM makes none."""
    try:
        with attestation_key(tpm) as (_, public):
            return public
    except TpmEndorsementRefused:
        return None


_NULL = TPMT_SIG_SCHEME(scheme=TPM2_ALG.NULL)


def _attested(attest: Any, signature: Any) -> Attested:
    return Attested(attest=bytes(attest), signature=bytes(signature.marshal()))

"""The chain of what was done, its anchor in the TPM, and what a TPM attests."""

from __future__ import annotations

from contextlib import AbstractContextManager
from datetime import UTC, datetime
from enum import StrEnum
from typing import Protocol

from msgspec import Struct

from ca.interfaces.issuing import CertificateRecord
from ca.interfaces.revocation import Reason
from ca.interfaces.values import Serial


class LedgerEvent(StrEnum):
    """What an entry of the ledger says happened. Entries are for ever: no word changes meaning.

    begun:            the ledger itself; its link names this ledger.
    adopted:          what stood in the record before there was a ledger follows, entry by entry.
    anchor-placed:    the NV indices in a TPM that will hold its head.
    anchored:         a TPM was found holding the head of an earlier entry.
    compromised:      a revocation for another reason became one for a compromise of the key.
    accepted:         an operator took the record for true although its anchor said otherwise.
    settings:         what homeca.toml says, when it says something else than before.
    node:             a home that shares this record has its first key in it.
    """

    BEGUN = "begun"
    ADOPTED = "adopted"
    CUSTODY = "custody"
    ISSUER_BEGUN = "issuer-begun"
    ISSUER_KEY = "issuer-key"
    ISSUER_ACTIVE = "issuer-active"
    ISSUER_RETIRED = "issuer-retired"
    ISSUER_ABANDONED = "issuer-abandoned"
    RESERVED = "reserved"
    INTENDED = "intended"
    ISSUED = "issued"
    UNCERTAIN = "uncertain"
    FAILED = "failed"
    REVOKED = "revoked"
    COMPROMISED = "compromised"
    RELEASED = "released"
    CRL_RESERVED = "crl-reserved"
    CRL = "crl"
    ANCHOR_PLACED = "anchor-placed"
    ANCHORED = "anchored"
    ACCEPTED = "accepted"
    SETTINGS = "settings"
    RESTORED = "restored"
    NODE = "node"


class LedgerEntry(Struct, frozen=True, kw_only=True):
    """One entry as stored (`ca.encoding.ledger` says how it is hashed).

    at:      seconds since 1970, UTC. event: a LedgerEvent; a newer homeca may know more.
    details: JSON text, exactly as hashed. link: SHA-256 over the entry and the link before it.
    """

    seq: int
    at: int
    event: str
    issuer_id: int | None
    serial: Serial | None
    details: str
    link: bytes

    @property
    def moment(self) -> datetime:
        return datetime.fromtimestamp(self.at, UTC)


class RevocationLine(Struct, frozen=True, kw_only=True):
    """A line of the CRL with its whole life. ended_at: released, or replaced; None: open."""

    reason: Reason
    revoked_at: datetime
    ended_at: datetime | None
    invalidity: datetime | None
    entry: bytes


class SerialHistory(Struct, frozen=True, kw_only=True):
    """One serial: its row, its lines and its entries of the ledger, oldest first.

    record: None when the record has no row for what the ledger knows.
    """

    issuer_id: int
    serial: Serial
    record: CertificateRecord | None
    lines: tuple[RevocationLine, ...]
    entries: tuple[LedgerEntry, ...]


class AnchorPlace(Struct, frozen=True, kw_only=True):
    """Where in a TPM a ledger is anchored: two NV indices (TPM 2.0 Part 1 §37).

    tpm:     the Name of its storage key. ledger: the link of the ledger's first entry.
    head:    handle of the extend index. counter: handle of the counter beside it.
    """

    tpm: bytes
    ledger: bytes
    head: int
    counter: int


class AnchorReading(Struct, frozen=True, kw_only=True):
    """What the two indices hold."""

    value: bytes
    count: int


class Attested(Struct, frozen=True, kw_only=True):
    """What an attestation key signed: TPMS_ATTEST and TPMT_SIGNATURE, as the TPM wrote them."""

    attest: bytes
    signature: bytes


class KeyAttestation(Struct, frozen=True, kw_only=True):
    """What a TPM says of a key in it, signed by its attestation key (Part 3 §18).

    attestation_key, public: TPM2B_PUBLIC.
    creation:  TPM2B_CREATION_DATA when TPM2_CertifyCreation signed it, b"" after TPM2_Certify.
    """

    attestation_key: bytes
    public: bytes
    attested: Attested
    creation: bytes = b""


class Anchor(Protocol):
    """The two NV indices of one ledger, within one hold of the TPM."""

    @property
    def place(self) -> AnchorPlace: ...

    def read(self) -> AnchorReading: ...

    def extend(self, link: bytes) -> None:
        """The head index becomes SHA-256(what it holds ‖ link)."""
        ...

    def increment(self, *, last: bool = False) -> None:
        """One more. last: nothing else is asked of the TPM in this hold."""
        ...

    def certify(self, qualifying: bytes) -> tuple[bytes, Attested, Attested]:
        """TPM2B_PUBLIC of the attestation key, and what it signs of head and counter."""
        ...


class Ledger(Protocol):
    """The append-only account of everything the CA did, and its anchor in the TPM."""

    def changing(
        self, *, ceremony: bool = False, although_unreachable: bool = False
    ) -> AbstractContextManager[None]:
        """Around every command that changes the record; within another one it does nothing.

        The TPM is held for as long: its anchor is read and compared at the start, and written
        once at the end when nothing failed.
        ceremony:             the anchor may be made where there is none.
        although_unreachable: go on, and say so, when there is no TPM to ask: for revoking.
        Raises: LedgerMismatch before anything was changed; CustodyError, StoreError.
        """
        ...

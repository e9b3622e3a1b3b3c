"""The tables: what a row is. What it must satisfy is in `ca.store.rules`."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import (
    Column,
    ForeignKey,
    Integer,
    LargeBinary,
    MetaData,
    Named,
    Table,
    Text,
    TypedColumns,
    text,
)

from ca.interfaces.custody import CustodyKind
from ca.interfaces.issuing import IssuerState, Role, State
from ca.interfaces.revocation import Reason
from ca.interfaces.values import Serial
from ca.store.types import Counter, Lines, SerialOctets, Shown, UtcTime, Word

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
    }
)


class NodeColumns(TypedColumns):
    """A home that shares this database, from its first row in it."""

    id: Named[int] = Column(Integer, primary_key=True)
    identity: Named[str] = Column(Text)
    name: Named[str] = Column(Shown)
    joined_at: Named[datetime] = Column(UtcTime)


nodes = Table("nodes", metadata, NodeColumns, sqlite_strict=True)


class CustodyColumns(TypedColumns):
    """Where the keys live; a node's newest row holds. A new TPM is a new row.

    node_id: NULL where the record is one home's alone.
    """

    id: Named[int] = Column(Integer, primary_key=True)
    kind: Named[CustodyKind] = Column(Word(CustodyKind))
    tcti: Named[str] = Column(Text)
    manufacturer: Named[str] = Column(Text)
    model: Named[str] = Column(Text)
    firmware: Named[str] = Column(Text)
    srk_public: Named[bytes] = Column(LargeBinary)
    recorded_at: Named[datetime] = Column(UtcTime)
    node_id: Named[int | None] = Column(ForeignKey("nodes.id"))


custody = Table("custody", metadata, CustodyColumns, sqlite_strict=True)


class IssuerColumns(TypedColumns):
    """A CA certificate with its key, from the start of its ceremony.

    node_id: whose ceremony it is; NULL where the record is one home's alone.
    """

    id: Named[int] = Column(Integer, primary_key=True)
    role: Named[Role] = Column(Word(Role))
    slug: Named[str] = Column(Text)
    state: Named[IssuerState] = Column(Word(IssuerState))
    subject: Named[str] = Column(Shown)
    subject_der: Named[bytes] = Column(LargeBinary)
    parent_id: Named[int | None] = Column(ForeignKey("issuers.id"))
    crl_url: Named[str | None] = Column(Text)
    issuer_url: Named[str | None] = Column(Text)
    key_kind: Named[str] = Column(Text)
    key_file: Named[str] = Column(Text)
    spki: Named[bytes] = Column(LargeBinary)
    certificate: Named[bytes | None] = Column(LargeBinary)
    serial: Named[Serial | None] = Column(SerialOctets)
    not_before: Named[datetime | None] = Column(UtcTime)
    not_after: Named[datetime | None] = Column(UtcTime)
    created_at: Named[datetime] = Column(UtcTime)
    node_id: Named[int | None] = Column(ForeignKey("nodes.id"))


issuers = Table("issuers", metadata, IssuerColumns, sqlite_strict=True)


class ProfileColumns(TypedColumns):
    """A rendered profile, once, however many certificates it decided."""

    sha256: Named[bytes] = Column(LargeBinary, primary_key=True)
    text: Named[str] = Column(Text)


profiles = Table("profiles", metadata, ProfileColumns, sqlite_strict=True)


class CertificateColumns(TypedColumns):
    """A serial and all that is known of it.

    changed_at: the last change of state. The octets stand last, so that a scan over the
    columns before them does not follow SQLite's overflow pages.
    """

    id: Named[int] = Column(Integer, primary_key=True)
    issuer_id: Named[int] = Column(ForeignKey("issuers.id"))
    serial: Named[Serial] = Column(SerialOctets)
    state: Named[State] = Column(Word(State))
    created_at: Named[datetime] = Column(UtcTime)
    changed_at: Named[datetime] = Column(UtcTime)
    issued_at: Named[datetime | None] = Column(UtcTime)
    not_before: Named[datetime | None] = Column(UtcTime)
    not_after: Named[datetime | None] = Column(UtcTime)
    profile: Named[str] = Column(Shown)
    profile_sha256: Named[bytes | None] = Column(ForeignKey("profiles.sha256"))
    subject: Named[str] = Column(Shown)
    names: Named[tuple[str, ...]] = Column(Lines)
    spki_sha256: Named[bytes | None] = Column(LargeBinary)
    request_sha256: Named[bytes] = Column(LargeBinary)
    replaces: Named[Serial | None] = Column(SerialOctets)
    note: Named[str] = Column(Shown)
    tbs: Named[bytes | None] = Column(LargeBinary)
    der: Named[bytes | None] = Column(LargeBinary)


certificates = Table("certificates", metadata, CertificateColumns, sqlite_strict=True)

#: Partial on purpose: `counts` and `open_serials` write these conditions out and are answered
#: from the index alone, while a listing, whose states are bound parameters, keeps to its order.
ISSUED = text("state = 'issued'")
NOT_ISSUED = text("state <> 'issued'")


class RevocationColumns(TypedColumns):
    """A line of the CRL. ended_at: when a hold was released or became permanent; NULL: open.

    not_after is the certificate's, beside the line so that a list is read from one index.
    entry: the DER of the line (RFC 5280 §5.1.2.6), encoded when it was revoked.
    """

    id: Named[int] = Column(Integer, primary_key=True)
    issuer_id: Named[int] = Column(Integer)
    serial: Named[Serial] = Column(SerialOctets)
    not_after: Named[datetime] = Column(UtcTime)
    revoked_at: Named[datetime] = Column(UtcTime)
    ended_at: Named[datetime | None] = Column(UtcTime)
    reason: Named[Reason] = Column(Word(Reason))
    invalidity: Named[datetime | None] = Column(UtcTime)
    entry: Named[bytes] = Column(LargeBinary)


revocations = Table("revocations", metadata, RevocationColumns, sqlite_strict=True)


class CrlColumns(TypedColumns):
    """A CRL number from its reservation. der: of the newest only, sha256 of all.

    Every revocation cuts a whole new CRL: keeping the octets of each would grow as the square.
    """

    issuer_id: Named[int] = Column(ForeignKey("issuers.id"), primary_key=True)
    number: Named[int] = Column(Counter, primary_key=True, autoincrement=False)
    reserved_at: Named[datetime] = Column(UtcTime)
    this_update: Named[datetime | None] = Column(UtcTime)
    next_update: Named[datetime | None] = Column(UtcTime)
    entries: Named[int | None] = Column(Counter)
    sha256: Named[bytes | None] = Column(LargeBinary)
    der: Named[bytes | None] = Column(LargeBinary)


crls = Table("crls", metadata, CrlColumns, sqlite_strict=True)


class LedgerColumns(TypedColumns):
    """The ledger (`ca.encoding.ledger`). seq has no gaps.

    Plain numbers and text, without the checks other tables have: an entry of a newer homeca, or
    one that was tampered with, must be readable to be judged.
    """

    seq: Named[int] = Column(Counter, primary_key=True, autoincrement=False)
    at: Named[int] = Column(Counter)
    event: Named[str] = Column(Text)
    issuer_id: Named[int | None] = Column(Counter)
    serial: Named[Serial | None] = Column(SerialOctets)
    details: Named[str] = Column(Text)
    link: Named[bytes] = Column(LargeBinary)


#: Written out in the query as well, so that SQLite answers it from the index.
LEDGER_NOTES = text("event IN ('anchor-placed', 'anchored', 'accepted', 'settings')")

ledger = Table("ledger", metadata, LedgerColumns, sqlite_strict=True)

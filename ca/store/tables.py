"""The tables: typed Core tables with every rule the database can hold by itself.

Three rules matter most. A serial is unique among all issuers and its row never returns to an
earlier state (triggers in `migrations/`). At most one revocation line per serial is open. Nothing
is deleted. `migrations/` must build exactly these; `python -m ca.store.migrate` compares them.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import (
    CheckConstraint,
    Column,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Named,
    Table,
    Text,
    TextClause,
    TypedColumns,
    UniqueConstraint,
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


def _one_of(column: str, words: type[StrEnum]) -> CheckConstraint:
    listed = ", ".join(f"'{word}'" for word in words)
    return CheckConstraint(f"{column} IN ({listed})", name=column)


def _octets(column: str, lengths: str) -> CheckConstraint:
    return CheckConstraint(f"length({column}) IN ({lengths})", name=column)


def _partial(name: str, *columns: Column[Any], where: TextClause, unique: bool = False) -> None:
    """An index of some rows. `ca.store.migrate` says so for PostgreSQL as well: to name its
    dialect here would import it at every start, a tenth of what this room costs."""
    Index(name, *columns, unique=unique, sqlite_where=where)


class NodeColumns(TypedColumns):
    """A home that shares this database, from its first row in it."""

    id: Named[int] = Column(Integer, primary_key=True)
    identity: Named[str] = Column(Text)
    name: Named[str] = Column(Shown)
    joined_at: Named[datetime] = Column(UtcTime)


nodes = Table(
    "nodes",
    metadata,
    NodeColumns,
    UniqueConstraint("identity"),
    _octets("identity", "32"),
    sqlite_strict=True,
)


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


custody = Table(
    "custody", metadata, CustodyColumns, _one_of("kind", CustodyKind), sqlite_strict=True
)


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


_STANDING = text("state <> 'abandoned'")
_STANDING_ROOT = text("state <> 'abandoned' AND role = 'root'")

issuers = Table(
    "issuers",
    metadata,
    IssuerColumns,
    _one_of("role", Role),
    _one_of("state", IssuerState),
    _octets("serial", "20"),
    CheckConstraint("state <> 'pending' OR certificate IS NULL", name="pending"),
    CheckConstraint(
        "state IN ('pending', 'abandoned') OR (certificate IS NOT NULL AND serial IS NOT NULL"
        " AND not_before IS NOT NULL AND not_after IS NOT NULL)",
        name="certified",
    ),
    CheckConstraint("not_before <= not_after", name="validity"),
    sqlite_strict=True,
)
_partial("uq_issuers_slug", issuers.c.slug, where=_STANDING, unique=True)
_partial("uq_issuers_subject", issuers.c.subject, where=_STANDING, unique=True)
_partial("uq_issuers_root", issuers.c.role, where=_STANDING_ROOT, unique=True)


class ProfileColumns(TypedColumns):
    """A rendered profile, once, however many certificates it decided."""

    sha256: Named[bytes] = Column(LargeBinary, primary_key=True)
    text: Named[str] = Column(Text)


profiles = Table("profiles", metadata, ProfileColumns, _octets("sha256", "32"), sqlite_strict=True)


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


certificates = Table(
    "certificates",
    metadata,
    CertificateColumns,
    UniqueConstraint("serial", "issuer_id"),  # serial first: it also finds a serial alone
    _one_of("state", State),
    _octets("serial", "20"),
    _octets("replaces", "20"),
    _octets("spki_sha256", "32"),
    _octets("request_sha256", "0, 32"),
    # a reserved serial has no TBS, a failed one may have one, all others have
    CheckConstraint("state = 'failed' OR (state = 'reserved') = (tbs IS NULL)", name="tbs"),
    CheckConstraint(
        "(tbs IS NULL) = (profile_sha256 IS NULL) AND (tbs IS NULL) = (spki_sha256 IS NULL)"
        " AND (tbs IS NULL) = (not_before IS NULL) AND (tbs IS NULL) = (not_after IS NULL)",
        name="intent",
    ),
    CheckConstraint(
        "(state = 'issued') = (der IS NOT NULL) AND (state = 'issued') = (issued_at IS NOT NULL)",
        name="issued",
    ),
    CheckConstraint("not_before <= not_after", name="validity"),
    sqlite_strict=True,
)
#: One space of numbers for all issuers of all nodes: two machines that draw the same serial, as
#: clones with the same random state would, are told so by the database.
Index("uq_certificates_serial", certificates.c.serial, unique=True)
Index("ix_certificates_spki_sha256", certificates.c.spki_sha256)
Index("ix_certificates_changed_at", certificates.c.changed_at)
_RENEWAL = text("replaces IS NOT NULL")
_partial("ix_certificates_replaces", certificates.c.replaces, where=_RENEWAL)

#: Partial on purpose: `counts` and `open_serials` write these conditions out and are answered
#: from the index alone, while a listing, whose states are bound parameters, keeps to its order.
ISSUED = text("state = 'issued'")
NOT_ISSUED = text("state <> 'issued'")
_partial("ix_certificates_expiry", certificates.c.not_after, where=ISSUED)
_partial("ix_certificates_other", certificates.c.state, certificates.c.not_after, where=NOT_ISSUED)


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


_OPEN = text("ended_at IS NULL")
_ENDED = text("ended_at IS NOT NULL")

revocations = Table(
    "revocations",
    metadata,
    RevocationColumns,
    ForeignKeyConstraint(
        ["serial", "issuer_id"], ["certificates.serial", "certificates.issuer_id"]
    ),
    _one_of("reason", Reason),
    _octets("serial", "20"),
    CheckConstraint("length(entry) > 0", name="entry"),
    CheckConstraint("ended_at IS NULL OR reason = 'certificateHold'", name="permanent"),
    sqlite_strict=True,
)
_partial(
    "uq_revocations_open", revocations.c.issuer_id, revocations.c.serial, where=_OPEN, unique=True
)
_partial("ix_revocations_expiry", revocations.c.not_after, where=_OPEN)
#: All that a list needs, in its order: a long one is then read from here alone.
_partial(
    "ix_revocations_listed",
    revocations.c.issuer_id,
    revocations.c.serial,
    revocations.c.not_after,
    revocations.c.entry,
    where=_OPEN,
)
_partial("ix_revocations_ended_at", revocations.c.ended_at, where=_ENDED)
Index("ix_revocations_revoked_at", revocations.c.revoked_at)


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


_KEPT = text("der IS NOT NULL")

crls = Table(
    "crls",
    metadata,
    CrlColumns,
    _octets("sha256", "32"),
    CheckConstraint("number > 0", name="number"),
    CheckConstraint("this_update < next_update", name="validity"),
    CheckConstraint(
        "(sha256 IS NULL) = (this_update IS NULL) AND (sha256 IS NULL) = (next_update IS NULL)"
        " AND (sha256 IS NULL) = (entries IS NULL) AND (sha256 IS NOT NULL OR der IS NULL)",
        name="recorded",
    ),
    sqlite_strict=True,
)
_partial("uq_crls_kept", crls.c.issuer_id, where=_KEPT, unique=True)
Index("ix_crls_reserved_at", crls.c.reserved_at)


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
_OF_SERIALS = text("serial IS NOT NULL")

ledger = Table(
    "ledger",
    metadata,
    LedgerColumns,
    _octets("serial", "20"),
    _octets("link", "32"),
    CheckConstraint("seq > 0", name="seq"),
    sqlite_strict=True,
)
_partial("ix_ledger_serial", ledger.c.serial, ledger.c.issuer_id, where=_OF_SERIALS)
_partial("ix_ledger_notes", ledger.c.event, ledger.c.seq, where=LEDGER_NOTES)

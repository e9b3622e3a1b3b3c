"""What the database holds rows to by itself: checks, keys and indices of `ca.store.tables`.

Three rules matter most. A serial is unique among all issuers and its row never returns to an
earlier state (triggers in `migrations/`). At most one revocation line per serial is open. Nothing
is deleted. `migrations/` must build exactly these; `python -m ca.store.migrate` compares them.

Apart from the tables, for no command asks for any of this: the migrations have made it.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from sqlalchemy import (
    CheckConstraint,
    Column,
    Constraint,
    ForeignKeyConstraint,
    Index,
    Table,
    TextClause,
    UniqueConstraint,
    text,
)

from ca.interfaces.custody import CustodyKind
from ca.interfaces.issuing import IssuerState, Role, State
from ca.interfaces.revocation import Reason
from ca.store.tables import (
    ISSUED,
    LEDGER_NOTES,
    NOT_ISSUED,
    certificates,
    crls,
    custody,
    issuers,
    ledger,
    metadata,
    nodes,
    profiles,
    revocations,
)

__all__ = ["metadata"]


def _hold(table: Table, *constraints: Constraint) -> None:
    for constraint in constraints:
        table.append_constraint(constraint)


def _one_of(column: str, words: type[StrEnum]) -> CheckConstraint:
    listed = ", ".join(f"'{word}'" for word in words)
    return CheckConstraint(f"{column} IN ({listed})", name=column)


def _octets(column: str, lengths: str) -> CheckConstraint:
    return CheckConstraint(f"length({column}) IN ({lengths})", name=column)


def _partial(name: str, *columns: Column[Any], where: TextClause, unique: bool = False) -> None:
    Index(name, *columns, unique=unique, sqlite_where=where, postgresql_where=where)


_hold(nodes, UniqueConstraint("identity"), _octets("identity", "32"))

_hold(custody, _one_of("kind", CustodyKind))

_hold(
    issuers,
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
)
_STANDING = text("state <> 'abandoned'")
_STANDING_ROOT = text("state <> 'abandoned' AND role = 'root'")
_partial("uq_issuers_slug", issuers.c.slug, where=_STANDING, unique=True)
_partial("uq_issuers_subject", issuers.c.subject, where=_STANDING, unique=True)
_partial("uq_issuers_root", issuers.c.role, where=_STANDING_ROOT, unique=True)

_hold(profiles, _octets("sha256", "32"))

_hold(
    certificates,
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
)
#: One space of numbers for all issuers of all nodes: two machines that draw the same serial, as
#: clones with the same random state would, are told so by the database.
Index("uq_certificates_serial", certificates.c.serial, unique=True)
Index("ix_certificates_spki_sha256", certificates.c.spki_sha256)
Index("ix_certificates_changed_at", certificates.c.changed_at)
_RENEWAL = text("replaces IS NOT NULL")
_partial("ix_certificates_replaces", certificates.c.replaces, where=_RENEWAL)
_partial("ix_certificates_expiry", certificates.c.not_after, where=ISSUED)
_partial("ix_certificates_other", certificates.c.state, certificates.c.not_after, where=NOT_ISSUED)

_hold(
    revocations,
    ForeignKeyConstraint(
        ["serial", "issuer_id"], ["certificates.serial", "certificates.issuer_id"]
    ),
    _one_of("reason", Reason),
    _octets("serial", "20"),
    CheckConstraint("length(entry) > 0", name="entry"),
    CheckConstraint("ended_at IS NULL OR reason = 'certificateHold'", name="permanent"),
)
_OPEN = text("ended_at IS NULL")
_ENDED = text("ended_at IS NOT NULL")
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

_hold(
    crls,
    _octets("sha256", "32"),
    CheckConstraint("number > 0", name="number"),
    CheckConstraint("this_update < next_update", name="validity"),
    CheckConstraint(
        "(sha256 IS NULL) = (this_update IS NULL) AND (sha256 IS NULL) = (next_update IS NULL)"
        " AND (sha256 IS NULL) = (entries IS NULL) AND (sha256 IS NOT NULL OR der IS NULL)",
        name="recorded",
    ),
)
_KEPT = text("der IS NOT NULL")
_partial("uq_crls_kept", crls.c.issuer_id, where=_KEPT, unique=True)
Index("ix_crls_reserved_at", crls.c.reserved_at)

_hold(
    ledger,
    _octets("serial", "20"),
    _octets("link", "32"),
    CheckConstraint("seq > 0", name="seq"),
)
_OF_SERIALS = text("serial IS NOT NULL")
_partial("ix_ledger_serial", ledger.c.serial, ledger.c.issuer_id, where=_OF_SERIALS)
_partial("ix_ledger_notes", ledger.c.event, ledger.c.seq, where=LEDGER_NOTES)

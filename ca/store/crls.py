"""CRL numbers, given once and only upwards, and the newest CRL of each issuer (RFC 5280 §5.2.3)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import datetime
from typing import Any

from msgspec.structs import fields
from sqlalchemy import Connection, Select, func, insert, select, update

from ca.encoding import ledger as details
from ca.errors import CrlSuperseded, StateConflict
from ca.interfaces.ledger import LedgerEvent
from ca.interfaces.revocation import CrlRecord, CrlTrace
from ca.store.engine import CONDITIONAL
from ca.store.issuers import lock_issuer
from ca.store.ledger import Act, LedgerRows
from ca.store.tables import crls

#: Rows of the history fetched at a time.
_PAGE = 500


class CrlRows(LedgerRows):
    """The CRL part of the store."""

    def last_crl(self, issuer_id: int) -> CrlRecord | None:
        """The newest completed one."""
        with self._database.read() as connection:
            return _last(connection, issuer_id)

    def last_cut(self, issuer_id: int) -> tuple[CrlTrace, ...]:
        """The newest completed one and what was cut with it, by number; no octets are read."""
        kept = select(crls.c.number).where(crls.c.issuer_id == issuer_id, crls.c.der.is_not(None))
        query = _traces(issuer_id).where(
            crls.c.number >= kept.scalar_subquery(), crls.c.sha256.is_not(None)
        )
        with self._database.read() as connection:
            return tuple(CrlTrace(**row._mapping) for row in connection.execute(query))

    def crl_history(self, issuer_id: int) -> Iterator[CrlTrace]:
        """Every number ever reserved, lowest first; the octets of none are read."""
        query = _traces(issuer_id)
        with (
            self._database.read() as connection,
            closing(connection.execution_options(yield_per=_PAGE).execute(query)) as rows,
        ):
            for row in rows:
                yield CrlTrace(**row._mapping)

    def reserve_crl_number(self, issuer_id: int, *, at: datetime) -> int:
        """Strictly increasing, never given twice, durable before the key is asked.

        Raises: NotFound when there is no such issuer.
        """
        with self._act() as act:
            connection = act.connection
            lock_issuer(connection, issuer_id)
            number = _highest(connection, issuer_id) + 1
            connection.execute(
                insert(crls).values(issuer_id=issuer_id, number=number, reserved_at=at)
            )
            act.note(
                LedgerEvent.CRL_RESERVED, details.crl_reserved(number), at=at, issuer_id=issuer_id
            )
        return number

    def skip_crl_numbers(self, issuer_id: int, count: int, *, at: datetime) -> int:
        """Leave `count` numbers out: a lost copy of this record may have given them. The last one.

        Raises: NotFound when there is no such issuer.
        """
        with self._act() as act:
            connection = act.connection
            lock_issuer(connection, issuer_id)
            number = _highest(connection, issuer_id) + count
            connection.execute(
                insert(crls).values(issuer_id=issuer_id, number=number, reserved_at=at)
            )
            act.note(
                LedgerEvent.CRL_RESERVED, details.crl_reserved(number), at=at, issuer_id=issuer_id
            )
        return number

    def record_crl(self, crl: CrlRecord) -> None:
        """The CRL of a reserved number; the octets of the one before it are let go.

        Raises: CrlSuperseded when a higher number is recorded: its lines may lack there;
                StateConflict when the number is not reserved or has its CRL; NotFound.
        """
        self.record_ladder([crl])

    def record_ladder(self, rungs: Sequence[CrlRecord]) -> None:
        """CRLs of one issuer cut together, by number; all or none, one commit.

        The octets of the first are kept, and the hashes of all: what has a number from the kept
        one's upwards was cut with it. Raises: as `record_crl`.
        """
        with self._act() as act:
            connection = act.connection
            lock_issuer(connection, rungs[0].issuer_id)
            _check_newest(connection, rungs[0])
            connection.execute(
                update(crls)
                .where(crls.c.issuer_id == rungs[0].issuer_id, crls.c.der.is_not(None))
                .values(der=None)
                .execution_options(**{CONDITIONAL: True})
            )
            for crl in rungs:
                _fill(act, crl, is_kept=crl is rungs[0])


def _traces(issuer_id: int) -> Select[Any]:
    columns = (crls.c[field.name] for field in fields(CrlTrace))
    return select(*columns).where(crls.c.issuer_id == issuer_id).order_by(crls.c.number)


def _highest(connection: Connection, issuer_id: int) -> int:
    newest = select(func.max(crls.c.number)).where(crls.c.issuer_id == issuer_id)
    return connection.scalars(newest).one() or 0


def _check_newest(connection: Connection, crl: CrlRecord) -> None:
    newest = connection.scalars(
        select(crls.c.number)
        .where(crls.c.issuer_id == crl.issuer_id, crls.c.sha256.is_not(None))
        .order_by(crls.c.number.desc())
        .limit(1)
    ).one_or_none()
    if newest is not None and newest > crl.number:
        raise CrlSuperseded(
            f"CRL {newest} was recorded while CRL {crl.number} was being made",
            remedy="run `homeca crl` again: a new one holds the lines of both",
        )


def _fill(act: Act, crl: CrlRecord, *, is_kept: bool) -> None:
    sha256 = hashlib.sha256(crl.der).digest()
    this = (crls.c.issuer_id == crl.issuer_id) & (crls.c.number == crl.number)
    recorded = act.connection.execute(
        update(crls)
        .where(this, crls.c.sha256.is_(None))
        .values(
            this_update=crl.this_update,
            next_update=crl.next_update,
            entries=crl.entries,
            sha256=sha256,
            der=crl.der if is_kept else None,
        )
        .execution_options(**{CONDITIONAL: True})
    )
    if recorded.rowcount != 1:
        raise StateConflict(
            f"the CRL number {crl.number} is not reserved, or has its CRL already",
            remedy="run `homeca crl` to cut a CRL with a new number",
        )
    said = details.crl(
        number=crl.number,
        this_update=crl.this_update,
        next_update=crl.next_update,
        entries=crl.entries,
        sha256=sha256,
    )
    at = act.connection.scalars(select(crls.c.reserved_at).where(this)).one()
    act.note(LedgerEvent.CRL, said, at=at, issuer_id=crl.issuer_id)


def _last(connection: Connection, issuer_id: int) -> CrlRecord | None:
    query = select(
        crls.c.issuer_id,
        crls.c.number,
        crls.c.this_update,
        crls.c.next_update,
        crls.c.entries,
        crls.c.der,
    ).where(crls.c.issuer_id == issuer_id, crls.c.der.is_not(None))
    row = connection.execute(query).one_or_none()
    return None if row is None else CrlRecord(**row._mapping)

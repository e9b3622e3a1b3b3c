"""CRL numbers, given once and only upwards, and the newest CRL of each issuer (RFC 5280 §5.2.3)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import datetime

from sqlalchemy import Connection, func, insert, select, update

from ca.errors import CrlSuperseded, StateConflict
from ca.interfaces import CrlRecord, CrlTrace
from ca.store.engine import Database
from ca.store.issuers import lock_issuer
from ca.store.tables import crls

#: Rows of the history fetched at a time.
_PAGE = 500


class CrlRows:
    """The CRL part of the store."""

    _database: Database

    def last_crl(self, issuer_id: int) -> CrlRecord | None:
        """The newest completed one."""
        with self._database.read() as connection:
            return _last(connection, issuer_id)

    def crl_history(self, issuer_id: int) -> Iterator[CrlTrace]:
        """Every number ever reserved, lowest first; the octets of none are read."""
        query = (
            select(
                crls.c.number,
                crls.c.reserved_at,
                crls.c.this_update,
                crls.c.next_update,
                crls.c.entries,
                crls.c.sha256,
            )
            .where(crls.c.issuer_id == issuer_id)
            .order_by(crls.c.number)
        )
        with self._database.read() as connection:
            for row in connection.execution_options(yield_per=_PAGE).execute(query):
                yield CrlTrace(**row._mapping)

    def reserve_crl_number(self, issuer_id: int, *, at: datetime) -> int:
        """Strictly increasing, never given twice, durable before the key is asked.

        Raises: NotFound when there is no such issuer.
        """
        with self._database.write() as connection:
            lock_issuer(connection, issuer_id)
            newest = select(func.max(crls.c.number)).where(crls.c.issuer_id == issuer_id)
            number = (connection.scalars(newest).one() or 0) + 1
            connection.execute(
                insert(crls).values(issuer_id=issuer_id, number=number, reserved_at=at)
            )
            return number

    def record_crl(self, crl: CrlRecord) -> None:
        """The CRL of a reserved number; the octets of the one before it are let go.

        Raises: CrlSuperseded when a higher number is recorded: its lines may lack there;
                StateConflict when the number is not reserved or has its CRL; NotFound.
        """
        this = (crls.c.issuer_id == crl.issuer_id) & (crls.c.number == crl.number)
        with self._database.write() as connection:
            lock_issuer(connection, crl.issuer_id)
            last = _last(connection, crl.issuer_id)
            if last is not None and last.number > crl.number:
                raise CrlSuperseded(
                    f"CRL {last.number} was recorded while CRL {crl.number} was being made",
                    remedy="run `homeca crl` again: a new one holds the lines of both",
                )
            connection.execute(
                update(crls)
                .where(crls.c.issuer_id == crl.issuer_id, crls.c.der.is_not(None))
                .values(der=None)
            )
            recorded = connection.execute(
                update(crls)
                .where(this, crls.c.sha256.is_(None))
                .values(
                    this_update=crl.this_update,
                    next_update=crl.next_update,
                    entries=crl.entries,
                    sha256=hashlib.sha256(crl.der).digest(),
                    der=crl.der,
                )
            )
            if recorded.rowcount != 1:
                raise StateConflict(
                    f"the CRL number {crl.number} is not reserved, or has its CRL already",
                    remedy="run `homeca crl` to cut a CRL with a new number",
                )


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

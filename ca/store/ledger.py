"""The ledger in the database: each act appends its entries in the commit of its own rows.

Only `ca.encoding.ledger` knows what an entry looks like; `ca.ledger` reads, compares, anchors.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from datetime import datetime
from heapq import merge
from itertools import groupby
from typing import Any

from msgspec import Struct, field
from sqlalchemy import Connection, insert, select

from ca.encoding.ledger import details_text, link, seconds
from ca.errors import LedgerBroken
from ca.interfaces.issuing import CertificateRecord
from ca.interfaces.ledger import LedgerEntry, LedgerEvent, RevocationLine, SerialHistory
from ca.interfaces.nodes import Node
from ca.interfaces.values import Serial
from ca.store.engine import Database
from ca.store.records import certificate_record, certificate_rows
from ca.store.tables import LEDGER_NOTES, certificates, ledger, revocations

#: Entries fetched at a time.
_PAGE = 1000

#: Where mostly the first is wanted.
_FEW = 4


class _Note(Struct, frozen=True):
    """An entry to be. at: None for the time of the entry before."""

    event: LedgerEvent
    at: datetime | None
    issuer_id: int | None
    serial: Serial | None
    details: str


class Act(Struct, frozen=True):
    """One write transaction, and what the ledger will say of it."""

    connection: Connection
    notes: list[_Note] = field(default_factory=list)

    def note(
        self,
        event: LedgerEvent,
        details: Mapping[str, object] | None = None,
        *,
        at: datetime | None,
        issuer_id: int | None = None,
        serial: Serial | None = None,
    ) -> None:
        """To be appended before the commit, after what was noted before."""
        self.notes.append(_Note(event, at, issuer_id, serial, details_text(details or {})))


class LedgerRows:
    """The part of the store that every act goes through, and the ledger's readers."""

    _database: Database
    _node: Node | None  # None: the record is this home's alone
    _waiting: list[_Note]  # for the next act

    @contextmanager
    def _act(self) -> Iterator[Act]:
        """One durable commit of rows and the entries about them, or nothing of either."""
        with self._database.write() as connection:
            act = Act(connection)
            yield act
            if act.notes:
                self._database.lock_ledger(connection)
                _append(connection, [*self._waiting, *act.notes])
        if act.notes:
            self._waiting.clear()

    def note_with_next(
        self, event: LedgerEvent, details: Mapping[str, object], *, at: datetime
    ) -> None:
        """An entry that stands before those of the next act, in its commit: it costs none.

        One that was noted before and has the same event is forgotten.
        """
        self._waiting[:] = [waiting for waiting in self._waiting if waiting.event is not event]
        self._waiting.append(_Note(event, at, None, None, details_text(details)))

    def note(
        self, event: LedgerEvent, details: Mapping[str, object], *, at: datetime
    ) -> LedgerEntry:
        """An entry of its own, and what was noted for the next act; one commit."""
        with self._act() as act:
            act.note(event, details, at=at)
        return self.ledger_end()

    def ledger(self, *, after: int = 0, until: int | None = None) -> Iterator[LedgerEntry]:
        """Its entries in order, those after one and until another, from one snapshot.

        Memory stays flat.
        """
        query = select(ledger).where(ledger.c.seq > after).order_by(ledger.c.seq)
        if until is not None:
            query = query.where(ledger.c.seq <= until)
        with (
            self._database.read() as connection,
            closing(connection.execution_options(yield_per=_PAGE).execute(query)) as rows,
        ):
            for row in rows:
                yield _entry(row)

    def ledger_end(self) -> LedgerEntry:
        """The newest entry. Raises: LedgerBroken when there is none."""
        with self._database.read() as connection:
            return _end(connection)

    def ledger_waiting(self) -> bool:
        """Is something noted for the next act that no act has taken along yet?"""
        return bool(self._waiting)

    def ledger_notes(self, event: LedgerEvent) -> Iterator[LedgerEntry]:
        """Entries of one event about anchors or settings, newest first."""
        query = (
            select(ledger)
            .where(LEDGER_NOTES, ledger.c.event == event.value)
            .order_by(ledger.c.seq.desc())
        )
        with (
            self._database.read() as connection,
            closing(connection.execution_options(yield_per=_FEW).execute(query)) as rows,
        ):
            for row in rows:
                yield _entry(row)

    def histories(self) -> Iterator[SerialHistory]:
        """Every serial of the record or of the ledger, by serial, from one snapshot."""
        rows = certificate_rows().order_by(certificates.c.serial, certificates.c.issuer_id)
        lines = select(revocations).order_by(
            revocations.c.serial, revocations.c.issuer_id, revocations.c.id
        )
        entries = (
            select(ledger)
            .where(ledger.c.serial.is_not(None))
            .order_by(ledger.c.serial, ledger.c.issuer_id, ledger.c.seq)
        )
        with self._database.read() as connection:
            paged = connection.execution_options(yield_per=_PAGE)
            # of one serial the row comes first, then its lines, then its entries
            merged = merge(
                _keyed(paged, rows, 0),
                _keyed(paged, lines, 1),
                _keyed(paged, entries, 2),
                key=lambda pair: pair[0],
            )
            for (serial, issuer_id), group in groupby(merged, key=lambda pair: pair[0][:2]):
                yield _history(serial, issuer_id, [(key[2], row) for key, row in group])


def _keyed(
    connection: Connection, query: Any, kind: int
) -> Iterator[tuple[tuple[Serial, int, int], Any]]:
    with closing(connection.execute(query)) as rows:
        for row in rows:
            yield (row.serial, row.issuer_id or 0, kind), row


def _history(serial: Serial, issuer_id: int, rows: list[tuple[int, Any]]) -> SerialHistory:
    record: CertificateRecord | None = None
    lines: list[RevocationLine] = []
    entries: list[LedgerEntry] = []
    for kind, row in rows:
        if kind == 0:
            record = certificate_record(row)
        elif kind == 1:
            lines.append(
                RevocationLine(
                    reason=row.reason,
                    revoked_at=row.revoked_at,
                    ended_at=row.ended_at,
                    invalidity=row.invalidity,
                    entry=row.entry,
                )
            )
        else:
            entries.append(_entry(row))
    return SerialHistory(
        issuer_id=issuer_id,
        serial=serial,
        record=record,
        lines=tuple(lines),
        entries=tuple(entries),
    )


def _entry(row: Any) -> LedgerEntry:
    return LedgerEntry(**row._mapping)  # the columns are the fields, by name


def _end(connection: Connection) -> LedgerEntry:
    query = select(ledger).order_by(ledger.c.seq.desc()).limit(1)
    row = connection.execute(query).one_or_none()
    if row is None:
        raise LedgerBroken(
            "the ledger is empty: even its first entry is gone",
            remedy="restore the database from a backup; do not use this one",
        )
    return _entry(row)


def _append(connection: Connection, notes: list[_Note]) -> None:
    """The entries at the end of the ledger, each tied to the one before."""
    before = _end(connection)
    seq, at, last = before.seq, before.at, before.link
    rows = []
    for note in notes:
        seq += 1
        told = seconds(note.at)
        at = at if told is None else told
        last = link(
            last,
            seq=seq,
            at=at,
            event=note.event,
            issuer_id=note.issuer_id,
            serial=note.serial,
            details=note.details,
        )
        rows.append(
            {
                "seq": seq,
                "at": at,
                "event": note.event.value,
                "issuer_id": note.issuer_id,
                "serial": note.serial,
                "details": note.details,
                "link": last,
            }
        )
    connection.execute(insert(ledger), rows)

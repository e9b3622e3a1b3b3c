"""Lines of the CRL: opened, put on hold, released, made permanent, worsened; never deleted."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, bindparam, insert, select, update

from ca.encoding import ledger as details
from ca.errors import NotFound, RequestRefused, RevocationRefused, Violation
from ca.interfaces.issuing import Intent, IssuerState, State
from ca.interfaces.ledger import LedgerEvent
from ca.interfaces.revocation import COMPROMISES, KeyBar, Reason, Revocation, RevokedEntry
from ca.interfaces.values import Serial, serial_text
from ca.names.showing import visible
from ca.policy.revoking import (
    NEW_KEY,
    check_releasing,
    check_revoking,
    objection,
    revoked_for_good,
    worsens,
)
from ca.store.issuers import lock_issuer
from ca.store.ledger import Act, LedgerRows
from ca.store.records import open_line
from ca.store.tables import certificates, issuers, revocations
from ca.store.types import is_storable

#: Lines fetched at a time: the memory a CRL of any length needs here.
_PAGE = 2000

_REVOCABLE = (State.ISSUED, State.UNCERTAIN)


class RevocationRows(LedgerRows):
    """The revocation part of the store."""

    def revoke(
        self, issuer_id: int, serial: Serial, revocation: Revocation, *, entry: bytes
    ) -> None:
        """Open a line, or turn a certificateHold into a permanent one.

        An issuer that it is the certificate of retires in the same commit.
        entry:  DER of the line, kept as it is for every CRL to come.
        Raises: RevocationRefused when it is there for good, or was never issued; NotFound.
        """
        self.revoke_many([(issuer_id, serial, revocation, entry)])

    def revoke_many(self, lines: Sequence[tuple[int, Serial, Revocation, bytes]]) -> None:
        """(issuer_id, serial, revocation, entry) as `revoke`; all or none, one commit."""
        with self._act() as act:
            for issuer_id in sorted({line[0] for line in lines}):  # one order: no deadlock
                lock_issuer(act.connection, issuer_id)
            for issuer_id, serial, revocation, entry in lines:
                _revoke(act, issuer_id, serial, revocation, entry)

    def compromise(
        self,
        issuer_id: int,
        serial: Serial,
        revocation: Revocation,
        *,
        entry: bytes,
        at: datetime,
    ) -> None:
        """Make the reason of a permanent line one of a compromise.

        revocation: dated as the line is: what was not trusted since then is not trusted again.
        at:         when this became known.
        Raises:     RevocationRefused when there is no such line; NotFound.
        """
        with self._act() as act:
            connection = act.connection
            lock_issuer(connection, issuer_id)
            _certificate(connection, issuer_id, serial)
            line = _open_line(connection, issuer_id, serial)
            is_same = line is not None and line.revoked_at == revocation.revoked_at
            if not is_same or not worsens(line, revocation.reason):
                raise RevocationRefused(
                    f"serial {serial_text(serial)} is not revoked as it was a moment ago",
                    remedy=f"see `homeca show {serial_text(serial)}`, and decide again",
                )
            change = update(revocations).where(revocations.c.id == line.id)
            connection.execute(
                change.values(
                    reason=revocation.reason, invalidity=revocation.invalidity, entry=entry
                )
            )
            act.note(
                LedgerEvent.COMPROMISED,
                _details(revocation, entry),
                at=at,
                issuer_id=issuer_id,
                serial=serial,
            )

    def release(self, issuer_id: int, serial: Serial, *, at: datetime) -> None:
        """Take a certificateHold back; the line stays as history.

        Raises: RevocationRefused when it is not on hold; NotFound.
        """
        with self._act() as act:
            connection = act.connection
            lock_issuer(connection, issuer_id)
            _certificate(connection, issuer_id, serial)
            line = _open_line(connection, issuer_id, serial)
            check_releasing(serial, line)
            _end(connection, line.id, at=at)
            act.note(LedgerEvent.RELEASED, at=at, issuer_id=issuer_id, serial=serial)

    def revoked(self, issuer_id: int, *, expired_since: datetime | None) -> Iterator[RevokedEntry]:
        """Open lines by serial, from one snapshot, in flat memory.

        expired_since: leave out those whose certificate ended before it; None: none.
        """
        query = (
            select(
                revocations.c.serial,
                revocations.c.revoked_at,
                revocations.c.reason,
                revocations.c.invalidity,
                revocations.c.entry,
            )
            .where(_listed(issuer_id, expired_since))
            .order_by(revocations.c.serial)
        )
        with (
            self._database.read() as connection,
            closing(connection.execute(query.execution_options(yield_per=_PAGE))) as rows,
        ):
            for row in rows:
                yield RevokedEntry(
                    serial=row.serial,
                    revoked_at=row.revoked_at,
                    reason=row.reason,
                    invalidity=row.invalidity,
                    entry=row.entry,
                )

    def revoked_entries(self, issuer_id: int, *, expired_since: datetime | None) -> Iterator[bytes]:
        """`entry` of each line of `revoked`, alone: all that a long CRL needs, much sooner.

        Many stand joined in each piece, as they will in the list.
        """
        query = (
            select(revocations.c.entry)
            .where(_listed(issuer_id, expired_since))
            .order_by(revocations.c.serial)
        )
        with (
            self._database.read() as connection,
            closing(connection.scalars(query.execution_options(yield_per=_PAGE))) as entries,
        ):
            yield from map(b"".join, entries.partitions())

    def newest_revocation(self, issuer_id: int) -> datetime | None:
        """The latest date among the open lines, from the end of the index of dates.

        "+ 0" keeps SQLite from going through all lines of the issuer and sorting them instead.
        """
        query = (
            select(revocations.c.revoked_at)
            .where(revocations.c.issuer_id + 0 == issuer_id, revocations.c.ended_at.is_(None))
            .order_by(revocations.c.revoked_at.desc())
            .limit(1)
        )
        with self._database.read() as connection:
            return connection.scalars(query).one_or_none()

    def is_key_blocked(self, spki_sha256: bytes) -> bool:
        """Was a certificate for this key ever revoked for a compromise?

        Such a line never ends; saying so lets the index of open lines answer.
        """
        bar = self.key_bar(spki_sha256)
        return bar is not None and bar.reason.is_compromise

    def key_bar(self, spki_sha256: bytes) -> KeyBar | None:
        """Why this key gets no certificate now; a compromise before a hold."""
        with self._database.read() as connection:
            row = connection.execute(_BARRED, {"keys": [spki_sha256]}).first()
            return None if row is None else KeyBar(reason=row.reason, serial=row.serial)


#: Asked for each request: to write it anew costs as much as to run it.
_BARRED = (
    select(certificates.c.spki_sha256, certificates.c.serial, revocations.c.reason)
    .join(revocations, open_line)
    .where(
        certificates.c.spki_sha256.in_(bindparam("keys", expanding=True)),
        revocations.c.reason.in_((*COMPROMISES, Reason.CERTIFICATE_HOLD)),
    )
    .order_by(revocations.c.reason == Reason.CERTIFICATE_HOLD, certificates.c.id)
    .limit(1)
)


def check_not_blocked(connection: Connection, intents: Sequence[Intent]) -> None:
    """Policy has asked already; whoever typed a PIN since then gave others time to revoke.

    Raises: RequestRefused naming the first whose key was revoked for a compromise, or is on hold.
    """
    subjects = {hashlib.sha256(intent.spki).digest(): intent.subject for intent in intents}
    row = connection.execute(_BARRED, {"keys": list(subjects)}).first()
    if row is not None:
        done = "revoked as compromised" if row.reason.is_compromise else "put on hold"
        text = f"the key of {visible(subjects[row.spki_sha256])!r} was {done} just now"
        found = objection(KeyBar(reason=row.reason, serial=row.serial), remedy=NEW_KEY)
        raise RequestRefused(text, remedy=found.remedy, violations=(Violation(found.rule, text),))


def _revoke(act: Act, issuer_id: int, serial: Serial, revocation: Revocation, entry: bytes) -> None:
    connection = act.connection
    state, not_after = _certificate(connection, issuer_id, serial)
    if state not in _REVOCABLE or not_after is None:
        raise RevocationRefused(
            f"serial {serial_text(serial)} is {state.value!r}: there is no certificate to revoke",
            remedy="run `homeca list` to see what was issued",
        )
    line = _open_line(connection, issuer_id, serial)
    if line is not None:
        if line.reason is not Reason.CERTIFICATE_HOLD:
            raise revoked_for_good(serial, line)
        check_revoking(serial, line, revocation.reason)
        _end(connection, line.id, at=revocation.revoked_at)
    add_line(act, issuer_id, serial, revocation, not_after=not_after, entry=entry)
    _retire(act, issuer_id, serial, at=revocation.revoked_at)


def _retire(act: Act, issuer_id: int, serial: Serial, *, at: datetime) -> None:
    """A revoked intermediate signs nothing more but its own CRLs; no crash comes between."""
    this = and_(
        issuers.c.parent_id == issuer_id,
        issuers.c.serial == serial,
        issuers.c.state == IssuerState.ACTIVE,
    )
    found = act.connection.scalars(select(issuers.c.id).where(this).with_for_update()).all()
    for number in found:
        change = update(issuers).where(issuers.c.id == number)
        act.connection.execute(change.values(state=IssuerState.RETIRED))
        act.note(LedgerEvent.ISSUER_RETIRED, at=at, issuer_id=number)


def add_line(
    act: Act,
    issuer_id: int,
    serial: Serial,
    revocation: Revocation,
    *,
    not_after: datetime,
    entry: bytes,
) -> None:
    """An open line; the database itself refuses a second one."""
    act.connection.execute(
        insert(revocations).values(
            issuer_id=issuer_id,
            serial=serial,
            not_after=not_after,
            revoked_at=revocation.revoked_at,
            reason=revocation.reason,
            invalidity=revocation.invalidity,
            entry=entry,
        )
    )
    act.note(
        LedgerEvent.REVOKED,
        _details(revocation, entry),
        at=revocation.revoked_at,
        issuer_id=issuer_id,
        serial=serial,
    )


def _details(revocation: Revocation, entry: bytes) -> dict[str, object]:
    return details.revoked(
        reason=revocation.reason.value,
        revoked_at=revocation.revoked_at,
        invalidity=revocation.invalidity,
        entry=entry,
    )


def _listed(issuer_id: int, expired_since: datetime | None) -> ColumnElement[bool]:
    wanted = and_(revocations.c.issuer_id == issuer_id, revocations.c.ended_at.is_(None))
    return wanted if expired_since is None else wanted & (revocations.c.not_after >= expired_since)


def _certificate(
    connection: Connection, issuer_id: int, serial: Serial
) -> tuple[State, datetime | None]:
    row = None
    if is_storable(serial):
        query = select(certificates.c.state, certificates.c.not_after).where(
            certificates.c.serial == serial, certificates.c.issuer_id == issuer_id
        )
        row = connection.execute(query).one_or_none()
    if row is None:
        raise NotFound(
            f"issuer {issuer_id} has no certificate with serial {serial_text(serial)}",
            remedy="run `homeca list` to see what was issued",
        )
    return row.state, row.not_after


def _open_line(connection: Connection, issuer_id: int, serial: Serial) -> Any:
    query = select(revocations.c.id, revocations.c.reason, revocations.c.revoked_at).where(
        revocations.c.issuer_id == issuer_id,
        revocations.c.serial == serial,
        revocations.c.ended_at.is_(None),
    )
    return connection.execute(query).one_or_none()


def _end(connection: Connection, line_id: int, *, at: datetime) -> None:
    ended = update(revocations).where(revocations.c.id == line_id).values(ended_at=at)
    connection.execute(ended)

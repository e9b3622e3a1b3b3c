"""The life of a serial: reserved → intended → issued | uncertain | failed, one commit a step."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from itertools import islice
from typing import Any, TypeVar

from msgspec import Struct
from sqlalchemy import Connection, bindparam, insert, select, text, update
from sqlalchemy.exc import IntegrityError

from ca.encoding import ledger as details
from ca.errors import NotFound, SerialReserved, StateConflict, TbsMismatch
from ca.interfaces.issuing import CertificateRecord, Intent, State
from ca.interfaces.ledger import LedgerEvent
from ca.interfaces.revocation import Reason, Revocation
from ca.interfaces.values import Serial, serial_text
from ca.store.faults import is_duplicate
from ca.store.issuers import check_may_sign
from ca.store.ledger import Act, LedgerRows
from ca.store.nodes import of_node
from ca.store.records import certificate_record, certificate_rows
from ca.store.revocations import add_line, check_not_blocked
from ca.store.tables import NOT_ISSUED, certificates, issuers, profiles
from ca.store.types import shown

#: Bound parameters per statement, well under SQLite's 32,766.
_CHUNK = 500

#: tag and length in front of a certificate's TBS: 30 len, 30 81 len … 30 84 len
_HEADER_OCTETS = range(2, 7)

_T = TypeVar("_T")


class _Row(Struct, frozen=True):
    """What a step must know of the row it changes."""

    id: int
    issuer_id: int
    serial: Serial
    state: State
    tbs: bytes | None
    not_after: datetime | None


class SerialRows(LedgerRows):
    """The part of the store that moves a serial through its states."""

    def reserve(self, issuer_id: int, serial: Serial, *, subject: str, at: datetime) -> None:
        """The number is taken, without a TBS.

        Raises: SerialReserved; NotFound or StateConflict when the issuer cannot sign.
        """
        row = {
            "issuer_id": issuer_id,
            "serial": serial,
            "state": State.RESERVED,
            "created_at": at,
            "changed_at": at,
            "profile": "",
            "subject": subject,
            "names": (),
            "request_sha256": b"",
            "note": "",
        }
        with self._act() as act:
            check_may_sign(act.connection, issuer_id, self._node)
            _insert(act.connection, [row])
            said = details.reserved(subject=shown(subject))
            act.note(LedgerEvent.RESERVED, said, at=at, issuer_id=issuer_id, serial=serial)

    def record_intents(self, intents: Sequence[Intent], *, at: datetime) -> None:
        """All or none, one commit. A row that is `reserved` becomes `intended`.

        Raises: SerialReserved when a serial of that issuer has a TBS already, or stands in
                `intents` twice; NotFound or StateConflict when an issuer cannot sign;
                RequestRefused for a key that was revoked as compromised.
        """
        twice = Counter((intent.issuer_id, intent.serial) for intent in intents)
        for (_, serial), times in twice.items():
            if times > 1:
                raise _taken(serial)
        with self._act() as act:
            connection = act.connection
            for issuer_id in sorted({intent.issuer_id for intent in intents}):
                check_may_sign(connection, issuer_id, self._node)
            check_not_blocked(connection, intents)
            _keep_profiles(connection, intents)
            known = _rows(connection, twice)
            fresh, reserved = [], []
            for intent in intents:
                columns = _intent_columns(intent) | {"changed_at": at}
                row = known.get((intent.issuer_id, intent.serial))
                if row is None:
                    fresh.append(columns | {"created_at": at, "note": ""})
                elif row.state is State.RESERVED:
                    reserved.append(columns | {"row_id": row.id})
                else:
                    raise _taken(intent.serial)
            if fresh:
                _insert(connection, fresh)
            if reserved:
                _change(connection, reserved)
            for intent in intents:
                _note_intent(act, intent, at=at)

    def record_certificates(
        self, issued: Sequence[tuple[int, Serial, bytes]], *, at: datetime
    ) -> None:
        """(issuer_id, serial, der) of intents that were signed and verified; one commit.

        Raises: TbsMismatch when `der` does not begin with exactly the recorded TBS;
                StateConflict when a serial is not `intended`; NotFound.
        """
        with self._act() as act:
            known = _rows(act.connection, ((issuer_id, serial) for issuer_id, serial, _ in issued))
            changes = []
            for issuer_id, serial, der in issued:
                row = _step(known, issuer_id, serial, State.ISSUED)
                if not _holds(der, row.tbs):
                    raise TbsMismatch(
                        f"the certificate for serial {serial_text(serial)} is not of the TBS"
                        " that was recorded for it",
                        remedy="do not use it; the serial will be settled as uncertain",
                    )
                changes.append(
                    {
                        "row_id": row.id,
                        "state": State.ISSUED,
                        "der": der,
                        "issued_at": at,
                        "changed_at": at,
                    }
                )
                said = details.issued(der)
                act.note(LedgerEvent.ISSUED, said, at=at, issuer_id=issuer_id, serial=serial)
            if changes:
                _change(act.connection, changes)

    def settle(
        self,
        issuer_id: int,
        serial: Serial,
        state: State,
        *,
        note: str,
        at: datetime,
        entry: bytes = b"",
    ) -> None:
        """A reserved or intended serial ends as failed, an intended one also as uncertain.

        entry:  for uncertain, its CRL line (reason unspecified, dated `at`), in the same commit.
        Raises: StateConflict for any other step; NotFound; ValueError without that entry.
        """
        if (state is State.UNCERTAIN) != bool(entry):
            raise ValueError("a CRL line belongs to an uncertain serial, and to no other")
        with self._act() as act:
            connection = act.connection
            row = _step(_rows(connection, [(issuer_id, serial)]), issuer_id, serial, state)
            _change(
                connection, [{"row_id": row.id, "state": state, "note": note, "changed_at": at}]
            )
            act.note(
                LedgerEvent(state.value),
                details.settled(shown(note)),
                at=at,
                issuer_id=issuer_id,
                serial=serial,
            )
            if state is State.UNCERTAIN and row.not_after is not None:
                unexplained = Revocation(reason=Reason.UNSPECIFIED, revoked_at=at)
                add_line(
                    act,
                    issuer_id,
                    serial,
                    unexplained,
                    not_after=row.not_after,
                    entry=entry,
                )

    def open_serials(self) -> tuple[CertificateRecord, ...]:
        """This node's rows in `reserved` or `intended`, oldest first."""
        query = (
            certificate_rows()
            .where(NOT_ISSUED, certificates.c.state.in_([State.RESERVED, State.INTENDED]))
            .order_by(certificates.c.id)
        )
        if self._node is not None:
            own = select(issuers.c.id).where(of_node(issuers, self._node))
            query = query.where(certificates.c.issuer_id.in_(own))
        with self._database.read() as connection:
            return tuple(certificate_record(row) for row in connection.execute(query))


_STEPS = {
    State.RESERVED: frozenset({State.FAILED}),
    State.INTENDED: frozenset({State.ISSUED, State.UNCERTAIN, State.FAILED}),
}


def _step(
    known: dict[tuple[int, Serial], _Row], issuer_id: int, serial: Serial, state: State
) -> _Row:
    """The row, if `state` is a step it may take; a row takes one step per transaction."""
    row = known.pop((issuer_id, serial), None)
    if row is None:
        raise NotFound(
            f"issuer {issuer_id} has no open serial {serial_text(serial)}",
            remedy="record the intent first: nothing is signed without one",
        )
    if state not in _STEPS.get(row.state, frozenset()):
        raise StateConflict(
            f"serial {serial_text(serial)} is {row.state.value!r}: it cannot become"
            f" {state.value!r}",
            remedy="see `homeca show` for what is recorded; a new certificate needs a new serial",
        )
    return row


def _holds(der: bytes, tbs: bytes | None) -> bool:
    """Do the octets of the TBS stand right behind the outer header (RFC 5280 §4.1)?"""
    return tbs is not None and der.find(tbs, 0, _HEADER_OCTETS.stop + len(tbs)) in _HEADER_OCTETS


def _intent_columns(intent: Intent) -> dict[str, Any]:
    return {
        "issuer_id": intent.issuer_id,
        "serial": intent.serial,
        "state": State.INTENDED,
        "not_before": intent.validity.not_before,
        "not_after": intent.validity.not_after,
        "profile": intent.profile,
        "profile_sha256": _sha256(intent.profile_text.encode()),
        "subject": intent.subject,
        "names": intent.names,
        "spki_sha256": _sha256(intent.spki),
        "request_sha256": intent.request_sha256,
        "replaces": intent.replaces,
        "tbs": intent.tbs,
    }


def _note_intent(act: Act, intent: Intent, *, at: datetime) -> None:
    """As the row will say it when it is read back."""
    said = details.intended(
        tbs=intent.tbs,
        profile=shown(intent.profile),
        profile_sha256=_sha256(intent.profile_text.encode()),
        subject=shown(intent.subject),
        names=intent.names,
        spki_sha256=_sha256(intent.spki),
        not_before=intent.validity.not_before,
        not_after=intent.validity.not_after,
        request_sha256=intent.request_sha256,
        replaces=intent.replaces,
    )
    act.note(LedgerEvent.INTENDED, said, at=at, issuer_id=intent.issuer_id, serial=intent.serial)


def _sha256(octets: bytes) -> bytes:
    return hashlib.sha256(octets).digest()


_KEEP_PROFILE = text(
    "INSERT INTO profiles (sha256, text) VALUES (:sha256, :text) ON CONFLICT DO NOTHING"
)


def _keep_profiles(connection: Connection, intents: Sequence[Intent]) -> None:
    """Each rendered text once, whatever it is called, and whoever else writes it just now."""
    texts = {_sha256(i.profile_text.encode()): i.profile_text for i in intents}
    for chunk in _chunks(texts):
        kept = connection.scalars(select(profiles.c.sha256).where(profiles.c.sha256.in_(chunk)))
        for sha256 in kept:
            del texts[sha256]
    if texts:
        # sorted: two that wait for each other's rows would wait for ever
        rows = [{"sha256": sha256, "text": texts[sha256]} for sha256 in sorted(texts)]
        connection.execute(_KEEP_PROFILE, rows)


def _rows(
    connection: Connection, keys: Iterable[tuple[int, Serial]]
) -> dict[tuple[int, Serial], _Row]:
    """The rows of these serials, locked until the commit (SQLite: the whole file is)."""
    serials = defaultdict(list)
    for issuer_id, serial in keys:
        serials[issuer_id].append(serial)
    found = {}
    for issuer_id, wanted in serials.items():
        for chunk in _chunks(wanted):
            query = select(
                certificates.c.id,
                certificates.c.issuer_id,
                certificates.c.serial,
                certificates.c.state,
                certificates.c.tbs,
                certificates.c.not_after,
            ).where(certificates.c.serial.in_(chunk), certificates.c.issuer_id == issuer_id)
            for row in connection.execute(query.with_for_update()):
                found[row.issuer_id, row.serial] = _Row(*row)
    return found


def _insert(connection: Connection, rows: list[dict[str, Any]]) -> None:
    try:
        connection.execute(insert(certificates), rows)
    except IntegrityError as error:
        if not is_duplicate(error):
            raise
        raise _taken(rows[0]["serial"] if len(rows) == 1 else None) from error


def _change(connection: Connection, rows: list[dict[str, Any]]) -> None:
    """The same columns of each row, found by `row_id`."""
    connection.execute(update(certificates).where(certificates.c.id == bindparam("row_id")), rows)


def _taken(serial: Serial | None) -> SerialReserved:
    named = "one of these serials" if serial is None else f"serial {serial_text(serial)}"
    return SerialReserved(
        f"{named} belongs to another certificate of this CA",
        remedy="draw a new serial; if it recurs, the random source is broken",
    )


def _chunks(keys: Iterable[_T]) -> Iterator[list[_T]]:
    rest = iter(tuple(keys))
    while chunk := list(islice(rest, _CHUNK)):
        yield chunk

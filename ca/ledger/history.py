"""One serial: does the record say of it what the ledger says happened to it?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from msgspec import Struct

from ca.encoding import ledger as details
from ca.errors import Violation
from ca.interfaces.issuing import CertificateRecord, State
from ca.interfaces.ledger import LedgerEntry, LedgerEvent, RevocationLine, SerialHistory
from ca.interfaces.values import serial_text
from ca.ledger.chain import wrong
from ca.names.showing import visible

#: What an entry makes of a serial, and what it must have been before. None: nothing.
_STEPS: dict[str, tuple[State, frozenset[State | None]]] = {
    LedgerEvent.RESERVED: (State.RESERVED, frozenset({None})),
    LedgerEvent.INTENDED: (State.INTENDED, frozenset({None, State.RESERVED})),
    LedgerEvent.ISSUED: (State.ISSUED, frozenset({State.INTENDED})),
    LedgerEvent.UNCERTAIN: (State.UNCERTAIN, frozenset({State.INTENDED})),
    LedgerEvent.FAILED: (State.FAILED, frozenset({State.RESERVED, State.INTENDED})),
}


class _Line(Struct):
    """A line as the ledger tells it. ended_at: seconds."""

    details: str
    ended_at: int | None = None


def contradictions(history: SerialHistory) -> Iterator[Violation]:
    """Everything in which the record differs from the ledger; nothing when they agree."""
    which = f"serial {serial_text(history.serial)}"
    if not history.entries:
        yield wrong("outside", f"{which} stands in the record, and the ledger knows nothing")
        return
    if history.record is None:
        last = history.entries[-1].event
        yield wrong("row-missing", f"{which} ({last!r} in the ledger) is gone from the record")
        return
    state, lines, faults = _told(history.entries, history.record, which)
    yield from faults
    if state is not history.record.state:
        told = state.value if state is not None else "nothing"
        yield wrong(
            "state",
            f"{which} is {history.record.state.value!r} in the record and {told!r} in the ledger",
        )
    yield from _lines_differ(lines, history.lines, which)


def _told(
    entries: tuple[LedgerEntry, ...], record: CertificateRecord, which: str
) -> tuple[State | None, list[_Line], list[Violation]]:
    """What the entries make of the serial, and where the row does not say the same."""
    state: State | None = None
    lines: list[_Line] = []
    faults = []
    for entry in entries:
        if entry.event in _STEPS:
            after, before = _STEPS[entry.event]
            if state not in before:
                faults.append(
                    wrong("order", f"{which}: entry {entry.seq} cannot follow what was before")
                )
            state = after
            if entry.details not in _row_details(entry, record):
                faults.append(
                    wrong(
                        "row-changed",
                        f"{which} ({visible(record.subject)}): its row is not what entry "
                        f"{entry.seq} ({entry.event!r}) recorded",
                    )
                )
        elif entry.event == LedgerEvent.REVOKED:
            if lines and lines[-1].ended_at is None:
                lines[-1].ended_at = entry.at
            lines.append(_Line(entry.details))
        elif entry.event == LedgerEvent.COMPROMISED and lines:
            lines[-1].details = entry.details
        elif entry.event == LedgerEvent.RELEASED and lines:
            lines[-1].ended_at = entry.at
    return state, lines, faults


def _row_details(entry: LedgerEntry, record: CertificateRecord) -> tuple[str, ...]:
    """The details an entry about this row must have, made anew from the row."""
    said: Mapping[str, object]
    match entry.event:
        case LedgerEvent.RESERVED:
            said = details.reserved(subject=record.subject)
            if record.tbs:  # its intent has put the final subject in the place of that one
                return (entry.details,)
        case LedgerEvent.INTENDED:
            said = details.intended(
                tbs=record.tbs,
                profile=record.profile,
                profile_sha256=record.profile_sha256,
                subject=record.subject,
                names=record.names,
                spki_sha256=record.spki_sha256,
                not_before=record.not_before,
                not_after=record.not_after,
                request_sha256=record.request_sha256,
                replaces=record.replaces,
            )
        case LedgerEvent.ISSUED:
            if details.seconds(record.issued_at) != entry.at:
                return ()
            said = details.issued(record.der or b"")
        case _:
            said = details.settled(record.note)
    return (details.details_text(said),)


def _lines_differ(
    told: list[_Line], found: tuple[RevocationLine, ...], which: str
) -> Iterator[Violation]:
    if len(found) < len(told):
        yield wrong(
            "unrevoked",
            f"{which} was revoked {len(told)} times, and the record knows of {len(found)}: "
            "a revocation was taken out",
        )
    elif len(found) > len(told):
        yield wrong("line-outside", f"{which} has a revocation that the ledger does not know")
    for line, row in zip(told, found, strict=False):
        said = details.revoked(
            reason=row.reason.value,
            revoked_at=row.revoked_at,
            invalidity=row.invalidity,
            entry=row.entry,
        )
        if details.details_text(said) != line.details:
            yield wrong("line-changed", f"{which}: its revocation was changed")
        elif details.seconds(row.ended_at) != line.ended_at:
            ended = "ended" if row.ended_at is not None else "is in force"
            yield wrong(
                "line-changed",
                f"{which}: its revocation {ended} in the record, and the ledger says otherwise",
            )

"""What CRLs out there know and a restored record does not (reliability L19).

An old backup forgets revocations, and its next CRL would bring lost devices back. A list that a
server still has is signed by this CA, so what it says can be taken over.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import Protocol

from msgspec import Struct
from msgspec.structs import replace

from ca.encoding.crl import crl_entry
from ca.encoding.facts import CrlFacts
from ca.errors import Violation
from ca.interfaces.issuing import IssuerRecord, State
from ca.interfaces.ledger import LedgerEvent
from ca.interfaces.revocation import Reason, Revocation, RevokedEntry
from ca.interfaces.store import CertificateStore
from ca.interfaces.values import ONE_SECOND, Serial, serial_text
from ca.policy.revoking import worsens
from ca.services.crl.publication import revocation_of
from ca.services.trust import is_list_of

#: issuer_id, serial, revocation, entry: as the store takes it.
Line = tuple[int, Serial, Revocation, bytes]


class Recorded(Protocol):
    """The part of a facility that is compared."""

    @property
    def store(self) -> CertificateStore: ...


class Forgotten(Struct, frozen=True):
    """What can be said again. lines: that the record lacks, or has on hold.

    compromises: that it has for another reason.
    """

    violations: tuple[Violation, ...]
    lines: tuple[Line, ...]
    compromises: tuple[Line, ...]


def what_lists_know(lists: Sequence[CrlFacts], facility: Recorded) -> Forgotten:
    """Lists of issuers of this record, signed by them; what others signed says nothing."""
    violations: list[Violation] = []
    lines: list[Line] = []
    compromises: list[Line] = []
    for issuer in facility.store.issuers():
        own = [facts for facts in lists if is_list_of(facts, issuer)]
        violations += _later(issuer, own, facility)
        for said, known in _lacking(issuer, own, facility):
            _, serial, revocation, _ = said
            row = next(
                (
                    one
                    for one in facility.store.by_serial(serial)
                    if one.issuer_id == issuer.id and one.state is State.ISSUED
                ),
                None,
            )
            shown = f"the revocation of {serial_text(serial)}"
            if row is None:
                violations.append(
                    Violation(
                        "backup.certificate",
                        f"{shown}, a certificate that was issued later",
                        f"no CRL of this record can list it: retire {issuer.slug!r} with a new "
                        "`homeca init-intermediate`",
                    )
                )
                continue
            why = f" for {revocation.reason.value}" if known is not None else ""
            violations.append(Violation("backup.revocation", f"{shown}{why}, {row.subject}"))
            (compromises if worsens(known, revocation.reason) else lines).append(said)
    return Forgotten(tuple(violations), tuple(lines), tuple(compromises))


def say_again(known: Forgotten, store: CertificateStore, *, at: datetime) -> None:
    """Record it, with its own dates. Raises: RevocationRefused, StoreError."""
    store.revoke_many(known.lines)
    for issuer_id, serial, revocation, entry in known.compromises:
        store.compromise(issuer_id, serial, revocation, entry=entry, at=at)


def _later(issuer: IssuerRecord, own: Sequence[CrlFacts], facility: Recorded) -> list[Violation]:
    """Numbers above the highest of the record: cut after the backup was made."""
    if not issuer.has_key:
        return []
    traces = facility.store.crl_history(issuer.id)
    highest = max((trace.number for trace in traces), default=0)
    numbers = {facts.tbs.number for facts in own if facts.tbs.number is not None}
    later = sorted(number for number in numbers if number > highest)
    if not later:
        return []
    which = f"CRL {later[0]}" if len(later) == 1 else f"CRLs {later[0]} to {later[-1]}"
    return [Violation("backup.crl", f"{which} of {issuer.subject}, cut later than this record")]


def _lacking(
    issuer: IssuerRecord, own: Sequence[CrlFacts], facility: Recorded
) -> Iterator[tuple[Line, RevokedEntry | None]]:
    """By serial, each entry that says more than the record, and the line of the record.

    Of several lists the newest counts.
    """
    if not own:
        return
    newest = max(own, key=lambda facts: facts.tbs.number or 0)
    known = {line.serial: line for line in facility.store.revoked(issuer.id, expired_since=None)}
    released = cache(lambda: _released(issuer, facility))  # the whole ledger, for a hold alone
    for entry in sorted(newest.tbs.entries, key=lambda entry: entry.serial):
        serial = Serial(entry.serial)
        line = known.get(serial)
        said = revocation_of(entry)
        if line is not None and worsens(line, said.reason):
            # the record's date stays
            yield _line(issuer.id, serial, replace(said, revoked_at=line.revoked_at)), line
        elif line is not None:
            if line.reason is Reason.CERTIFICATE_HOLD and said.reason is not line.reason:
                yield _line(issuer.id, serial, said), line
        elif said.reason is not Reason.CERTIFICATE_HOLD or (
            released().get(serial, said.revoked_at - ONE_SECOND) < said.revoked_at
        ):
            yield _line(issuer.id, serial, said), line


def _released(issuer: IssuerRecord, facility: Recorded) -> Mapping[Serial, datetime]:
    """When each was last taken back: a hold from before then is not forgotten, it is over."""
    return {
        entry.serial: entry.moment
        for entry in facility.store.ledger()
        if entry.event == LedgerEvent.RELEASED
        and entry.issuer_id == issuer.id
        and entry.serial is not None
    }


def _line(issuer_id: int, serial: Serial, said: Revocation) -> Line:
    entry = crl_entry(serial, said.revoked_at, said.reason, said.invalidity)
    return issuer_id, serial, said, entry

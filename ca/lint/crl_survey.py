"""One pass over a CRL and one over the CRL before it: what the rules on entries are asked about."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from operator import lt

from msgspec import Struct, field

from ca.encoding import tlv
from ca.encoding.crl_entries import entry_facts
from ca.encoding.facts import CrlFacts, CrlTbsFacts, Entries, EntryFacts
from ca.encoding.inspect_extensions import INVALIDITY_DATE, REASON_CODE
from ca.interfaces.revocation import REASON_CODES, Reason
from ca.interfaces.values import serial_text
from ca.lint.field_rules import wrong_type
from ca.lint.rule import LintContext

UNSPECIFIED = REASON_CODES[Reason.UNSPECIFIED]
HOLD = REASON_CODES[Reason.CERTIFICATE_HOLD]
REMOVE_FROM_CRL = 8
KNOWN_REASONS = frozenset(REASON_CODES.values()) | {REMOVE_FROM_CRL}
_EXAMPLES = 3
#: Different ways entries go on behind their serials that are remembered; invalidity dates differ.
MAX_JUDGED = 4096
_LAST_UTC_TIME = datetime(2049, 12, 31, 23, 59, 59, tzinfo=UTC)


class Tally(Struct):
    """How many entries do something, and the first few of them."""

    count: int = 0
    serials: list[int] = field(default_factory=list)

    def add(self, serial: int) -> None:
        self.count += 1
        if len(self.serials) < _EXAMPLES:
            self.serials.append(serial)

    def __bool__(self) -> bool:
        return self.count > 0

    def __str__(self) -> str:
        shown = ", ".join(_serial(serial) for serial in self.serials)
        return shown if self.count <= _EXAMPLES else f"{shown} and {self.count - _EXAMPLES} more"


def _serial(serial: int) -> str:
    if serial <= 0 or serial.bit_length() > 168:
        return "one that is no serial"
    return serial_text(serial)


class CrlSurvey(Struct, kw_only=True):
    """A CRL and what one pass over its entries found; lists of 100,000 are read once."""

    crl: CrlTbsFacts
    whole: CrlFacts | None
    count: int = 0
    twice: Tally = field(default_factory=Tally)
    no_serial: Tally = field(default_factory=Tally)
    in_future: Tally = field(default_factory=Tally)
    invalid_in_future: Tally = field(default_factory=Tally)
    bad_time: Tally = field(default_factory=Tally)
    unspecified: Tally = field(default_factory=Tally)
    unknown_reason: Tally = field(default_factory=Tally)
    removal: Tally = field(default_factory=Tally)
    hold: Tally = field(default_factory=Tally)
    critical_reason: Tally = field(default_factory=Tally)
    critical_unknown: Tally = field(default_factory=Tally)
    vanished: Tally = field(default_factory=Tally)


def survey(crl: CrlTbsFacts, context: LintContext, whole: CrlFacts | None = None) -> CrlSurvey:
    """One pass over the entries, and one over those of the CRL before.

    With a plain entry nothing can be wrong but its day, so those are looked at by the hundred.
    Of the others most share what stands behind their serial, which is judged once.
    Raises: CertificateMalformed when an entry cannot be read.
    """
    found = CrlSurvey(crl=crl, whole=whole)
    days: set[bytes] = set()
    judged: dict[bytes, tuple[Tally, ...]] = {}
    newest = _as_written(context.now)
    last, ascends = b"", True
    for run in crl.entries.runs():
        ascends = ascends and _ascend(last, run.serials)
        last = run.serials[-1]
        found.count += len(run.serials)
        if b"" < run.newest <= newest:
            _check_days(run.days - days)
            days |= run.days
        else:
            _look_at_each(run.entries, found, context.now, judged)
    if not ascends:
        _count_twice(crl, found)
    if context.previous is not None:
        _compare(found, context, context.previous)
    return found


def _ascend(last: bytes, serials: Sequence[bytes]) -> bool:
    """Each greater than the one before: then none is there twice. All of the usual length."""
    return set(map(len, serials)) == {20} and all(map(lt, (last, *serials), serials))


def _as_written(moment: datetime) -> bytes:
    """The last date of a plain entry that is not later."""
    return min(moment, _LAST_UTC_TIME).strftime("%y%m%d%H%M%S").encode()


def _check_days(days: Iterable[bytes]) -> None:
    """Each day is one that exists. Raises: CertificateMalformed."""
    for day in days:
        entry_facts(0, tlv.tlv(tlv.UTC_TIME, day + b"000000Z"))


def _count_twice(crl: CrlTbsFacts, found: CrlSurvey) -> None:
    seen: set[int] = set()
    for serial, _ in crl.entries.split():
        if serial in seen:
            found.twice.add(serial)
        seen.add(serial)


def _look_at_each(
    entries: Entries, found: CrlSurvey, now: datetime, judged: dict[bytes, tuple[Tally, ...]]
) -> None:
    for serial, rest in entries.split():
        if serial <= 0 or serial.bit_length() > 160 - 1:
            found.no_serial.add(serial)
        tallies = judged.get(rest)
        if tallies is None:
            if len(judged) > MAX_JUDGED:
                judged.clear()
            tallies = judged[rest] = tuple(_judge(entry_facts(serial, rest), found, now))
        for tally in tallies:
            tally.add(serial)


def _judge(entry: EntryFacts, found: CrlSurvey, now: datetime) -> Iterator[Tally]:
    """Where an entry is to be counted, whatever its serial."""
    _, revoked_at, reason, invalidity, critical, others = entry
    if revoked_at.moment > now:
        yield found.in_future
    if not revoked_at.in_profile or wrong_type(revoked_at):
        yield found.bad_time
    if invalidity is not None and invalidity.moment > now:
        yield found.invalid_in_future
    if reason is not None:
        if reason == UNSPECIFIED:
            yield found.unspecified
        elif reason not in KNOWN_REASONS:
            yield found.unknown_reason
        elif reason == REMOVE_FROM_CRL:
            yield found.removal
        elif reason == HOLD:
            yield found.hold
    if critical:
        if REASON_CODE in critical or INVALIDITY_DATE in critical:
            yield found.critical_reason
        if any(oid in others for oid in critical):
            yield found.critical_unknown


def _compare(found: CrlSurvey, context: LintContext, previous: CrlTbsFacts) -> None:
    for serial, _ in previous.entries.gone_from(found.crl.entries):
        if serial not in context.expired:  # may ask the record
            found.vanished.add(serial)

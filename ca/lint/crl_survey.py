"""One pass over a CRL and one over the CRL before it: what the rules on entries are asked about."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from ca.encoding.facts import CrlFacts, CrlTbsFacts, EntryFacts
from ca.encoding.inspect_extensions import INVALIDITY_DATE, REASON_CODE
from ca.interfaces import REASON_CODES, Reason, serial_text
from ca.lint.field_rules import wrong_type
from ca.lint.rule import LintContext

UNSPECIFIED = REASON_CODES[Reason.UNSPECIFIED]
HOLD = REASON_CODES[Reason.CERTIFICATE_HOLD]
REMOVE_FROM_CRL = 8
KNOWN_REASONS = frozenset(REASON_CODES.values()) | {REMOVE_FROM_CRL}
_EXAMPLES = 3


@dataclass(slots=True)
class Tally:
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


@dataclass(slots=True, kw_only=True)
class CrlSurvey:
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

    Raises: CertificateMalformed when an entry cannot be read.
    """
    found = CrlSurvey(crl=crl, whole=whole)
    seen: set[int] = set()
    for entry in crl.entries:
        found.count += 1
        if entry.serial in seen:
            found.twice.add(entry.serial)
        seen.add(entry.serial)
        if entry.serial <= 0 or entry.serial.bit_length() > 160 - 1:
            found.no_serial.add(entry.serial)
        _look_at(entry, found, context.now)
    if context.previous is not None:
        _compare(found, context, context.previous, seen)
    return found


def _look_at(entry: EntryFacts, found: CrlSurvey, now: datetime) -> None:
    serial, revoked_at, reason, invalidity, critical, others = entry
    if revoked_at.moment > now:
        found.in_future.add(serial)
    if not revoked_at.in_profile or wrong_type(revoked_at):
        found.bad_time.add(serial)
    if invalidity is not None and invalidity.moment > now:
        found.invalid_in_future.add(serial)
    if reason is not None:
        if reason == UNSPECIFIED:
            found.unspecified.add(serial)
        elif reason not in KNOWN_REASONS:
            found.unknown_reason.add(serial)
        elif reason == REMOVE_FROM_CRL:
            found.removal.add(serial)
        elif reason == HOLD:
            found.hold.add(serial)
    if critical:
        if REASON_CODE in critical or INVALIDITY_DATE in critical:
            found.critical_reason.add(serial)
        if any(oid in others for oid in critical):
            found.critical_unknown.add(serial)


def _compare(found: CrlSurvey, context: LintContext, previous: CrlTbsFacts, seen: set[int]) -> None:
    for entry in previous.entries:
        if entry.serial in seen or entry.reason == HOLD or entry.serial in context.expired:
            continue
        found.vanished.add(entry.serial)

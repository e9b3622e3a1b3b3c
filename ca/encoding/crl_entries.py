"""revokedCertificates, read as it is iterated and never held (RFC 5280 §5.1.2.6).

Nearly all entries of nearly all lists have one of two forms, those `ca.encoding.crl` writes: a
serial of 20 octets, a UTCTime of this century and at most a reason code. Such plain entries are
found by a regular expression, thousands in one step; whatever it does not take is read with care.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import chain
from typing import Self

from ca.encoding import inspect_fields as fields
from ca.encoding import tlv
from ca.encoding.facts import EntryFacts, EntryRun, TimeFacts
from ca.encoding.inspect_extensions import INVALIDITY_DATE, REASON_CODE
from ca.encoding.reader import Reader, malformed

_WHAT = "CRL entry"

#: Entries in a run: few enough to keep the memory flat, enough to make one step of many.
_MOST = 256
_MOST_KNOWN = 4096

_SERIAL = rb"\x02\x14[\x01-\x7f].{19}"
_DATE = rb"\x17\x0d[0-4]\d[01]\d[0-3]\d(?:[01]\d|2[0-3])[0-5]\d[0-5]\dZ"
#: Not 6, certificateHold, which ends; not 8, removeFromCRL; not 7 and not 0, which may not be.
_REASON = rb"\x30\x0c\x30\x0a\x06\x03\x55\x1d\x15\x04\x03\x0a\x01[\x01-\x05\x09\x0a]"
#: Greedy, not possessive: in Python 3.11.2 a possessive repeat may end inside an entry.
_PLAIN_RUN = re.compile(
    rb"(?:\x30(?:\x25" + _SERIAL + _DATE + rb"|\x33" + _SERIAL + _DATE + _REASON + rb"))"
    rb"{1,%d}" % _MOST,
    re.DOTALL,
)
#: Serial, date and day of each entry of such a run.
_PLAIN_PARTS = re.compile(
    rb"\x30.\x02\x14(.{20})\x17\x0d((.{6}).{6})Z(?:\x30\x0c.{12})?", re.DOTALL
)

#: Octets further on at which an entry of the list before is still looked for: fewer than a run.
_NEAR = 1 << 13


class CrlEntries:
    """`ca.encoding.facts.Entries` over some octets of a TBSCertList."""

    __slots__ = ("_der", "_end", "_start")

    def __init__(self, der: bytes, start: int, end: int) -> None:
        self._der, self._start, self._end = der, start, end

    def __iter__(self) -> Iterator[EntryFacts]:
        known: dict[bytes, EntryFacts] = {}
        for serial, rest in self.split():
            decoded = known.get(rest)
            if decoded is None:
                if len(known) > _MOST_KNOWN:  # invalidity dates differ; the memory must not grow
                    known.clear()
                decoded = known[rest] = entry_facts(serial, rest)
            yield EntryFacts(serial, *decoded[1:])

    def split(self) -> Iterator[tuple[int, bytes]]:
        for serial, rest, _ in self._read():
            yield int.from_bytes(serial, "big", signed=True), rest

    def runs(self) -> Iterator[EntryRun]:
        for run, is_plain in self._stretches():
            if is_plain:
                parts = _PLAIN_PARTS.findall(run._der, run._start, run._end)
                serials, dates, days = zip(*parts, strict=True)
                yield EntryRun(serials, max(dates), frozenset(days), run)
            else:
                serials = tuple(serial for serial, _, _ in run._read())
                yield EntryRun(serials, b"", frozenset(), run)

    def gone_from(self, later: Self) -> Iterator[tuple[int, bytes]]:
        at = later._start
        listed: frozenset[bytes] | None = None
        for run, _ in self._stretches():
            whole = later._behind(self._der[run._start : run._end], at)
            if whole:
                at = whole
                continue
            start = run._start
            for serial, rest, end in run._read():
                one = later._behind(self._der[start:end], at)
                start = end
                if one:
                    at = one
                    continue
                if listed is None:
                    listed = frozenset(chain.from_iterable(run.serials for run in later.runs()))
                if serial not in listed:
                    yield int.from_bytes(serial, "big", signed=True), rest

    def _behind(self, entries: bytes, at: int) -> int | None:
        """The end of these entries where they stand at or near `at`, with plain ones between."""
        near = self._der.find(entries, at, min(at + len(entries) + _NEAR, self._end))
        if near > at:
            between = _PLAIN_RUN.match(self._der, at, near)
            if between is None or between.end() != near:
                return None
        return near + len(entries) if near >= 0 else None

    def _stretches(self) -> Iterator[tuple[Self, bool]]:
        """Some entries at a time, all of them plain or none."""
        start = self._start
        while start < self._end:
            plain = _PLAIN_RUN.match(self._der, start, self._end)
            end = self._next_plain(start) if plain is None else plain.end()
            yield type(self)(self._der, start, end), plain is not None
            start = end

    def _next_plain(self, start: int) -> int:
        """Behind the entries from here to the next one that is plain, or to many."""
        end = start
        for count, (_, _, end) in enumerate(type(self)(self._der, start, self._end)._read(), 1):
            if count == _MOST or _PLAIN_RUN.match(self._der, end, self._end):
                break
        return end

    def _read(self) -> Iterator[tuple[bytes, bytes, int]]:
        """Content of each serial, the octets behind it in its entry, where the entry ends."""
        der = self._der
        at = Reader(der, _WHAT, start=self._start, end=self._end)
        while at.tag:
            start, end = at.skip(tlv.SEQUENCE)
            behind = start + 2 + der[start + 1] if end - start > 2 else end
            # a serial in its shortest form, as nearly all are; any other is read, or refused, below
            if (
                der[start] == tlv.INTEGER
                and der[start + 1] < 0x80
                and start + 3 < behind <= end
                and 0 < der[start + 2] < 0x80
            ):
                yield der[start + 2 : behind], der[behind:end], end
            else:
                entry = Reader(der, _WHAT, start=start, end=end)
                yield entry.integer_octets(), entry.rest(), end


def entry_facts(serial: int, rest: bytes) -> EntryFacts:
    """A serial and what follows it in its entry, read. Raises: CertificateMalformed."""
    at = Reader(rest, "CRL entry")
    revoked_at = fields.time(at)
    return EntryFacts(serial, revoked_at, *_entry_extensions(at.rest()))


def _entry_extensions(
    octets: bytes,
) -> tuple[int | None, TimeFacts | None, tuple[str, ...], tuple[str, ...]]:
    """crlEntryExtensions (RFC 5280 §5.3): reason, invalidity, critical OIDs, other OIDs."""
    if not octets:
        return None, None, (), ()
    at = Reader(octets, "CRL entry")
    found = fields.extensions(at, None)
    at.done()
    reason: int | None = None
    invalidity: TimeFacts | None = None
    others: list[str] = []
    for extension in found:
        value = Reader(extension.value, "CRL entry")
        if extension.oid == REASON_CODE:
            reason = value.integer(tlv.ENUMERATED)
            value.done()
        elif extension.oid == INVALIDITY_DATE:
            invalidity = fields.time(value)
            value.done()
        else:
            others.append(extension.oid)
    if len({e.oid for e in found}) != len(found):
        malformed("CRL entry", "an extension is there twice")
    return reason, invalidity, tuple(e.oid for e in found if e.critical), tuple(others)

"""Deadlines as a calendar that phones and mail programs read (RFC 5545)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from datetime import datetime

from ca.services.standing.reminding import Deadline

_LINE = 75  # octets, §3.1


def calendar(
    deadlines: Iterable[Deadline], *, name: str, title: str | None = None, at: datetime
) -> bytes:
    """One event on each day to act, with an alarm; UTF-8, CRLF, lines folded.

    name:  of the CA, and no other's. A thing keeps its UID when its date moves, so that a calendar
           that is read again moves the event and does not double it (§3.8.4.7).
    title: what the calendar is called; by default the same.
    """
    lines = [
        "BEGIN:VCALENDAR",
        "VERSION:2.0",
        "PRODID:-//homeca//homeca//EN",
        "CALSCALE:GREGORIAN",
        f"X-WR-CALNAME:{_text(title or name)}",
    ]
    for deadline in deadlines:
        lines += _event(deadline, name, at)
    lines.append("END:VCALENDAR")
    return b"".join(_folded(line) for line in lines)


def _event(deadline: Deadline, name: str, at: datetime) -> Iterator[str]:
    digest = hashlib.sha256(f"{name}\n{deadline.key}".encode()).hexdigest()[:32]
    ends = f"{deadline.ends:%Y-%m-%d %H:%M} UTC"
    yield "BEGIN:VEVENT"
    yield f"UID:{digest}@homeca"
    yield f"DTSTAMP:{_moment(at)}"
    yield f"DTSTART:{_moment(deadline.act_by)}"
    yield f"SUMMARY:{_text(f'{deadline.what} ({ends})')}"
    yield f"DESCRIPTION:{_text(f'{deadline.remedy}; the end is {ends}')}"
    yield "TRANSP:TRANSPARENT"
    for before in ("P7D", "PT0S"):
        yield "BEGIN:VALARM"
        yield "ACTION:DISPLAY"
        yield f"DESCRIPTION:{_text(deadline.what)}"
        yield f"TRIGGER:-{before}"
        yield "END:VALARM"
    yield "END:VEVENT"


def _moment(moment: datetime) -> str:
    return moment.strftime("%Y%m%dT%H%M%SZ")


def _text(text: str) -> str:
    """A TEXT value (§3.3.11): no line of a hostile name becomes a line of the calendar."""
    for plain, escaped in (("\\", "\\\\"), (";", "\\;"), (",", "\\,"), ("\n", "\\n")):
        text = text.replace(plain, escaped)
    return "".join(character for character in text if character >= " " and character != "\x7f")


def _folded(line: str) -> bytes:
    """At most 75 octets a line, never within a character (§3.1)."""
    parts: list[bytes] = []
    current = b""
    for character in line:
        octets = character.encode("utf-8", "replace")
        if len(current) + len(octets) > _LINE - bool(parts):
            parts.append(current)
            current = b""
        current += octets
    return b"\r\n ".join([*parts, current]) + b"\r\n"

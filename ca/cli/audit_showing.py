"""`homeca audit log`: the ledger on a terminal, and as lines of JSON."""

from __future__ import annotations

import sys
from datetime import datetime
from pathlib import Path

from ca.cli.opening import record
from ca.cli.output import compact, result, when
from ca.encoding.ledger import read_details
from ca.interfaces.ledger import LedgerEntry
from ca.interfaces.values import serial_text
from ca.names.showing import visible


def show_log(home: Path | None, *, after: int, as_json: bool) -> None:
    """Every entry, as it comes."""
    with record(home) as (_, store):
        slugs = {issuer.id: issuer.slug for issuer in store.issuers()}
        for entry in store.ledger(after=after):
            if as_json:
                sys.stdout.write(_line(entry, slugs) + "\n")
            else:
                result(_text(entry, slugs))


def _line(entry: LedgerEntry, slugs: dict[int, str]) -> str:
    """As other commands say it; `canonical` has as hashed what that changes the form of."""
    moment = _moment(entry)
    return compact(
        {
            "seq": entry.seq,
            "at": when(moment) if moment is not None else None,
            "event": entry.event,
            "issuer": slugs.get(entry.issuer_id) if entry.issuer_id is not None else None,
            "serial": serial_text(entry.serial) if entry.serial is not None else None,
            "details": read_details(entry.details),
            "canonical": {
                "at": entry.at,
                "issuer": entry.issuer_id,
                "details": entry.details,
            },
            "link": entry.link.hex(),
        }
    )


def _moment(entry: LedgerEntry) -> datetime | None:
    """None for a number of seconds that is no time: somebody has changed the entry."""
    try:
        return entry.moment
    except (OverflowError, ValueError, OSError):
        return None


def _text(entry: LedgerEntry, slugs: dict[int, str]) -> str:
    moment = _moment(entry)
    shown = f"{moment:%Y-%m-%d %H:%M:%S}" if moment is not None else f"second {entry.at}"
    words = [f"{entry.seq:>6}", shown, f"{visible(entry.event):<16}"]
    if entry.issuer_id is not None:
        words.append(visible(slugs.get(entry.issuer_id, f"issuer {entry.issuer_id}")))
    if entry.serial is not None:
        words.append(serial_text(entry.serial))
    words.append(_details(entry))
    return "  ".join(word for word in words if word)


#: What of the details a person wants to see; the rest is hashes.
_SHOWN = (
    "subject", "profile", "reason", "note", "number", "entries", "kind", "slug", "key_kind",
    "seq", "count",
)  # fmt: skip


def _details(entry: LedgerEntry) -> str:
    said = read_details(entry.details)
    if said is None:
        return visible(entry.details[:80])
    shown = [f"{name}={visible(str(said[name]))}" for name in _SHOWN if said.get(name) is not None]
    return " ".join(shown)

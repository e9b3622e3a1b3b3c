"""`homeca audit log`: the ledger on a terminal, and as lines of JSON."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from ca.cli.opening import record
from ca.cli.output import result
from ca.interfaces.ledger import LedgerEntry
from ca.interfaces.values import serial_text
from ca.names.showing import visible


def show_log(home: Path | None, *, after: int, as_json: bool) -> None:
    """Every entry, as it comes."""
    with record(home) as (_, store):
        slugs = {issuer.id: issuer.slug for issuer in store.issuers()}
        for entry in store.ledger(after=after):
            if as_json:
                sys.stdout.write(_line(entry) + "\n")
            else:
                result(_text(entry, slugs))


def _line(entry: LedgerEntry) -> str:
    """All that is hashed, as it is hashed, and the link."""
    return json.dumps(
        {
            "seq": entry.seq,
            "at": entry.at,
            "event": entry.event,
            "issuer": entry.issuer_id,
            "serial": serial_text(entry.serial) if entry.serial is not None else None,
            "details": entry.details,
            "link": entry.link.hex(),
        }
    )


def _text(entry: LedgerEntry, slugs: dict[int, str]) -> str:
    try:
        when = f"{entry.moment:%Y-%m-%d %H:%M:%S}"
    except (OverflowError, ValueError, OSError):
        when = f"second {entry.at}"
    words = [f"{entry.seq:>6}", when, f"{visible(entry.event):<16}"]
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
    try:
        said: Any = json.loads(entry.details)
    except (ValueError, RecursionError):
        return visible(entry.details[:80])
    if not isinstance(said, dict):
        return visible(entry.details[:80])
    shown = [f"{name}={visible(str(said[name]))}" for name in _SHOWN if said.get(name) is not None]
    return " ".join(shown)

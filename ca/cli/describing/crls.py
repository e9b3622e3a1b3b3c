"""Everything in a CRL; of its entries a person sees the first few, a program all."""

from __future__ import annotations

from datetime import datetime
from itertools import islice
from typing import Any

from ca.cli.describing.words import Pairs, algorithm_text, authority_text, span_text
from ca.cli.output import when
from ca.encoding.containers import fingerprint
from ca.encoding.facts import CrlFacts, EntryFacts
from ca.interfaces.revocation import REASON_CODES
from ca.interfaces.values import serial_text
from ca.names.showing import visible

_REASONS = {code: reason.value for reason, code in REASON_CODES.items()}

#: Entries that are shown.
_ENTRIES = 20


def crl_pairs(facts: CrlFacts, *, at: datetime) -> Pairs:
    """Everything in a CRL; of its entries the first few."""
    tbs = facts.tbs
    entries = list(islice(tbs.entries, _ENTRIES + 1))
    count = len(entries) if len(entries) <= _ENTRIES else sum(1 for _ in tbs.entries)
    pairs: Pairs = [
        ("issuer", str(tbs.issuer)),
        ("number", str(tbs.number) if tbs.number is not None else "none"),
        ("SHA-256", fingerprint(facts.der)),
        ("this update", when(tbs.this_update.moment)),
        ("next update", _next_update(facts, at=at)),
        ("signed with", algorithm_text(facts.algorithm.oid)),
    ]
    if tbs.aki is not None:
        pairs.append(("issuer's key id", authority_text(tbs.aki)))
    if tbs.idp is not None:
        pairs.append(("for", [visible(url) for url in tbs.idp.urls] or ["no URL"]))
    lines = [entry_text(entry) for entry in entries[:_ENTRIES]]
    if count > _ENTRIES:
        lines.append(f"and {count - _ENTRIES} more")
    pairs.append(("revoked", lines or ["nothing"]))
    return pairs


def _next_update(facts: CrlFacts, *, at: datetime) -> str:
    end = facts.tbs.next_update
    if end is None:
        return "none"
    if at > end.moment:
        return f"{when(end.moment)}, expired {span_text(at - end.moment)} ago"
    return f"{when(end.moment)}, {span_text(end.moment - at)} left"


def entry_text(entry: EntryFacts) -> str:
    """One line of a CRL."""
    serial = serial_text(abs(entry.serial))
    text = f"{serial}  {when(entry.revoked_at.moment)}"
    if entry.reason is not None:
        text += f"  {_REASONS.get(entry.reason, f'reason {entry.reason}')}"
    if entry.invalidity is not None:
        text += f", key suspected since {when(entry.invalidity.moment)}"
    return text


def crl_json(facts: CrlFacts) -> dict[str, Any]:
    """The same, for a program; all entries."""
    tbs = facts.tbs
    return {
        "issuer": str(tbs.issuer),
        "number": tbs.number,
        "sha256": fingerprint(facts.der),
        "this_update": tbs.this_update.moment,
        "next_update": tbs.next_update.moment if tbs.next_update is not None else None,
        "signature_algorithm": algorithm_text(facts.algorithm.oid),
        "urls": list(tbs.idp.urls) if tbs.idp is not None else [],
        "entries": [
            {
                "serial": serial_text(abs(entry.serial)),
                "revoked_at": entry.revoked_at.moment,
                "reason": _REASONS.get(entry.reason) if entry.reason is not None else None,
                "invalidity": entry.invalidity.moment if entry.invalidity is not None else None,
            }
            for entry in tbs.entries
        ],
    }

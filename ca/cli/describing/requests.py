"""What a request asks for and says of itself, and what is wrong with it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ca.cli.describing.words import Pairs, algorithm_text
from ca.encoding.spki import spki_sha256
from ca.names.showing import visible

if TYPE_CHECKING:
    from ca.encoding.requests import Request


def request_pairs(request: Request) -> Pairs:
    """What a request asks for, and what is wrong with it."""
    pairs: Pairs = [
        ("subject", visible(str(request.subject)) or "(empty)"),
        ("names", [visible(str(name)) for name in request.names] or ["none"]),
        ("key", request.spki.kind_name if request.spki is not None else "unusable"),
        ("signed with", algorithm_text(request.signature_oid)),
    ]
    if request.spki is not None:
        pairs.append(("key SHA-256", spki_sha256(request.spki.der).hex()))
    if request.extensions:
        pairs.append(
            ("asks for", [f"{visible(e.name)}: {visible(e.shown)}" for e in request.extensions])
        )
    if request.attributes:
        pairs.append(
            ("says", [f"{visible(a.name)}: {visible(a.shown)}" for a in request.attributes])
        )
    if request.notes:
        pairs.append(("note", [visible(note) for note in request.notes]))
    if request.violations:
        pairs.append(("wrong", [f"{visible(v.text)} [{v.rule}]" for v in request.violations]))
    return pairs


def request_json(request: Request) -> dict[str, Any]:
    """The same, for a program."""
    return {
        "subject": str(request.subject),
        "names": [str(name) for name in request.names],
        "key": request.spki.kind_name if request.spki is not None else None,
        "spki_sha256": spki_sha256(request.spki.der).hex() if request.spki is not None else None,
        "signature_algorithm": algorithm_text(request.signature_oid),
        "extensions": [
            {"oid": e.oid, "name": e.name, "critical": e.critical, "shown": e.shown}
            for e in request.extensions
        ],
        "attributes": [
            {"oid": a.oid, "name": a.name, "shown": a.shown} for a in request.attributes
        ],
        "notes": list(request.notes),
        "violations": [
            {"rule": v.rule, "text": v.text, "remedy": v.remedy} for v in request.violations
        ],
    }

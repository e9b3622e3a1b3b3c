"""`homeca status` on a terminal and as JSON."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec.structs import asdict, replace

from ca.cli.describing.words import span_text
from ca.cli.opening import SOFTWARE_TPM, record
from ca.cli.output import bad, day, document, fields, good, result, say, strong, warn, when
from ca.errors import IllegalName, LedgerBroken, OutputExists
from ca.home import Home, refuse_as_output
from ca.interfaces.custody import Custody, CustodyKind
from ca.interfaces.issuing import IssuerState
from ca.interfaces.nodes import NodeRecord
from ca.interfaces.store import CertificateStore
from ca.interfaces.values import serial_text
from ca.names.distinguished import DistinguishedName
from ca.names.showing import many, visible
from ca.services.premises import Concern
from ca.services.standing.ca import Standing, standing
from ca.services.standing.issuers import IssuerStanding
from ca.wiring.opening import system_clock

if TYPE_CHECKING:
    from ca.ledger.standing import LedgerStanding


def show_status(home: Path | None, *, as_json: bool) -> bool:
    """Show it; is all well?"""
    with record(home) as (place, store):
        found, ledger = _looked_at(store, place, at=system_clock())
        if as_json:
            document(**_as_json(found, place.path), ledger=_ledger_json(ledger))
        else:
            _print(found, place.path, ledger)
    return found.is_well


def write_calendar(path: Path, home: Path | None) -> bool:
    """Replace the file: it is read again and again by the same calendar. "-": stdout.

    Returns: is all well? The calendar holds what is to come; what is wrong now is counted.
    """
    from ca.services.standing.icalendar import calendar
    from ca.services.standing.reminding import deadlines

    now = system_clock()
    with record(home) as (place, store):
        ends = deadlines(store, place, at=now)
        roots = [one.subject for one in store.issuers() if one.parent_id is None]
        found, _ = _looked_at(store, place, at=now)
    name = visible(roots[0]) if roots else "homeca"
    octets = calendar(ends, name=name, title=_title(name), at=now)
    if str(path) == "-":
        sys.stdout.buffer.write(octets)
        sys.stdout.flush()
    else:
        _replace(path, octets)
        result(f"{visible(str(path))}: {many(len(ends), 'date')}")
    urgent = [one for one in found.concerns if one.needs_attention]
    if urgent:
        say(f"{many(len(urgent), 'thing')} to see to now: run `homeca status`")
    return found.is_well


def _looked_at(
    store: CertificateStore, home: Home, *, at: datetime
) -> tuple[Standing, LedgerStanding | None]:
    """The CA and its ledger, with the concerns of both."""
    found = standing(store, home, at=at)
    ledger, doubts = _of_ledger(store, found)
    return replace(found, concerns=(*found.concerns, *doubts)), ledger


def _title(subject: str) -> str:
    """ "Smith family Root CA" of "O=Smith family,CN=Smith family Root CA"."""
    try:
        return visible(DistinguishedName.parse(subject).common_name or subject)
    except IllegalName:
        return subject


def _replace(path: Path, octets: bytes) -> None:
    from ca.files import PRIVATE_FILE, write_whole

    refuse_as_output(path)
    if path.exists() and not _is_calendar(path):
        raise OutputExists(
            f"{visible(str(path))!r} exists and is no calendar", remedy="choose another file"
        )
    write_whole(path, octets, mode=PRIVATE_FILE, replace=True)


def _is_calendar(path: Path) -> bool:
    """Only a calendar is replaced unasked."""
    try:
        with path.open("rb") as stream:
            return stream.read(15) == b"BEGIN:VCALENDAR"
    except OSError:
        return False


def _of_ledger(
    store: CertificateStore, found: Standing
) -> tuple[LedgerStanding | None, tuple[Concern, ...]]:
    """How the ledger stands as far as it says so itself, and what is to be seen to."""
    from ca.ledger.standing import ledger_standing

    try:
        ledger = ledger_standing(store)
    except LedgerBroken as error:
        return None, (Concern("ledger.broken", error.problem, error.remedy),)
    if ledger.compared is None and any(one.issuer.has_key for one in found.issuers):
        text = "the ledger has no anchor in this TPM: nothing is signed until it has one"
        remedy = "run `homeca audit verify`, then `homeca audit accept`"
        return ledger, (Concern("ledger.unanchored", text, remedy),)
    return ledger, ()


def _print(found: Standing, home: Path, ledger: LedgerStanding | None) -> None:
    result(f"{strong('home')}     {visible(str(home))}")
    result(f"{strong('custody')}  {_custody_text(found.custody)}")
    result(f"{strong('ledger')}   {_ledger_text(ledger)}")
    result("")
    result(strong("issuers"))
    for top in found.tops:
        for text in _tree_lines(top, at=found.at):
            result(text)
    if not found.tops:
        result("  none yet: run `homeca init-root`")
    if found.nodes:
        result("")
        result(strong("nodes"))
        for node in found.nodes:
            result(f"  {_node_text(node)}")
    counts = found.counts
    result("")
    result(strong("certificates"))
    result(
        fields(
            [
                ("valid", _valid_text(found)),
                ("expired", str(counts.expired)),
                ("revoked", str(counts.revoked)),
                ("uncertain", str(counts.uncertain)),
                ("failed", str(counts.failed)),
            ]
        )
    )
    if found.expiring:
        first = found.expiring[0]
        result(f"  next to end: {visible(first.subject)} on {day(first.not_after)}")
    if found.custody is not None and found.custody.kind is CustodyKind.SOFTWARE_TPM:
        warn(SOFTWARE_TPM)
    urgent = [concern for concern in found.concerns if concern.needs_attention]
    notes = [
        concern
        for concern in found.concerns
        if not concern.needs_attention and concern.rule != "custody.software-tpm"
    ]
    result("")
    if urgent:
        result(bad(f"{many(len(urgent), 'thing')} to see to"))
    else:
        result(good("all is well"))
    for concern in urgent:
        result(_concern_text(concern))
    if notes:
        result(f"{many(len(notes), 'thing')} to know, nothing that must be done")
    for concern in notes:
        result(_concern_text(concern))


def _valid_text(found: Standing) -> str:
    if not found.refused:
        return str(found.counts.valid)
    return f"{found.counts.valid}, " + bad(f"{found.refused} of them refused with their issuer")


def _concern_text(concern: Concern) -> str:
    mark = bad("!") if concern.needs_attention else "-"
    return f"  {mark} {concern.text} [{concern.rule}]\n      {concern.remedy}"


def _custody_text(custody: Custody | None) -> str:
    if custody is None:
        return "none yet"
    kind = custody.kind.value.replace("-", " ").replace("tpm", "TPM")
    shown = bad(kind.upper()) if custody.kind is CustodyKind.SOFTWARE_TPM else good(kind)
    model = " ".join(f"{custody.manufacturer} {custody.model}".split())
    return f"{shown}, {visible(model)}, firmware {visible(custody.firmware)}, {custody.tcti}"


def _ledger_text(ledger: LedgerStanding | None) -> str:
    if ledger is None:
        return bad("cannot be read")
    entries = f"{ledger.entries} entries" if ledger.entries != 1 else "1 entry"
    if ledger.compared is None:
        return f"{entries}, not anchored in this TPM"
    return f"{entries}, last compared with its anchor in the TPM {when(ledger.compared)}"


def _ledger_json(ledger: LedgerStanding | None) -> dict[str, Any] | None:
    return None if ledger is None else asdict(ledger)


def _node_text(node: NodeRecord) -> str:
    """One line of a home that shares the record."""
    here = " (this one)" if node.is_here else ""
    text = f"{strong(visible(node.label))}{here}: {_custody_text(node.custody)}"
    if node.open_serials and node.open_since is not None:
        text += f", {many(node.open_serials, 'signature')} open since {when(node.open_since)}"
    return text


def _tree_lines(
    found: IssuerStanding, *, at: datetime, stem: str = "  ", rest: str = "  "
) -> Iterator[str]:
    """One issuer and what hangs below it, drawn with lines."""
    issuer = found.issuer
    yield f"{stem}{strong(visible(issuer.subject))}  ({issuer.slug})"
    detail = rest + ("│  " if found.children else "   ")
    yield detail + ", ".join(_issuer_facts(found, at=at))
    if issuer.certificate is not None and (issuer.has_key or issuer.is_elsewhere):
        yield detail + _crl_text(found, at=at)
    for index, child in enumerate(found.children):
        is_last = index == len(found.children) - 1
        yield from _tree_lines(
            child,
            at=at,
            stem=rest + ("└─ " if is_last else "├─ "),
            rest=rest + ("   " if is_last else "│  "),
        )


def _issuer_facts(found: IssuerStanding, *, at: datetime) -> Iterator[str]:
    issuer = found.issuer
    state = issuer.state.value
    if found.revoked is not None:
        yield bad(f"revoked {day(found.revoked.revoked_at)} ({found.revoked.reason.value})")
    else:
        yield good(state) if issuer.state is IssuerState.ACTIVE else state
    if issuer.key_kind:
        yield issuer.key_kind
    elif issuer.certificate is None:
        yield "no key yet"
    if issuer.has_key:
        yield visible(issuer.key_file)
    elif issuer.is_elsewhere:
        yield f"of node {visible(issuer.node)}"
    else:
        yield "its key is not here"
    if issuer.not_after is not None:
        left = issuer.not_after - at
        ends = f"until {day(issuer.not_after)}"
        yield f"{ends} ({span_text(left)} left)" if left.total_seconds() > 0 else bad(f"{ends}!")


def _crl_text(found: IssuerStanding, *, at: datetime) -> str:
    if found.crl is None:
        return "no CRL yet"
    crl, ladder = found.crl.crl, found.crl.ladder
    if ladder.is_single:
        text = f"CRL {crl.number}, {crl.entries} revoked, next update {when(found.crl.until)}"
    else:
        text = (
            f"CRLs {ladder.traces[0].number} to {ladder.traces[-1].number}, {crl.entries} revoked, "
            f"{ladder.current(at).number} is the one now, armed until {when(found.crl.until)}"
        )
    if found.issuer.not_after is not None and found.issuer.not_after < at:
        return f"{text}: its last"
    if found.crl.until < at:
        return bad(f"{text}: EXPIRED")
    return text


def _as_json(found: Standing, home: Path) -> dict[str, Any]:
    custody = found.custody
    return {
        "home": str(home),
        "at": found.at,
        "well": found.is_well,
        "custody": (
            {
                "kind": custody.kind.value,
                "tcti": custody.tcti,
                "manufacturer": custody.manufacturer,
                "model": custody.model,
                "firmware": custody.firmware,
            }
            if custody is not None
            else None
        ),
        "nodes": [
            {
                "identity": node.identity,
                "name": node.name,
                "here": node.is_here,
                "joined_at": node.joined_at,
                "custody": node.custody.kind.value if node.custody is not None else None,
                "open": node.open_serials,
                "open_since": node.open_since,
            }
            for node in found.nodes
        ],
        "issuers": [_issuer_json(one, found) for one in found.issuers],
        "counts": {
            "valid": found.counts.valid,
            "refused": found.refused,
            "expired": found.counts.expired,
            "revoked": found.counts.revoked,
            "uncertain": found.counts.uncertain,
            "failed": found.counts.failed,
            "open": found.open_serials,
            "expiring": found.expiring_count,
        },
        "expiring": [
            {
                "serial": serial_text(one.serial),
                "subject": one.subject,
                "not_after": one.not_after,
            }
            for one in found.expiring
        ],
        "concerns": [
            {
                "rule": one.rule,
                "text": one.text,
                "remedy": one.remedy,
                "needs_attention": one.needs_attention,
            }
            for one in found.concerns
        ],
    }


def _issuer_json(one: IssuerStanding, found: Standing) -> dict[str, Any]:
    issuer = one.issuer
    slugs = {other.issuer.id: other.issuer.slug for other in found.issuers}
    crl = one.crl
    now = crl.ladder.current(found.at) if crl is not None else None
    return {
        "slug": issuer.slug,
        "role": issuer.role.value,
        "state": "revoked" if one.revoked is not None else issuer.state.value,
        "revoked_at": one.revoked.revoked_at if one.revoked is not None else None,
        "subject": issuer.subject,
        "parent": slugs.get(issuer.parent_id) if issuer.parent_id is not None else None,
        "serial": serial_text(issuer.serial) if issuer.serial is not None else None,
        "key": issuer.key_kind,
        "key_file": issuer.key_file or None,
        "node": issuer.node or None,
        "not_before": issuer.not_before,
        "not_after": issuer.not_after,
        "crl_url": issuer.crl_url,
        "issuer_url": issuer.issuer_url,
        "crl": (
            {
                "number": now.number,
                "this_update": now.this_update,
                "next_update": now.next_update,
                "armed_until": crl.until,
                "due": crl.due,
                "entries": crl.crl.entries,
                "missing": crl.missing,
                "superfluous": crl.superfluous,
                "outdated": crl.outdated,
            }
            if crl is not None and now is not None
            else None
        ),
    }

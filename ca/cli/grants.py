"""A grant: what will be certified, and what was asked for and is not."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from ca.cli.output import day, fields, say, warn, when
from ca.interfaces.values import serial_text
from ca.names.showing import visible

if TYPE_CHECKING:
    from pathlib import Path

    from ca.services.issuance.preparation import Prepared


def show_grant(prepared: Prepared, *, brief: bool) -> None:
    """For a person. brief: one of many."""
    grant = prepared.grant
    source = "standard input" if prepared.order.source == "-" else prepared.order.source
    if brief:
        say(f"{visible(source)}: {visible(str(grant.subject)) or '(no subject)'}")
    else:
        from ca.cli.describing.words import EXTENDED_KEY_USAGES

        purposes = [EXTENDED_KEY_USAGES.get(oid, oid) for oid in prepared.profile.eku]
        usage = [*sorted(prepared.profile.key_usage), *purposes]
        say(f"{visible(source)}, by {prepared.authority.issuer.slug} as {prepared.profile.name}:")
        say(
            fields(
                [
                    ("subject", visible(str(grant.subject)) or "(empty)"),
                    ("names", [visible(str(name)) for name in prepared.names] or "none"),
                    ("key", grant.spki.kind_name),
                    ("usage", ", ".join(usage) or "any"),
                    (
                        "valid",
                        f"{day(grant.validity.not_before)} to {day(grant.validity.not_after)}"
                        f" ({grant.validity.duration.days} days)",
                    ),
                    ("serial", serial_text(prepared.serial)),
                ]
            )
        )
    _list("asked for, not granted", _not_granted(prepared))
    if not brief:
        _list("the request says of itself (not certified)", _hints(prepared))
    for text in prepared.warnings:
        warn(visible(text))
    found = [finding for finding in prepared.tbs.findings if finding.severity == "warning"]
    if brief and found:
        say(f"  {len(found)} lint warnings: see `homeca lint` with the certificate")
    elif found:
        _list("lint warns", (f"{visible(one.text)} [{one.rule}]" for one in found))


def _list(heading: str, lines: Iterable[str]) -> None:
    listed = list(lines)
    if listed:
        say(f"  {heading}:")
        for text in listed:
            say(f"    {text}")


def _not_granted(prepared: Prepared) -> list[str]:
    return [
        f"{visible(one.what)} {visible(one.value)}: {visible(one.why)}"
        for one in prepared.grant.not_granted
    ]


def _hints(prepared: Prepared) -> list[str]:
    return [
        f"{visible(attribute.name)}: {visible(attribute.shown)}"
        for attribute in prepared.order.request.attributes
    ]


def grant_fields(prepared: Prepared, bundle: bytes | None, target: Path | None) -> dict[str, Any]:
    """What is certified, and what was asked for and is not, as JSON."""
    grant = prepared.grant
    described: dict[str, Any] = {
        "request": prepared.order.source,
        "serial": serial_text(prepared.serial),
        "issuer": prepared.authority.issuer.slug,
        "profile": prepared.profile.name,
        "subject": str(grant.subject),
        "names": [str(name) for name in prepared.names],
        "key": grant.spki.kind_name,
        "not_before": when(grant.validity.not_before),
        "not_after": when(grant.validity.not_after),
        "not_granted": [
            {"what": one.what, "value": one.value, "why": one.why} for one in grant.not_granted
        ],
        "hints": {a.name: a.shown for a in prepared.order.request.attributes},
        "warnings": list(prepared.warnings),
        "file": str(target) if target is not None else None,
    }
    if bundle is not None and target is None:
        described["pem"] = bundle.decode("ascii")
    return described

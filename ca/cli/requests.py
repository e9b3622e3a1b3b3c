"""`homeca request list`, `show`, `remove`, `use`: the requests that are there."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from ca.cli.opening import opening
from ca.cli.output import day, document, fields, result, say, strong, table, warn
from ca.cli.request_showing import (
    certificate_of,
    described,
    mention_tpm,
    places,
    request_fields,
)
from ca.errors import NotFound, UsageError
from ca.names.showing import visible
from ca.wiring.device import open_device
from ca.wiring.opening import system_clock

if TYPE_CHECKING:
    from ca.services.device.home import DeviceRequest
    from ca.services.device.requesting import Device

_SOON = 30  # days before the end that `list` begins to speak of renewal


def show_all(*, home: Path | None, as_json: bool) -> None:
    """`homeca request list`."""
    device = open_device(opening(home, None, None))
    device.home.check()
    found = device.home.all()
    if as_json:
        document(requests=[request_fields(one, device) for one in found])
        return
    if not found:
        say("there are no requests in this home; `homeca request new` makes one")
        return
    rows = []
    for one in found:
        certificate = certificate_of(one)
        end = certificate.tbs.not_after.moment if certificate is not None else None
        rows.append(
            (
                one.name,
                str(one.generation),
                one.standing.value,
                one.kind,
                visible(one.subject) or "(empty)",
                day(end) if end is not None else "",
            )
        )
    table(("Name", "No", "State", "Key", "Subject", "Until"), rows)
    for one in found:
        certificate = certificate_of(one)
        if certificate is not None and one.standing == "active":
            left = (certificate.tbs.not_after.moment - system_clock()).days
            if left < _SOON:
                told = f"ends in {left} days" if left >= 0 else "has ended"
                warn(f"{one.name} {told}: run `homeca request renew {one.name}`")


def show_one(name: str, *, home: Path | None, as_json: bool) -> None:
    """`homeca request show`."""
    device = open_device(opening(home, None, None))
    device.home.check()
    found = device.home.require(name)
    if as_json:
        document(requests=[request_fields(one, device) for one in found])
        return
    custody = device.home.custody()
    for one in found:
        result(f"{strong(one.name)} {one.generation}: {one.standing.value}")
        lines = [*described(one), *places(one, device)]
        if custody is not None:
            kind = custody.kind.value.replace("-", " ").replace("tpm", "TPM")
            lines.append(("in", f"{kind}, {visible(custody.tcti)}"))
        result(fields(lines))
    sys.stdout.flush()
    mention_tpm(device)


def drop(name: str, *, replaced: bool, yes: bool, home: Path | None) -> None:
    """`homeca request remove`."""
    from ca.services.device import requesting

    device = open_device(opening(home, None, None))
    device.home.check()
    device.home.require(name)
    if replaced:
        count = requesting.forget_replaced(name, device)
        say(f"removed {count} replaced {'pair' if count == 1 else 'pairs'} of {name}")
        return
    if not yes:
        if not sys.stdin.isatty():
            raise UsageError(
                f"removing {name!r} destroys its key", remedy="add --yes if that is meant"
            )
        if not typer.confirm(f"Remove {name} with its key, for good?", err=True):
            raise typer.Abort
    requesting.remove(name, device)
    say(f"removed {name}")


def instruct(name: str | None, program: str, *, home: Path | None, as_json: bool) -> None:
    """`homeca request use`."""
    from ca.services.device.using import instructions

    device = open_device(opening(home, None, None))
    device.home.check()
    told = instructions(_chosen(name, device), program, device)
    if as_json:
        document(program=program, configuration=told.configuration, caveats=list(told.caveats))
        return
    result(told.configuration.rstrip("\n"))
    sys.stdout.flush()
    for caveat in told.caveats:
        warn(caveat)


def _chosen(name: str | None, device: Device) -> DeviceRequest:
    """The pair in use of the request named, or of the only one there is."""
    active = [one for one in device.home.all() if one.standing == "active"]
    if name is None:
        if len(active) != 1:
            listed = ", ".join(one.name for one in active)
            raise UsageError(
                "several certificates are in use here" if active else "none is in use here yet",
                remedy=f"name one: {listed}" if active else "run `homeca request accept` first",
            )
        return active[0]
    device.home.require(name)
    for one in active:
        if one.name == name:
            return one
    raise NotFound(
        f"{name} has no certificate yet", remedy="run `homeca request accept CERTIFICATE` first"
    )

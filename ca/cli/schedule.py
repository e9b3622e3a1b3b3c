"""`homeca schedule`: systemd units that keep CRLs fresh without anybody."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ca.cli.opening import record
from ca.cli.options import HomeOption, PinFileOption, chosen_home
from ca.cli.output import result, result_file, say, warn
from ca.errors import OutputExists, UsageError
from ca.files import user_name
from ca.home import Home
from ca.names.showing import visible
from ca.wiring.opening import open_settings
from ca.wiring.record import record_directory

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ca.services.standing.scheduling import Plan


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    app.command("schedule")(schedule)


def schedule(
    show: Annotated[
        bool, typer.Option("--print", help="Print the units and install nothing (the default).")
    ] = False,
    install: Annotated[
        Path | None,
        typer.Option(
            "--install",
            metavar="DIR",
            help="Write them there: /etc/systemd/system, or with --user ~/.config/systemd/user.",
        ),
    ] = None,
    for_user: Annotated[
        bool, typer.Option("--user", help="For a user's own systemd, not the system's.")
    ] = False,
    pin_credential: Annotated[
        Path | None,
        typer.Option(
            "--pin-credential",
            metavar="FILE",
            help="The PIN, encrypted for this machine: `systemd-creds encrypt --name=homeca.pin - "
            "/etc/credstore.encrypted/homeca.pin`.",
        ),
    ] = None,
    pin_file: PinFileOption = None,
    name: Annotated[
        str,
        typer.Option("--name", help="What the units' names begin with: one for each CA here."),
    ] = "homeca",
    force: Annotated[bool, typer.Option("--force", help="Replace units in the way.")] = False,
    home: HomeOption = None,
) -> None:
    """Make systemd units that cut CRLs when they are due, and fail when something needs you.

    Two timers: homeca-crl runs `homeca crl --if-due` and `--advance` every day; homeca-status runs
    `homeca status`, so that `systemctl --failed` shows what must be done. Keys with a PIN need it
    as a credential; the units hold only where it lies. They run as whoever the home belongs to:
    for a home of alice's, `sudo homeca schedule --home ~alice/.local/share/homeca --install …`.

    Example: homeca schedule --install /etc/systemd/system --pin-credential homeca.pin
    """
    from ca.services.standing.scheduling import units

    if show and install is not None:
        raise UsageError("--print and --install exclude each other", remedy="choose one")
    place, has_pin = _looked_at(home)
    plan = _plan(place, for_user, pin_credential, pin_file, prefix=name)
    if plan.pin is None and has_pin:
        warn(
            "a key of this CA has a PIN and the units would not know it: give "
            "--pin-credential FILE, or the timer cannot cut"
        )
    made = units(plan)
    if install is None:
        for unit, text in made.items():
            result(f"# ---- {unit}\n{text}")
        return
    _install(made, install, plan, force=force)
    manager = "systemctl --user" if for_user else "systemctl"
    say(
        f"next: `{manager} daemon-reload && {manager} enable --now {name}-crl.timer "
        f"{name}-status.timer`"
    )
    if for_user:
        say("and `loginctl enable-linger`: without it they rest while you are not logged in")


def _looked_at(home: Path | None) -> tuple[Home, bool]:
    """The home, and whether a key in it has a PIN.

    Root opens no record of another user's: what SQLite leaves beside it would be root's.
    """
    from ca.services.standing.scheduling import keys_with_pin, wants_pin

    found = Home(chosen_home(home))
    if os.geteuid() == 0 and found.path.is_dir() and found.path.stat().st_uid:
        if not found.is_one:
            found.require()
        return found, any(wants_pin(key) for key in found.keys.glob("*.tss"))
    with record(home) as (place, store):
        return place, bool(keys_with_pin(place, store))


def _plan(
    place: Home,
    for_user: bool,
    pin_credential: Path | None,
    pin_file: Path | None,
    *,
    prefix: str,
) -> Plan:
    from ca.services.standing.scheduling import Plan

    if pin_credential is not None and pin_file is not None:
        raise UsageError("--pin-credential and --pin-file exclude each other", remedy="choose one")
    pin = pin_credential or pin_file
    owner = place.path.stat().st_uid
    return Plan(
        program=_program(),
        home=place.path,
        record=record_directory(place, open_settings(place)),
        prefix=prefix,
        is_system=not for_user,
        user="" if for_user or owner == 0 else user_name(owner),
        pin=pin.absolute() if pin is not None else None,
        is_encrypted=pin_credential is not None,
    )


def _program() -> list[str]:
    """The homeca that runs now, else the one on PATH."""
    called = Path(sys.argv[0]).absolute()
    if called.name == "homeca" and os.access(called, os.X_OK):
        return [str(called)]
    found = shutil.which("homeca")
    return [found] if found is not None else [sys.executable, "-m", "ca"]


def _install(made: Mapping[str, str], directory: Path, plan: Plan, *, force: bool) -> None:
    from ca.files import PUBLIC_FILE, write_whole
    from ca.services.standing.scheduling import is_of_another

    if not directory.is_dir():
        raise UsageError(f"{visible(str(directory))!r} is not a directory", remedy="make it first")
    for path in (directory / unit for unit in made):
        if path.is_file() and is_of_another(plan, path.read_text("utf-8", "replace")):
            raise OutputExists(
                f"{visible(str(path))!r} serves another CA, whose lists would be cut no more",
                remedy="give the units of this one a name of their own: --name NAME",
            )
    for unit, text in made.items():
        write_whole(directory / unit, text.encode(), mode=PUBLIC_FILE, replace=force)
        result_file(directory / unit)

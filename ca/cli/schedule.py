"""`homeca schedule`: systemd units that keep CRLs fresh without anybody."""

from __future__ import annotations

import os
import pwd
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ca.cli.opening import record
from ca.cli.options import HomeOption, PinFileOption
from ca.cli.output import result, result_file, say, warn
from ca.errors import UsageError
from ca.names.showing import visible

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ca.services.scheduling import Plan


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
    force: Annotated[bool, typer.Option("--force", help="Replace units in the way.")] = False,
    home: HomeOption = None,
) -> None:
    """Make systemd units that cut CRLs when they are due, and fail when something needs you.

    Two timers: homeca-crl runs `homeca crl --if-due` and `--advance` every day; homeca-status runs
    `homeca status`, so that `systemctl --failed` shows what must be done. Keys with a PIN need it
    as a credential; the units hold only where it lies.

    Example: homeca schedule --install /etc/systemd/system --pin-credential homeca.pin
    """
    from ca.services.scheduling import keys_with_pin, units

    if show and install is not None:
        raise UsageError("--print and --install exclude each other", remedy="choose one")
    with record(home) as (place, store):
        plan = _plan(place.path, for_user, pin_credential, pin_file)
        if plan.pin is None and keys_with_pin(place, store):
            warn(
                "a key of this CA has a PIN and the units would not know it: give "
                "--pin-credential FILE, or the timer cannot cut"
            )
    made = units(plan)
    if install is None:
        for name, text in made.items():
            result(f"# ---- {name}\n{text}")
        return
    _install(made, install, force=force)
    manager = "systemctl --user" if for_user else "systemctl"
    say(
        f"next: `{manager} daemon-reload && {manager} enable --now homeca-crl.timer "
        "homeca-status.timer`"
    )


def _plan(home: Path, for_user: bool, pin_credential: Path | None, pin_file: Path | None) -> Plan:
    from ca.services.scheduling import Plan

    if pin_credential is not None and pin_file is not None:
        raise UsageError("--pin-credential and --pin-file exclude each other", remedy="choose one")
    pin = pin_credential or pin_file
    owner = home.stat().st_uid
    return Plan(
        program=_program(),
        home=home,
        is_system=not for_user,
        user="" if for_user or owner == 0 else pwd.getpwuid(owner).pw_name,
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


def _install(made: Mapping[str, str], directory: Path, *, force: bool) -> None:
    from ca.files import PUBLIC_FILE, write_whole

    if not directory.is_dir():
        raise UsageError(f"{visible(str(directory))!r} is not a directory", remedy="make it first")
    for name, text in made.items():
        write_whole(directory / name, text.encode(), mode=PUBLIC_FILE, replace=force)
        result_file(directory / name)

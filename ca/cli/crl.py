"""`homeca crl`: telling the world what is revoked, in every form that servers read."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ca.cli.cutting import DEFAULT_STEP, CutWish, crl_fields, cut_all, show_cut
from ca.cli.opening import facility, record
from ca.cli.options import (
    BelieveClockOption,
    HomeOption,
    JsonOption,
    PinFileOption,
    TpmOption,
)
from ca.cli.output import document, good, result, say, warn, when
from ca.cli.selecting import parse_span
from ca.errors import UsageError
from ca.names.showing import many, visible

if TYPE_CHECKING:
    from datetime import datetime

    from ca.services.facility import Facility


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    app.command("crl")(crl)


def crl(
    days: Annotated[
        int | None,
        typer.Option(
            "--days",
            min=1,
            max=366,
            help="Valid for how long. Default: 30 for intermediates, 360 for the root. "
            "When it ends, VPN servers refuse everybody: cut the next one at half time.",
        ),
    ] = None,
    ladder: Annotated[
        int | None,
        typer.Option(
            "--ladder",
            min=1,
            max=120,
            metavar="N",
            help="Cut N lists at once, each taking over while the one before is still good: 12 arm "
            "a VPN server for more than a year with the CA switched off. Later cuts keep to it.",
        ),
    ] = None,
    step: Annotated[
        str | None,
        typer.Option(
            "--step",
            metavar="SPAN",
            help="From one of the ladder's lists to the next, 1h to 183d. Default: "
            f"{DEFAULT_STEP}.",
        ),
    ] = None,
    if_due: Annotated[
        bool,
        typer.Option(
            "--if-due",
            help="Only what needs it: half of its time gone, or a revocation, or the reason for "
            "one, on no list yet. For timers; `homeca schedule` makes one.",
        ),
    ] = False,
    advance: Annotated[
        bool,
        typer.Option(
            "--advance",
            help="Cut nothing; publish the list of the ladder that is valid now. Needs no key.",
        ),
    ] = False,
    as_directory: Annotated[
        Path | None,
        typer.Option(
            "--dir",
            metavar="DIR",
            help="Cut nothing; write the other form OpenVPN knows, an empty file for each revoked "
            "serial in decimal (crl-verify DIR dir). It never expires, and nobody signed it.",
        ),
    ] = None,
    include: Annotated[
        Path | None,
        typer.Option(
            "--include",
            metavar="FILE",
            help="Lists of a root whose key is in another home, to stand in openvpn.pem beside "
            "this home's: without them nobody notices a revoked intermediate. One that they name "
            "signs nothing more here.",
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="DIR", help="Write to this directory as well."),
    ] = None,
    believe_clock: BelieveClockOption = False,
    tpm: TpmOption = None,
    pin_file: PinFileOption = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Cut new CRLs for every issuer, and one file with all of them for OpenVPN.

    For each issuer a PEM and a DER file; crl/openvpn.pem holds all lists of all issuers, for
    `crl-verify`, and for web, MQTT and database servers: most refuse everybody when the root's is
    missing. Numbers and dates only ever go up, and each file appears whole: copy it, never append
    to one.

    Example: homeca crl --ladder 12
    """
    wanted = CutWish(
        days=days,
        ladder=ladder,
        step=parse_step(step) if step is not None else None,
        if_due=if_due,
        directory=out,
    )
    _check_together(wanted, advance=advance, as_directory=as_directory, include=include)
    if as_directory is not None:
        _write_directory(as_directory, home, as_json=as_json)
    elif advance:
        _advance(home, as_json=as_json)
    else:
        with facility(home, tpm=tpm, pin_file=pin_file, believe_clock=believe_clock) as found:
            _cut(wanted, found, include=include, as_json=as_json)


def _check_together(
    wish: CutWish, *, advance: bool, as_directory: Path | None, include: Path | None
) -> None:
    """Raises: UsageError for options that contradict each other."""
    given = {
        "--days": wish.days is not None,
        "--ladder": wish.ladder is not None,
        "--if-due": wish.if_due,
        "--include": include is not None,
        "--out": wish.directory is not None,
        "--advance": advance,
        "--dir": as_directory is not None,
    }
    named = [option for option, is_given in given.items() if is_given]
    alone = [option for option in named if option in ("--advance", "--dir")]
    if alone and len(named) > 1:
        raise UsageError(
            f"{alone[0]} cuts nothing, so {' and '.join(o for o in named if o != alone[0])} means "
            "nothing beside it",
            remedy="run `homeca crl` twice",
        )
    if wish.days is not None and wish.ladder is not None:
        raise UsageError(
            "--days and --ladder exclude each other", remedy="give --step for the ladder"
        )
    if wish.step is not None and wish.ladder is None:
        raise UsageError("--step is for a ladder", remedy="add --ladder 12")
    if wish.directory is not None and not wish.directory.is_dir():
        raise UsageError(
            f"{visible(str(wish.directory))!r} is not a directory",
            remedy="make it first, or leave out --out",
        )


def parse_step(text: str) -> timedelta:
    """From an hour to half a year. Raises: UsageError."""
    from ca.services.crl.ladder import LONGEST_STEP, SHORTEST_STEP

    span = parse_span(text)
    if not SHORTEST_STEP <= span <= LONGEST_STEP:
        raise UsageError(
            f"a step of {visible(text)} is not from 1h to {LONGEST_STEP.days}d",
            remedy="a list is good for two steps, and for a year at most: use 30d",
        )
    return span


# ---------------------------------------------------------------- cutting


def _cut(wish: CutWish, found: Facility, *, include: Path | None, as_json: bool) -> None:
    from ca.services.crl.files import JOINED

    retired = _include(include, found) if include is not None else ()
    cuts = []
    for one in cut_all(found, wish):
        cuts.append(one)
        if not as_json:
            show_cut(one)
    joined = found.home.crl / JOINED
    armed = _armed_until(found)
    if as_json:
        document(
            crls=[crl_fields(one) for one in cuts],
            joined=str(joined) if joined.exists() else None,
            armed_until=armed,
            retired=retired,
        )
    elif cuts and armed is not None:
        result(f"for OpenVPN: {joined}, good until {when(armed)}")
    elif wish.if_due:
        say("nothing is due")
    if not cuts and not wish.if_due:
        has_ended = any(issuer.has_key for issuer in found.store.issuers())
        why = "every issuer has ended" if has_ended else "no issuer's key is in this home"
        warn(f"{why}, so there was no CRL to cut")
    _mention_missing(found)


def _include(path: Path, found: Facility) -> tuple[str, ...]:
    """The slugs of the intermediates that the lists in this file end."""
    from ca.services.crl.elsewhere import retire_revoked, take_in

    take_in(_read(path), found.home, found.store, at=found.clock(), on_wait=found.on_wait)
    retired = retire_revoked(found)
    for issuer in retired:
        warn(
            f"{visible(issuer.subject)} was revoked by its root: it signs nothing more, and what "
            "it signed is refused; make the next one with `homeca init-intermediate`"
        )
    return tuple(issuer.slug for issuer in retired)


def _read(path: Path) -> bytes:
    from ca.encoding.containers import MAX_CRLS_FILE
    from ca.files import read_bounded

    try:
        return read_bounded(path, MAX_CRLS_FILE)
    except ValueError as error:
        raise UsageError(
            f"{visible(str(path))!r} is too long to hold CRLs", remedy="give a PEM file of CRLs"
        ) from error


def _armed_until(found: Facility) -> datetime | None:
    """When the first issuer in openvpn.pem has no list any more, and servers refuse everybody."""
    from ca.services.crl.files import ends

    return min(ends(found.home, found.store, at=found.clock()).values(), default=None)


def _mention_missing(found: Facility) -> None:
    """An issuer without a list in openvpn.pem is not asked about: fail open, with a log line."""
    from ca.services.crl.files import ends

    known = ends(found.home, found.store, at=found.clock())
    for issuer in found.store.issuers():
        if issuer.certificate is not None and not issuer.has_key and issuer.id not in known:
            lacking = f"openvpn.pem has no CRL of {visible(issuer.subject)}, whose key is"
            if issuer.is_elsewhere:
                warn(
                    f"{lacking} on node {visible(issuer.node)}: OpenVPN then accepts what is "
                    "revoked below it. Run `homeca crl` there, then here"
                )
            else:
                warn(
                    f"{lacking} elsewhere: OpenVPN then accepts a revoked intermediate. Bring its "
                    "lists with --include"
                )


# ---------------------------------------------------------------- without a key


def _advance(home: Path | None, *, as_json: bool) -> None:
    from ca.services.crl.files import advance
    from ca.wiring.opening import system_clock

    with record(home) as (place, store):
        done = list(advance(place, store, at=system_clock(), on_wait=say))
    if as_json:
        document(
            advanced=[
                {
                    "issuer": one.issuer.slug,
                    "number": one.rung.number,
                    "next_update": one.rung.next_update,
                    "file": str(one.path),
                }
                for one in done
            ]
        )
        return
    for one in done:
        result(f"{visible(one.issuer.subject)}: {good(f'CRL {one.rung.number}')} in {one.path}")
    if not done:
        say("every list that is valid now is published already")


def _write_directory(directory: Path, home: Path | None, *, as_json: bool) -> None:
    from ca.services.crl.directory import write_directory

    with record(home) as (place, store):
        listed = write_directory(directory, place, store, on_wait=say)
    if as_json:
        document(
            directory=str(directory),
            revoked=listed.revoked,
            added=listed.added,
            removed=listed.removed,
            strange=list(listed.strange),
        )
    else:
        result(
            f"{visible(str(directory))}: {good(many(listed.revoked, 'revoked serial'))}, "
            f"{listed.added} added, {listed.removed} removed"
        )
    if listed.strange:
        shown = ", ".join(visible(name) for name in listed.strange[:5])
        warn(
            f"{len(listed.strange)} names in it are no serial of this CA and were left there: "
            f"{shown}"
        )

"""`homeca list`, `show`, `status`, `export`: looking at what is there. Nothing is changed."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ca.cli.completing import complete_issuer, complete_profile, complete_serial
from ca.cli.opening import record
from ca.cli.options import HomeOption, JsonOption
from ca.cli.output import say
from ca.cli.selecting import parse_span
from ca.errors import NotFound, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from ca.interfaces.issuing import CertificateQuery, CertificateRecord
    from ca.interfaces.store import CertificateStore


def register(app: typer.Typer) -> None:
    """Add the commands to the program."""
    app.command("list")(list_certificates)
    app.command("show")(show)
    app.command("status")(status)
    app.command("export")(export)


class Wanted(StrEnum):
    """What --state takes."""

    VALID = "valid"
    EXPIRED = "expired"
    REVOKED = "revoked"
    HOLD = "hold"
    UNCERTAIN = "uncertain"
    FAILED = "failed"
    OPEN = "open"


def list_certificates(
    expiring: Annotated[
        str | None,
        typer.Option(
            "--expiring",
            metavar="SPAN",
            help="Only valid ones that end within 30d, 12h, 2w or 1y; soonest first.",
        ),
    ] = None,
    revoked: Annotated[bool, typer.Option("--revoked", help="Only revoked ones.")] = False,
    expired: Annotated[bool, typer.Option("--expired", help="Only expired ones.")] = False,
    state: Annotated[
        Wanted | None, typer.Option("--state", help="Only those in this state.")
    ] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="Every serial this CA ever took, failed ones too.")
    ] = False,
    profile: Annotated[
        str | None,
        typer.Option(
            "--profile",
            metavar="NAME",
            help="Only those of this profile.",
            autocompletion=complete_profile,
        ),
    ] = None,
    issuer: Annotated[
        str | None,
        typer.Option(
            "--issuer",
            metavar="SLUG",
            help='Only those signed by this issuer: "root", "intermediate-1".',
            autocompletion=complete_issuer,
        ),
    ] = None,
    text: Annotated[
        str | None,
        typer.Option("--text", metavar="TEXT", help="Only those with this in subject or names."),
    ] = None,
    as_csv: Annotated[
        bool, typer.Option("--csv", help="Print CSV that no spreadsheet takes for formulas.")
    ] = False,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """List what this CA issued: by default what is valid now, oldest first.

    Look here for what is out there, what ends soon (--expiring), what was taken back (--revoked).
    On a terminal serials are cut to 16 digits, which `show` and `revoke` take; in a pipe the
    columns are separated by tabs and serials are whole.

    Example: homeca list --expiring 30d
    """
    from ca.cli import listing
    from ca.services.revocation.issuers import revoked_issuers
    from ca.wiring.opening import system_clock

    wanted = _one_of(
        expiring=expiring, revoked=revoked, expired=expired, state=state, everything=everything
    )
    if as_csv and as_json:
        raise UsageError("--csv and --json exclude each other", remedy="choose one")
    now = system_clock()
    with record(home) as (place, store):
        issuers = store.issuers()
        slugs = {one.id: one.slug for one in issuers}
        query = _query(
            wanted,
            expiring=expiring,
            profile=profile,
            issuer_id=_issuer_id(issuer, slugs),
            text=text,
            now=now,
        )
        refused = frozenset(revoked_issuers(issuers, store, place))
        records = _matching(store, query, wanted)
        if expiring is not None:
            records = sorted(records, key=lambda one: one.not_after)
        if as_json:
            listing.print_json(records, slugs, refused, at=now)
        elif as_csv:
            listing.print_csv(records, refused, at=now)
        else:
            count = listing.print_table(records, refused, at=now)
            sys.stdout.flush()
            if profile is not None and not count:
                _mention_profile(profile, home)
            if wanted is Wanted.VALID and expiring is None:
                _mention_rest(count, store, now=now)


def _one_of(
    *,
    expiring: str | None,
    revoked: bool,
    expired: bool,
    state: Wanted | None,
    everything: bool,
) -> Wanted | None:
    """The one state asked for; None for all. Raises: UsageError for two of them."""
    given = {
        "--expiring": expiring is not None,
        "--revoked": revoked,
        "--expired": expired,
        "--state": state is not None,
        "--all": everything,
    }
    named = [option for option, is_given in given.items() if is_given]
    if len(named) > 1:
        raise UsageError(
            f"{' and '.join(named)} exclude each other", remedy="choose one, or filter `--all`"
        )
    if everything:
        return None
    if revoked:
        return Wanted.REVOKED
    if expired:
        return Wanted.EXPIRED
    return state or Wanted.VALID


def _issuer_id(slug: str | None, slugs: dict[int, str]) -> int | None:
    if slug is None:
        return None
    for number, known in slugs.items():
        if known == slug:
            return number
    raise NotFound(
        "no issuer has that slug",
        remedy="use one of: " + (", ".join(slugs.values()) or "none yet; run `homeca init-root`"),
    )


def _query(
    wanted: Wanted | None,
    *,
    expiring: str | None,
    profile: str | None,
    issuer_id: int | None,
    text: str | None,
    now: datetime,
) -> CertificateQuery:
    from ca.interfaces.issuing import CertificateQuery, State
    from ca.interfaces.values import ONE_SECOND

    states = {
        None: (),
        Wanted.UNCERTAIN: (State.UNCERTAIN,),
        Wanted.FAILED: (State.FAILED,),
        Wanted.OPEN: (State.RESERVED, State.INTENDED),
    }.get(wanted, (State.ISSUED,))
    is_taken_back = wanted in (Wanted.REVOKED, Wanted.HOLD)
    is_standing = wanted in (Wanted.VALID, Wanted.EXPIRED)
    before = now if wanted is Wanted.EXPIRED else None
    if expiring is not None:
        before = now + parse_span(expiring) + ONE_SECOND
    return CertificateQuery(
        states=states,
        issuer_id=issuer_id,
        profile=profile,
        revoked=True if is_taken_back else False if is_standing else None,
        expires_after=now - ONE_SECOND if wanted is Wanted.VALID else None,
        expires_before=before,
        text=text,
    )


def _matching(
    store: CertificateStore, query: CertificateQuery, wanted: Wanted | None
) -> Iterable[CertificateRecord]:
    from ca.interfaces.revocation import Reason

    found = store.certificates(query)
    if wanted is not Wanted.HOLD:
        return found
    return (
        one
        for one in found
        if one.revocation is not None and one.revocation.reason is Reason.CERTIFICATE_HOLD
    )


def _mention_rest(shown: int, store: CertificateStore, *, now: datetime) -> None:
    counts = store.counts(at=now)
    rest = [
        f"{number} {name}"
        for name, number in (
            ("revoked", counts.revoked),
            ("expired", counts.expired),
            ("uncertain", counts.uncertain),
        )
        if number
    ]
    if rest:
        say(f"not shown: {', '.join(rest)}; `homeca list --all` shows them")
    elif not shown and not counts.valid:
        say("nothing was issued yet; `homeca sign REQUEST --profile vpn-client` does it")


def _mention_profile(name: str, home: Path | None) -> None:
    """Nothing of a profile that there is not: a slip, unless it was removed."""
    from ca.cli.options import chosen_home
    from ca.home import Home
    from ca.names.showing import visible
    from ca.wiring.opening import open_library

    known = open_library(Home(chosen_home(home))).names()
    if name not in known:
        say(f"no profile is called {visible(name)!r}; there are {', '.join(map(visible, known))}")


def show(
    what: Annotated[
        str,
        typer.Argument(
            metavar="SERIAL|FILE",
            help="A serial number, its first 4 or more digits, or a certificate, CRL or "
            'request file ("-" for standard input).',
            autocompletion=complete_serial,
        ),
    ],
    as_pem: Annotated[
        bool, typer.Option("--pem", help="Print the certificate itself, with its intermediates.")
    ] = False,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show everything about one certificate: its names, its uses, its state, who issued it.

    A serial is looked up in this CA's record. A file may come from anywhere: certificates, CRLs
    and requests are read, and nothing in them is believed.

    Example: homeca show 4A3F --home ~/ca
    """
    from ca.cli.showing import show_file, show_serial

    path = Path(what)
    if what == "-" or path.is_file():
        show_file(path, home=home, as_pem=as_pem, as_json=as_json)
    else:
        with record(home) as (place, store):
            show_serial(what, store, place, as_pem=as_pem, as_json=as_json)


def status(
    ics: Annotated[
        Path | None,
        typer.Option(
            "--ics",
            metavar="FILE",
            help="Write a calendar of everything that ends, with an alarm when to act; phones and "
            'mail programs read it. "-" is standard output.',
        ),
    ] = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say how this CA stands: issuers, where their keys live, CRLs, what ends soon.

    Run it now and then, or let a timer do it: the exit status is 0 when all is well and 1 when
    something needs attention, with --ics too. It says what, and which command helps. The TPM is
    not asked: whether the record is still the newest, `homeca check` and `homeca audit verify` say.

    Example: homeca status || mail -s "the CA needs you" me@home.arpa
    """
    from ca.cli.status import show_status, write_calendar

    if ics is not None and as_json:
        raise UsageError("--ics and --json exclude each other", remedy="run it twice")
    is_well = write_calendar(ics, home) if ics is not None else show_status(home, as_json=as_json)
    if not is_well:
        raise typer.Exit(1)


class Part(StrEnum):
    """What `export` takes."""

    ROOT = "root"
    ISSUER = "issuer"
    CHAIN = "chain"
    BUNDLE = "bundle"


class Format(StrEnum):
    """How octets become a file."""

    PEM = "pem"
    DER = "der"
    P7B = "p7b"


def export(
    part: Annotated[
        Part,
        typer.Argument(
            help="root: what devices trust. chain: the intermediates a server sends. bundle: "
            "chain and root together. issuer: the one certificate of --issuer."
        ),
    ],
    form: Annotated[
        Format,
        typer.Option("--format", help="pem for most, der for Android, p7b for Windows."),
    ] = Format.PEM,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", metavar="FILE", help='Write there; "-" is standard output.'),
    ] = None,
    issuer: Annotated[
        str | None,
        typer.Option(
            "--issuer",
            metavar="SLUG",
            help="Whose chain. Default: the newest active issuer.",
            autocompletion=complete_issuer,
        ),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the file if it exists.")] = False,
    home: HomeOption = None,
) -> None:
    """Write this CA's own certificates, for the devices that shall trust it.

    Install the root on every device and compare the SHA-256 fingerprint, which is printed on
    stderr, with the one the device shows.

    Example: homeca export root --format der --out homeca-root.crt
    """
    from ca.cli.exporting import export_part

    target = None if out is None or str(out) == "-" else out
    with record(home) as (_, store):
        export_part(
            store, part=part.value, form=form.value, slug=issuer, target=target, force=force
        )

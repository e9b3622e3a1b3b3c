"""`homeca audit`: the ledger, its anchor in the TPM, and checkpoints of both."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from ca.cli.options import HomeOption, JsonOption, OwnerFileOption, TpmOption

app = typer.Typer(
    help="Verify and show the ledger: what this CA did, anchored in its TPM.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


def register(program: typer.Typer) -> None:
    """Add the group to the program."""
    program.add_typer(app, name="audit")


@app.callback()
def _group() -> None:
    """Verify and show the ledger: what this CA did, anchored in its TPM."""


@app.command("verify")
def verify(
    certificates: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[CERTIFICATE]...", help="Certificates that must be in the ledger."),
    ] = None,
    checkpoint: Annotated[
        list[Path] | None,
        typer.Option(
            "--checkpoint",
            metavar="FILE",
            help="A checkpoint kept elsewhere that the ledger must lead up to and go on from; "
            "repeat it for several.",
        ),
    ] = None,
    no_tpm: Annotated[
        bool,
        typer.Option("--no-tpm", help="Leave the TPM out: without it an old copy looks as good."),
    ] = False,
    tpm: TpmOption = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say whether the ledger is whole, and the record, the CRLs and the TPM agree with it.

    Every entry is recomputed and compared with the certificates, revocations and CRLs of the
    record, with the published CRLs, and with the anchor in the TPM. An entry or a row that was
    changed, deleted or moved, a certificate outside the ledger, and an old copy of the database in
    place of the newer one are each named. Nothing is changed. Exit status 6 when something is
    wrong.

    The state of a software TPM is a file: who sets it back together with the database leaves
    nothing to notice, except to a checkpoint kept on another machine or on paper.

    Example: homeca audit verify --checkpoint /media/usb/homeca.checkpoint
    """
    from ca.cli.audit_verifying import verify_ledger

    verify_ledger(
        home,
        tpm=tpm,
        ask_tpm=not no_tpm,
        checkpoints=tuple(checkpoint or ()),
        certificates=tuple(certificates or ()),
        as_json=as_json,
    )


@app.command("checkpoint")
def checkpoint(
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", metavar="FILE", help='Write there; "-" is standard output.'),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the file if it exists.")] = False,
    tpm: TpmOption = None,
    home: HomeOption = None,
) -> None:
    """Print where the ledger stands, signed by the TPM: keep it on another machine or on paper.

    It names the newest entry, what the TPM's anchor holds and the TPM's own clock, in about
    twenty lines. `homeca audit verify --checkpoint FILE` finds whatever was rewritten or set back
    since, even when the state of a software TPM was set back as well.

    Example: homeca audit checkpoint | lp
    """
    from ca.cli.audit_verifying import make_checkpoint

    make_checkpoint(home, tpm=tpm, out=out, force=force)


@app.command("log")
def log(
    after: Annotated[
        int, typer.Option("--after", metavar="NUMBER", min=0, help="Only the entries after this.")
    ] = 0,
    home: HomeOption = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON document a line.")
    ] = False,
) -> None:
    """Show the ledger, oldest entry first.

    As JSON, each line holds an entry and its link, so that the chain can be followed elsewhere:
    `canonical` has the time (seconds since 1970), the issuer's number and the text of the details
    as they are hashed, together with seq, event and serial.

    Example: homeca audit log --json > ledger.jsonl
    """
    from ca.cli.audit_showing import show_log

    show_log(home, after=after, as_json=as_json)


@app.command("accept")
def accept(
    reason: Annotated[
        str, typer.Option("--reason", metavar="TEXT", help="Why; it is recorded for ever.")
    ],
    crl: Annotated[
        list[Path] | None,
        typer.Option(
            "--crl",
            metavar="FILE",
            help="CRLs that are still out there, on a server, the web or another node "
            "(repeatable): what they revoke is revoked again as well.",
        ),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    tpm: TpmOption = None,
    owner_file: OwnerFileOption = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Take this record for true although its anchor says otherwise, and anchor it anew.

    For a database restored from a backup when there is no newer one, and for a TPM that was
    replaced. What the published lists in the home and those of --crl revoke and the record does not
    is revoked again.
    Whatever else was issued or revoked after the copy was made is forgotten: those certificates are
    good again in the eyes of this CA. The ledger says for ever when and why it was accepted.

    Example: homeca audit accept --reason "disk died, restored the backup of 20 November"
    """
    from ca.cli.audit_verifying import accept_record

    if not yes and not sys.stdin.isatty():
        from ca.errors import UsageError

        raise UsageError(
            "this forgets what the TPM remembers, and there is no terminal to ask at",
            remedy="look at `homeca audit verify` first, then add --yes",
        )
    accept_record(
        home,
        reason=reason,
        crls=tuple(crl or ()),
        ask=not yes,
        tpm=tpm,
        owner_file=owner_file,
        as_json=as_json,
    )

"""`homeca verify`, `lint`, `check`: is a certificate good, well made; is the whole record?"""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from ca.cli.opening import record
from ca.cli.options import HomeOption, JsonOption, PinFileOption, TpmOption
from ca.cli.selecting import parse_moment


class Purpose(StrEnum):
    """What --purpose takes."""

    SERVER = "server"
    CLIENT = "client"


FileArgument = Annotated[
    Path, typer.Argument(metavar="FILE", help='PEM, DER or PKCS#7; "-" for standard input.')
]


def register(app: typer.Typer) -> None:
    """Add the commands to the program."""
    app.command("verify")(verify)
    app.command("lint")(lint)
    app.command("check")(check)


def verify(
    file: FileArgument,
    purpose: Annotated[
        Purpose | None, typer.Option("--purpose", help="It must be fit for this side of TLS.")
    ] = None,
    host: Annotated[
        str | None,
        typer.Option("--host", metavar="NAME", help="It must be for this DNS name or address."),
    ] = None,
    moment: Annotated[
        str | None,
        typer.Option("--at", metavar="TIME", help="Judge it as of 2026-11-20T18:00Z, not now."),
    ] = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say whether a certificate or a CRL is good: chain, dates, revocation, names, purpose.

    The chain must lead to this home's root; its intermediates are known, others may follow in
    the file. A certificate is held against the record and the newest CRL. Exit status 6 when
    it is not good, with every reason.

    Example: homeca verify nas.crt --purpose server --host nas.home.arpa
    """
    from ca.cli.verifying import verify_file
    from ca.wiring.opening import system_clock

    at = parse_moment(moment) if moment is not None else system_clock()
    with record(home) as (place, store):
        verify_file(
            file,
            store,
            place,
            at=at,
            purpose=purpose.value if purpose is not None else None,
            host=host,
            as_json=as_json,
        )


def lint(
    file: FileArgument,
    consumers: Annotated[
        str,
        typer.Option(
            "--for",
            metavar="LIST",
            help="Ask these consumers' rules too: iphone,openvpn,windows,android,chrome,…",
        ),
    ] = "",
    second: Annotated[
        bool,
        typer.Option("--second-opinion", help="Ask pkilint as well, where it is installed."),
    ] = False,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say what in a certificate or CRL breaks RFC 5280 or its consumers' rules.

    `sign` asks the same rules before the key is used. Any file will do, also from another CA. Exit
    status 6 when an error is found; warnings and notices do not count.

    Example: homeca lint nas.crt --for iphone,openvpn
    """
    from ca.cli.linting import lint_file

    words = tuple(word.strip() for word in consumers.split(",") if word.strip())
    lint_file(file, home=home, consumers=words, second_opinion=second, as_json=as_json)


def check(
    load_keys: Annotated[
        bool, typer.Option("--load-keys", help="Load every key in the TPM as well.")
    ] = False,
    tpm: TpmOption = None,
    pin_file: PinFileOption = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Audit the whole record: every row against its octets, every CRL, key file, mode, the ledger.

    DER against columns, signatures, chains, lint, the profile that decided each certificate, CRLs
    against revocations, key blobs against certificates, published files, modes; at last the
    ledger against all of it and against its anchor in the TPM, as `homeca audit verify` does.
    Reads all and changes nothing. Run it after a crash, a restore, a disk fault, and now and then.
    Exit status 6 when an error is found; a TPM that cannot be asked is a warning.

    Example: homeca check --load-keys
    """
    from ca.cli.auditing import check_home

    check_home(home, tpm=tpm, pin_file=pin_file, load_keys=load_keys, as_json=as_json)

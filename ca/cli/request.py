"""`homeca request …`: the device's side. A key in this machine's TPM, and its certificate."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from ca.cli.options import HomeOption, JsonOption, PinFileOption, PinOption, TpmOption

app = typer.Typer(
    help="Ask for certificates: keys in this device's TPM, requests, what comes back.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


def register(program: typer.Typer) -> None:
    """Add the group to the program."""
    program.add_typer(app, name="request")


class Program(StrEnum):
    """What --for takes."""

    OPENVPN = "openvpn"
    OPENSSL = "openssl"
    CURL = "curl"
    NGINX = "nginx"
    STRONGSWAN = "strongswan"
    NETWORKMANAGER = "networkmanager"


KeyOption = Annotated[
    str | None,
    typer.Option(
        "--key",
        metavar="KIND",
        help="The kind of key: ec-p256 (the default), ec-p384, ec-p521, rsa-2048, rsa-3072. "
        "`homeca tpm info` says which ones your TPM can make.",
    ),
]
OneHashOption = Annotated[
    bool,
    typer.Option(
        "--one-hash",
        help="A key that signs with one hash alone, of its own size: strongSwan takes no other "
        "from a TPM. TLS 1.2 may ask for another hash, TLS 1.3 does not.",
    ),
]
NameArgument = Annotated[
    str, typer.Argument(metavar="NAME", help="The request, as `homeca request list` calls it.")
]
OutOption = Annotated[
    Path | None,
    typer.Option("--out", "-o", metavar="FILE", help="Where to write the request; - for stdout."),
]
ForceOption = Annotated[bool, typer.Option("--force", help="Overwrite the output.")]


@app.callback()
def _group() -> None:
    """Ask for certificates: keys in this device's TPM, requests, what comes back.

    For the machine that wants a certificate. It needs no CA and no database, only a home and a TPM.
    """


@app.command("new")
def new(
    inf: Annotated[
        Path | None,
        typer.Argument(metavar="[REQUEST.INF]", help="A certreq INF, as Windows admins write it."),
    ] = None,
    subject: Annotated[
        str | None,
        typer.Option("--subject", metavar="DN", help='"CN=alice-laptop.home.arpa,O=Home".'),
    ] = None,
    san: Annotated[
        list[str] | None,
        typer.Option(
            "--san",
            metavar="NAME",
            help="Ask for this name: DNS:nas.home.arpa, IP:192.168.1.10, email:me@home.arpa, or "
            "just the value (repeatable).",
        ),
    ] = None,
    key: KeyOption = None,
    one_hash: OneHashOption = False,
    pin: PinOption = False,
    name: Annotated[
        str | None,
        typer.Option("--name", help="What to call the request here. Default: from its subject."),
    ] = None,
    out: OutOption = None,
    force: ForceOption = False,
    tpm: TpmOption = None,
    pin_file: PinFileOption = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a key in this device's TPM, and a request signed by it.

    The key cannot leave the TPM. With an INF, what is said there counts unless an option says
    otherwise; what cannot be had is refused, what means nothing on Linux is listed. Send the
    request to the CA (`homeca sign` there), then give what comes back to `homeca request accept`.

    Example: homeca request new --subject CN=alice-laptop.home.arpa --san DNS:alice-laptop.home.arpa
    """
    from ca.cli import requesting

    requesting.make(
        inf,
        requesting.Wanted(
            subject=subject,
            san=tuple(san or ()),
            key=key,
            pin=pin,
            name=name,
            one_hash=one_hash,
        ),
        out,
        force=force,
        tpm=tpm,
        pin_file=pin_file,
        home=home,
        as_json=as_json,
    )


@app.command("accept")
def accept(
    certificate: Annotated[
        Path, typer.Argument(metavar="CERTIFICATE", help="What the CA sent: PEM, DER or PKCS#7.")
    ],
    fingerprint: Annotated[
        str | None,
        typer.Option(
            "--fingerprint",
            metavar="SHA256",
            help="The root's fingerprint, read where the CA lives. Told once, it is remembered.",
        ),
    ] = None,
    root: Annotated[
        Path | None,
        typer.Option("--root", metavar="FILE", help="The root, if CERTIFICATE does not hold it."),
    ] = None,
    side: Annotated[
        bool | None,
        typer.Option(
            "--machine/--user",
            help="Insist that the key is the machine's, or the user's. Default: where it is.",
        ),
    ] = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Take the certificate that came back, and put it beside its key.

    It is found by its public key, and taken only if its chain leads to the root whose fingerprint
    you give. Refused: another key's, an expired one, a changed one, another root's. Nothing enters
    the system's trust store; for that see `homeca trust`.

    Example: homeca request accept alice-laptop.crt --root root.pem --fingerprint AB:CD:…
    """
    from ca.cli import accepting

    accepting.take(
        certificate, root, fingerprint=fingerprint, machine=side, home=home, as_json=as_json
    )


@app.command("list")
def list_(home: HomeOption = None, as_json: JsonOption = False) -> None:
    """List this device's requests and certificates, and which of them are in use.

    Example: homeca request list
    """
    from ca.cli import requests

    requests.show_all(home=home, as_json=as_json)


@app.command("show")
def show(name: NameArgument, home: HomeOption = None, as_json: JsonOption = False) -> None:
    """Show one request with everything known of it, and where its files lie.

    Example: homeca request show alice-laptop.home.arpa
    """
    from ca.cli import requests

    requests.show_one(name, home=home, as_json=as_json)


@app.command("renew")
def renew(
    name: NameArgument,
    new_key: Annotated[
        bool, typer.Option("--new-key/--keep-key", help="Make a new key, or keep this one.")
    ] = False,
    key: Annotated[
        str | None,
        typer.Option("--key", metavar="KIND", help="Make the new key of this kind."),
    ] = None,
    one_hash: OneHashOption = False,
    pin: PinOption = False,
    out: OutOption = None,
    force: ForceOption = False,
    tpm: TpmOption = None,
    pin_file: PinFileOption = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Ask again for the same names. The pair in use stays until the new one is accepted.

    Then both change in one step, and no path does. A CA that renews by itself needs no request:
    give what it sends to `homeca request accept`.

    Example: homeca request renew alice-laptop.home.arpa --new-key
    """
    from ca.cli import requesting

    requesting.again(
        name,
        out,
        new_key=new_key,
        key=key,
        pin=pin,
        one_hash=one_hash,
        force=force,
        tpm=tpm,
        pin_file=pin_file,
        home=home,
        as_json=as_json,
    )


@app.command("remove")
def remove(
    name: NameArgument,
    replaced: Annotated[
        bool, typer.Option("--replaced", help="Only the pairs that renewals have replaced.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    home: HomeOption = None,
) -> None:
    """Remove a request with its key and certificate; the key is then gone for good.

    The certificate stays valid: have the CA revoke it if the key may have been used by others.

    Example: homeca request remove alice-laptop.home.arpa
    """
    from ca.cli import requests

    requests.drop(name, replaced=replaced, yes=yes, home=home)


@app.command("use")
def use(
    name: Annotated[
        str | None,
        typer.Argument(metavar="[NAME]", help="The request. Not needed when there is only one."),
    ] = None,
    program: Annotated[
        Program, typer.Option("--for", help="The program that shall use the key.")
    ] = Program.OPENSSL,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Print the configuration with which a program uses the key where it lies.

    The configuration goes to stdout, its caveats for the versions installed here to stderr.

    Example: homeca request use alice-laptop.home.arpa --for openvpn > client.conf
    """
    from ca.cli import requests

    requests.instruct(name, program.value, home=home, as_json=as_json)

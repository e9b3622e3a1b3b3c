"""`homeca kit`: a folder or zip that a person carries to a device."""

from __future__ import annotations

import re
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ca.cli.opening import facility, mention_custody
from ca.cli.options import (
    BelieveClockOption,
    HomeOption,
    JsonOption,
    PinFileOption,
    TpmOption,
    read_password,
)
from ca.cli.output import document, result, say, warn
from ca.cli.selecting import find_certificate
from ca.errors import OutputExists, UsageError
from ca.files import read_bounded
from ca.interfaces.issuing import CertificateRecord
from ca.interfaces.values import Secret
from ca.kits.kinds import KINDS, Kind, Need
from ca.names.showing import visible

if TYPE_CHECKING:
    from ca.kits.facts import Kit
    from ca.services.facility import Facility
    from ca.services.kits.packing import KitOrder
    from ca.services.kits.pkcs12 import Pkcs12Wish

_KEY_FILE_LIMIT = 65536
_SERIAL = re.compile(r"[0-9A-Fa-f:]{12,60}\Z")


def _complete_kind(incomplete: str) -> list[tuple[str, str]]:
    return [(kind.name, kind.title) for kind in KINDS.values() if kind.name.startswith(incomplete)]


KindOption = Annotated[
    str,
    typer.Option(
        "--for",
        metavar="KIND",
        autocompletion=_complete_kind,
        help="One of: " + "; ".join(f"{kind.name} ({kind.title})" for kind in KINDS.values()) + ".",
    ),
]
ServerOption = Annotated[
    list[str] | None,
    typer.Option(
        "--server",
        metavar="HOST",
        help="The host the device dials, as in the server's certificate; for wifi the RADIUS "
        "server's name (repeatable).",
    ),
]
OutOption = Annotated[
    Path | None,
    typer.Option(
        "--out",
        "-o",
        metavar="DIR|FILE.zip",
        help="Where to: a folder to be made, or a zip. Default: NAME-KIND here.",
    ),
]
PortOption = Annotated[int, typer.Option("--port", min=1, max=65535, help="Of the OpenVPN server.")]
ProtoOption = Annotated[str, typer.Option("--proto", metavar="udp|tcp", help="Of OpenVPN.")]
SsidOption = Annotated[str, typer.Option("--ssid", metavar="NAME", help="Of the Wi-Fi.")]
UserOption = Annotated[
    bool,
    typer.Option(
        "--user",
        help="On Windows the key belongs to the user, as the OpenVPN GUI wants it, not to the "
        "machine.",
    ),
]
KeyOption = Annotated[
    str,
    typer.Option(
        "--key", metavar="ec-p256|ec-p384", help="Kind of key that a request in the kit is for."
    ),
]
UrlOption = Annotated[
    str | None,
    typer.Option(
        "--url",
        metavar="URL",
        help="Where devices fetch the root, for the QR code. Default: where the CA publishes it.",
    ),
]
Pkcs12Option = Annotated[
    Path | None,
    typer.Option(
        "--pkcs12",
        metavar="KEYFILE",
        help="Put the device's private key, from this file, into the kit as PKCS#12. Its password "
        "is made here and shown once.",
    ),
]
PasswordFileOption = Annotated[
    Path | None,
    typer.Option(
        "--pkcs12-password-file",
        metavar="FILE",
        help="The password for it, in a file of mode 0600, instead of a new one.",
    ),
]
FormOption = Annotated[
    str | None,
    typer.Option(
        "--pkcs12-form",
        metavar="legacy|modern",
        help="How it is encrypted: legacy (3DES, which older phones need) or modern (AES). "
        "Default: legacy for phones.",
    ),
]
KeyPasswordOption = Annotated[
    Path | None,
    typer.Option(
        "--key-password-file", metavar="FILE", help="The password of KEYFILE, if it has one."
    ),
]
UnsignedOption = Annotated[
    bool,
    typer.Option("--unsigned", help="Leave Apple profiles unsigned: the TPM is not asked."),
]
ForceOption = Annotated[
    bool, typer.Option("--force", help="Write over the files of a kit that is there.")
]


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    app.command("kit")(kit)


def kit(
    kind: KindOption,
    device: Annotated[
        str | None,
        typer.Argument(
            metavar="NAME|SERIAL",
            help="A device by name, serial or certificate file; trust needs none.",
        ),
    ] = None,
    out: OutOption = None,
    server: ServerOption = None,
    port: PortOption = 1194,
    proto: ProtoOption = "udp",
    ssid: SsidOption = "",
    user: UserOption = False,
    key: KeyOption = "ec-p256",
    url: UrlOption = None,
    pkcs12: Pkcs12Option = None,
    password_file: PasswordFileOption = None,
    pkcs12_form: FormOption = None,
    key_password_file: KeyPasswordOption = None,
    unsigned: UnsignedOption = False,
    force: ForceOption = False,
    believe_clock: BelieveClockOption = False,
    tpm: TpmOption = None,
    pin_file: PinFileOption = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make what a device needs to use its certificate: configuration, scripts, one page to read.

    Kits for keys in a TPM may be made before there is a certificate: they hold what makes the
    request. No kit holds a key of the CA, and none a device's key unless you give it with --pkcs12.

    Example: homeca kit laptop.home.arpa --for openvpn-windows-tpm --server vpn.home.arpa
    """
    about = _kind(kind)
    _check(about, device, proto, password_file, pkcs12_form, key_password_file, pkcs12)
    if out is not None:
        _require_place(out, force=force)
    with facility(home, tpm=tpm, pin_file=pin_file, believe_clock=believe_clock) as found:
        from ca.services.kits.packing import KitOrder, make_kit

        record, name = _device(device or "", about, found)
        wish, made = _wish(pkcs12, password_file, key_password_file, pkcs12_form, found)
        order = KitOrder(
            kind=kind,
            record=record,
            name=name,
            servers=tuple(dict.fromkeys(server or ())),
            port=port,
            proto=proto,
            ssid=ssid,
            machine=not user,
            key=key,
            url=_url(url),
            pkcs12=wish,
            unsigned=unsigned,
        )
        ready = make_kit(order, found)
        target = _write(ready, out, force=force)
        _tell(ready, target, order, made, found, as_json=as_json)


def _kind(name: str) -> Kind:
    found = KINDS.get(name)
    if found is None:
        near = get_close_matches(name, KINDS, n=1)
        hint = f"did you mean {near[0]}? " if near else ""
        raise UsageError(
            f"there is no kit for {visible(name)!r}",
            remedy=f"{hint}use one of: {', '.join(KINDS)}",
        )
    return found


def _check(
    about: Kind,
    device: str | None,
    proto: str,
    password_file: Path | None,
    form: str | None,
    key_password_file: Path | None,
    pkcs12: Path | None,
) -> None:
    if about.need is Need.NOTHING and device is not None:
        raise UsageError(
            f"a kit for {about.name} is about the root, not about a device",
            remedy=f"run `homeca kit --for {about.name}`",
        )
    if about.need is not Need.NOTHING and not device:
        raise UsageError(
            f"a kit for {about.name} needs a device",
            remedy=f"run `homeca kit NAME --for {about.name}`; `homeca list` shows the names",
        )
    if proto not in ("udp", "tcp"):
        raise UsageError(f"{visible(proto)!r} is not udp or tcp", remedy="use --proto udp or tcp")
    if form not in (None, "legacy", "modern"):
        raise UsageError(
            f"{visible(form or '')!r} is not legacy or modern",
            remedy="use --pkcs12-form legacy or modern",
        )
    if pkcs12 is None and any(one is not None for one in (password_file, form, key_password_file)):
        raise UsageError(
            "options of a PKCS#12 were given and no key", remedy="add --pkcs12 KEYFILE"
        )


def _require_place(out: Path, *, force: bool) -> None:
    """Before a key is asked or a password is made. Raises: UsageError, OutputExists."""
    parent = out.absolute().parent
    if not parent.is_dir():
        raise UsageError(f"there is no directory {visible(str(parent))!r}", remedy="make it first")
    if out.exists() and not force:
        raise OutputExists(
            f"{visible(str(out))!r} exists already",
            remedy="choose another with --out, or add --force",
        )


def _device(device: str, about: Kind, found: Facility) -> tuple[CertificateRecord | None, str]:
    """The record of the device, and how it is called. Raises: NotFound, UsageError."""
    if about.need is Need.NOTHING:
        return None, ""
    from ca.services.kits.device import display_name, find_named

    if Path(device).is_file() or _SERIAL.fullmatch(device):
        record = find_certificate(device, found.store)
        return record, display_name(record)
    named = find_named(device, about.name, found, now=found.clock())
    return named, (display_name(named) if named is not None else device)


def _url(url: str | None) -> str | None:
    if url is not None and not re.fullmatch(r"https?://[!-~]{1,2000}", url):
        raise UsageError(f"{visible(url)!r} is not a URL", remedy="write it like http://HOST/FILE")
    return url


def _wish(
    key_file: Path | None,
    password_file: Path | None,
    key_password_file: Path | None,
    form: str | None,
    found: Facility,
) -> tuple[Pkcs12Wish | None, Secret | None]:
    """What goes into the PKCS#12, and the password that was made for it here."""
    if key_file is None:
        return None, None
    from ca.encoding.pkcs12 import Pkcs12Form
    from ca.services.kits.pkcs12 import Pkcs12Wish, new_password, require_password

    try:
        octets = read_bounded(key_file, _KEY_FILE_LIMIT)
    except ValueError as error:
        raise UsageError(
            f"{visible(str(key_file))!r} is too long to be a key", remedy="give the key file"
        ) from error
    made = new_password(found.entropy) if password_file is None else None
    password = made or require_password(read_password(password_file or Path()))
    wish = Pkcs12Wish(
        key=octets,
        key_password=read_password(key_password_file) if key_password_file is not None else None,
        password=password,
        form=Pkcs12Form(form) if form is not None else None,
    )
    return wish, made


def _write(ready: Kit, out: Path | None, *, force: bool) -> Path:
    from ca.services.kits.files import write_folder, write_zip

    target = (out if out is not None else Path(ready.stem)).absolute()
    if target.suffix.lower() == ".zip":
        write_zip(ready, target, replace=force)
    else:
        write_folder(ready, target, replace=force)
    return out if out is not None else Path(ready.stem)


def _tell(
    ready: Kit,
    target: Path,
    order: KitOrder,
    made: Secret | None,
    found: Facility,
    *,
    as_json: bool,
) -> None:
    if not order.unsigned and any(file.name.endswith(".mobileconfig") for file in ready.files):
        custody = found.store.custody()
        if custody is not None:
            mention_custody(custody.kind)
    for text in ready.warnings:
        warn(visible(text))
    if as_json:
        document(
            kit=str(target),
            kind=ready.kind,
            files=[file.name for file in ready.files],
            warnings=list(ready.warnings),
        )
    else:
        result(str(target))
        say(f"read {visible(str(target))}/README.txt first")
    if made is not None:
        say(f"password of the PKCS#12, shown this once: {made.reveal().decode()}")

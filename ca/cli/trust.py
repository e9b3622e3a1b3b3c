"""`homeca trust …`: the root in the trust stores of this machine."""

from __future__ import annotations

import os
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ca.cli.options import JsonOption
from ca.cli.output import document, good, result, say, warn
from ca.cli.reading import read_named
from ca.errors import NotFound, UsageError
from ca.names.showing import visible

if TYPE_CHECKING:
    from ca.encoding.facts import CertificateFacts
    from ca.services.device.trust_stores import TrustStore

_FILE_LIMIT = 1 << 20

app = typer.Typer(
    help="Put a root into this machine's trust stores, and take it out again.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


def register(program: typer.Typer) -> None:
    """Add the group to the program."""
    program.add_typer(app, name="trust")


class Store(StrEnum):
    """What --store takes."""

    SYSTEM = "system"
    NSS = "nss"
    JAVA = "java"


RootArgument = Annotated[
    Path, typer.Argument(metavar="ROOT", help="The root's certificate, PEM or DER.")
]
StoreOption = Annotated[
    Store,
    typer.Option(
        "--store",
        help="system: what curl, git and Python itself trust; nss: Firefox and Chromium; "
        "java: keytool's.",
    ),
]
YesOption = Annotated[
    bool, typer.Option("--yes", "-y", help="Do not ask; the fingerprint was compared.")
]
SysrootOption = Annotated[
    Path | None,
    typer.Option("--sysroot", metavar="DIR", help="The system in this directory, Debian's layout."),
]
DatabaseOption = Annotated[
    Path | None,
    typer.Option(
        "--database",
        metavar="DIR",
        help="This NSS database. Default: every one in your home directory.",
    ),
]
KeystoreOption = Annotated[
    Path | None,
    typer.Option("--keystore", metavar="FILE", help="This keystore. Default: Java's cacerts."),
]
PasswordOption = Annotated[
    Path | None,
    typer.Option(
        "--storepass-file",
        metavar="FILE",
        help="Where the keystore's password is, if it is not Java's usual one.",
    ),
]


@app.callback()
def _group() -> None:
    """Put a root into this machine's trust stores, and take it out again.

    What is trusted there may vouch for any name its constraints permit: put in only the root of
    a CA whose fingerprint you have compared.
    """


@app.command("install")
def install(
    root: RootArgument,
    store: StoreOption = Store.SYSTEM,
    yes: YesOption = False,
    sysroot: SysrootOption = None,
    database: DatabaseOption = None,
    keystore: KeystoreOption = None,
    storepass_file: PasswordOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show a root's fingerprint, ask, and have this machine trust it.

    Example: sudo homeca trust install root.pem
    """
    facts = _root(root)
    stores = _stores(store, sysroot, database, keystore, storepass_file)
    missing = [one for one in stores if not one.holds(facts)]
    if missing:
        _confirm(facts, missing, "Trust it?", yes=yes)
    for one in missing:
        one.install(facts)
    _report(facts, stores, "trusted in", changed=len(missing), as_json=as_json)
    if missing and store is Store.NSS:
        say("note: a browser that is running notices when it is started again")


@app.command("remove")
def remove(
    root: RootArgument,
    store: StoreOption = Store.SYSTEM,
    yes: YesOption = False,
    sysroot: SysrootOption = None,
    database: DatabaseOption = None,
    keystore: KeystoreOption = None,
    storepass_file: PasswordOption = None,
    as_json: JsonOption = False,
) -> None:
    """Take a root out again that `homeca trust install` put in; others stay as they are.

    Example: sudo homeca trust remove root.pem
    """
    facts = _root(root, even_if_expired=True)
    stores = _stores(store, sysroot, database, keystore, storepass_file)
    holding = [one for one in stores if one.holds(facts)]
    if not holding:
        raise NotFound(
            f"homeca has not put {facts.tbs.subject} into {stores[0].label}",
            remedy="see `homeca trust show ROOT`; what others put there is theirs to remove",
        )
    _confirm(facts, holding, "Remove it?", yes=yes)
    for one in holding:
        one.remove(facts)
    _report(facts, holding, "removed from", changed=len(holding), as_json=as_json)


@app.command("show")
def show(
    root: RootArgument,
    store: StoreOption = Store.SYSTEM,
    sysroot: SysrootOption = None,
    database: DatabaseOption = None,
    keystore: KeystoreOption = None,
    storepass_file: PasswordOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show a root's fingerprint, and whether homeca put it into a store.

    Example: homeca trust show root.pem --store nss
    """
    facts = _root(root, even_if_expired=True)
    stores = _stores(store, sysroot, database, keystore, storepass_file)
    held = {one.label: one.holds(facts) for one in stores}
    if as_json:
        document(**_described(facts), stores=[{"store": k, "holds": v} for k, v in held.items()])
        return
    _announce(facts, to=result)
    for label, holds in held.items():
        result(f"  {visible(label)}: {good('put there by homeca') if holds else 'not there'}")


# ---------------------------------------------------------------- how


def _root(path: Path, *, even_if_expired: bool = False) -> CertificateFacts:
    from ca.encoding.containers import read_certificates
    from ca.encoding.inspect import read_certificate
    from ca.services.device.trust_stores import read_root
    from ca.wiring.opening import system_clock

    octets = read_named(path, _FILE_LIMIT, "a certificate")
    at = system_clock()
    if even_if_expired:
        at = min(at, read_certificate(read_certificates(octets)[0]).tbs.not_after.moment)
    return read_root(octets, at=at)


def _stores(
    store: Store,
    sysroot: Path | None,
    database: Path | None,
    keystore: Path | None,
    storepass_file: Path | None,
) -> tuple[TrustStore, ...]:
    from ca.services.device import trust_stores

    given = {
        "--sysroot": (sysroot, Store.SYSTEM),
        "--database": (database, Store.NSS),
        "--keystore": (keystore, Store.JAVA),
        "--storepass-file": (storepass_file, Store.JAVA),
    }
    for option, (value, belongs_to) in given.items():
        if value is not None and store is not belongs_to:
            raise UsageError(
                f"{option} goes with --store {belongs_to.value}", remedy=f"leave {option} out"
            )
    if store is Store.SYSTEM:
        place = sysroot.absolute() if sysroot is not None else None
        return (trust_stores.SystemStore.found(place),)
    if store is Store.NSS and database is not None:
        return (trust_stores.NssStore(database.absolute()),)
    if store is Store.NSS:
        return trust_stores.NssStore.found(
            Path.home(), config=_xdg("XDG_CONFIG_HOME"), data=_xdg("XDG_DATA_HOME")
        )
    if storepass_file is None:
        return (trust_stores.JavaStore(keystore),)
    from ca.cli.options import read_pin

    password = read_pin(storepass_file, key="keystore").reveal()
    return (trust_stores.JavaStore(keystore, password),)


def _xdg(variable: str) -> Path | None:
    """A base directory that is set; a relative one is to be ignored (XDG Base Directory)."""
    path = Path(os.environ.get(variable, ""))
    return path if path.is_absolute() else None


def _announce(facts: CertificateFacts, *, to: Any = say) -> None:
    from ca.encoding.containers import fingerprint

    to(f"{facts.tbs.subject}")
    to(f"  SHA-256 {fingerprint(facts.der)}")


def _confirm(
    facts: CertificateFacts, stores: list[TrustStore], question: str, *, yes: bool
) -> None:
    """The fingerprint is always shown first; then a person, or --yes, decides."""
    _announce(facts)
    constraints = facts.tbs.name_constraints
    if question == "Trust it?" and constraints is None:
        warn("it has no name constraints: it may vouch for every name in the world")
    for one in stores:
        say(f"  {visible(one.label)}")
    if yes:
        return
    if not sys.stdin.isatty():
        raise UsageError(
            "nobody is here to compare the fingerprint", remedy="compare it, then add --yes"
        )
    if not typer.confirm(question, err=True):
        raise typer.Abort


def _described(facts: CertificateFacts) -> dict[str, Any]:
    from ca.encoding.containers import fingerprint
    from ca.services.device.trust_stores import mark

    return {
        "root": str(facts.tbs.subject),
        "fingerprint_sha256": fingerprint(facts.der),
        "mark": mark(facts),
    }


def _report(
    facts: CertificateFacts,
    stores: tuple[TrustStore, ...] | list[TrustStore],
    done: str,
    *,
    changed: int,
    as_json: bool,
) -> None:
    if as_json:
        document(**_described(facts), stores=[one.label for one in stores], changed=changed)
        return
    for one in stores:
        result(f"{facts.tbs.subject} is {done} {visible(one.label)}")

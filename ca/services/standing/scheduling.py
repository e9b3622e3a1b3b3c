"""Units for systemd that keep CRLs fresh and say when something needs attention.

The PIN comes as a credential (systemd.exec(5)): encrypted for this machine and its TPM by
`systemd-creds`, or from a file only root reads. It is in no unit, no argument, no environment.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from msgspec import Struct

from ca.encoding.tsskey import TssKey
from ca.errors import EncodingError, OutputFailed, UsageError
from ca.files import read_bounded
from ca.home import Home
from ca.interfaces.store import CertificateStore
from ca.names.showing import visible
from ca.resources import resource

UNITS = (
    "homeca-crl.service",
    "homeca-crl.timer",
    "homeca-status.service",
    "homeca-status.timer",
)
_PREFIX = "homeca"

#: What `ca.cli.options.read_pin` looks for in the credentials' directory.
PIN_CREDENTIAL = "homeca.pin"

_KEY_SIZE = 1 << 16


class Plan(Struct, frozen=True, kw_only=True):
    """What the units are to do.

    program:   how homeca is run, its path first. user: whom it runs as; "": the manager's user.
    is_system: for the system's manager, which can lock a service in; else for a user's.
    pin:       where the PIN lies; None: no key has one. is_encrypted: by `systemd-creds`.
    record:    the directory of the record's file, where it is not the home.
    prefix:    of the units' names: each CA of a machine has its own.
    """

    program: Sequence[str]
    home: Path
    is_system: bool
    user: str = ""
    pin: Path | None = None
    is_encrypted: bool = False
    record: Path | None = None
    prefix: str = _PREFIX


def units(plan: Plan) -> Mapping[str, str]:
    """File name → text of each unit. Raises: UsageError for a path or a name no unit can hold."""
    import jinja2

    if not re.fullmatch(r"[A-Za-z0-9_-]{1,64}", plan.prefix):
        raise UsageError(
            f"no unit can be called {visible(plan.prefix)!r}",
            remedy="use letters, digits, `-` and `_`, at most 64",
        )

    directory = resource("templates") / "systemd"
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(
            lambda name: (directory / f"{name}.j2").read_text(encoding="utf-8")
        ),
        undefined=jinja2.StrictUndefined,
        autoescape=False,  # noqa: S701 - units are no HTML; `quoted` escapes what systemd reads
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    values = {
        "made_by": "made by `homeca schedule --install`; run it again instead of editing",
        "name": _plain(f"the CA in {plan.home}").replace("%", "%%"),
        "program": " ".join(quoted(part, is_command=True) for part in plan.program),
        "prefix": plan.prefix,
        "written": " ".join(quoted(str(one)) for one in _written(plan)),
        "home_variable": _home_variable(plan),
        "credential": _credential(plan),
        "user": _plain(plan.user),
        "is_system": plan.is_system,
    }
    return {
        name.replace(_PREFIX, plan.prefix, 1): environment.get_template(name).render(values)
        for name in UNITS
    }


def is_of_another(plan: Plan, text: str) -> bool:
    """Does a unit that was made before serve another CA, which would go without?"""
    lines = [line for line in text.splitlines() if line.startswith(_HOME_SETTING)]
    return bool(lines) and f"Environment={_home_variable(plan)}" not in lines


_HOME_SETTING = 'Environment="HOMECA_HOME='


def _home_variable(plan: Plan) -> str:
    return quoted(f"HOMECA_HOME={plan.home}")


def _written(plan: Plan) -> tuple[Path, ...]:
    """What a service that is locked in has to write to."""
    own = plan.record is None or plan.record.is_relative_to(plan.home)
    return (plan.home,) if own or plan.record is None else (plan.home, plan.record)


def _credential(plan: Plan) -> str:
    if plan.pin is None:
        return ""
    setting = "LoadCredentialEncrypted" if plan.is_encrypted else "LoadCredential"
    return f"{setting}={PIN_CREDENTIAL}:{_plain(str(plan.pin)).replace('%', '%%')}"


def quoted(text: str, *, is_command: bool = False) -> str:
    r"""One word of a setting (systemd.syntax(7)): in quotes, with \, " and % taken literally.

    is_command: also $, which names a variable there. Raises: UsageError for control characters.
    """
    escaped = _plain(text).replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    return f'"{escaped.replace("$", "$$") if is_command else escaped}"'


def _plain(text: str) -> str:
    if any(ord(character) < 32 or ord(character) == 127 for character in text):
        raise UsageError(
            f"{text!r} holds a control character, which no unit can",
            remedy="move the home to a path without one",
        )
    return text


def keys_with_pin(home: Home, store: CertificateStore) -> tuple[str, ...]:
    """Issuers' key files of which the TPM wants a PIN: without it the timer can only remind."""
    return tuple(
        issuer.key_file
        for issuer in store.issuers()
        if issuer.has_key and wants_pin(home.path / issuer.key_file)
    )


def wants_pin(key: Path) -> bool:
    """False also where it cannot be read: `homeca check` says that."""
    try:
        return not TssKey.from_pem(read_bounded(key, _KEY_SIZE)).empty_auth
    except (OutputFailed, ValueError, EncodingError):
        return False

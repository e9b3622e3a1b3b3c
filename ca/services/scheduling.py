"""Units for systemd that keep CRLs fresh and say when something needs attention.

The PIN comes as a credential (systemd.exec(5)): encrypted for this machine and its TPM by
`systemd-creds`, or from a file only root reads. It is in no unit, no argument, no environment.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from msgspec import Struct

from ca.encoding.tsskey import TssKey
from ca.errors import EncodingError, UsageError
from ca.home import Home
from ca.interfaces.store import CertificateStore
from ca.resources import resource

UNITS = (
    "homeca-crl.service",
    "homeca-crl.timer",
    "homeca-status.service",
    "homeca-status.timer",
)

#: What `ca.cli.options.read_pin` looks for in the credentials' directory.
PIN_CREDENTIAL = "homeca.pin"


class Plan(Struct, frozen=True, kw_only=True):
    """What the units are to do.

    program:   how homeca is run, its path first. user: whom it runs as; "": the manager's user.
    is_system: for the system's manager, which can lock a service in; else for a user's.
    pin:       where the PIN lies; None: no key has one. is_encrypted: by `systemd-creds`.
    """

    program: Sequence[str]
    home: Path
    is_system: bool
    user: str = ""
    pin: Path | None = None
    is_encrypted: bool = False


def units(plan: Plan) -> Mapping[str, str]:
    """File name → text of each unit. Raises: UsageError for a path no unit can hold."""
    import jinja2

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
        "home": quoted(str(plan.home)),
        "home_variable": quoted(f"HOMECA_HOME={plan.home}"),
        "credential": _credential(plan),
        "user": _plain(plan.user),
        "is_system": plan.is_system,
    }
    return {name: environment.get_template(name).render(values) for name in UNITS}


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
    """Key files of which the TPM wants a PIN: without it the timer can only remind."""
    found = []
    for issuer in store.issuers():
        try:
            pem = (home.path / issuer.key_file).read_bytes() if issuer.has_key else b""
            if pem and not TssKey.from_pem(pem).empty_auth:
                found.append(issuer.key_file)
        except (OSError, EncodingError):
            continue  # that it cannot be read, `homeca check` says
    return tuple(found)

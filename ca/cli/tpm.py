"""`homeca tpm info`: what the TPM is, and which keys can be made in it."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from ca.cli.opening import mention_custody, opening
from ca.cli.options import HomeOption, JsonOption, TpmOption
from ca.cli.output import bad, document, fields, good, result, say, strong
from ca.errors import TpmUnreachable
from ca.home import Home
from ca.names.showing import visible

if TYPE_CHECKING:
    from ca.interfaces.custody import TpmReport
    from ca.keys.tpm.custody import TpmCustody

app = typer.Typer(
    help="Look at the TPM that holds, or could hold, this CA's keys.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


def register(program: typer.Typer) -> None:
    """Add the group to the program."""
    program.add_typer(app, name="tpm")


@app.callback()
def _group() -> None:
    """Look at the TPM that holds, or could hold, this CA's keys."""


@app.command("info")
def info(
    tpm: TpmOption = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say which TPM this is and which kinds of key homeca can make in it.

    Look here before `init-root`, or when a command says that a kind of key is not supported.
    Nothing is made in the TPM and no PIN is needed. A home is not needed either; with
    --tpm embedded and no home, a throw-away software TPM answers.

    Example: homeca tpm info --tpm device:/dev/tpmrm0
    """
    with _custody(home, tpm) as custody:
        report = custody.report()
    if as_json:
        document(**_as_json(report))
        return
    _print(report)
    mention_custody(report.custody)


@contextmanager
def _custody(home: Path | None, tpm: str | None) -> Iterator[TpmCustody]:
    """The TPM of this home, else the one named, else the machine's own."""
    from ca.keys.tpm.custody import TpmCustody
    from ca.keys.tpm.reach import EMBEDDED, choose
    from ca.wiring.opening import open_custody, open_settings
    from ca.wiring.record import open_store

    opened = opening(home, tpm, None)
    place = Home(opened.home)
    settings = open_settings(place)
    if place.database.exists() or settings.database is not None:
        with open_store(place, settings) as store:
            yield open_custody(opened, place, settings, store)
        return
    tcti = opened.tcti or settings.tpm
    if tcti is None and choose("") == EMBEDDED:
        raise TpmUnreachable(
            "this machine has no TPM",
            remedy="add `--tpm embedded` to ask the software TPM that homeca would use instead",
        )
    with tempfile.TemporaryDirectory(prefix="homeca-tpm-") as scratch:
        if tcti == EMBEDDED:
            say("a throw-away software TPM answers; nothing of it is kept")
        yield TpmCustody(
            tcti or "",
            state_dir=Path(scratch) / "tpm",
            lock_file=Path(scratch) / "lock",
            srk_public=None,
            on_wait=say,
        )


def _print(report: TpmReport) -> None:
    kind = report.custody.value.replace("-", " ").replace("tpm", "TPM")
    result(
        fields(
            [
                ("kind", strong(kind)),
                ("reached by", visible(report.tcti)),
                ("manufacturer", visible(f"{report.manufacturer} {report.model}".strip())),
                ("firmware", visible(report.firmware)),
                ("specification", visible(report.spec)),
                ("RSA", ", ".join(map(str, report.rsa_sizes)) or "none"),
                ("curves", ", ".join(map(visible, report.curves)) or "none"),
                ("hashes", ", ".join(map(visible, report.hashes)) or "none"),
                ("algorithms", _wrapped(report.algorithms)),
                ("lockout", _lockout(report)),
                ("owner password", "set" if report.owner_auth_set else "not set"),
                ("free", _slots(report)),
                (
                    "persistent",
                    ", ".join(f"0x{handle:08X}" for handle in report.persistent) or "nothing",
                ),
            ],
            indent="",
        )
    )
    result("")
    result(strong("CA keys homeca can make here"))
    lines: list[tuple[str, str]] = [
        (str(one.kind), good("yes") if one.supported else f"{bad('no')}: {visible(one.reason)}")
        for one in report.key_kinds
    ]
    result(fields(lines))


def _wrapped(names: tuple[str, ...], width: int = 64) -> list[str]:
    """Words in lines of about `width`."""
    lines = [""]
    for name in map(visible, names):
        if lines[-1] and len(lines[-1]) + len(name) + 1 > width:
            lines.append("")
        lines[-1] = f"{lines[-1]} {name}".strip()
    return lines


def _lockout(report: TpmReport) -> str:
    tries = f"{report.lockout_counter} of {report.max_tries} wrong tries counted"
    if not report.in_lockout:
        return tries
    return bad(f"LOCKED OUT, {tries}") + (
        f"; one try comes back every {report.lockout_interval} s, or run "
        "`tpm2_dictionarylockout --clear-lockout`"
    )


def _slots(report: TpmReport) -> str:
    def told(number: int) -> str:
        return "an unknown number of" if number < 0 else str(number)

    return f"{told(report.transient_free)} objects, {told(report.session_free)} sessions"


def _as_json(report: TpmReport) -> dict[str, Any]:
    return {
        "kind": report.custody.value,
        "tcti": report.tcti,
        "manufacturer": report.manufacturer,
        "model": report.model,
        "firmware": report.firmware,
        "spec": report.spec,
        "algorithms": list(report.algorithms),
        "curves": list(report.curves),
        "rsa_sizes": list(report.rsa_sizes),
        "hashes": list(report.hashes),
        "lockout": {
            "in_lockout": report.in_lockout,
            "counter": report.lockout_counter,
            "max_tries": report.max_tries,
            "interval": report.lockout_interval,
            "recovery": report.lockout_recovery,
        },
        "owner_auth_set": report.owner_auth_set,
        "free": {"objects": report.transient_free, "sessions": report.session_free},
        "persistent": [f"0x{handle:08X}" for handle in report.persistent],
        "key_kinds": [
            {"kind": str(one.kind), "supported": one.supported, "reason": one.reason}
            for one in report.key_kinds
        ],
    }

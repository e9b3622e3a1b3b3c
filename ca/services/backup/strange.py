"""What a backup leads to that nobody here has named: a TPM, a server, another record.

Anybody can make a backup for a recipient, and its settings rule the next command in the home.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from ca.errors import BackupStrange, SettingsMalformed
from ca.names.showing import visible

#: The place of a record in full, without its secrets, always in the same words; SettingsMalformed
#: for one that homeca does not use.
Spell = Callable[[Path | str], str]

#: Ways to a TPM that start no program, load no library, write to no file and ask no other host.
_PLAIN_TCTI = re.compile(r"(auto|embedded|device(:/dev/tpm(rm)?[0-9]+)?)\Z")


def check_way(tcti: str | None, named: str | None) -> None:
    """The TPM is the machine's own, a software one, or the one named. Raises: BackupStrange."""
    if tcti in (None, "", named) or _PLAIN_TCTI.match(tcti):
        return
    raise BackupStrange(
        f"the backup would have a program, file or host of its choice taken for the TPM: "
        f"{_quoted(tcti)}",
        remedy="if that is yours, give the same with --tpm; if not, trust nothing in this backup",
    )


def check_server(database: str, named: str | None, spelled: Spell) -> None:
    """The record is where the operator says, reached in the way he says. Raises: BackupStrange."""
    place = _spelled(database, spelled)
    if not place.startswith("postgresql:"):
        raise BackupStrange(
            f"the backup holds no record and would have a file for one: {_quoted(place)}",
            remedy="trust nothing in this backup",
        )
    if named is None or spelled(named) != place:
        raise BackupStrange(
            f"the backup would have the record in a database of its choice: {_quoted(place)}",
            remedy="if that is yours, give the same with --database; if not, trust nothing in this "
            "backup",
        )


def check_own(database: str | None, own: Path, spelled: Spell) -> None:
    """A record that came along is the one that will be used. Raises: BackupStrange."""
    if database is None:
        return
    place = _spelled(database, spelled)
    if place != spelled(own):
        raise BackupStrange(
            f"the backup holds a record, and would have another one used: {_quoted(place)}",
            remedy="if that is yours, name the --home whose homeca.db it is; if not, trust nothing "
            "in this backup",
        )


def _spelled(database: str, spelled: Spell) -> str:
    try:
        return spelled(database)
    except SettingsMalformed as error:
        raise BackupStrange(
            f"the backup would have a record that no homeca uses: {error.problem}",
            remedy="trust nothing in this backup",
        ) from error


def _quoted(text: str) -> str:
    return repr(visible(text)[:1000])

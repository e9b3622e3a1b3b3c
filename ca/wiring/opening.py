"""What every command opens first: the clock, the settings, the profiles, the TPM."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from ca.errors import SettingsMalformed
from ca.files import read_bounded
from ca.home import Home
from ca.interfaces.store import CertificateStore
from ca.interfaces.values import Clock, Secret
from ca.settings import MAX_SIZE, Settings, read_settings

if TYPE_CHECKING:
    from ca.keys.tpm.custody import TpmCustody
    from ca.profiles.library import Library


def system_clock() -> datetime:
    """Now, UTC, whole seconds."""
    return datetime.now(UTC).replace(microsecond=0)


def steady(clock: Clock) -> Clock:
    """The same clock, which never goes back while one command lasts.

    A correction by a second between intent and certificate would date the second before the first.
    """
    latest = datetime.min.replace(tzinfo=UTC)

    def now() -> datetime:
        nonlocal latest
        latest = max(latest, clock())
        return latest

    return now


class Opening(Struct, frozen=True, kw_only=True):
    """What a command knows before anything is opened.

    home:    its path. tcti: --tpm, None for the recorded or automatic choice.
    pin:     asks for the PIN of the key file named; called only for keys that have one.
    on_wait: told, in a sentence, when another process is in the way.
    owner_auth: the TPM owner's password, where it has one; only a first ceremony needs it.
    on_warning: told what was recorded and could not be anchored; None: on_wait is.
    """

    home: Path
    tcti: str | None
    pin: Callable[[str], Secret]
    on_wait: Callable[[str], None]
    believe_clock: bool = False
    owner_auth: Secret | None = None
    on_warning: Callable[[str], None] | None = None


def open_settings(home: Home) -> Settings:
    """homeca.toml, or the defaults when there is none. Raises: SettingsMalformed, OutputFailed."""
    path = home.settings
    if not path.exists() and not path.is_symlink():
        return Settings()
    if not path.is_file():  # a device never ends, a pipe never begins, a link to nothing hides
        raise SettingsMalformed(
            f"{str(path)!r} is not a file", remedy="put a file there, or nothing at all"
        )
    try:
        octets = read_bounded(path, MAX_SIZE)
    except ValueError as error:
        raise SettingsMalformed(
            f"{str(path)!r} has {error}", remedy="keep settings in it and nothing else"
        ) from error
    return read_settings(octets)


def open_library(home: Home) -> Library:
    """Built-in profiles and the user's own."""
    from ca.profiles.library import Library

    return Library(home.profiles)


def open_custody(
    opening: Opening, home: Home, settings: Settings, store: CertificateStore | None
) -> TpmCustody:
    """The TPM this CA is bound to: --tpm, then the settings, then the record, then what is there.

    The pin (the SRK's public area) comes from the record, so another TPM is noticed at once.
    """
    from ca.keys.tpm.custody import TpmCustody

    recorded = store.custody() if store is not None else None
    tcti = opening.tcti or settings.tpm or (recorded.tcti if recorded is not None else None)
    return TpmCustody(
        tcti or "",
        state_dir=home.tpm,
        lock_file=home.tpm_lock,
        srk_public=recorded.srk_public if recorded is not None else None,
        on_wait=opening.on_wait,
        owner_auth=opening.owner_auth,
    )

"""A device that asks for certificates: a home with requests and no CA."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from ca.home import Home
from ca.interfaces.custody import Custody
from ca.wiring.opening import Opening, open_settings, system_clock

if TYPE_CHECKING:
    from ca.keys.tpm.custody import TpmCustody
    from ca.services.device.requesting import Device


def open_device(opening: Opening) -> Device:
    """A home with requests and no CA; nothing is opened before it is used."""
    from tempfile import TemporaryDirectory

    from ca.services.device.home import DeviceHome
    from ca.services.device.requesting import Device

    home = Home(opening.home)
    settings = open_settings(home)

    def tpm(recorded: Custody | None, state_dir: Path | None = None) -> TpmCustody:
        from ca.keys.tpm.custody import TpmCustody

        known = recorded.tcti if recorded is not None else ""
        return TpmCustody(
            opening.tcti or settings.tpm or known,
            state_dir=state_dir or home.tpm,
            lock_file=state_dir / "lock" if state_dir is not None else home.tpm_lock,
            srk_public=recorded.srk_public if recorded is not None else None,
            on_wait=opening.on_wait,
        )

    @contextmanager
    def looking(recorded: Custody | None) -> Iterator[TpmCustody]:
        """Before there is a home, an embedded TPM is asked in a directory that is thrown away."""
        if home.path.exists() and (recorded is not None or home.tpm.exists()):
            yield tpm(recorded)
            return
        with TemporaryDirectory(prefix="homeca-tpm-") as scratch:
            yield tpm(recorded, Path(scratch))

    return Device(
        home=DeviceHome(home.path),
        tpm=tpm,
        looking=looking,
        clock=system_clock,
        pin=opening.pin,
        on_wait=opening.on_wait,
    )

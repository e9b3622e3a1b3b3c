"""The homes that are broken: made once by the program itself, copied for every run.

PLACE/home   the CA, its keys under a PIN     PLACE/desk   requests and certificates
PLACE/pin    the PIN, a secret to look for    PLACE/tmp    other scratch files
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from tests.faults.commands import COMMANDS, PIN
from tests.faults.running import run
from tests.services.rig import request_der

SECRET = "correct-horse-7341"
REQUESTS = ("new", "old", "lost", "m1", "m2", "other")


@dataclass(frozen=True, slots=True)
class Worlds:
    """Where the two originals lie; `copy` gives one to break."""

    base: Path

    def copy(self, world: str, to: Path) -> Path:
        shutil.rmtree(to, ignore_errors=True)
        shutil.copytree(self.base / world, to, symlinks=True)
        return to


def build(base: Path) -> Worlds:
    """An empty place, and one with two issuers, two certificates (one revoked) and CRLs."""
    empty = base / "empty"
    (empty / "desk").mkdir(parents=True)
    pin = empty / "pin"
    pin.touch(mode=0o600)
    pin.write_text(SECRET + "\n")
    for name in REQUESTS:
        (empty / "desk" / f"{name}.csr").write_bytes(request_der(name))
    furnished = base / "furnished"
    shutil.copytree(empty, furnished)
    for arguments in (
        COMMANDS["init-root"].arguments,
        COMMANDS["init-intermediate"].arguments,
        ("sign", "old.csr", "lost.csr", "--profile", "vpn-client", *PIN),
        ("revoke", "lost.crt", "--reason", "superseded"),
        ("crl", *PIN),
    ):
        done = run(furnished, arguments)
        if done.status != 0:
            raise AssertionError(f"homeca {' '.join(arguments)}: {done.status}\n{done.err}")
    return Worlds(base)

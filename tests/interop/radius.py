"""hostapd as a RADIUS server, and devices that want to join a Wi-Fi: no radio, no privileges."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.interop.programs import require, run

PATIENCE = 20.0
_SECRET = "between-access-point-and-server"


@dataclass(frozen=True, slots=True)
class Radius:
    """A RADIUS server on loopback, its settings in `place`."""

    place: Path
    port: int

    def text(self) -> str:
        return (self.place / "log").read_text(errors="replace")


@contextlib.contextmanager
def radius(place: Path, settings: str) -> Iterator[Radius]:
    """hostapd with these lines in its hostapd.conf, ended at the end of the block."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    (place / "clients").write_text(f"127.0.0.1 {_SECRET}\n")
    (place / "hostapd.conf").write_text(
        f"driver=none\ninterface=none0\nlogger_stdout=-1\nradius_server_auth_port={port}\n"
        f"radius_server_clients={place}/clients\n{settings}"
    )
    with (place / "log").open("wb") as log:
        process = subprocess.Popen(
            [require("hostapd"), "hostapd.conf"],
            cwd=place,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    started = Radius(place, port)
    try:
        give_up = time.monotonic() + PATIENCE
        while "AP-ENABLED" not in started.text():
            if process.poll() is not None or time.monotonic() > give_up:
                pytest.fail(f"hostapd did not start:\n{started.text()}")
            time.sleep(0.02)
        yield started
    finally:
        process.kill()
        process.wait(PATIENCE)


def joins(server: Radius, place: Path, block: str) -> tuple[bool, str]:
    """Whether wpa_supplicant's code gets in with this network block, and what it says."""
    (place / "network.conf").write_text(block)
    done = run(
        *("eapol_test", "-c", place / "network.conf", "-t", "5"),
        *("-a", "127.0.0.1", "-p", str(server.port), "-s", _SECRET),
    )
    is_in = done.returncode == 0
    assert is_in is done.stdout.rstrip().endswith("SUCCESS")
    return is_in, done.stdout

"""A software TPM of one's own per test: swtpm, in a temporary directory."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.keys.tpm.lab import Lab, require


@pytest.fixture
def lab(tpm_dir: Path, tmp_path: Path) -> Lab:
    require("swtpm", "swtpm")
    return Lab(tpm_dir=tpm_dir, lock_file=tmp_path / "tpm.lock")


@pytest.fixture
def other_lab(tmp_path: Path) -> Lab:
    """A second machine."""
    return Lab(tpm_dir=tmp_path / "other-tpm", lock_file=tmp_path / "other.lock")


@pytest.fixture
def socket_tpm() -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """A raw swtpm on UNIX sockets, as (TCTI string, process): for programs that are not ours."""
    require("swtpm", "swtpm")
    with tempfile.TemporaryDirectory(prefix="swtpm") as name:  # sun_path has 108 octets
        path = Path(name) / "s"
        process = subprocess.Popen(
            [
                "swtpm",
                "socket",
                "--tpm2",
                "--tpmstate",
                f"dir={name}",
                "--server",
                f"type=unixio,path={path}",
                "--ctrl",
                f"type=unixio,path={path}.ctrl",
                "--flags",
                "not-need-init,startup-clear",
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            _wait_until_answering(path, process)
            yield f"swtpm:path={path}", process
        finally:
            process.kill()
            process.wait()


def _wait_until_answering(path: Path, process: subprocess.Popen[bytes]) -> None:
    get_random = bytes.fromhex("80010000000c0000017b0008")
    give_up = time.monotonic() + 10
    while time.monotonic() < give_up and process.poll() is None:
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as probe:
            probe.settimeout(5)
            probe.connect(str(path))
            probe.sendall(get_random)
            if len(probe.recv(100)) == 20:
                return
        time.sleep(0.01)
    pytest.fail("swtpm did not answer")

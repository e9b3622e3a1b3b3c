"""A software TPM behind a resource manager, as other programs need it: swtpm, a bus, tpm2-abrmd."""

from __future__ import annotations

import contextlib
import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.interop.homeca import Homeca
from tests.keys.tpm.lab import require

TCTI = "tabrmd:bus_type=session"
_PATIENCE = 15.0


@dataclass(frozen=True, slots=True)
class ManagedTpm:
    """environment: what a program needs to reach it."""

    environment: dict[str, str]

    def run(self, *argv: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
        program, *arguments = map(str, argv)
        return subprocess.run(
            [program, *arguments],
            cwd=cwd,
            env={**os.environ, **self.environment},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            timeout=60,
        )

    def must(self, *argv: str | Path, cwd: Path) -> str:
        done = self.run(*argv, cwd=cwd)
        assert done.returncode == 0, f"{' '.join(map(str, argv))}\n{done.stdout}{done.stderr}"
        return done.stdout


@dataclass(frozen=True)
class DeviceHomeca(Homeca):
    """`homeca` on a device whose TPM is a `ManagedTpm`."""

    managed: ManagedTpm

    @property
    def environment(self) -> dict[str, str]:
        common = Homeca(self.home).environment
        return {**common, "HOMECA_TPM": TCTI, **self.managed.environment}


@contextlib.contextmanager
def managed_tpm() -> Iterator[ManagedTpm]:
    """All three processes, ended in reverse order."""
    for program, package in (
        *(("swtpm", "swtpm"), ("dbus-daemon", "dbus-daemon"), ("dbus-send", "dbus-bin")),
        ("tpm2-abrmd", "tpm2-abrmd"),
    ):
        with _admin_path():
            require(program, package)
    with tempfile.TemporaryDirectory(prefix="abrmd") as name, contextlib.ExitStack() as stack:
        place = Path(name)
        server, control = f"type=unixio,path={place}/s", f"type=unixio,path={place}/s.ctrl"
        stack.enter_context(
            _started(
                *("swtpm", "socket", "--tpm2", "--tpmstate", f"dir={place}", "--server", server),
                *("--ctrl", control, "--flags", "not-need-init,startup-clear"),
            )
        )
        _wait(lambda: (place / "s").exists(), "swtpm")
        bus = f"unix:path={place}/bus"
        stack.enter_context(_started("dbus-daemon", "--session", "--nofork", f"--address={bus}"))
        _wait(lambda: (place / "bus").exists(), "dbus-daemon")
        environment = {
            "DBUS_SESSION_BUS_ADDRESS": bus,
            "TPM2OPENSSL_TCTI": TCTI,
            "TPM2TOOLS_TCTI": TCTI,
            "TSS2_LOG": "all+NONE",
        }
        root = ["--allow-root"] if os.geteuid() == 0 else []
        manager = ["tpm2-abrmd", "--session", *root, f"--tcti=swtpm:path={place}/s"]
        stack.enter_context(_started(*manager, environment=environment))
        tpm = ManagedTpm(environment)
        ask = (
            *("dbus-send", "--session", "--print-reply", "--dest=org.freedesktop.DBus", "/"),
            *("org.freedesktop.DBus.NameHasOwner", "string:com.intel.tss2.Tabrmd"),
        )
        _wait(lambda: "boolean true" in tpm.run(*ask, cwd=place).stdout, "tpm2-abrmd")
        yield tpm


@contextlib.contextmanager
def _admin_path() -> Iterator[None]:
    """Debian's tpm2-abrmd lies in /usr/sbin."""
    before = os.environ["PATH"]
    os.environ["PATH"] = f"{before}:/usr/sbin:/sbin"
    try:
        yield
    finally:
        os.environ["PATH"] = before


@contextlib.contextmanager
def _started(*argv: str, environment: dict[str, str] | None = None) -> Iterator[None]:
    with _admin_path():
        process = subprocess.Popen(
            argv,
            env={**os.environ, **(environment or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
    try:
        yield
    finally:
        process.terminate()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait(is_ready: Callable[[], bool], what: str) -> None:
    give_up = time.monotonic() + _PATIENCE
    while time.monotonic() < give_up:
        if is_ready():
            return
        time.sleep(0.02)
    pytest.fail(f"{what} did not get ready")

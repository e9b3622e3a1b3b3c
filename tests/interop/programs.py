"""Other people's programs: found or named with their package, run with a bound."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

#: Program -> Debian package that brings it.
PACKAGES = {
    "age": "age",
    "age-keygen": "age",
    "apache2": "apache2-bin",
    "certtool": "gnutls-bin",
    "certutil": "libnss3-tools",
    "crlutil": "libnss3-tools",
    "charon-systemd": "charon-systemd",
    "eapol_test": "eapoltest",
    "env": "coreutils",
    "faketime": "faketime",
    "haproxy": "haproxy",
    "hostapd": "hostapd",
    "ip": "iproute2",
    "mkfs.ext4": "e2fsprogs",
    "mosquitto": "mosquitto",
    "nsenter": "util-linux",
    "openssl": "openssl",
    "initdb": "postgresql",
    "openvpn": "openvpn",
    "postgres": "postgresql",
    "qemu-system-x86_64": "qemu-system-x86",
    "setpriv": "util-linux",
    "strace": "strace",
    "swanctl": "strongswan-swanctl",
    "swtpm": "swtpm",
    "systemd-analyze": "systemd",
    "unshare": "util-linux",
}


def require(program: str) -> str:
    """The program's path; the test fails with the name of its Debian package when it is missing."""
    # openvpn lies in /usr/sbin, which a user's PATH may lack
    found = shutil.which(program) or shutil.which(program, path="/usr/sbin:/sbin")
    if found is None:
        pytest.fail(f"{program} is missing: run `sudo apt install {PACKAGES[program]}`")
    return found


def at_another_time(offset: str) -> tuple[str, ...]:
    """What to put before a program for its clock to be off by "+31d", "-90" (seconds), "+2h".

    Not `faketime` itself: its semaphore, named after its process id, survives a kill and stops the
    next one that gets that id.
    """
    require("faketime")
    (library,) = Path("/usr/lib").glob("*/faketime/libfaketime.so.1")
    return ("env", f"LD_PRELOAD={library}", f"FAKETIME={offset}")


def run(
    *argv: str | Path, cwd: Path | None = None, timeout: float = 30
) -> subprocess.CompletedProcess[str]:
    """Run to its end, both streams captured as text; its exit status is the caller's to judge."""
    program, *arguments = map(str, argv)
    return subprocess.run(
        [require(program), *arguments],
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=timeout,
    )


def must(*argv: str | Path, cwd: Path | None = None, timeout: float = 30) -> str:
    """Standard output of a program that has to succeed: a test's arrangement, not its claim."""
    done = run(*argv, cwd=cwd, timeout=timeout)
    assert done.returncode == 0, f"{' '.join(map(str, argv))}\n{done.stdout}{done.stderr}"
    return done.stdout

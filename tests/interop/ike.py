"""Two strongSwan daemons with a wire between them, each in a network namespace of its own.

No privileges are needed where users may make namespaces. The kernel's own IPsec is not needed
either: whether the two believe each other's certificates is known before any tunnel is made.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.interop.programs import at_another_time, require

PATIENCE = 20.0
GATEWAY, CLIENT = "10.9.9.1", "10.9.9.2"

#: What Debian's packages bring that these two need; what else may be installed stays out.
_PLUGINS = (
    "random nonce aes sha2 sha1 x509 revocation constraints pubkey pkcs1 pkcs8 pem openssl gmp "
    "gcm hmac kdf kernel-netlink socket-default vici"
)
#: As the settings in `homeca request use` have it, on the session's bus instead of the system's.
_TPM = "tpm {\nload = yes\nuse_rng = no\ntcti {\nname = tabrmd\nopts = bus_type=session\n}\n}\n"


@dataclass(frozen=True, slots=True)
class Peer:
    """One charon, its /etc/swanctl in place/swanctl."""

    place: Path
    inside: tuple[str, ...]  # what to put before a program to run it beside this one

    def text(self) -> str:
        log = self.place / "log"
        return log.read_text(errors="replace") if log.exists() else ""

    def swanctl(self, *arguments: str) -> str:
        """Both streams of swanctl, whatever its exit status."""
        program = (*self.inside, *_environment(self.place), str(self.place / "bin/swanctl"))
        done = subprocess.run(
            [*program, *arguments, "--uri", f"unix://{self.place}/vici"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        return done.stdout


@contextlib.contextmanager
def wire() -> Iterator[tuple[tuple[str, ...], tuple[str, ...]]]:
    """Two network namespaces that reach each other; what to put before a program in each."""
    unshare, nsenter, ip = require("unshare"), require("nsenter"), require("ip")
    with contextlib.ExitStack() as stack:
        # both end by themselves, should the test be killed
        first = stack.enter_context(_resting(unshare, "--net", "--map-root-user"))
        enter = (nsenter, "--preserve-credentials", "--user", "--net", f"--target={first.pid}")
        second = stack.enter_context(_resting(*enter, unshare, "--net"))
        other = (nsenter, "--preserve-credentials", "--user", "--net", f"--target={second.pid}")
        _must(*enter, ip, "link", "add", "wire0", "type", "veth", "peer", "name", "wire1")
        _must(*enter, ip, "link", "set", "wire1", "netns", str(second.pid))
        for inside, name, address in ((enter, "wire0", GATEWAY), (other, "wire1", CLIENT)):
            _must(*inside, ip, "link", "set", "lo", "up")
            _must(*inside, ip, "address", "add", f"{address}/24", "dev", name)
            _must(*inside, ip, "link", "set", name, "up")
        yield enter, other


@contextlib.contextmanager
def _resting(*argv: str) -> Iterator[subprocess.Popen[bytes]]:
    """Something that only holds its namespaces open, once they are there."""
    process = subprocess.Popen(
        [*argv, "sh", "-c", "echo ready; exec sleep 120"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    assert process.stdout is not None
    try:
        said = process.stdout.readline()
        assert said == b"ready\n", said
        yield process
    finally:
        process.kill()
        process.wait(PATIENCE)
        process.stdout.close()


@contextlib.contextmanager
def charon(
    place: Path,
    inside: tuple[str, ...],
    *,
    ahead: str = "",
    tpm: Mapping[str, str] | None = None,
) -> Iterator[Peer]:
    """A daemon with the settings in place/swanctl, ended at the end of the block.

    ahead: how far its clock is put forward, "+31d".
    tpm:   what it needs in its environment to reach a TPM through tpm2-abrmd.
    """
    plugins = _PLUGINS if tpm is None else f"{_PLUGINS} tpm"
    (place / "bin").mkdir()
    for program in ("charon-systemd", "swanctl"):
        # a copy: AppArmor, where it is on, lets the installed ones read nothing outside /etc
        shutil.copy(require(program), place / "bin" / program)
    (place / "strongswan.conf").write_text(
        f"charon-systemd {{\nload = {plugins}\n"
        f"filelog {{\nlog {{\npath = {place}/log\ncfg = 2\nflush_line = yes\n}}\n}}\n"
        f"plugins {{\nvici {{\nsocket = unix://{place}/vici\n}}\n{_TPM}}}\n}}\n"
        "swanctl {\nload = random x509 pubkey pkcs1 pkcs8 pem openssl\n}\n"
    )
    (place / "swanctl/swanctl.conf").write_text("include conf.d/*.conf\n")
    process = subprocess.Popen(
        [
            *inside,
            *(at_another_time(ahead) if ahead else ()),
            *_environment(place),
            str(place / "bin/charon-systemd"),
        ],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, **(tpm or {})},
    )
    peer = Peer(place, inside)
    try:
        give_up = time.monotonic() + PATIENCE
        while "spawning" not in peer.text() or not (place / "vici").exists():
            if process.poll() is not None or time.monotonic() > give_up:
                pytest.fail(f"charon did not start:\n{peer.text()}")
            time.sleep(0.02)
        yield peer
    finally:
        process.kill()
        process.wait(PATIENCE)
        for left in Path("/dev/shm").glob(f"*faketime_*_{process.pid}"):  # noqa: S108
            left.unlink()


def lets_in(gateway: Peer, client: Peer, connection: str, *, child: str = "") -> tuple[bool, str]:
    """Whether the gateway and the client believe each other, and what both said about it.

    The client, which has the last word, says; the tunnel itself may fail where the kernel has none.
    """
    before = len(gateway.text())
    said = client.swanctl("--initiate", "--child", child or connection, "--timeout", "10")
    client.swanctl("--terminate", "--ike", connection, "--timeout", "5")
    is_in = f"IKE_SA {connection}[" in said and "] established between" in said
    assert is_in is not ("AUTH_FAILED" in said), said
    return is_in, f"{said}\n{gateway.text()[before:]}"


def _environment(place: Path) -> tuple[str, ...]:
    settings = (f"STRONGSWAN_CONF={place}/strongswan.conf", f"SWANCTL_DIR={place}/swanctl")
    return (require("env"), *settings)


def _must(*argv: str) -> None:
    done = subprocess.run(argv, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert done.returncode == 0, f"{' '.join(argv)}\n{done.stderr}"

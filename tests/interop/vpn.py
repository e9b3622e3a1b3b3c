"""Real OpenVPN processes on loopback: no tunnel device, no privileges, every wait bounded."""

from __future__ import annotations

import contextlib
import random
import re
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.interop.programs import at_another_time, require

PATIENCE = 20.0

#: A line of the log that ends the question whether the other side is let in.
ACCEPTED = r"Peer Connection Initiated with"
LISTENING = r"Listening for incoming TCP connection"
_REFUSED = r"VERIFY (?:KU |EKU )?ERROR|TLS handshake failed|TLS Error: |SIGUSR1\[soft,tls-error\]"


@dataclass(slots=True)
class Peer:
    """One OpenVPN process that a test started, and its log."""

    process: subprocess.Popen[bytes]
    log: Path

    def text(self) -> str:
        return self.log.read_text(errors="replace")

    def wait_for(self, pattern: str, *, times: int = 1) -> str:
        """The log, once `pattern` is in it `times` times. Fails when it does not come in time."""
        give_up = time.monotonic() + PATIENCE
        while time.monotonic() < give_up:
            if len(re.findall(pattern, self.text())) >= times:
                return self.text()
            if self.process.poll() is not None:
                break
            time.sleep(0.02)
        pytest.fail(f"openvpn never said {pattern!r}:\n{self.text()}")

    def end(self) -> None:
        self.process.kill()
        self.process.wait(PATIENCE)
        for left in Path("/dev/shm").glob(f"*faketime_*_{self.process.pid}"):  # noqa: S108
            left.unlink()


@contextlib.contextmanager
def peer(log: Path, options: Mapping[str, str | Path], *, ahead: str = "") -> Iterator[Peer]:
    """openvpn with these options ("" for one without a value), ended at the end of the block.

    ahead: how far its clock is put forward, "+31d".
    """
    argv = [*(at_another_time(ahead) if ahead else ()), require("openvpn")]
    for name, value in {"dev": "null", "verb": "3", **options}.items():
        argv += [f"--{name}", *str(value).split()]
    with log.open("wb") as stream:
        process = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=subprocess.STDOUT,
        )
    started = Peer(process, log)
    try:
        yield started
    finally:
        started.end()


@dataclass(frozen=True, slots=True)
class Address:
    host: str
    port: int


def free_address() -> Address:
    """A port that is free now, on a loopback address that hardly anybody else uses."""
    host = f"127.{random.randrange(1, 255)}.{random.randrange(256)}.{random.randrange(1, 255)}"
    with socket.socket() as probe:
        probe.bind((host, 0))
        return Address(host, probe.getsockname()[1])


@contextlib.contextmanager
def server(
    place: Path, address: Address, identity: Mapping[str, str | Path], *, ahead: str = ""
) -> Iterator[Peer]:
    """A server that lets in whom `identity` (ca, cert, key, crl-verify, …) says, one at a time.

    Without a tunnel device it cannot take many clients (--mode server); when one is gone it
    listens again, and reads its CRL file again if that has changed.
    """
    options = {
        "proto": "tcp-server",
        "local": address.host,
        "port": str(address.port),
        "tls-server": "",
        "dh": "none",
        "remote-cert-tls": "client",
        **identity,
    }
    with peer(place / "server.log", options, ahead=ahead) as started:
        yield started


@contextlib.contextmanager
def client(place: Path, address: Address, identity: Mapping[str, str | Path]) -> Iterator[Peer]:
    """A client that tries once."""
    options = {
        "proto": "tcp-client",
        "remote": f"{address.host} {address.port}",
        "nobind": "",
        "tls-client": "",
        "remote-cert-tls": "server",
        "connect-retry-max": "1",
        **identity,
    }
    with peer(place / "client.log", options) as started:
        yield started


def lets_in(
    serving: Peer, place: Path, address: Address, identity: Mapping[str, str | Path]
) -> tuple[bool, str]:
    """Whether a client gets in, and what was said on both sides about it.

    A server that lets somebody in says so, and so does the client; a refusal shows on either.
    """
    serving.wait_for(LISTENING)
    before = len(serving.text())
    with client(place, address, identity) as dialling:
        give_up = time.monotonic() + PATIENCE
        while time.monotonic() < give_up:
            said = (serving.text()[before:], dialling.text())
            if all(re.search(ACCEPTED, text) for text in said):
                return True, "\n".join(said)
            if any(re.search(_REFUSED, text) for text in said):
                # the reason stands in lines around; the log is written at once
                time.sleep(0.1)
                return False, "\n".join((serving.text()[before:], dialling.text()))
            time.sleep(0.02)
    pytest.fail(f"openvpn did not decide:\n{serving.text()}\n{dialling.text()}")

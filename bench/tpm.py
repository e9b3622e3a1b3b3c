"""A software TPM for all sides, and in front of it a proxy that is as slow as a chip.

The proxy is a second address of the same TPM. It passes each command on, counts it, and answers
no sooner than a discrete TPM would.
"""

from __future__ import annotations

import shutil
import socket
import struct
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

_HOST = "127.0.0.1"
_HEADER = struct.Struct(">HII")  # tag, size, command or response code (TPM 2.0 Part 1 §18)
_STARTS_IN = 10.0

SIGN = 0x15D

#: Milliseconds a command takes on a discrete TPM. Sign and VerifySignature are an Infineon
#: SLB9672's, as wolfTPM's docs/benchmarks.md gives them; the others are assumed, rather low.
CHIP: Mapping[int, float] = {
    SIGN: 35.6,
    0x177: 24.1,  # VerifySignature
    0x157: 20.0,  # Load
    0x167: 10.0,  # LoadExternal
    0x162: 10.0,  # ContextSave
    0x161: 10.0,  # ContextLoad
}
CHIP_OTHERS = 4.0


def tcti(port: int) -> str:
    """The address as tpm2-tss writes it."""
    return f"swtpm:host={_HOST},port={port}"


@contextmanager
def software_tpm(state: Path) -> Iterator[int]:
    """A new swtpm, its port as long as it runs; the next port is its control channel's."""
    program = shutil.which("swtpm")
    if program is None:
        raise SystemExit("error: swtpm is missing: run `sudo apt install swtpm`")
    state.mkdir(mode=0o700)
    port = _two_free_ports()
    argv = [
        program, "socket", "--tpm2", "--tpmstate", f"dir={state}",
        "--server", f"type=tcp,port={port}", "--ctrl", f"type=tcp,port={port + 1}",
        "--flags", "not-need-init,startup-clear",
    ]  # fmt: skip
    quiet = subprocess.DEVNULL
    with subprocess.Popen(argv, stdin=quiet, stdout=quiet) as child:  # noqa: S603  # argv is ours
        try:
            _wait_for(port, child)
            yield port
        finally:
            child.terminate()


def _two_free_ports() -> int:
    for _ in range(100):
        with socket.socket() as first, socket.socket() as second:
            first.bind((_HOST, 0))
            port: int = first.getsockname()[1]
            with suppress(OSError):
                second.bind((_HOST, port + 1))
                return port
    raise SystemExit("error: no two free ports on the loopback interface")


def _wait_for(port: int, child: subprocess.Popen[bytes]) -> None:
    give_up = time.monotonic() + _STARTS_IN
    while time.monotonic() < give_up and child.poll() is None:
        with suppress(OSError), socket.create_connection((_HOST, port)):
            return
        time.sleep(0.01)
    raise SystemExit("error: swtpm does not start")


@dataclass
class Proxy:
    """port: where it listens. commands: how many of each code it has passed on.

    milliseconds, others: how long a command lasts at least, by code and else.
    """

    port: int
    target: int
    milliseconds: Mapping[int, float] = field(default_factory=dict)
    others: float = 0.0
    commands: Counter[int] = field(default_factory=Counter)
    _busy: threading.Lock = field(default_factory=threading.Lock)

    def serve(self, connection: socket.socket) -> None:
        """One client's commands, one after the other; a TPM does one thing at a time."""
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with closing(connection), suppress(OSError):
            while (command := _message(connection)) is not None:
                with self._busy:
                    began = time.perf_counter()
                    with socket.create_connection((_HOST, self.target)) as tpm:
                        tpm.sendall(command)
                        answer = _message(tpm)
                    code = _HEADER.unpack_from(command)[2]
                    self.commands[code] += 1
                    lasts = self.milliseconds.get(code, self.others) / 1000
                    time.sleep(max(began + lasts - time.perf_counter(), 0))
                if answer is None:
                    return
                connection.sendall(answer)

    def control(self, connection: socket.socket) -> None:
        """swtpm's control channel, passed on as it is."""
        with (
            closing(connection),
            suppress(OSError),
            socket.create_connection((_HOST, self.target + 1)) as tpm,
        ):
            back = threading.Thread(target=_pour, args=(tpm, connection), daemon=True)
            back.start()
            _pour(connection, tpm)
            back.join()


@contextmanager
def proxy(target: int, *, as_a_chip: bool) -> Iterator[Proxy]:
    """In front of the TPM at a port; without latencies it only counts."""
    port = _two_free_ports()
    made = Proxy(port, target, CHIP if as_a_chip else {}, CHIP_OTHERS if as_a_chip else 0.0)
    with ExitStack() as open_ports:
        for number, answer in ((port, made.serve), (port + 1, made.control)):
            listening = open_ports.enter_context(socket.create_server((_HOST, number)))
            threading.Thread(target=_accept, args=(listening, answer), daemon=True).start()
        yield made


def _accept(listening: socket.socket, answer: object) -> None:
    assert callable(answer)  # noqa: S101  # a thread's arguments have no types
    with suppress(OSError):  # closed at the end
        while True:
            connection, _ = listening.accept()
            threading.Thread(target=answer, args=(connection,), daemon=True).start()


def _message(connection: socket.socket) -> bytes | None:
    """One whole command or answer; None when the other side has gone."""
    header = _exactly(connection, _HEADER.size)
    if header is None:
        return None
    body = _exactly(connection, _HEADER.unpack(header)[1] - _HEADER.size)
    return None if body is None else header + body


def _exactly(connection: socket.socket, count: int) -> bytes | None:
    octets = b""
    while len(octets) < count:
        part = connection.recv(count - len(octets))
        if not part:
            return None
        octets += part
    return octets


def _pour(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while octets := source.recv(4096):
            sink.sendall(octets)
        sink.shutdown(socket.SHUT_WR)

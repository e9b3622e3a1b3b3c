"""The program in a child process: its octets, not its text; and on a terminal of its own."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from tests.house import House
from tests.interop.homeca import Homeca


@dataclass(frozen=True, slots=True)
class Said:
    """One run: exit status and the octets of both streams."""

    status: int
    out: bytes
    err: bytes

    @property
    def text(self) -> str:
        return self.out.decode()

    @property
    def messages(self) -> str:
        return self.err.decode()


def run(
    house: House,
    *arguments: str | Path,
    given: bytes = b"",
    environment: dict[str, str] | None = None,
) -> Said:
    """To its end, standard input from `given`."""
    done = subprocess.run(
        Homeca.argv(*arguments),
        cwd=house.place,
        env=house.homeca.environment | (environment or {}),
        input=given,
        capture_output=True,
        check=False,
        timeout=60,
    )
    return Said(done.returncode, done.stdout, done.stderr)


def on_terminal(
    house: House, *arguments: str | Path, environment: dict[str, str] | None = None
) -> bytes:
    """What a terminal of 200 columns would have got."""
    ours, theirs = pty.openpty()
    try:
        child = subprocess.Popen(
            Homeca.argv(*arguments),
            cwd=house.place,
            env=house.homeca.environment
            | {"TERM": "xterm", "COLUMNS": "200"}
            | (environment or {}),
            stdin=subprocess.DEVNULL,
            stdout=theirs,
            stderr=subprocess.DEVNULL,
        )
        os.close(theirs)
        said = b""
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            if not select.select([ours], [], [], 1)[0]:
                continue
            try:
                octets = os.read(ours, 65536)
            except OSError:  # the other side is closed
                break
            if not octets:
                break
            said += octets
        assert child.wait(timeout=60) in (0, 1)
    finally:
        os.close(ours)
    return said.replace(b"\r\n", b"\n")

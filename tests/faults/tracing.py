"""What a command asks of the kernel, as strace tells it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.faults.commands import Command
from tests.faults.running import Ended, run
from tests.faults.suite import Bench

#: The calls that change a disk.
CHANGING = ("pwrite64", "write", "fsync", "fdatasync", "rename", "linkat", "unlink", "ftruncate")

#: TPM2_Sign at the head of a command, as -xx shows it.
_SIGN = re.compile(r'sendto\(\d+.*?, "\\x80\\x0[12](?:\\x[0-9a-f]{2}){4}\\x00\\x00\\x01\\x5d')
_CALL = re.compile(r"^(?:\d+ +)?(\w+)\((.*)\) += (-?\d+)")
_PLACE = re.compile(r"<([^>]*)>")


@dataclass(frozen=True, slots=True)
class Call:
    """One call. nth: of its name in its thread, from 1. path: of descriptor or first name."""

    name: str
    nth: int
    path: str


def traced(
    place: Path, command: Command, log: Path, *calls: str, inject: str | None = None
) -> Ended:
    """Run it under strace, its threads but not its swtpm; the TPM's commands are logged as well.

    strace counts the calls of each thread by itself: an injection strikes where one comes first.
    """
    wanted = ",".join({*calls, "sendto"})
    options = [
        "-f",
        "-b",
        "execve",
        "-xx",
        "-y",
        "-s",
        "10",
        "-o",
        str(log),
        "-e",
        f"trace={wanted}",
    ]
    if inject is not None:
        options += ["-e", f"inject={inject}"]
    return run(place, command.arguments, strace=options)


def signatures_asked(log: Path) -> int:
    """How many TPM2_Sign were sent."""
    return len(_SIGN.findall(log.read_text(errors="replace")))


def calls_of(command: Command, bench: Bench, *names: str) -> list[Call]:
    """Every such call on a run that nothing happens to, in order."""
    log = bench.base / "calls.log"
    ended = traced(bench.world(command.world), command, log, *names)
    if ended.status != 0:
        raise AssertionError(f"{command.name}: {ended.err}")
    return list(_read(log, names))


def _read(log: Path, names: tuple[str, ...]) -> Iterator[Call]:
    seen: dict[tuple[str, str], int] = {}
    for line in log.read_text(errors="replace").splitlines():
        found = _CALL.match(line)
        if found is None or found[1] not in names:
            continue
        counted = line.split()[0], found[1]
        seen[counted] = seen.get(counted, 0) + 1
        yield Call(found[1], seen[counted], _path(found[1], found[2], line))


def _path(name: str, arguments: str, line: str) -> str:
    """-xx writes every octet of a path as \\x2f, and of a string argument too."""
    if name == "openat":
        places = _PLACE.findall(line.rpartition("=")[2])
    else:
        places = _PLACE.findall(arguments)[:1]
    text: str = places[0] if places else (re.findall(r'"([^"]*)"', arguments) or [""])[0]
    if "\\x" in text:
        return bytes.fromhex(text.replace("\\x", "")).decode(errors="replace")
    return text

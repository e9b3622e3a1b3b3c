"""Class H: little memory, few files, short files, a poor environment."""

from __future__ import annotations

import os
import resource
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.faults.checker import acknowledged, afterwards, look, spoken, still
from tests.faults.commands import COMMANDS, FIRST
from tests.faults.running import run
from tests.faults.suite import Bench

LETTER = "H"
TITLE = "little memory, few and short files, no HOME, LANG=C, umask 000 and 777, closed streams"

_MEGA = 1 << 20


def _limit(what: int, value: int) -> Callable[[], None]:
    return lambda: resource.setrlimit(what, (value, value))


def _memory(megabytes: int) -> Callable[[], None]:
    """So much more than there is already."""

    def prepare() -> None:
        used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + megabytes * _MEGA,) * 2)

    return prepare


def _umask(mask: int) -> Callable[[], None]:
    return lambda: (os.umask(mask), None)[1]


def _closed(*descriptors: int) -> Callable[[], None]:
    def prepare() -> None:
        for descriptor in descriptors:
            os.close(descriptor)

    return prepare


def _full(descriptor: int) -> Callable[[], None]:
    def prepare() -> None:
        os.dup2(os.open("/dev/full", os.O_WRONLY), descriptor)

    return prepare


Poverty = tuple[Callable[[], None], dict[str, str | None]]

POVERTIES: dict[str, Poverty] = {
    **{f"memory-{m}": (_memory(m), {}) for m in (0, 1, 2, 4, 8, 32)},
    **{f"files-{n}": (_limit(resource.RLIMIT_NOFILE, n), {}) for n in (8, 12, 16, 20, 32)},
    **{
        f"file-size-{n}": (_limit(resource.RLIMIT_FSIZE, n), {})
        for n in (0, 512, 4096, 65536, 262144)
    },
    "umask-000": (_umask(0o000), {}),
    "umask-777": (_umask(0o777), {}),
    "no-home": (lambda: None, {"HOME": None}),
    "lang-c": (lambda: None, {"LANG": "C", "LC_ALL": "C", "PYTHONUTF8": "0"}),
    "no-path": (lambda: None, {"PATH": None}),
    "no-tmp": (lambda: None, {"TMPDIR": "/nonexistent"}),
    "stdout-full": (_full(1), {}),
    "stdout-closed": (_closed(1), {}),
    "all-closed": (_closed(0, 1, 2), {}),
}

#: Nothing can be said: the streams are files too.
MUTE = {"all-closed", "file-size-0", "file-size-512"}

#: Below what the libraries need, they may abort the process; what is recorded is judged.
BREATHLESS = {"memory-0", "memory-1", "memory-2", "memory-4", "memory-8"}

#: With these every command works as ever.
HARMLESS = {"umask-000", "umask-777", "no-home", "lang-c", "no-path", "no-tmp"}


def cases(bench: Bench) -> Iterator[str]:
    """COMMAND POVERTY."""
    for name in FIRST:
        for poverty in POVERTIES:
            yield f"{name} {poverty}"


def judge(case: str, bench: Bench) -> Iterator[str]:
    name, poverty = case.split()
    command = COMMANDS[name]
    place = bench.world(command.world)
    before = look(place)
    prepare, variables = POVERTIES[poverty]
    ended = run(place, command.arguments, prepare=prepare, variables=variables)
    if poverty in HARMLESS and ended.status != 0:
        yield f"I13 status {ended.status}: {ended.err.strip()[-300:]}"
    if ended.status < 0 and poverty not in BREATHLESS:
        yield f"I12 it died of signal {-ended.status}"
    if poverty.endswith("-full") and ended.status == 0:
        yield "I12 it succeeded and could not say so"
    if poverty not in MUTE | BREATHLESS:
        yield from spoken(ended)
    yield from still(place, before)
    if poverty not in MUTE and not poverty.startswith("stdout"):
        yield from acknowledged(place, ended)
    yield from afterwards(place, command.arguments, before)

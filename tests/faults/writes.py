"""Class B: SIGKILL at every write, sync, rename, link and unlink, by strace's injection."""

from __future__ import annotations

from collections.abc import Iterator

from tests.faults.checker import acknowledged, afterwards, look, signed, spoken, still
from tests.faults.commands import COMMANDS, FIRST
from tests.faults.suite import Bench
from tests.faults.tracing import CHANGING, calls_of, signatures_asked, traced

LETTER = "B"
TITLE = "SIGKILL at every write, fsync, rename, link, unlink"


def cases(bench: Bench) -> Iterator[str]:
    """COMMAND CALL NTH: the calls are counted on a run that nothing happens to."""
    for name in FIRST:
        calls = calls_of(COMMANDS[name], bench, *CHANGING)
        yield from dict.fromkeys(f"{name} {call.name} {call.nth}" for call in calls)


def judge(case: str, bench: Bench) -> Iterator[str]:
    name, call, nth = case.split()
    command = COMMANDS[name]
    place = bench.world(command.world)
    before = look(place)
    log = bench.base / "killed.log"
    ended = traced(place, command, log, call, inject=f"{call}:signal=SIGKILL:when={nth}")
    # a run may have one write less than the one that was counted; then nothing happened to it
    if ended.status not in (-9, 0):
        yield f"I12 it survived: status {ended.status}: {ended.err.strip()[-300:]}"
    yield from spoken(ended)
    yield from still(place, before)
    yield from acknowledged(place, ended)
    yield from signed(before, look(place), signatures_asked(log))
    yield from afterwards(place, command.arguments, before)

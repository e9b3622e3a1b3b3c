"""Class D: a system call is refused: no space, I/O error, read-only, quota.

At the first, the middle and the last call of each kind that a command makes in its place; the
whole disk from some write on; the first write of a program's word to a full pipe's disk.
"""

from __future__ import annotations

from collections.abc import Iterator

from tests.faults.checker import acknowledged, afterwards, look, signed, spoken, still
from tests.faults.commands import COMMANDS, FIRST
from tests.faults.suite import Bench
from tests.faults.tracing import Call, calls_of, signatures_asked, traced

LETTER = "D"
TITLE = "ENOSPC, EIO, EROFS, EDQUOT from a system call"
ERRORS = ("ENOSPC", "EIO", "EROFS", "EDQUOT")
SITES = ("openat", "pwrite64", "write", "fsync", "fdatasync", "rename", "linkat", "ftruncate")


def cases(bench: Bench) -> Iterator[str]:
    """COMMAND CALL WHEN ERROR: WHEN as strace has it, "3" or "3+" for all from then on."""
    for name in FIRST:
        found = calls_of(COMMANDS[name], bench, *SITES)
        for call in SITES:
            own = [one.nth for one in found if one.name == call and _is_ours(one, bench)]
            for nth in sorted({own[0], own[len(own) // 2], own[-1]} if own else ()):
                for error in ERRORS:
                    yield f"{name} {call} {nth} {error}"
        writes = [one.nth for one in found if one.name == "pwrite64"]
        for nth in sorted({writes[0], writes[len(writes) // 2], writes[-1]}):
            yield f"{name} pwrite64 {nth}+ ENOSPC"


def _is_ours(call: Call, bench: Bench) -> bool:
    return call.path.startswith(str(bench.base))


def judge(case: str, bench: Bench) -> Iterator[str]:
    name, call, when, error = case.split()
    command = COMMANDS[name]
    place = bench.world(command.world)
    before = look(place)
    log = bench.base / "refused.log"
    ended = traced(place, command, log, call, inject=f"{call}:error={error}:when={when}")
    if ended.status < 0:
        yield f"I12 it died: status {ended.status}"
    yield from spoken(ended)
    yield from still(place, before)
    yield from acknowledged(place, ended)
    yield from signed(before, look(place), signatures_asked(log))
    yield from afterwards(place, command.arguments, before)

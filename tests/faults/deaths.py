"""Class A: the process ends at a failpoint, by SIGKILL, SIGTERM or SIGINT, at every passage."""

from __future__ import annotations

import signal
from collections import Counter
from collections.abc import Iterator

from tests.faults.checker import acknowledged, afterwards, look, signed, spoken, still
from tests.faults.commands import COMMANDS, FIRST
from tests.faults.running import Stop, run
from tests.faults.suite import Bench

LETTER = "A"
TITLE = "process death at a failpoint"
SIGNALS = {s.name: s for s in (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)}


def cases(bench: Bench) -> Iterator[str]:
    """COMMAND POINT NTH SIGNAL: the passages are counted on a run that nothing happens to."""
    for name, command in COMMANDS.items():
        seen: Counter[str] = Counter()
        for point in bench.passages(command):
            seen[point] += 1
            for by in SIGNALS if name in FIRST else ("SIGKILL",):
                yield f"{name} {point} {seen[point]} {by}"


def judge(case: str, bench: Bench) -> Iterator[str]:
    name, point, nth, by = case.split()
    command = COMMANDS[name]
    place = bench.world(command.world)
    before = look(place)
    ended = run(place, command.arguments, stop=Stop(point, int(nth), SIGNALS[by]))
    if by == "SIGINT":
        # at the last point there is nothing left to interrupt
        if ended.status not in (130, 0):
            yield f"I12 interrupted: status {ended.status}: {ended.err.strip()[-300:]}"
    elif ended.status != -SIGNALS[by]:
        yield f"I12 it survived: status {ended.status}"
    yield from spoken(ended)
    yield from still(place, before)
    yield from acknowledged(place, ended)
    yield from signed(before, look(place), ended.passages.count("signature.asking"))
    yield from afterwards(place, command.arguments, before)

"""Class F: the clock is wrong, or jumps within a command (faketime, and a clock that is told)."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

from ca.wiring.opening import system_clock
from tests.faults.acting import acting
from tests.faults.checker import acknowledged, afterwards, look, spoken, still
from tests.faults.commands import COMMANDS
from tests.faults.running import run, start
from tests.faults.suite import Bench
from tests.interop.programs import at_another_time

LETTER = "F"
TITLE = "clock wrong by days and decades, at 2038 and 2049/50, jumping within a command"

#: faketime's word for it -> does it have to be refused when the operator does not vouch for it?
WRONG = {
    "-10y": True,
    "-1d": True,
    "-3min": False,
    "+1d": False,
    "+10y": True,
    "@2038-01-19 03:14:05": True,
    "@2049-12-31 23:59:57": True,
    "@2050-01-01 00:00:01": True,
}
#: Seconds that the clock jumps by, before its n-th reading.
JUMPS = (-63072000, -7200, -1, 7200, 63072000)
READINGS = (2, 3, 4, 5)
VOUCHED = "--believe-clock"


def cases(bench: Bench) -> Iterator[str]:
    """COMMAND wrong HOW plain|vouched, COMMAND jump SECONDS READING; ~ stands for a space."""
    for name in ("sign", "revoke", "crl", "init-intermediate"):
        for how in WRONG:
            yield f"{name} wrong {how.replace(' ', '~')} plain"
            if name != "init-intermediate" or how not in ("@2049-12-31 23:59:57", "+10y"):
                yield f"{name} wrong {how.replace(' ', '~')} vouched"
    for act in ("sign", "crl", "init-intermediate", "init-root"):
        for jump in JUMPS:
            for reading in READINGS:
                yield f"{act} jump {jump} {reading}"


def judge(case: str, bench: Bench) -> Iterator[str]:
    name, kind, how, more = case.split()
    command = COMMANDS[name]
    place = bench.world(command.world)
    before = look(place)
    if kind == "jump":
        clock = _jumping(int(how), int(more))
        ended = start(place, command.arguments, instead=acting(place, name, clock=clock)).end()
        yield from spoken(ended)
        yield from still(place, before)
        # what was recorded in a time to come is believed by nobody until that time has come
        is_ahead = look(place).newest > time.time() + 240
        ahead = at_another_time(f"+{int(how) + 300}") if is_ahead else ()
        yield from afterwards(place, ("list", "--all"), before, through=ahead)
        return
    offset = how.replace("~", " ")
    through = at_another_time(offset)
    vouched = (VOUCHED,) if more == "vouched" else ()
    ended = run(place, (*command.arguments, *vouched), through=through)
    yield from spoken(ended)
    yield from still(place, before)
    yield from acknowledged(place, ended)
    if WRONG[offset] and not vouched:
        if ended.status != 3 or "[refused.clock]" not in ended.err:
            yield f"I12 the clock was believed: status {ended.status}: {ended.err[-200:]}"
        if look(place) != before:
            yield "I6 a refusal changed the record"
        yield from afterwards(place, command.arguments, before)
    elif not vouched:
        if ended.status != 0:
            yield f"I13 status {ended.status}: {ended.err.strip()[-300:]}"
        yield from afterwards(place, ("list", "--all"), before, through=through)


def _jumping(seconds: int, reading: int) -> Callable[[], datetime]:
    readings = 0

    def now() -> datetime:
        nonlocal readings
        readings += 1
        jumped = timedelta(seconds=seconds) if readings >= reading else timedelta()
        return system_clock() + jumped

    return now

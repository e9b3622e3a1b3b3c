"""Class G: 2, 4 and 16 processes of every pair of commands, all on one home."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import combinations_with_replacement

from tests.faults.checker import acknowledged, afterwards, look, spoken, still
from tests.faults.commands import COMMANDS, FIRST, PIN, READERS
from tests.faults.running import start
from tests.faults.suite import Bench

LETTER = "G"
TITLE = "2, 4 and 16 processes of every pair of commands"
SIZES = (2, 4, 16)

#: Readers that do their work and find something, as that a CRL is behind.
FOUND_SOMETHING = {("check", 6), ("status", 1)}

#: A refusal that only says that another one was first.
LATE = {
    "revoke": {"refused.revocation"},
    "sign": {"configuration.output-exists"},
    "init-root": {"configuration.already-initialised", "refused.ceremony"},
}


def cases(bench: Bench) -> Iterator[str]:
    """FIRST SECOND PROCESSES."""
    working = [name for name in FIRST if COMMANDS[name].world == "furnished"]
    for one, other in combinations_with_replacement([*working, *READERS], 2):
        if one in READERS and other in READERS:
            continue
        for size in SIZES:
            yield f"{one} {other} {size}"
    for size in SIZES:
        yield f"init-root init-root {size}"


def judge(case: str, bench: Bench) -> Iterator[str]:
    one, other, size = case.split()
    names = [one, other] * (int(size) // 2)
    bench.count(len(names))
    place = bench.world("empty" if one == "init-root" else "furnished")
    before = look(place)
    under_way = [
        (name, start(place, _arguments(name, number))) for number, name in enumerate(names)
    ]
    done: Counter[str] = Counter()
    for name, process in under_way:
        ended = process.end(patience=110)
        yield from spoken(ended)
        yield from acknowledged(place, ended)
        late = any(f"[{code}]" in ended.err for code in LATE.get(name, ()))
        if ended.status == 0 or (name, ended.status) in FOUND_SOMETHING:
            done[name] += 1
        elif not late and (name, ended.status) not in FOUND_SOMETHING:
            yield f"I13 {name} among others: status {ended.status}: {ended.err.strip()[-300:]}"
    for name in {*names} - READERS.keys():
        if not done[name]:
            yield f"I13 none of the {name} succeeded"
    now = look(place)
    new = [row for key, row in now.rows.items() if key not in before.rows and row.der is not None]
    made = done["sign"] + done["init-intermediate"] + done["init-root"]
    if len(new) != made:
        yield f"I5 {made} certificates were acknowledged, {len(new)} are recorded"
    cut = sum(now.numbers.values()) - sum(before.numbers.values())
    if cut < 2 * done["crl"]:
        yield f"I8 {done['crl']} times CRLs were cut, {cut} numbers are used"
    if done["revoke"] > 1:
        yield "I7 one certificate was revoked more than once"
    yield from still(place, before)
    yield from afterwards(place, ("list", "--all"), before)


def _arguments(name: str, number: int) -> tuple[str, ...]:
    """Each signs for itself, under a name of its own; all revoke the same certificate."""
    if name in READERS:
        return READERS[name]
    if name == "sign":
        return ("sign", "new.csr", "--profile", "vpn-client", "--out", f"n{number}.crt", *PIN)
    return COMMANDS[name].arguments

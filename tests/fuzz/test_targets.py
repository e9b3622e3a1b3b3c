"""The fuzz targets on all their seeds and on a few thousand mutants of them, the same each time."""

from __future__ import annotations

import random

import pytest

from tests.fuzz.targets import TARGETS

MUTANTS = 4000
TOKENS = [
    bytes.fromhex(token) for token in ["3080", "00", "ff", "7f", "80", "0500", "a0", "0603551d11"]
]
TOKENS += [b"\x1b[31m", b"-----BEGIN ", b"[", b"]", b"=", b"{{", b"$", b"\n", b"\\", b'"']


def _mutant(dice: random.Random, seeds: list[bytes]) -> bytes:
    octets = bytearray(dice.choice(seeds))
    for _ in range(dice.randint(1, 4)):
        place = dice.randint(0, len(octets))
        match dice.randint(0, 4):
            case 0 if octets:
                octets[place % len(octets)] = dice.randrange(256)
            case 1:
                octets[place:place] = dice.choice(TOKENS)
            case 2:
                del octets[place : place + dice.randint(1, 8)]
            case 3:
                other = dice.choice(seeds)
                start = dice.randint(0, len(other))
                octets[place:place] = other[start : start + dice.randint(1, 64)]
            case _:
                octets[place:place] = octets[place : place + dice.randint(1, 32)]
    return bytes(octets[:8192])


@pytest.mark.parametrize("name", TARGETS)
def test_no_mutant_of_a_seed_is_a_surprise(name: str) -> None:
    run, seeds_of = TARGETS[name]
    seeds = list(seeds_of())
    assert seeds, name
    for octets in seeds:
        run(octets)
    dice = random.Random(f"homeca {name}")
    for _ in range(MUTANTS):
        run(_mutant(dice, seeds))

"""Whole processes, timed side by side: A B A B …, medians, ratios of neighbours."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from statistics import median

#: Seconds no single measured process may take.
DEADLINE = 900

#: Octets of a program's output that are kept, its last ones.
_KEPT = 1 << 20


@dataclass(frozen=True, slots=True)
class Spent:
    """seconds: by the wall clock. cpu: of the process itself. peak: kibibytes of memory.

    output: the end of what it printed on both streams; lines: how many there were in all.
    """

    seconds: float
    cpu: float
    peak: int
    status: int
    output: bytes
    lines: int


@dataclass(frozen=True, slots=True)
class Side:
    """A program to be timed: its whole environment, and where it runs."""

    environment: Mapping[str, str]
    cwd: Path

    def spend(self, argv: Sequence[str | Path], *, deadline: int = DEADLINE) -> Spent:
        """Run it to its end, or to the deadline: its status is then -SIGALRM."""
        place = self.cwd / "output"
        place.write_bytes(b"")
        told = _start(
            {
                "argv": [str(word) for word in argv],
                "environment": dict(self.environment),
                "cwd": str(self.cwd),
                "output": str(place),
                "deadline": deadline,
            }
        )
        with place.open("rb") as stream:
            lines = sum(1 for _ in stream)
            stream.seek(max(stream.tell() - _KEPT, 0))
            output = stream.read()
        return Spent(
            seconds=told["seconds"],
            cpu=told["cpu"],
            peak=int(told["peak"]),
            status=int(told["status"]),
            output=output,
            lines=lines,
        )

    def must(self, argv: Sequence[str | Path]) -> Spent:
        """As `spend`, of a program that has to succeed."""
        spent = self.spend(argv)
        if spent.status != 0:
            words = " ".join(str(word) for word in argv[:6])
            raise SystemExit(f"error: `{words} …` fails:\n{spent.output.decode()[-2000:]}")
        return spent


@cache
def _starter() -> subprocess.Popen[str]:
    """Ends with this process, whose end closes its standard input."""
    return subprocess.Popen(  # noqa: S603  # argv is ours
        [sys.executable, "-I", "-S", Path(__file__).with_name("starter.py")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={"PATH": os.environ["PATH"]},
    )


def _start(asked: Mapping[str, object]) -> dict[str, float]:
    starter = _starter()
    if starter.stdin is None or starter.stdout is None:
        raise RuntimeError("the starter has no pipes")
    starter.stdin.write(json.dumps(asked) + "\n")
    starter.stdin.flush()
    answer: dict[str, float] = json.loads(starter.stdout.readline())
    return answer


@dataclass(frozen=True, slots=True)
class Race:
    """Rounds of some competitors, each round all of them in turn."""

    rounds: tuple[tuple[Spent, ...], ...]

    def seconds(self, index: int) -> float:
        return median(one[index].seconds for one in self.rounds)

    def peak(self, index: int) -> float:
        return median(one[index].peak for one in self.rounds)

    def ratio(self, index: int, to: int) -> float:
        """Median of the ratios within a round: what loads the machine loads both."""
        return median(one[index].seconds / one[to].seconds for one in self.rounds)

    def milliseconds(self) -> tuple[float, ...]:
        return tuple(round(1000 * self.seconds(index), 1) for index in range(len(self.rounds[0])))


def race(rounds: int, *competitors: Callable[[], Spent]) -> Race:
    """The first round warms caches and does not count."""
    for one in competitors:
        one()
    return Race(tuple(tuple(one() for one in competitors) for _ in range(rounds)))

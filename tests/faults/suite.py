"""The classes of faults, and where one worker runs their cases.

A class is a module with LETTER, TITLE, `cases` (what there is to do, each a line of text) and
`judge` (do it, yield each violation of an invariant). Cases are drawn in the order of their
hashes, so a sample stays the same sample when others are added.
"""

from __future__ import annotations

import hashlib
import importlib
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, cast

from tests.faults.commands import Command
from tests.faults.running import run, warm
from tests.faults.worlds import Worlds, build

#: Letter -> module. In `make test` SAMPLE of each are run, in `make faults` DRAWN, or all that
#: there are of a class without a number: what two cores do in eight minutes. `--all` takes all.
CLASSES = {
    "A": "deaths",
    "B": "writes",
    "C": "cuts",
    "D": "refusals",
    "d": "fulldisks",
    "E": "tpms",
    "F": "clocks",
    "G": "crowds",
    "H": "limits",
}
SAMPLE = {"A": 12, "B": 12, "C": 5, "D": 10, "d": 6, "E": 14, "F": 6, "G": 4, "H": 8}
DRAWN = {"A": 360, "B": 280, "C": 160, "D": 140, "E": 130, "F": 90, "H": 80}


class FaultClass(Protocol):
    """What a module of a class offers."""

    LETTER: str
    TITLE: str

    def cases(self, bench: Bench) -> Iterator[str]: ...

    def judge(self, case: str, bench: Bench) -> Iterator[str]: ...


def fault_class(letter: str) -> FaultClass:
    return cast(FaultClass, importlib.import_module(f"tests.faults.{CLASSES[letter]}"))


def drawn(cases: Sequence[str], count: int | None) -> list[str]:
    """So many of them, always the same; None: all."""
    ordered = sorted(cases, key=lambda case: hashlib.sha256(case.encode()).digest())
    return ordered[:count]


def quick_place() -> Path:
    """Memory, where there is some: every case copies a home and syncs it often."""
    memory = Path("/dev/shm")  # noqa: S108  # a fresh directory of our own is made in it
    if memory.is_dir() and shutil.disk_usage(memory).free > 1 << 29:
        return memory
    return Path(tempfile.gettempdir())


@dataclass
class Bench:
    """base: everything of this worker; removed by whoever made it."""

    base: Path
    worlds: Worlds
    runs: int = 0
    _passages: dict[str, tuple[str, ...]] = field(default_factory=dict)

    @classmethod
    def make(cls, base: Path) -> Bench:
        warm()
        return cls(base, build(base))

    def world(self, name: str, to: str = "case") -> Path:
        """A fresh copy."""
        return self.worlds.copy(name, self.base / to)

    def count(self, runs: int) -> None:
        """A case that is more than one run says so."""
        self.runs += runs

    def passages(self, command: Command) -> tuple[str, ...]:
        """The failpoints a command passes when nothing happens to it, in order."""
        if command.name not in self._passages:
            ended = run(self.world(command.world), command.arguments, watch=True)
            if ended.status != 0:
                raise AssertionError(f"{command.name}: {ended.err}")
            self._passages[command.name] = ended.passages
        return self._passages[command.name]

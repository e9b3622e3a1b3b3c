"""What was measured beside what was to be reached: on the terminal, as JSON, in the README."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

README = Path(__file__).resolve().parents[1] / "README.md"
RESULTS = Path(__file__).resolve().with_name("results.json")
BEGIN = "<!-- bench: written by `make bench` -->\n"
END = "<!-- end of bench -->\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """One row. goal: None for what is only shown. is_ceiling: the goal is the most, not the least.

    seen: the figures behind it.
    """

    measure: str
    got: float
    goal: float | None = None
    is_ceiling: bool = True
    unit: str = "×"
    seen: dict[str, Any] = field(default_factory=dict)

    @property
    def figures(self) -> str:
        """What was seen, in a line: "ms 306, 13.2", "certificates/s 1: 24, 2: 48"."""
        return "; ".join(f"{name} {_plain(value)}" for name, value in self.seen.items())

    @property
    def verdict(self) -> str:
        if self.goal is None:
            return ""
        reached = self.got <= self.goal if self.is_ceiling else self.got >= self.goal
        return "pass" if reached else "miss"

    def row(self) -> tuple[str, ...]:
        bound = "at most" if self.is_ceiling else "at least"
        goal = "" if self.goal is None else f"{bound} {self._text(self.goal)}"
        return self.measure, self._text(self.got), goal, self.verdict, self.figures

    def _text(self, number: float) -> str:
        if self.unit:
            return f"{number:.2f} {self.unit}" if number < 10 else f"{number:.1f} {self.unit}"
        return f"{number:g}"


def _plain(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key}: {_plain(one)}" for key, one in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(map(_plain, value))
    return f"{value:g}" if isinstance(value, int | float) else str(value)


def machine() -> str:
    """Processor, cores, system, and how busy it was."""
    model = platform.processor() or platform.machine()
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
            break
    load = os.getloadavg()[0]
    return (
        f"{os.cpu_count()} × {model}, {platform.system()} {platform.release()}, "
        f"Python {platform.python_version()}, load {load:.1f}"
    )


def table(results: Sequence[Result]) -> str:
    """Markdown, its columns in line."""
    head = ("measure", "reached", "to reach", "", "figures")
    rows = [head, *(result.row() for result in results)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |"
        for row in rows
    ]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(lines) + "\n"


def write(results: Sequence[Result], *, on: str) -> None:
    """results.json, and the README's table from it."""
    document = {
        "machine": on,
        "at": datetime.now(UTC).strftime("%Y-%m-%dT%H:%MZ"),
        "results": [asdict(result) | {"verdict": result.verdict} for result in results],
    }
    RESULTS.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    write_readme()


def write_readme() -> None:
    """The README's table from results.json alone: nothing is measured."""
    document = json.loads(RESULTS.read_text(encoding="utf-8"))
    results = []
    for fields in document["results"]:
        del fields["verdict"]
        results.append(Result(**fields))
    text = README.read_text(encoding="utf-8")
    try:
        before, rest = text.split(BEGIN)
        _, after = rest.split(END)
    except ValueError:
        raise SystemExit("error: README.md has not exactly one pair of bench markers") from None
    where = f"{document['at']}, {document['machine']}"
    README.write_text(
        f"{before}{BEGIN}\n{where}\n\n{table(results)}\n{END}{after}", encoding="utf-8"
    )

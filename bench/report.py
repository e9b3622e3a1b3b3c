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
    def verdict(self) -> str:
        if self.goal is None:
            return ""
        reached = self.got <= self.goal if self.is_ceiling else self.got >= self.goal
        return "pass" if reached else "miss"

    def row(self) -> tuple[str, str, str, str]:
        bound = "at most" if self.is_ceiling else "at least"
        goal = "" if self.goal is None else f"{bound} {self._text(self.goal)}"
        return self.measure, self._text(self.got), goal, self.verdict

    def _text(self, number: float) -> str:
        if self.unit:
            return f"{number:.2f} {self.unit}" if number < 10 else f"{number:.1f} {self.unit}"
        return f"{number:g}"


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
    rows = [("measure", "reached", "to reach", ""), *(result.row() for result in results)]
    widths = [max(len(row[index]) for row in rows) for index in range(4)]
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
    text = README.read_text(encoding="utf-8")
    try:
        before, rest = text.split(BEGIN)
        _, after = rest.split(END)
    except ValueError:
        raise SystemExit("error: README.md has not exactly one pair of bench markers") from None
    README.write_text(
        f"{before}{BEGIN}\n{document['at']}, {on}\n\n{table(results)}\n{END}{after}",
        encoding="utf-8",
    )

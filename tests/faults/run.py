"""`make faults`: every case of every class on all processors, and the table for the README.

python -m tests.faults.run [--classes ABC] [--of COUNT | --all] [--workers N] [--readme]
"""

from __future__ import annotations

import argparse
import os
import selectors
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from tests.faults.suite import CLASSES, DRAWN, drawn, fault_class
from tests.faults.worker import Worker, working

README = Path(__file__).resolve().parents[2] / "README.md"
BEGIN = "<!-- faults: written by `make faults` -->\n"
END = "<!-- end of faults -->\n"


@dataclass
class Line:
    """A row of the table. cases: how many there are; done: how many of them were judged."""

    letter: str
    cases: int = 0
    done: int = 0
    runs: int = 0
    violations: list[str] = field(default_factory=list)


def main() -> int:
    parser = argparse.ArgumentParser(description="break homeca on purpose")
    parser.add_argument("--classes", default="".join(CLASSES))
    parser.add_argument("--of", type=int, help="draw at most so many cases of each class")
    parser.add_argument("--all", action="store_true", help="all cases: a quarter of an hour")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--readme", action="store_true", help="write the table into the README")
    chosen = parser.parse_args()
    began = time.monotonic()
    lines = {letter: Line(letter) for letter in chosen.classes}
    with ExitStack() as stack:
        workers = [stack.enter_context(working()) for _ in range(chosen.workers)]
        counts = dict.fromkeys(lines, chosen.of) if chosen.of else DRAWN
        todo = list(_questions(workers[0], lines, {} if chosen.all else counts))
        _dispatch(workers, todo, lines)
    seconds = time.monotonic() - began
    text = table(list(lines.values()), seconds=seconds, workers=chosen.workers)
    print(text, end="")
    if chosen.readme:
        write_readme(text)
    return 1 if any(line.violations for line in lines.values()) else 0


def _questions(
    worker: Worker, lines: dict[str, Line], counts: Mapping[str, int]
) -> Iterator[tuple[str, str]]:
    for letter, line in lines.items():
        worker.send(list=letter)
        cases = worker.take()["cases"]
        line.cases = len(cases)
        for case in drawn(cases, counts.get(letter)):
            yield letter, case


def _dispatch(workers: list[Worker], todo: list[tuple[str, str]], lines: dict[str, Line]) -> None:
    """Each worker has one case at a time; whoever is ready gets the next."""
    waiting = iter(todo)
    busy: dict[int, tuple[Worker, str, str]] = {}
    total, done = len(todo), 0
    with selectors.DefaultSelector() as ready:

        def give(worker: Worker) -> None:
            for letter, case in waiting:
                worker.send(judge=letter, case=case)
                busy[worker.process.pid] = worker, letter, case
                return

        for worker in workers:
            ready.register(worker.answers, selectors.EVENT_READ, worker)
            give(worker)
        while busy:
            for key, _ in ready.select():
                worker, letter, case = busy.pop(key.data.process.pid)
                verdict = worker.take()
                line = lines[letter]
                line.done += 1
                line.runs += verdict["runs"]
                for text in verdict["violations"]:
                    line.violations.append(f"{case}: {text}")
                    print(f"{letter} {case}: {text}", file=sys.stderr)
                done += 1
                if done % 100 == 0 or done == total:
                    found = sum(len(one.violations) for one in lines.values())
                    print(f"homeca: {done} of {total} cases, {found} violations", file=sys.stderr)
                give(worker)


def table(lines: list[Line], *, seconds: float, workers: int) -> str:
    """Class, what is broken, cases done of how many, runs, violations."""
    rows = ["| class | fault | cases | runs | violations |", "|---|---|---|---|---|"]
    for line in lines:
        title = fault_class(line.letter).TITLE
        cases = f"{line.done}" if line.done == line.cases else f"{line.done} of {line.cases}"
        rows.append(f"| {line.letter} | {title} | {cases} | {line.runs} | {len(line.violations)} |")
    runs, bad = sum(x.runs for x in lines), sum(len(x.violations) for x in lines)
    rows.append(f"| | together, in {seconds / 60:.1f} minutes on {workers} cores | "
                f"{sum(x.done for x in lines)} | {runs} | {bad} |")  # fmt: skip
    return "\n".join(rows) + "\n"


def write_readme(text: str) -> None:
    """Between the markers, nothing else."""
    found = README.read_text(encoding="utf-8")
    before, rest = found.split(BEGIN)
    _, after = rest.split(END)
    README.write_text(f"{before}{BEGIN}\n{text}\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())

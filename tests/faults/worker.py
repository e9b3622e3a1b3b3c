"""One worker: reads what to do as JSON lines, answers with the violations it found.

{"list": "A"}              -> {"cases": [...]}
{"judge": "A", "case": …}  -> {"runs": 1, "violations": [...]}
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from tests.faults.suite import Bench, fault_class, quick_place
from tests.interop.programs import require

CHECKOUT = Path(__file__).resolve().parents[2]
PROGRAMS = ("swtpm", "strace")


def answer(question: dict[str, str], bench: Bench) -> dict[str, Any]:
    if "list" in question:
        return {"cases": list(fault_class(question["list"]).cases(bench))}
    bench.runs = 0
    try:
        found = list(fault_class(question["judge"]).judge(question["case"], bench))
    except Exception:  # noqa: BLE001  # one case that cannot be judged must not end the others
        found = [f"not judged: {traceback.format_exc()}"]
    return {"runs": bench.runs or 1, "violations": found}


def main() -> None:
    for program in PROGRAMS:
        require(program)
    base = Path(tempfile.mkdtemp(prefix="homeca-faults-", dir=quick_place()))
    own = os.getpid()
    try:
        bench = Bench.make(base)
        for line in sys.stdin:
            print(json.dumps(answer(json.loads(line), bench)), flush=True)
    finally:
        if os.getpid() == own:
            shutil.rmtree(base, ignore_errors=True)


@dataclass
class Worker:
    """The other end: a worker process and its two pipes."""

    process: subprocess.Popen[str]

    @property
    def answers(self) -> IO[str]:
        assert self.process.stdout is not None
        return self.process.stdout

    def send(self, **question: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(question) + "\n")
        self.process.stdin.flush()

    def take(self) -> dict[str, Any]:
        line = self.answers.readline()
        if not line:
            raise AssertionError(f"a worker ended with status {self.process.wait(10)}")
        found: dict[str, Any] = json.loads(line)
        return found


@contextlib.contextmanager
def working() -> Iterator[Worker]:
    """A worker for as long as the block runs."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.faults.worker"],
        cwd=CHECKOUT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    worker = Worker(process)
    try:
        yield worker
    finally:
        assert process.stdin is not None
        process.stdin.close()
        worker.answers.close()
        try:
            process.wait(90)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


if __name__ == "__main__":
    main()

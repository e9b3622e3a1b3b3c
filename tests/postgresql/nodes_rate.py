"""Certificates per second at 1, 2 and 4 nodes on one PostgreSQL, each behind a chip's latency.

python -m tests.postgresql.nodes_rate [COUNT [ROUNDS]]
python -m tests.postgresql.nodes_rate work HOME COUNT     one node, started by the above

A node is a process with a home, a software TPM and an intermediate of its own. What is timed is
all between the parsed requests and the last recorded certificate; every node starts at once.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from bench.tpm import CHIP, CHIP_OTHERS
from ca.keys.tpm.link import Link, command_code
from ca.services.issuance.issuing import Issued
from tests.postgresql.cluster import Cluster, cluster
from tests.postgresql.homes import home_at, join
from tests.services.rig import Hands, Rig, furnish, issue, order

ROOT = Path(__file__).resolve().parents[2]
NODES = (1, 2, 4)


class ChipLink:
    """A software TPM that answers no sooner than a chip would."""

    def __init__(self, inner: Link) -> None:
        self.name, self.is_ours = inner.name, inner.is_ours
        self._inner = inner
        self._not_before = 0.0

    def send(self, command: bytes) -> None:
        lasts = CHIP.get(command_code(command), CHIP_OTHERS) / 1000
        self._not_before = time.monotonic() + lasts
        self._inner.send(command)

    def receive(self, seconds: float) -> bytes:
        answer = self._inner.receive(seconds)
        time.sleep(max(self._not_before - time.monotonic(), 0))
        return answer

    def close(self, *, orderly: bool) -> None:
        self._inner.close(orderly=orderly)


def rates(*, count: int, rounds: int) -> Mapping[int, float]:
    """Nodes → certificates per second, the median of `rounds` turns of each."""
    with TemporaryDirectory(prefix="homeca-nodes-") as place, cluster() as server:
        homes = _homes(Path(place), server)
        seen: dict[int, list[float]] = {nodes: [] for nodes in NODES}
        for _ in range(rounds):
            for nodes in NODES:
                seen[nodes].append(_race(homes[:nodes], count))
    return {nodes: median(measured) for nodes, measured in seen.items()}


def _homes(place: Path, server: Cluster) -> list[Path]:
    url = server.create("nodes")
    clock = Hands(datetime.now(UTC).replace(microsecond=0))
    rigs = [Rig(home_at(place / f"node-{n}", url), clock) for n in range(max(NODES))]
    furnish(rigs[0])
    for rig in rigs[1:]:
        join(rigs[0], rig)
    return [rig.path for rig in rigs]


def _race(homes: list[Path], count: int) -> float:
    with ExitStack() as held:
        workers = []
        for home in homes:
            worker = subprocess.Popen(  # argv is ours
                [sys.executable, "-m", "tests.postgresql.nodes_rate", "work", home, str(count)],
                cwd=ROOT,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            held.enter_context(worker)
            held.callback(worker.kill)
            workers.append(worker)
        for worker in workers:
            assert worker.stdout is not None
            assert worker.stdout.readline() == "ready\n"
        told = []
        for worker in workers:
            assert worker.stdin is not None
            worker.stdin.write("go\n")
            worker.stdin.flush()
        for worker in workers:
            out, _ = worker.communicate(timeout=600)
            assert worker.returncode == 0, out
            told.append([float(word) for word in out.split()])
    began, ended = min(one[0] for one in told), max(one[1] for one in told)
    return len(homes) * count / (ended - began)


def _work(home: Path, count: int) -> None:
    rig = Rig(home, Hands(datetime.now(UTC).replace(microsecond=0)))
    orders = [order(f"d{n}") for n in range(count)]
    with rig.facility(around=ChipLink) as facility:
        print("ready", flush=True)
        sys.stdin.readline()
        began = time.monotonic()  # the same clock in every process of a machine
        outcomes = issue(facility, *orders)
        ended = time.monotonic()
    if not all(isinstance(outcome, Issued) for outcome in outcomes):
        raise SystemExit("error: not every request became a certificate")
    print(began, ended)


def main(arguments: list[str]) -> None:
    match arguments:
        case ["work", home, count]:
            _work(Path(home), int(count))
        case [] | [_] | [_, _]:
            size, turns = (int(word) for word in (*arguments, *("150", "3")[len(arguments) :]))
            found = rates(count=size, rounds=turns)
            for nodes, rate in found.items():
                print(f"{nodes} nodes: {rate:.1f} certificates/s, {rate / found[1]:.2f} x one")
        case _:
            raise SystemExit(__doc__)


if __name__ == "__main__":
    main(sys.argv[1:])

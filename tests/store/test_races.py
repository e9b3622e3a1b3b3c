"""Several processes at one database: each act happens once, and nobody is turned away."""

from __future__ import annotations

import subprocess
import sys
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from ca.interfaces.issuing import State
from ca.interfaces.values import Serial
from ca.store.repository import SqlStore, open_store
from tests.store.making import issue, listed

ROOT = Path(__file__).resolve().parents[2]
PROCESSES = pytest.mark.parametrize("processes", [2, 8])


def race(*commands: list[str]) -> list[str]:
    """What each worker says, all let go at the same moment."""
    with ExitStack() as stack:
        workers = [
            stack.enter_context(
                subprocess.Popen(
                    [sys.executable, "-m", "tests.store.worker", *command],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    text=True,
                    cwd=ROOT,
                )
            )
            for command in commands
        ]
        for worker in workers:
            stack.callback(worker.kill)
        for worker in workers:
            assert worker.stdout is not None
            assert worker.stdout.readline() == "ready\n", worker.communicate(timeout=60)
        for worker in workers:
            assert worker.stdin is not None
            worker.stdin.write("go\n")
            worker.stdin.flush()
        said = []
        for worker in workers:
            out, err = worker.communicate(timeout=60)
            assert worker.returncode == 0, err
            said.append(out.strip())
        return said


@PROCESSES
def test_one_serial_asked_for_at_once_is_given_once(
    place: Path, store: SqlStore, issuer: int, processes: int
) -> None:
    said = race(*[["intents", str(place), str(issuer), "7", "20"]] * processes)
    assert sorted(said)[0] == "recorded"
    assert [line.split(":")[0] for line in sorted(said)[1:]] == ["store.serial-reserved"] * (
        processes - 1
    )
    assert [r.serial for r in store.open_serials()] == list(range(7, 27))


@PROCESSES
def test_intents_of_different_serials_all_arrive(
    place: Path, store: SqlStore, issuer: int, processes: int
) -> None:
    said = race(
        *(["intents", str(place), str(issuer), str(100 * n), "30"] for n in range(1, processes + 1))
    )
    assert said == ["recorded"] * processes
    assert len(store.open_serials()) == 30 * processes


@PROCESSES
def test_a_certificate_is_revoked_by_exactly_one(
    place: Path, store: SqlStore, issuer: int, processes: int
) -> None:
    issue(store, issuer, 7)
    said = race(*[["revoke", str(place), str(issuer), "7"]] * processes)
    assert sorted(line.split(":")[0] for line in said) == [
        *["refused.revocation"] * (processes - 1),
        "revoked",
    ]
    assert listed(store, issuer) == [7]


@PROCESSES
def test_no_crl_number_is_given_twice(
    place: Path, store: SqlStore, issuer: int, processes: int
) -> None:
    said = race(*[["numbers", str(place), str(issuer), "25"]] * processes)
    given = [[int(number) for number in line.split()] for line in said]
    assert sorted(n for numbers in given for n in numbers) == list(range(1, 25 * processes + 1))
    assert all(numbers == sorted(numbers) for numbers in given)


@PROCESSES
def test_a_store_created_by_several_at_once_is_whole(tmp_path: Path, processes: int) -> None:
    path = tmp_path / "new.db"
    said = race(*[["create", str(path), "0"]] * processes)
    assert said == ["created"] * processes
    with closing(open_store(path)) as store:
        assert store.issuers() == ()


def test_signing_revoking_and_numbering_do_not_disturb_each_other(
    place: Path, store: SqlStore, issuer: int
) -> None:
    issue(store, issuer, 1)
    said = race(
        ["intents", str(place), str(issuer), "100", "50"],
        ["revoke", str(place), str(issuer), "1"],
        ["numbers", str(place), str(issuer), "25"],
        ["list", str(place), str(issuer)],
    )
    assert said[:2] == ["recorded", "revoked"]
    assert said[2].split()[-1] == "25"
    assert store.by_serial(Serial(149))[0].state is State.INTENDED

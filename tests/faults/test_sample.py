"""A part of `make faults` in every run of the tests: the same cases each time."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.faults.commands import COMMANDS
from tests.faults.suite import CLASSES, SAMPLE, drawn
from tests.faults.worker import Worker, working


@pytest.fixture(scope="module")
def worker() -> Iterator[Worker]:
    with working() as found:
        yield found


@pytest.mark.parametrize("letter", CLASSES)
def test_no_invariant_is_violated_by_a_sample_of_this_class(worker: Worker, letter: str) -> None:
    worker.send(list=letter)
    cases = worker.take()["cases"]
    assert len(cases) >= SAMPLE[letter] > 0
    violations = {}
    for case in drawn(cases, SAMPLE[letter]):
        worker.send(judge=letter, case=case)
        if found := worker.take()["violations"]:
            violations[case] = found
    assert violations == {}


def test_the_sample_has_a_disk_without_room_and_one_that_is_read_only(worker: Worker) -> None:
    worker.send(list="d")
    sample = drawn(worker.take()["cases"], SAMPLE["d"])
    assert {case.partition(" ")[2] for case in sample} >= {"full 0", "read-only 0"}


def test_every_command_passes_as_many_failpoints_as_it_has_effects_to_order(
    worker: Worker,
) -> None:
    worker.send(list="A")
    kills = [case.split() for case in worker.take()["cases"] if case.endswith(" SIGKILL")]
    for name, command in COMMANDS.items():
        passed = [case for case in kills if case[0] == name]
        assert len(passed) >= command.points, name

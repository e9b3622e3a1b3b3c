"""Failpoints: where they stand, what they cost, and that no user can reach them."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
import timeit
from collections.abc import Iterator
from pathlib import Path

import pytest

from ca import failpoints
from tests.house import House
from tests.interop.homeca import CHECKOUT, Homeca


def calls() -> Iterator[tuple[Path, ast.Call]]:
    for path in sorted((CHECKOUT / "ca").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call):
                yield path, node


def test_nothing_in_the_program_arms_a_trap() -> None:
    names = {"arm", "_trap"}
    armed = [
        path.name
        for path, call in calls()
        if (isinstance(call.func, ast.Name) and call.func.id in names)
        or (isinstance(call.func, ast.Attribute) and call.func.attr in names)
    ]
    assert armed == ["failpoints.py"], "only the passage itself calls the trap"


def test_no_environment_variable_stops_the_program(house: House) -> None:
    homeca = Homeca(house.home)
    environment = homeca.environment | {
        "HOMECA_FAILPOINT": "command.begun",
        "HOMECA_FAULT": "command.begun",
        "FAILPOINTS": "command.begun=panic",
    }
    done = subprocess.run(
        homeca.argv("list"),
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_the_tests_own_launcher_stops_it_there(house: House) -> None:
    environment = Homeca(house.home).environment | {"HOMECA_FAILPOINT": "home.opened:1:SIGKILL"}
    argv = [sys.executable, "-m", "tests.faults.running", "revoke", "00"]
    done = subprocess.run(argv, env=environment, capture_output=True, timeout=60, check=False)
    assert done.returncode == -9
    assert done.stderr.split() == [b"command.begun", b"home.opened"]


def test_a_passage_costs_less_than_a_microsecond() -> None:
    best = min(timeit.repeat(lambda: failpoints.failpoint("x"), number=10_000, repeat=20))
    assert best / 10_000 < 1e-6


@pytest.mark.parametrize("name", ["tests", "tests.faults", "tests.faults.running"])
def test_the_launcher_is_in_no_wheel(name: str) -> None:
    text = (CHECKOUT / "pyproject.toml").read_text(encoding="utf-8")
    included = text.split("only-include = ")[1].split("\n")[0]
    assert name.split(".")[0] not in included
    assert os.sep not in name

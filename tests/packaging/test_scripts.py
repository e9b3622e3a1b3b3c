"""The Makefile's verbs and the scripts behind them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest


def run(checkout: Path, *argv: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        argv,
        cwd=checkout,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_make_without_a_verb_lists_every_verb(checkout: Path) -> None:
    rules = re.findall(r"^([a-z]+):", (checkout / "Makefile").read_text(), re.MULTILINE)
    listed = re.findall(r"^  make ([a-z]+) ", run(checkout, "make").stdout, re.MULTILINE)
    assert listed == [rule for rule in rules if rule != "packages"]


def test_the_readme_names_only_verbs_that_exist(checkout: Path) -> None:
    listed = run(checkout, "make", "help").stdout.split()
    named = set(re.findall(r"\bmake ([a-z]+)\b", (checkout / "README.md").read_text()))
    assert named >= {"demo", "test"}
    assert named <= set(listed)


def test_installed_packages_are_not_installed_again(checkout: Path) -> None:
    result = run(checkout, "scripts/install-packages", "run", "test")
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


def test_an_unknown_list_of_packages_is_refused(checkout: Path) -> None:
    result = run(checkout, "scripts/install-packages", "everything")
    assert result.returncode == 2
    assert result.stderr.startswith("usage:")


def test_the_python_found_is_new_enough(checkout: Path) -> None:
    python = run(checkout, "scripts/find-python").stdout.strip()
    version = run(checkout, python, "-c", "import sys; print(sys.version_info >= (3, 11))")
    assert version.stdout.strip() == "True"


@pytest.mark.parametrize("script", ["demo", "find-python", "install-packages", "lock"])
def test_a_script_is_posix_shell_and_may_be_run(script: str, checkout: Path) -> None:
    path = checkout / "scripts" / script
    assert path.read_text().startswith("#!/bin/sh\n")
    assert os.access(path, os.X_OK)
    assert run(checkout, "sh", "-n", str(path)).returncode == 0


def test_the_readme_shows_the_commands_as_they_are(checkout: Path) -> None:
    result = run(checkout, sys.executable, "scripts/readme.py", "--check")
    assert result.returncode == 0, result.stderr


def test_ci_runs_the_command_the_readme_gives_for_the_tests(checkout: Path) -> None:
    assert "\nmake test\n" in (checkout / ".ci" / "run").read_text()
    assert "\n    make test\n" in (checkout / "README.md").read_text()

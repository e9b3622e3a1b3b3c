"""requirements*.lock: every version pinned, every wheel hashed, nobody told where to fetch them."""

from __future__ import annotations

import re
import tomllib
from itertools import chain
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

LOCKS = ("requirements.lock", "requirements-dev.lock", "requirements-build.lock")


def pinned(lock: Path) -> dict[str, str]:
    found = re.findall(r"^([a-z0-9-]+)(?:\[[a-z,]+\])?==(\S+)", lock.read_text(), re.MULTILINE)
    return dict(found)


def declared(checkout: Path, lock: str) -> list[Requirement]:
    """What pyproject.toml wants to find in `lock`."""
    project = tomllib.loads((checkout / "pyproject.toml").read_text())
    groups: dict[str, list[str]] = project["dependency-groups"]
    extras: list[list[str]] = list(project["project"]["optional-dependencies"].values())
    run: list[str] = project["project"]["dependencies"]
    wanted = {
        "requirements.lock": run,
        "requirements-build.lock": groups["build"] + project["build-system"]["requires"],
        "requirements-dev.lock": [*run, *groups["dev"], *chain(*extras)],
    }
    return [Requirement(line) for line in wanted[lock]]


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_names_no_host_and_no_file(lock: str, checkout: Path) -> None:
    lines = [
        line
        for line in (checkout / lock).read_text().splitlines()
        if "://" in line or re.match(r"\s*(-i|-f|--(extra-)?index|--find-links|--trusted)", line)
    ]
    assert lines == []


@pytest.mark.parametrize("lock", LOCKS)
def test_every_line_of_a_lock_is_a_pinned_version_with_hashes(lock: str, checkout: Path) -> None:
    entries = re.split(r"^(?=[^\s#])", (checkout / lock).read_text(), flags=re.MULTILINE)[1:]
    assert entries
    for entry in entries:
        assert re.match(r"[a-z0-9-]+(\[[a-z,]+\])?==\S+ (; .+ )?\\\n", entry), entry
        assert re.search(r"--hash=sha256:[0-9a-f]{64}\b", entry), entry


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_satisfies_what_pyproject_declares(lock: str, checkout: Path) -> None:
    versions = pinned(checkout / lock)
    for requirement in declared(checkout, lock):
        version = versions[canonicalize_name(requirement.name)]
        assert requirement.specifier.contains(version), f"{requirement} but {lock} has {version}"


@pytest.mark.parametrize("lock", ["requirements.lock", "requirements-build.lock"])
def test_development_uses_the_versions_that_users_get(lock: str, checkout: Path) -> None:
    development = pinned(checkout / "requirements-dev.lock").items()
    assert pinned(checkout / lock).items() <= development

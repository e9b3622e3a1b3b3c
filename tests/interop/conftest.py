"""The CAs that all verifiers judge, made once for all workers of a run."""

from __future__ import annotations

import fcntl
import os
import shutil
from pathlib import Path

import pytest

from tests.interop.programs import require
from tests.interop.world import CONSTRAINED, PLAIN, World, build


def made_once(flavour: str, factory: pytest.TempPathFactory) -> World:
    """The first worker that gets here builds it, the others wait for it."""
    require("swtpm")
    require("openssl")
    own = factory.getbasetemp()
    shared = own.parent if "PYTEST_XDIST_WORKER" in os.environ else own
    place = shared / f"world-{flavour}"
    with (shared / f"world-{flavour}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if (place / "whole").exists():
            return World(place, flavour)
        shutil.rmtree(place, ignore_errors=True)
        world = build(place, flavour)
        (place / "whole").touch()
        return world


@pytest.fixture(scope="session")
def constrained(tmp_path_factory: pytest.TempPathFactory) -> World:
    """EC keys, name constraints, URLs for CRL and issuer."""
    return made_once(CONSTRAINED, tmp_path_factory)


@pytest.fixture(scope="session")
def plain(tmp_path_factory: pytest.TempPathFactory) -> World:
    """RSA keys, no constraints, no URLs: what `homeca init-root` makes when told nothing."""
    return made_once(PLAIN, tmp_path_factory)


@pytest.fixture(params=[CONSTRAINED, PLAIN])
def world(request: pytest.FixtureRequest) -> World:
    """Each of them in turn."""
    found: World = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def stranger(world: World, request: pytest.FixtureRequest) -> World:
    """The other one: its root vouches for nothing here."""
    other = PLAIN if world.flavour == CONSTRAINED else CONSTRAINED
    found: World = request.getfixturevalue(other)
    return found


@pytest.fixture
def scratch(tmp_path: Path) -> Path:
    """Where a test puts what it spoils."""
    return tmp_path

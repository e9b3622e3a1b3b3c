"""One furnished CA per run, and a copy of it for each test."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.interop.programs import require
from tests.services.rig import Hands, Rig, furnish


@pytest.fixture(scope="session")
def furnished(tmp_path_factory: pytest.TempPathFactory) -> Rig:
    """Never used itself. Made now, so that the program with its real clock can go on with it."""
    require("swtpm")
    path = tmp_path_factory.mktemp("furnished") / "home"
    rig = Rig(path, Hands(datetime.now(UTC).replace(microsecond=0)))
    furnish(rig)
    return rig


@pytest.fixture
def rig(furnished: Rig, tmp_path: Path) -> Rig:
    """A home with a root and an intermediate; the TPM is copied with it."""
    shutil.copytree(furnished.path, tmp_path / "home")
    return Rig(tmp_path / "home", Hands(furnished.clock.now))


@pytest.fixture
def empty_rig(tmp_path: Path) -> Rig:
    """A home where nothing is yet."""
    require("swtpm")
    return Rig(tmp_path / "home", Hands(datetime.now(UTC).replace(microsecond=0)))

"""A furnished CA once a run, and a copy of it for each test: a real TPM, a real database."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.interop.programs import require
from tests.services.rig import Hands, Rig, furnish


@pytest.fixture(scope="session")
def furnished(tmp_path_factory: pytest.TempPathFactory) -> Rig:
    require("swtpm")
    rig = Rig(tmp_path_factory.mktemp("ledger") / "home", Hands(_now()))
    furnish(rig)
    return rig


@pytest.fixture
def rig(furnished: Rig, tmp_path: Path) -> Rig:
    """A home with a root and an intermediate; the TPM is copied with it."""
    shutil.copytree(furnished.path, tmp_path / "home")
    return Rig(tmp_path / "home", Hands(furnished.clock.now))


@pytest.fixture
def empty_rig(tmp_path: Path) -> Rig:
    require("swtpm")
    return Rig(tmp_path / "home", Hands(_now()))


def _now() -> datetime:
    return datetime.now(UTC).replace(microsecond=0)

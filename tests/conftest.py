"""Fixtures of more than one room."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from tests.house import House, built_once


def pytest_configure() -> None:
    """Ctrl-C is heard even where a shell put this in the background, which has it ignored."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def tpm_dir(tmp_path: Path) -> Path:
    """Where a software TPM of one test keeps its state; made by the TPM itself."""
    return tmp_path / "tpm"


@pytest.fixture(scope="session")
def common_house(tmp_path_factory: pytest.TempPathFactory) -> House:
    """A small CA that everybody looks at and nobody changes."""
    return built_once(tmp_path_factory)


@pytest.fixture
def house(common_house: House, tmp_path: Path) -> House:
    """A copy of it for one test."""
    return common_house.copy(tmp_path / "house")

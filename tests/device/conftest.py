"""A device: a home in a temporary directory, an embedded software TPM, a clock that stands."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from msgspec import structs

from ca.interfaces.values import Secret
from ca.services.device.requesting import Device
from ca.wiring.device import open_device
from ca.wiring.opening import Opening
from tests.device.answers import NOW

PIN = Secret(b"1234")


@pytest.fixture(autouse=True)
def _programs() -> None:
    if shutil.which("swtpm") is None:
        pytest.fail("swtpm is missing: run `sudo apt install swtpm`")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture
def device(home: Path) -> Device:
    return open_at(home)


def open_at(home: Path, *, tcti: str = "embedded") -> Device:
    opening = Opening(home=home, tcti=tcti, pin=lambda _: PIN, on_wait=lambda _: None)
    return structs.replace(open_device(opening), clock=lambda: NOW)

"""A raw TPM that outlives a home, as a hardware one does; and an age identity."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.interop.programs import must
from tests.keys.tpm.conftest import socket_tpm
from tests.services.conftest import furnished, rig

__all__ = ["furnished", "identity", "rig", "socket_tpm"]


@pytest.fixture(scope="session")
def identity(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("age") / "identity.txt"
    must("age-keygen", "-o", path)
    return path

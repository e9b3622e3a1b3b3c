"""Fixtures of more than one room."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture
def tpm_dir(tmp_path: Path) -> Path:
    """Where a software TPM of one test keeps its state; made by the TPM itself."""
    return tmp_path / "tpm"

"""The rooms import only to their right, and the contracts that say so can fail."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest


def lint_imports(root: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(Path(sys.executable).with_name("lint-imports")), "--no-logo", "--no-cache"],
        cwd=root,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


@pytest.fixture
def copy(tmp_path: Path, checkout: Path) -> Path:
    shutil.copy(checkout / "pyproject.toml", tmp_path)
    shutil.copytree(checkout / "ca", tmp_path / "ca", ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def test_the_contracts_hold(checkout: Path) -> None:
    result = lint_imports(checkout)
    assert result.returncode == 0, result.stdout


@pytest.mark.parametrize(
    ("contract", "module", "line"),
    [
        ("rooms import only to their right", "ca/names/general.py", "import ca.interfaces"),
        ("rooms import only to their right", "ca/services/__init__.py", "import ca.store"),
        ("rooms import only to their right", "ca/helpers.py", "import ca.errors"),
        ("asn1crypto only in ca.encoding", "ca/services/__init__.py", "import asn1crypto.x509"),
        ("tpm2_pytss only in ca.keys", "ca/services/__init__.py", "import tpm2_pytss"),
        ("sqlalchemy and alembic only in ca.store", "ca/services/__init__.py", "import alembic"),
    ],
)
def test_an_import_to_the_left_breaks(contract: str, module: str, line: str, copy: Path) -> None:
    with (copy / module).open("a", encoding="utf-8") as source:
        source.write(f"\n{line}\n")
    result = lint_imports(copy)
    assert result.returncode == 1
    assert f"{contract} BROKEN" in " ".join(result.stdout.split())

"""`scripts/demo` is the README's promise: it runs to its end and leaves nothing behind."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """The `homeca` of this environment first on PATH, and a temporary directory of its own."""
    programs = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return {"PATH": programs, "HOME": str(tmp_path), "TMPDIR": str(tmp_path)}


def demo(checkout: Path, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(checkout / "scripts" / "demo")],
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def promised(checkout: Path) -> list[str]:
    """What the README says that `make demo` prints."""
    _, after = (checkout / "README.md").read_text().split("it prints:\n\n")
    shown, _ = after.split("\n\nand\n")
    lines = [line.removeprefix("    ") for line in shown.splitlines() if line]
    assert len(lines) > 10
    return lines


def test_the_demo_shows_openssl_taking_what_is_good_and_refusing_what_was_revoked(
    checkout: Path, environment: dict[str, str], tmp_path: Path
) -> None:
    result = demo(checkout, environment)
    assert result.returncode == 0, result.stderr
    lines = result.stdout.splitlines()
    judged = [line for line in lines if line.endswith(": OK")]
    assert judged == ["certs/root.pem: OK", "certs/intermediate-1.pem: OK", "nas.crt: OK"]
    assert "error windows.crt: verification failed" in lines
    assert set(promised(checkout)) <= set(result.stdout.splitlines())
    assert list(tmp_path.iterdir()) == []


def test_the_demo_fails_with_the_tpm_it_is_told_of(
    checkout: Path, environment: dict[str, str], tmp_path: Path
) -> None:
    nowhere = f"swtpm:path={tmp_path}/nothing"
    result = demo(checkout, {**environment, "HOMECA_DEMO_TPM": nowhere})
    assert result.returncode == 4
    assert nowhere in result.stderr
    assert list(tmp_path.iterdir()) == []

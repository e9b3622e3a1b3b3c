"""The installed program, as a person runs it: a child process, a home of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CHECKOUT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True)
class Homeca:
    """`homeca` with one home and the embedded software TPM."""

    home: Path

    @property
    def environment(self) -> dict[str, str]:
        return {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(CHECKOUT),
            "HOME": str(self.home.parent),
            "HOMECA_HOME": str(self.home),
            "HOMECA_TPM": "embedded",
        }

    @staticmethod
    def argv(*arguments: str | Path) -> list[str]:
        return [sys.executable, "-m", "ca", *map(str, arguments)]

    def run(
        self, *arguments: str | Path, cwd: Path | None = None, timeout: float = 60
    ) -> subprocess.CompletedProcess[str]:
        """To its end; its exit status is the caller's to judge."""
        return subprocess.run(
            self.argv(*arguments),
            cwd=cwd or self.home.parent,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=timeout,
        )

    def on_terminal(
        self, typed: bytes, *arguments: str | Path, cwd: Path | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Its questions answered by what was typed before."""
        ours, theirs = os.openpty()
        try:
            os.write(ours, typed)
            return subprocess.run(
                self.argv(*arguments),
                cwd=cwd or self.home.parent,
                env=self.environment,
                stdin=theirs,
                capture_output=True,
                text=True,
                timeout=60,
                check=False,
            )
        finally:
            os.close(ours)
            os.close(theirs)

    def must(self, *arguments: str | Path, cwd: Path | None = None) -> str:
        """Standard output of a command that has to succeed."""
        done = self.run(*arguments, cwd=cwd)
        assert done.returncode == 0, f"homeca {' '.join(map(str, arguments))}\n{done.stderr}"
        return done.stdout

    def json(self, *arguments: str | Path, cwd: Path | None = None) -> Any:
        """The document a successful command prints under --json."""
        return json.loads(self.must(*arguments, "--json", cwd=cwd))

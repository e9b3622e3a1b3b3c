"""homeca's side: a home of its own for each size, the program as it is installed."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.timing import Side, Spent
from bench.tpm import tcti

CHECKOUT = Path(__file__).resolve().parents[1]
PROFILE = "vpn-client"


@dataclass(frozen=True, slots=True)
class Homeca:
    """One home. requests: each is signed once."""

    home: Path
    requests: Iterator[Path]

    @classmethod
    def founded(
        cls, home: Path, requests: Iterator[Path], *, port: int, key: str = "ec-p256"
    ) -> Homeca:
        """A root and an intermediate in the TPM at a port."""
        made = cls(home, requests)
        made.must("init-root", "--name", "Bench", "--key", key, port=port)
        made.must("init-intermediate", "--key", key, port=port)
        return made

    def side(self, port: int) -> Side:
        environment = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(CHECKOUT),
            "HOME": str(self.home.parent),
            "HOMECA_HOME": str(self.home),
            "HOMECA_TPM": tcti(port),
        }
        return Side(environment, self.home.parent)

    @staticmethod
    def argv(*arguments: str | Path) -> list[str]:
        program = shutil.which("homeca", path=str(Path(sys.executable).parent))
        start = [program] if program else [sys.executable, "-m", "ca"]
        return [*start, *map(str, arguments)]

    def must(self, *arguments: str | Path, port: int) -> Spent:
        return self.side(port).must(self.argv(*arguments))

    def sign(self, port: int, *, count: int = 1) -> Spent:
        """Sign the next requests; each certificate is then parsed and its issuer compared."""
        requests = [next(self.requests) for _ in range(count)]
        spent = self.must("sign", *requests, "--profile", PROFILE, port=port)
        for request in requests:
            _check_certificate(request.with_suffix(".crt"), request)
        return spent

    def count(self, port: int) -> int:
        """Certificates that the record holds and calls valid."""
        told: dict[str, Any] = json.loads(self.must("status", "--json", port=port).output)
        return int(told["certificates"]["valid"])


def _check_certificate(path: Path, request: Path) -> None:
    from cryptography import x509

    certificate = x509.load_pem_x509_certificate(path.read_bytes())
    asked = x509.load_pem_x509_csr(request.read_bytes())
    if certificate.public_key() != asked.public_key():
        raise SystemExit(f"error: {path} is not for the key of its request")
    path.unlink()

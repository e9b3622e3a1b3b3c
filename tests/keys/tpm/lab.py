"""A home with a software TPM, and a second opinion on signatures."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import load_der_public_key

from ca.algorithms import SignatureAlgorithm
from ca.interfaces.values import Secret
from ca.keys.tpm.custody import TpmCustody
from ca.keys.tpm.link import Link

PIN = Secret(b"correct horse")


@dataclass
class Lab:
    """A home with one embedded TPM. `custody()` is pinned once `describe` was called here."""

    tpm_dir: Path
    lock_file: Path
    srk_public: bytes | None = None
    said: list[str] = field(default_factory=list)

    def custody(
        self,
        *,
        tcti: str = "embedded",
        around: Callable[[Link], Link] = lambda link: link,
        deadline: float = 20.0,
        lock_seconds: float = 60.0,
        owner_auth: Secret | None = None,
    ) -> TpmCustody:
        return TpmCustody(
            tcti,
            state_dir=self.tpm_dir,
            lock_file=self.lock_file,
            srk_public=self.srk_public,
            on_wait=self.said.append,
            deadline=deadline,
            lock_seconds=lock_seconds,
            owner_auth=owner_auth,
            around=around,
        )

    def pin(self) -> TpmCustody:
        """Pin to the TPM as it is now."""
        self.srk_public = self.custody().describe().srk_public
        return self.custody()


def require(program: str, package: str) -> None:
    """Fail with the name of the Debian package when a program is missing."""
    if shutil.which(program) is None:
        pytest.fail(f"{program} is missing: run `sudo apt install {package}`")


def verify(spki: bytes, signature: bytes, octets: bytes, algorithm: SignatureAlgorithm) -> None:
    """With another implementation. Raises: cryptography's InvalidSignature."""
    digest: hashes.HashAlgorithm = {
        "sha256": hashes.SHA256(),
        "sha384": hashes.SHA384(),
        "sha512": hashes.SHA512(),
    }[algorithm.hash]
    key = load_der_public_key(spki)
    if isinstance(key, ec.EllipticCurvePublicKey):
        key.verify(signature, octets, ec.ECDSA(digest))
    else:
        assert isinstance(key, rsa.RSAPublicKey)
        key.verify(signature, octets, padding.PKCS1v15(), digest)

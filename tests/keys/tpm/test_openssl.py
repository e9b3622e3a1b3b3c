"""The same keys in `openssl -provider tpm2`, both ways."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_public_key,
)

from ca.algorithms import EC_P256, EC_P384, RSA_2048, KeyKind
from ca.encoding.tsskey import PARENT_OWNER, PARENT_SRK, TssKey
from ca.errors import KeyFileMalformed, KeyRefused, PinNeeded, PinWrong
from ca.interfaces.values import Secret
from tests.keys.tpm.lab import Lab, require, verify

PIN = Secret(b"abc")
Openssl = Callable[..., "subprocess.CompletedProcess[bytes]"]


@pytest.fixture
def tcti(socket_tpm: tuple[str, object]) -> str:
    return socket_tpm[0]


@pytest.fixture
def openssl(tcti: str, tmp_path: Path) -> Openssl:
    require("openssl", "openssl")
    environment = {**os.environ, "TPM2OPENSSL_TCTI": tcti, "TSS2_LOG": "all+NONE"}

    def run(*arguments: str) -> subprocess.CompletedProcess[bytes]:
        verb, *rest = arguments
        return subprocess.run(
            ["openssl", verb, "-provider", "tpm2", "-provider", "default", *rest],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            stdin=subprocess.DEVNULL,
            timeout=60,
        )

    loaded = run("list", "-providers")
    if loaded.returncode:
        said = loaded.stderr.decode()
        pytest.fail(f"no tpm2 provider: run `sudo apt install tpm2-openssl`\n{said}")
    return run


def done(ended: subprocess.CompletedProcess[bytes]) -> bytes:
    assert ended.returncode == 0, ended.stderr.decode()
    return ended.stdout


def public_of(openssl: Openssl, file: str, *more: str) -> bytes:
    pem = done(openssl("pkey", "-in", file, "-pubout", *more))
    return load_pem_public_key(pem).public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def signing(kind: KeyKind) -> list[str]:
    """The digest must come from the provider too: the default one cannot use a key in a TPM."""
    digest = ["-rawin", "-digest", kind.hash, "-propquery", "?provider=tpm2"]
    return ["pkeyutl", "-sign", "-inkey", "key.tss", "-in", "octets", *digest]


# ---------------------------------------------------------------- ours, in openssl


@pytest.mark.parametrize("kind", [EC_P256, EC_P384, RSA_2048], ids=str)
@pytest.mark.parametrize("pin", [None, PIN], ids=["no-pin", "pin"])
def test_openssl_signs_with_a_key_of_ours(
    lab: Lab, tcti: str, openssl: Openssl, tmp_path: Path, kind: KeyKind, pin: Secret | None
) -> None:
    custody = lab.custody(tcti=tcti)
    key = custody.create(kind, pin=pin)
    (tmp_path / "key.tss").write_bytes(key.pem)
    (tmp_path / "octets").write_bytes(b"to be signed")
    given = ["-passin", "pass:abc"] if pin else []
    assert public_of(openssl, "key.tss", *given) == key.spki
    signature = done(openssl(*signing(kind), *given))
    with custody.open(key.pem, spki=key.spki, pin=pin) as signer:
        verify(key.spki, signature, b"to be signed", signer.algorithm)


def test_openssl_does_not_sign_with_a_wrong_pin(
    lab: Lab, tcti: str, openssl: Openssl, tmp_path: Path
) -> None:
    key = lab.custody(tcti=tcti).create(EC_P256, pin=PIN)
    (tmp_path / "key.tss").write_bytes(key.pem)
    (tmp_path / "octets").write_bytes(b"x")
    assert openssl(*signing(EC_P256), "-passin", "pass:wrong").returncode != 0
    assert openssl(*signing(EC_P256), "-passin", "pass:abc").returncode == 0


# ---------------------------------------------------------------- openssl's, with us


@pytest.mark.parametrize("pin", [None, PIN], ids=["no-pin", "pin"])
@pytest.mark.parametrize(
    ("parent", "algorithm"),
    [
        (PARENT_OWNER, ["EC", "-pkeyopt", "group:P-256"]),
        (PARENT_SRK, ["EC", "-pkeyopt", "group:P-384"]),
        (PARENT_OWNER, ["RSA", "-pkeyopt", "bits:2048"]),
    ],
    ids=["ec-p256-owner", "ec-p384-srk", "rsa-2048-owner"],
)
def test_a_key_made_by_openssl_signs_here(
    lab: Lab,
    tcti: str,
    openssl: Openssl,
    tmp_path: Path,
    parent: int,
    algorithm: list[str],
    pin: Secret | None,
) -> None:
    lab.srk_public = lab.custody(tcti=tcti).describe().srk_public
    options = ["-pkeyopt", f"parent:0x{parent:x}"] if parent == PARENT_SRK else []
    options += ["-pkeyopt", "user-auth:abc"] if pin else []
    done(openssl("genpkey", "-algorithm", *algorithm, *options, "-out", "o.pem"))
    pem = (tmp_path / "o.pem").read_bytes()
    assert TssKey.from_pem(pem).parent == parent
    spki = public_of(openssl, "o.pem", *(["-passin", "pass:abc"] if pin else []))
    with lab.custody(tcti=tcti).open(pem, spki=spki, pin=pin) as signer:
        verify(spki, signer.sign(b"x"), b"x", signer.algorithm)


def test_a_key_made_by_openssl_wants_its_pin(
    lab: Lab, tcti: str, openssl: Openssl, tmp_path: Path
) -> None:
    done(
        openssl(
            *("genpkey", "-algorithm", "EC", "-pkeyopt", "group:P-256"),
            *("-pkeyopt", "user-auth:abc", "-out", "o.pem"),
        )
    )
    pem = (tmp_path / "o.pem").read_bytes()
    spki = public_of(openssl, "o.pem", "-passin", "pass:abc")
    custody = lab.custody(tcti=tcti)
    with pytest.raises(PinNeeded), custody.open(pem, spki=spki, pin=None):
        pass
    wrong = Secret(b"wrong")
    with custody.open(pem, spki=spki, pin=wrong) as signer, pytest.raises(PinWrong) as caught:
        signer.sign(b"x")
    assert "counts failures" in caught.value.remedy  # openssl's keys are not noDA


def test_a_restricted_key_of_openssl_is_refused_with_the_reason(
    lab: Lab, tcti: str, openssl: Openssl, tmp_path: Path
) -> None:
    done(
        openssl(
            *("genpkey", "-algorithm", "RSA-PSS", "-pkeyopt", "bits:2048"),
            *("-pkeyopt", "digest:SHA256", "-out", "o.pem"),
        )
    )
    pem = (tmp_path / "o.pem").read_bytes()
    custody = lab.custody(tcti=tcti)
    from ca.encoding.tpm import PublicArea

    spki = PublicArea.from_tpm2b(TssKey.from_pem(pem).public).spki
    with (
        pytest.raises(KeyRefused, match="restricted"),
        custody.open(pem, spki=spki, pin=None),
    ):
        pass


def test_a_key_that_is_not_in_a_tpm_is_refused(lab: Lab, openssl: Openssl, tmp_path: Path) -> None:
    plain = subprocess.run(
        ["openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"],
        capture_output=True,
        check=True,
    ).stdout
    with (
        pytest.raises(KeyFileMalformed, match="'PRIVATE KEY', not a 'TSS2 PRIVATE KEY'"),
        lab.custody().open(plain, spki=b"", pin=None),
    ):
        pass

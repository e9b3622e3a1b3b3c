"""A refused request changes no file, no row and no TPM: proven with every vector at once."""

from __future__ import annotations

import hashlib
import json
import shutil
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

import pytest

from tests.house import House
from tests.vectors.requests import make

HERE = Path(make.__file__).parent
#: Refused by every profile and setting: for what they are, not for whose names they ask.
ALWAYS = ("key.", "signature.", "request.", "subject.illegal", "san.illegal", "san.empty")


def _refused_by_all() -> list[str]:
    entries = json.loads((HERE / "manifest.json").read_text(encoding="utf-8"))["vectors"]
    return [
        entry["file"]
        for entry in entries
        if entry["verdict"] == "refuse"
        and "profile" not in entry
        and "constrained" not in entry
        and any(rule.startswith(ALWAYS) for rule in entry.get("rules", ["request."]))
    ]


def _state(directory: Path) -> dict[str, str]:
    """Every file but the locks, by content; the database by what it says."""
    state = {
        str(path.relative_to(directory)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(directory.rglob("*"))
        if path.is_file() and path.suffix != ".lock" and not path.name.startswith("homeca.db")
    }
    if (directory / "homeca.db").exists():
        with closing(sqlite3.connect(directory / "homeca.db")) as connection:
            state["homeca.db"] = "\n".join(connection.iterdump())
    return state


@pytest.fixture
def requests(house: House) -> Path:
    place = house.place / "requests"
    place.mkdir()
    for name in [*_refused_by_all(), "plain.csr"]:
        shutil.copy(HERE / "made" / name, place / name)
    return place


def _sign(house: House, *files: Path) -> subprocess.CompletedProcess[str]:
    """`homeca sign` with a TPM that is not there: whoever sends it one command fails."""
    return subprocess.run(
        house.homeca.argv("sign", "--profile", "vpn-client", *files),
        env=house.homeca.environment | {"HOMECA_TPM": "device:/dev/no-such-tpm"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        cwd=house.place,
    )


def test_refused_requests_leave_home_files_and_tpm_as_they_were(
    house: House, requests: Path
) -> None:
    names = _refused_by_all()
    assert len(names) >= 300
    home, files = _state(house.home), _state(requests)
    done = _sign(house, *(requests / name for name in names))
    assert done.returncode != 0
    assert "Traceback" not in done.stderr
    assert "custody." not in done.stderr  # nobody asked for the TPM
    assert _state(house.home) == home
    assert _state(requests) == files
    unnamed = [name for name in names if name not in done.stderr]
    assert unnamed == []


def test_the_same_command_does_ask_the_tpm_for_a_good_request(house: House, requests: Path) -> None:
    done = _sign(house, requests / "plain.csr")
    assert done.returncode != 0
    assert "custody." in done.stderr
    house.homeca.must("sign", "--profile", "vpn-client", requests / "plain.csr")
    assert "plain.crt" in _state(requests)


def test_no_private_key_or_challenge_of_a_refused_file_is_kept(
    house: House, requests: Path
) -> None:
    secrets = [b"BEGIN PRIVATE KEY", b"BEGIN EC PRIVATE KEY", b"BEGIN RSA PRIVATE KEY"]
    burnt = [requests / name for name in _refused_by_all() if name.startswith("burnt-")]
    assert len(burnt) >= 10
    done = _sign(house, *burnt)
    assert "burnt" in done.stderr
    kept = [
        path
        for path in house.home.rglob("*")
        if path.is_file()
        and "keys" not in path.parts
        and any(secret in path.read_bytes() for secret in secrets)
    ]
    assert kept == []
    assert not any(secret.decode() in done.stdout + done.stderr for secret in secrets)

"""A home whose database is gone: nothing that is still there is taken for a new CA's."""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path

import pytest

from tests.cli.running import run
from tests.house import House
from tests.interop.programs import must


def _keys(house: House) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (house.home / "keys").iterdir()}


@pytest.mark.parametrize("left", [None, b""], ids=["no database", "an empty one"])
@pytest.mark.parametrize(
    "command",
    [("init-root", "--name", "New"), ("init-intermediate", "--csr-out", "new.csr")],
    ids=["root", "intermediate"],
)
def test_no_ceremony_takes_the_place_of_a_key_whose_record_is_gone(
    house: House, left: bytes | None, command: tuple[str, ...]
) -> None:
    before = _keys(house)
    database = house.home / "homeca.db"
    database.unlink()
    if left is not None:
        database.touch(0o600)

    said = run(house, *command)

    assert (said.status, _keys(house)) == (5, before)
    assert "[store.gone]" in said.messages
    assert database.exists() is (left is not None)


def test_whoever_lost_the_record_is_not_sent_to_make_a_new_root(house: House) -> None:
    Path(house.home, "homeca.db").unlink()
    said = run(house, "status")
    assert said.status == 5
    assert "root.tss" in said.messages
    assert "init-root" not in said.messages


@pytest.mark.parametrize("crash", [False, True], ids=["in order", "after a crash"])
def test_the_commands_that_bring_a_record_back_leave_revoked_what_was_revoked_since(
    house: House, tmp_path: Path, crash: bool
) -> None:
    homeca, identity, backup = house.homeca, tmp_path / "identity", tmp_path / "backup.age"
    must("age-keygen", "-o", identity)
    homeca.must("backup", backup, "--recipient", must("age-keygen", "-y", identity).strip())
    homeca.must("revoke", house.file("laptop.crt"), "--reason", "keyCompromise", "--crl")
    before = homeca.json("show", house.serial("laptop"))
    (house.home / "homeca.db").unlink()
    if crash:  # of another time: SQLite would take it for what the copy lacks
        (house.home / "homeca.db-wal").write_bytes(b"left")

    remedy = run(house, "status").messages
    commands = re.findall(r"`([^`]+)`", remedy)
    assert [shlex.split(one)[0] for one in commands if "homeca " not in one[:7]] == (
        ["rm", "cp"] if crash else ["cp"]
    )
    for command in commands:
        words = [
            word.replace("DIRECTORY", str(tmp_path / "aside")).replace("TEXT", "the disk died")
            for word in shlex.split(command)
        ]
        if words[0] != "homeca":
            subprocess.run(words, check=True, timeout=30)
            continue
        words = [str(backup) if word == "BACKUP" else word for word in words[1:]]
        options = {"restore": ["--identity", str(identity)], "audit": ["--yes"]}
        homeca.must(*words, *options.get(words[0], []))

    assert "--crl" in commands[0]
    assert homeca.json("show", house.serial("laptop")) == before
    listed = must("openssl", "crl", "-in", house.home / "crl/intermediate-1.crl", "-text")
    assert house.serial("laptop") in listed
    assert run(house, "audit", "verify").status == 0

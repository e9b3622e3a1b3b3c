"""What is said of a backup: what is not in it, how old it may be, who can open it."""

from __future__ import annotations

import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

import pytest

from tests.cli.running import Said, run
from tests.house import House
from tests.interop.programs import must

LEFT_OUT = "the software TPM with the keys is not in this backup"
UNKNOWN_AGE = "whether this backup is of the newest state"


def backup(house: House, identity: Path, *options: str) -> Said:
    public = must("age-keygen", "-y", identity).strip()
    said = run(house, "backup", "b.age", "--force", "--recipient", public, *options)
    assert said.status == 0, said.messages
    return said


def restore(house: House, identity: Path, *options: str | Path) -> Said:
    """In another place, as on another machine."""
    place = house.place / "aside"
    return run(house, "restore", "b.age", "--home", place, "--identity", identity, *options)


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    path = tmp_path / "passphrase"
    path.touch(mode=0o600)
    path.write_text("correct horse battery staple\n")
    return path


# ---------------------------------------------------------------- what is not in it


def test_a_backup_without_the_software_tpm_says_that_the_keys_are_not_in_it(
    house: House, identity: Path
) -> None:
    said = backup(house, identity)
    assert LEFT_OUT in said.messages
    assert "--include-software-tpm" in said.messages
    assert LEFT_OUT in run(house, "drill", "b.age", "--identity", identity).messages


def test_a_backup_with_the_software_tpm_does_not_say_that_the_keys_are_missing(
    house: House, identity: Path
) -> None:
    assert LEFT_OUT not in backup(house, identity, "--include-software-tpm").messages
    drilled = run(house, "drill", "b.age", "--identity", identity)
    assert (drilled.status, LEFT_OUT in drilled.messages) == (0, False)


def test_no_software_tpm_is_missed_in_the_backup_of_a_ca_that_has_none_in_its_home(
    identity: Path, tmp_path: Path, socket_tpm: tuple[str, subprocess.Popen[bytes]]
) -> None:
    house = House(tmp_path / "house")
    house.place.mkdir()
    at_tpm = ("--tpm", socket_tpm[0])
    house.homeca.must("init-root", "--name", "Test", "--key", "ec-p256", *at_tpm)
    assert LEFT_OUT not in backup(house, identity).messages
    drilled = run(house, "drill", "b.age", "--identity", identity)
    assert (drilled.status, LEFT_OUT in drilled.messages) == (0, False)
    house.home.rename(tmp_path / "died")
    again = restore(house, identity, *at_tpm)
    assert (again.status, UNKNOWN_AGE in again.messages) == (0, False)


def test_a_backup_that_restore_would_refuse_for_its_rules_is_said_when_it_is_made(
    house: House, identity: Path
) -> None:
    def said(statement: str) -> str:
        with closing(sqlite3.connect(house.home / "homeca.db")) as database:
            database.execute(statement)
        return backup(house, identity).messages

    refusal = "`homeca restore` will refuse this backup"
    messages = said("CREATE INDEX mine ON certificates (subject)")
    assert refusal in messages
    assert "DROP INDEX mine" in messages
    refused = restore(house, identity)
    assert "'mine'" in refused.messages
    assert refused.status != 0
    assert refusal not in said("DROP INDEX mine")


# ---------------------------------------------------------------- how old it may be


@pytest.mark.parametrize("options", [(), ("--include-software-tpm",)], ids=["alone", "with keys"])
def test_that_nothing_here_knows_the_age_of_a_backup_is_said(
    house: House, identity: Path, options: tuple[str, ...]
) -> None:
    """A software TPM that comes out of the backup is as old as its record: they agree."""
    backup(house, identity, *options)
    house.homeca.must("lost", "laptop.home.arpa")
    said = restore(house, identity)
    assert said.status == 0
    assert UNKNOWN_AGE in said.messages
    assert "--crl and --checkpoint can" in said.messages


# ---------------------------------------------------------------- who can open it


@pytest.mark.parametrize("command", ["restore", "drill"])
def test_no_passphrase_is_asked_for_where_a_backup_has_none(
    house: House, identity: Path, command: str
) -> None:
    backup(house, identity)
    place = house.home if command == "drill" else house.place / "aside"
    said = run(house, command, "b.age", "--home", place)
    assert "for an age recipient" in said.messages
    assert "--identity FILE" in said.messages
    assert "[backup.locked]" in said.messages


def test_a_passphrase_is_asked_for_where_a_backup_has_one(house: House, secret: Path) -> None:
    house.homeca.must("backup", house.file("b.age"), "--passphrase-file", secret)
    said = run(house, "drill", "b.age")
    assert "there is no terminal to ask for the backup's passphrase" in said.messages
    assert run(house, "drill", "b.age", "--passphrase-file", secret).status == 0


def test_a_backup_that_comes_through_a_pipe_is_read_once(
    house: House, secret: Path, tmp_path: Path
) -> None:
    house.homeca.must("backup", house.file("b.age"), "--passphrase-file", secret)
    place = tmp_path / "aside"
    arguments = ("restore", "/dev/stdin", "--home", place, "--passphrase-file", secret)
    said = run(house, *arguments, given=house.file("b.age").read_bytes())
    assert said.status == 0, said.messages
    assert (place / "homeca.db").exists()

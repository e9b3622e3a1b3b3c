"""The machine around it: modes that keep its own user out, names that are no text, other paths.

Whoever runs these tests as root is asked to do without the power to go past every mode.
"""

from __future__ import annotations

import os
import pwd
import re
import shlex
import subprocess
from pathlib import Path

import pytest

from tests.cli.running import Said, run
from tests.house import House
from tests.interop.homeca import Homeca
from tests.interop.programs import require

WITHOUT_POWER = ("setpriv", "--bounding-set=-dac_override,-dac_read_search", "--")


def run_as_owner(house: House, *arguments: str | Path, mask: str = "022") -> Said:
    """As somebody for whom modes count, with this umask."""
    require("setpriv")
    power = WITHOUT_POWER if os.geteuid() == 0 else ()
    done = subprocess.run(
        ["sh", "-c", f'umask {mask}; exec "$@"', "sh", *power, *Homeca.argv(*arguments)],
        cwd=house.place,
        env=house.homeca.environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
        timeout=60,
    )
    return Said(done.returncode, done.stdout, done.stderr)


@pytest.mark.parametrize("command", ["sign", "renew"])
def test_nothing_is_signed_for_a_directory_that_cannot_be_written(
    house: House, command: str
) -> None:
    closed = house.place / "closed"
    closed.mkdir(mode=0o500)
    before = run(house, "list").text
    given = ("nas.csr", "--profile", "tls-server") if command == "sign" else ("nas.crt",)

    said = run_as_owner(house, command, *given, "--out", closed / "new.crt")

    assert (said.status, run(house, "list").text) == (1, before)
    assert f"nothing can be written in '{closed}': permission denied" in said.messages
    closed.chmod(0o700)
    assert run_as_owner(house, command, *given, "--out", closed / "new.crt").status == 0


@pytest.mark.parametrize("mask", ["277", "777"])
def test_a_umask_that_keeps_its_own_user_out_keeps_nobody_from_a_ca(
    house: House, mask: str
) -> None:
    home = house.place / "one/two/home"
    named = ("--home", home, "--key", "ec-p256")
    assert run_as_owner(house, "init-root", "--name", "Mask", *named, mask=mask).status == 0
    assert run_as_owner(house, "init-intermediate", *named, mask=mask).status == 0
    assert run_as_owner(house, "check", "--home", home, mask=mask).status == 0


def test_a_record_that_was_read_only_says_what_gives_it_back(house: House) -> None:
    """SQLite makes its two other files with the mode of the first, and there they stay."""
    record = house.home / "homeca.db"
    record.chmod(0o400)
    assert run_as_owner(house, "list").status == 0
    record.chmod(0o600)
    (house.home / "homeca.db-shm").chmod(0o400)
    signing = ("sign", "nas.csr", "--profile", "tls-server", "--force")

    said = run_as_owner(house, *signing)

    told = re.search(r"`(chmod [^`]+)`", said.messages)
    assert said.status == 5
    assert told is not None
    subprocess.run(shlex.split(told[1]), check=True, timeout=10)
    assert run_as_owner(house, *signing).status == 0


def test_what_the_system_refuses_is_named(house: House) -> None:
    (house.home / "keys").chmod(0)
    said = run_as_owner(house, "status")
    (house.home / "keys").chmod(0o700)
    assert (said.status, f"the system says of '{house.home}/keys/" in said.messages) == (1, True)


def test_a_name_that_is_no_text_comes_out_of_a_pipe_as_it_went_in(house: House) -> None:
    name = os.fsdecode(b"n\xffas.crt")
    said = run(house, "sign", "nas.csr", "--profile", "tls-server", "--out", name)
    assert (said.status, said.out) == (0, b"n\xffas.crt\n")
    assert (house.place / name).exists()


def test_a_home_that_is_no_text_is_refused_before_it_is_made(house: House) -> None:
    home = house.place / os.fsdecode(b"ho\xffme")
    said = run(house, "init-root", "--name", "X", "--home", home)
    assert (said.status, home.exists()) == (2, False)
    assert "is not in UTF-8" in said.messages


@pytest.mark.parametrize("said_by", ["option", "environment"])
def test_a_home_of_a_user_that_is_not_is_refused_in_homecas_words(
    house: House, said_by: str
) -> None:
    home = "~nobody.at.all/ca"
    option = ("--home", home) if said_by == "option" else ()
    environment = {"HOMECA_HOME": home} if said_by == "environment" else {}
    said = run(house, "status", *option, environment=environment)
    assert said.status == 2
    assert "there is no user 'nobody.at.all'" in said.messages


@pytest.mark.parametrize("output", ["", "pipe"])
@pytest.mark.parametrize(
    "command",
    [
        ("export", "root", "--out"),
        ("audit", "checkpoint", "--out"),
        ("prove", "--out"),
        ("status", "--ics"),
        ("backup", "--passphrase-file", "phrase"),
        ("sign", "nas.csr", "--profile", "tls-server", "--out"),
    ],
    ids=lambda command: command[0],
)
def test_what_is_no_file_is_not_replaced_by_one(
    house: House, command: tuple[str, ...], output: str
) -> None:
    if (command[0], output) == ("sign", ""):
        output = "/dev/full"  # "" is the directory that it is in
    phrase = house.place / "phrase"
    phrase.touch(0o600)
    phrase.write_text("as long as it has to be\n")
    os.mkfifo(house.place / "pipe")
    # no --force for a device: a mistake would take it from this machine
    force = ("--force",) if output == "pipe" and command[0] != "status" else ()
    said = run(house, *command, output, *force)
    assert (said.status, "unforeseen" in said.messages) == (1, False)
    assert "no file" in said.messages
    assert (house.place / "pipe").is_fifo()


def test_a_request_that_names_no_file_is_refused(house: House) -> None:
    said = run(house, "sign", ".", "--profile", "tls-server")
    assert (said.status, "names no file" in said.messages) == (2, True)


def test_a_request_that_a_shell_puts_in_place_of_a_file_goes_back_into_the_pipe(
    house: House,
) -> None:
    """Not beside it: /dev/fd takes no file, and the certificate would be signed for nobody."""
    ours, theirs = os.pipe()
    os.write(theirs, house.file("nas.csr").read_bytes())
    os.close(theirs)
    done = subprocess.run(
        Homeca.argv("sign", f"/dev/fd/{ours}", "--profile", "tls-server"),
        cwd=house.place,
        env=house.homeca.environment,
        pass_fds=[ours],
        capture_output=True,
        check=False,
        timeout=60,
    )
    os.close(ours)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(b"-----BEGIN CERTIFICATE-----")


@pytest.mark.parametrize("command", ["init-root", "restore"])
def test_root_hears_how_a_home_is_given_to_whom_it_is_for(house: House, command: str) -> None:
    """Where root is not who made it, nobody is told, and nothing has to be given."""
    theirs = house.place / "theirs"
    theirs.mkdir()
    is_root = os.geteuid() == 0
    if is_root:
        os.chown(theirs, pwd.getpwnam("nobody").pw_uid, -1)
    phrase = house.place / "phrase"
    phrase.touch(0o600)
    phrase.write_text("as long as it has to be\n")
    given: tuple[str | Path, ...] = ("--name", "X", "--key", "ec-p256")
    if command == "restore":
        given = (house.place / "b.age", "--passphrase-file", phrase)
        assert run(house, "backup", *given).status == 0

    said = run(house, command, *given, "--home", theirs / "share/homeca")

    told = re.search(r"`(chown [^`]+)`", said.messages)
    assert (said.status, told is not None) == (0, is_root), said.messages
    if told is not None:
        subprocess.run(shlex.split(told[1]), check=True, timeout=10)
    assert {path.stat().st_uid for path in theirs.rglob("*")} == {theirs.stat().st_uid}
    again = run(house, command, *given, "--home", house.place / "own/homeca")
    assert (again.status, "chown" in again.messages) == (0, False)

"""What homeca says to do works, word for word."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.cli.running import run
from tests.house import House


def test_a_directory_of_published_lists_that_was_removed_comes_back_with_the_next_cut(
    house: House,
) -> None:
    shutil.rmtree(house.home / "crl")
    told = run(house, "status")
    assert told.status == 1
    assert "write it again: `homeca crl`" in told.text

    assert run(house, "crl").status == 0

    assert (house.home / "crl").stat().st_mode & 0o777 == 0o700
    assert "published.missing" not in run(house, "status").text


@pytest.mark.parametrize("name", ["pl ain", "o'clock", 'a"b', "$HOME", "a;b"])
def test_a_remedy_with_a_path_is_one_that_a_shell_takes(
    house: House, tmp_path: Path, name: str
) -> None:
    place = tmp_path / name
    house.place.rename(place)
    moved = House(place)
    moved.home.chmod(0o755)
    said = run(moved, "status")
    assert said.status == 2
    command = said.messages.split("`")[1]
    assert shlex.split(command) == ["chmod", "700", str(moved.home)]

    subprocess.run(["sh", "-c", command], check=True, timeout=10)

    assert moved.home.stat().st_mode & 0o777 == 0o700


def test_a_backup_says_how_it_is_tried_out_whatever_its_name_and_whoever_opens_it(
    house: House,
) -> None:
    (house.place / "age id").touch(0o600)
    made = subprocess.run(["age-keygen"], capture_output=True, text=True, check=True, timeout=10)
    (house.place / "age id").write_text(made.stdout)
    recipient = made.stdout.split("public key: ")[1].split()[0]

    said = run(house, "backup", "my backup.age", "--recipient", recipient)

    (command,) = [line.split("`")[1] for line in said.messages.splitlines() if "next:" in line]
    program, *arguments = shlex.split(command.replace("FILE", "'age id'"))
    assert program == "homeca"
    assert run(house, *arguments).status == 0


#: A shell in a mount namespace of its own, where $0 is mounted read-only.
READ_ONLY = 'mount --bind "$0" "$0" && mount -o remount,bind,ro "$0" && exec "$@"'


def on_read_only_disk(house: House, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [
            "unshare",
            # root needs no user namespace, which some machines do not give
            *(["--map-root-user"] if os.geteuid() else []),
            "--mount",
            "sh",
            "-c",
            READ_ONLY,
            str(house.home),
            *house.homeca.argv(*arguments),
        ],
        cwd=house.place,
        env=house.homeca.environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_a_home_on_a_read_only_disk_is_named_and_its_copy_can_be_looked_at(house: House) -> None:
    said = on_read_only_disk(house, "list")
    assert said.returncode == 5
    assert f"the database '{house.home}/homeca.db' is on a read-only disk" in said.stderr
    assert "`cp -a`" in said.stderr

    subprocess.run(["cp", "-a", house.home, house.file("copy")], check=True, timeout=30)

    assert run(house, "list", "--home", house.file("copy")).text == run(house, "list").text


def test_a_profile_that_cannot_be_written_is_no_fault_of_homeca(house: House) -> None:
    said = on_read_only_disk(house, "profile", "new", "mine")

    assert said.returncode == 1
    assert "cannot be written: Read-only file system" in said.stderr
    assert "unforeseen" not in said.stderr


def test_the_example_of_a_request_becomes_a_certificate_without_a_warning(house: House) -> None:
    from ca.cli.request import new

    _, _, example = (new.__doc__ or "").partition("Example: homeca ")
    device = {"HOMECA_HOME": str(house.file("device"))}
    asked = run(house, *shlex.split(example), "-o", house.file("asked.csr"), environment=device)
    assert asked.status == 0, asked.messages

    house.homeca.must("sign", house.file("asked.csr"), "--profile", "vpn-client")

    said = run(house, "lint", house.file("asked.crt"), "--for", "windows")
    assert "nothing to say against it" in said.text.splitlines()[0]

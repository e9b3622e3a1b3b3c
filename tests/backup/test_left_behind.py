"""What a killed `backup`, `restore` or `drill` leaves is gone after the next one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from ca.services.scratch import AT_ONCE, _is_ours, scratch_directory
from tests.backup.test_backup import backed_up, restored
from tests.house import House
from tests.interop.homeca import CHECKOUT

#: Begins, unpacks, and kills itself when the unpacked home is about to be opened.
KILLED = """
import os, signal, sys
from datetime import UTC, datetime
from pathlib import Path
from ca.encoding.age_keys import Identity
from ca.home import Home
from ca.services.backup.restoring import drill, restore
from ca.wiring.record import spelled
what, source, identity, place = sys.argv[1], *map(Path, sys.argv[2:])
key, now = Identity.parse_file(identity.read_text()), datetime.now(UTC)
def opened(_):
    os.kill(os.getpid(), signal.SIGKILL)
if what == "restore":
    restore(source, key, Home(place), opened=opened, spelled=spelled, at=now)
else:
    drill(source, key, place=place, opened=opened, at=now)
"""


def killed(what: str, backup: Path, identity: Path, place: Path) -> None:
    arguments = [what, str(backup), str(identity), str(place)]
    done = subprocess.run([sys.executable, "-c", KILLED, *arguments], cwd=CHECKOUT, timeout=60)
    assert done.returncode == -signal.SIGKILL


def test_a_killed_restore_leaves_nothing_once_the_next_has_restored(
    house: House, identity: Path
) -> None:
    backup = backed_up(house, identity)
    place = house.place / "restored"
    place.mkdir()
    killed("restore", backup, identity, place / "home")
    (left,) = place.iterdir()
    assert left.name.startswith(".home.restoring-")
    assert (left / "home/homeca.db").exists(), "the control: there is something to be removed"

    back = restored(house, backup, identity)

    assert [one.name for one in place.iterdir()] == ["home"]
    assert back.homeca.json("list")["certificates"]


def test_a_killed_drill_leaves_nothing_once_the_next_has_drilled(
    house: House, identity: Path
) -> None:
    backup = backed_up(house, identity)
    killed("drill", backup, identity, house.home)
    assert list(house.home.glob(".drill-*"))

    house.homeca.must("drill", backup, "--identity", identity)

    assert not list(house.home.glob(".drill-*"))


def test_a_directory_that_somebody_works_in_stays(tmp_path: Path) -> None:
    with scratch_directory(tmp_path, ".home.restoring-") as first:
        (first / "record").write_text("still being written")
        with scratch_directory(tmp_path, ".home.restoring-") as second:
            assert second != first
        assert (first / "record").exists()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "name",
    [".home.restoring-", ".home.restoring-abcdefg", ".home.restoring-abcdefgh.old",
     ".house.restoring-abcdefgh", "home.restoring-abcdefgh", ".home.restoring-ABCDEFGH"],
)  # fmt: skip
def test_a_directory_of_another_name_stays(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()
    with scratch_directory(tmp_path, ".home.restoring-"):
        pass
    assert (tmp_path / name).is_dir()


def test_a_link_or_a_file_of_that_name_stays_and_is_not_followed(tmp_path: Path) -> None:
    target = tmp_path / "precious"
    target.mkdir()
    (target / "file").write_text("kept")
    (tmp_path / ".home.restoring-abcdefgh").symlink_to(target)
    (tmp_path / ".home.restoring-hgfedcba").write_text("a file")
    with scratch_directory(tmp_path, ".home.restoring-"):
        pass
    assert (target / "file").read_text() == "kept"
    assert (tmp_path / ".home.restoring-abcdefgh").is_symlink()
    assert (tmp_path / ".home.restoring-hgfedcba").is_file()


def test_what_others_left_is_not_ours(tmp_path: Path) -> None:
    other = Path("/etc")
    if os.geteuid() == 0:
        other = tmp_path / ".home.restoring-abcdefgh"
        other.mkdir()
        os.chown(other, 65534, 65534)
    (tmp_path / "own").mkdir()
    with os.scandir(other.parent) as entries:
        found = {one.name: _is_ours(one) for one in entries}
    assert not found[other.name]
    with os.scandir(tmp_path) as entries:
        assert [_is_ours(one) for one in entries if one.name == "own"] == [True]


def test_so_many_are_removed_at_once_and_the_rest_later(tmp_path: Path) -> None:
    for number in range(AT_ONCE + 3):
        (tmp_path / f".home.restoring-{number:08}").mkdir()
    with scratch_directory(tmp_path, ".home.restoring-"):
        pass
    assert len(list(tmp_path.iterdir())) == 3
    with scratch_directory(tmp_path, ".home.restoring-"):
        pass
    assert list(tmp_path.iterdir()) == []

"""The CA's home: where it is, who may look inside, and what is missing."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from ca.errors import HomeMissing, HomeNotPrivate, StoreGone
from ca.home import Home, default_home


@pytest.fixture
def environment() -> Iterator[dict[str, str]]:
    """The real environment, put back after."""
    before = dict(os.environ)
    yield os.environ  # type: ignore[misc]  # it behaves as one
    os.environ.clear()
    os.environ.update(before)


def test_homeca_home_decides_where_the_home_is(environment: dict[str, str]) -> None:
    environment["HOMECA_HOME"] = "~/elsewhere"
    environment["HOME"] = "/home/alice"
    assert default_home() == Path("/home/alice/elsewhere")


def test_without_it_the_home_is_the_users_or_the_systems(environment: dict[str, str]) -> None:
    environment.pop("HOMECA_HOME", None)
    environment["XDG_DATA_HOME"] = "/data"
    system = os.geteuid() == 0
    assert default_home() == Path("/var/lib/homeca" if system else "/data/homeca")


def test_a_home_and_all_in_it_is_made_for_its_owner_alone(tmp_path: Path) -> None:
    home = Home(tmp_path / "a/b/home")
    before = os.umask(0)
    try:
        home.make()
    finally:
        os.umask(before)
    for path in (home.path, *home.path.iterdir()):
        assert path.stat().st_mode & 0o7777 == 0o700, path


def test_making_a_home_twice_changes_nothing(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    home.make()
    (home.keys / "root.tss").write_bytes(b"kept")
    home.make()
    assert (home.keys / "root.tss").read_bytes() == b"kept"


def test_a_home_without_a_database_holds_no_ca(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    home.make()
    with pytest.raises(HomeMissing) as missing:
        home.require()
    assert "homeca init-root" in missing.value.remedy
    home.database.touch()
    home.require()


def test_a_home_that_others_can_enter_is_not_used(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    home.make()
    home.database.touch()
    home.path.chmod(0o755)
    with pytest.raises(HomeNotPrivate):
        home.require()


def test_a_home_with_an_open_directory_inside_is_not_made_again(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    home.make()
    home.keys.chmod(0o755)
    with pytest.raises(HomeNotPrivate):
        home.make()


@pytest.mark.parametrize("left", [None, b""], ids=["no database", "an empty one"])
def test_keys_without_a_record_are_not_taken_for_a_new_home(
    tmp_path: Path, left: bytes | None
) -> None:
    home = Home(tmp_path / "home")
    home.make()
    (home.keys / "root.tss").write_bytes(b"kept")
    if left is not None:
        home.database.write_bytes(left)
    with pytest.raises(StoreGone, match=r"root\.tss") as gone:
        home.require()
    assert "init-root" not in gone.value.remedy

"""`homeca crl --dir` while others revoke and write the same directory."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from ca.failpoints import arm
from ca.home import Home
from ca.interfaces.store import CertificateStore
from ca.services.crl.directory import Listed, write_directory
from ca.services.crl.files import publishing
from ca.wiring.opening import open_settings
from ca.wiring.record import open_store
from tests.house import House


@contextmanager
def opened(house: House) -> Iterator[tuple[Home, CertificateStore]]:
    home = Home(house.home)
    with open_store(home, open_settings(home)) as store:
        yield home, store


def written(place: Path, house: House) -> Listed:
    waited: list[str] = []
    with opened(house) as (home, store):
        listed = write_directory(place, home, store, on_wait=waited.append)
    assert not waited
    return listed


def decimal(house: House, stem: str) -> str:
    return str(int(house.serial(stem), 16))


@pytest.mark.parametrize("stem", ["parked", "nas"])
def test_who_is_revoked_after_the_record_was_read_stays_out(
    house: House, tmp_path: Path, stem: str
) -> None:
    """parked: released, its file still there, and revoked again; nas: revoked for the first time,
    its file put there by somebody who read the record later."""
    place = tmp_path / "revoked"
    written(place, house)
    house.homeca.must("revoke", house.file("parked.crt"), "--reason", "removeFromCRL")

    def another(point: str) -> None:
        if point == "revoked.read":
            house.homeca.must("revoke", house.file(f"{stem}.crt"), "--reason", "keyCompromise")
            (place / decimal(house, stem)).touch()

    arm(another)
    try:
        listed = written(place, house)
    finally:
        arm(None)
    names = {path.name for path in place.iterdir()}
    assert names == {decimal(house, "lost"), decimal(house, stem)}
    assert (listed.revoked, listed.strange) == (2, ())
    assert listed.removed == (stem == "nas"), "what was released goes all the same"


def test_the_directory_is_written_by_one_at_a_time(house: House, tmp_path: Path) -> None:
    place = tmp_path / "revoked"
    said: list[str] = []
    with ExitStack() as other, opened(house) as (home, store):
        other.enter_context(publishing(home, said.append))

        def waits(text: str) -> None:
            said.append(text)
            assert not place.exists()
            house.homeca.must("revoke", house.file("nas.crt"))
            other.close()

        listed = write_directory(place, home, store, on_wait=waits)
    assert said == ["waiting for another homeca, which cuts the CRLs"]
    assert listed.revoked == 3, "what was revoked while it waited is in it"
    assert (place / decimal(house, "nas")).exists()

"""A home whose database is gone: nothing that is still there is taken for a new CA's."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.running import run
from tests.house import House


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

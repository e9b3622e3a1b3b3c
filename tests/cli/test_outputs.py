"""Where results may not go: over what the CA lives on, and over somebody's other file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.cli.running import run
from tests.house import House


def _octets(house: House) -> dict[str, bytes]:
    return {name: (house.home / name).read_bytes() for name in ("homeca.toml", "keys/root.tss")}


@pytest.mark.parametrize(
    "command",
    [
        ("export", "root", "--force", "--out"),
        ("backup", "--passphrase-file", "phrase", "--force"),
        ("sign", "nas.csr", "--profile", "tls-server", "--force", "--out"),
        ("renew", "nas.crt", "--force", "--out"),
        ("prove", "--force", "--out"),
        ("audit", "checkpoint", "--force", "--out"),
        ("status", "--ics"),
    ],
    ids=lambda command: command[0],
)
@pytest.mark.parametrize("name", ["homeca.db", "homeca.toml", "keys/root.tss", "keys/new"])
def test_nothing_is_written_over_what_the_ca_lives_on(
    house: House, command: Sequence[str], name: str
) -> None:
    (house.home / "homeca.toml").write_text("crl_days = 20\n")
    phrase = house.place / "phrase"
    phrase.touch(0o600)
    phrase.write_text("as long as it has to be\n")
    before = _octets(house)
    named = [str(house.place / one) if one in ("nas.csr", "nas.crt") else one for one in command]

    said = run(house, *named, house.home / name)

    assert (said.status, "belongs to the CA in" in said.messages) == (2, True)
    assert _octets(house) == before
    assert run(house, "check").status == 0


def test_a_backup_may_lie_in_the_home_and_a_root_be_written_again(house: House) -> None:
    phrase = house.place / "phrase"
    phrase.touch(0o600)
    phrase.write_text("as long as it has to be\n")
    to = house.home / "homeca.age"
    assert run(house, "backup", to, "--passphrase-file", phrase).status == 0
    root = house.home / "certs/root.pem"
    assert run(house, "export", "root", "--force", "--out", root).status == 0


def test_a_calendar_takes_the_place_of_a_calendar_and_of_nothing_else(house: House) -> None:
    note: Path = house.place / "note.txt"
    note.write_text("mine")
    said = run(house, "status", "--ics", note)
    assert (said.status, note.read_text()) == (2, "mine")
    calendar = house.place / "ca.ics"
    for _ in range(2):
        assert run(house, "status", "--ics", calendar).status == 0
    assert calendar.read_bytes().startswith(b"BEGIN:VCALENDAR")


def test_a_link_to_nowhere_is_in_the_way_before_anything_is_signed(house: House) -> None:
    link = house.place / "new.crt"
    link.symlink_to(house.place / "nowhere")
    before = run(house, "list").text
    said = run(house, "sign", house.file("nas.csr"), "--profile", "tls-server", "--out", link)
    assert (said.status, run(house, "list").text) == (2, before)

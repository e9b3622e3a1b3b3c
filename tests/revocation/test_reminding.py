"""Everything that ends is said before it does: in status, and in a calendar."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

from ca.interfaces.issuing import Role
from ca.services.crl.files import JOINED, advance
from ca.services.crl.ladder import Shape
from ca.services.standing.ca import standing
from ca.services.standing.icalendar import calendar
from ca.services.standing.reminding import Deadline, deadlines
from tests.house import House
from tests.revocation.test_ladder import LADDER, cut
from tests.services.rig import Rig, issue_one

DAY = timedelta(days=1)
NOW = datetime(2026, 11, 22, 12, 0, 0, tzinfo=UTC)


def rules(rig: Rig) -> set[str]:
    """What needs attention."""
    with rig.facility() as facility:
        found = standing(facility.store, facility.home, at=rig.clock())
    return {one.rule for one in found.concerns if one.needs_attention}


# ---------------------------------------------------------------- status


def test_a_ladder_is_well_until_half_of_it_is_gone_and_then_due(rig: Rig) -> None:
    cut(rig, LADDER)
    rig.clock.move(days=80)
    assert rules(rig) == set()
    rig.clock.move(days=116)
    assert "crl.due" in rules(rig)
    cut(rig)
    assert "crl.due" not in rules(rig)
    rig.clock.move(days=395)
    assert "crl.expired" in rules(rig)


def test_a_file_for_openvpn_that_lacks_a_list_is_said(rig: Rig) -> None:
    cut(rig, LADDER)
    path = rig.path / "crl" / JOINED
    blocks = path.read_text().split("-----END X509 CRL-----\n")
    path.write_text("-----END X509 CRL-----\n".join([*blocks[:3], *blocks[4:]]))
    assert rules(rig) == {"crl.joined"}
    path.unlink()
    assert rules(rig) == {"crl.joined"}


def test_a_rung_that_should_be_published_is_said_until_it_is(rig: Rig) -> None:
    cut(rig, LADDER)
    rig.clock.move(days=61)
    with rig.facility() as facility:
        found = standing(facility.store, facility.home, at=rig.clock())
        assert "crl.rung-due" in {one.rule for one in found.concerns}
        list(advance(facility.home, facility.store, at=rig.clock(), on_wait=facility.on_wait))
        found = standing(facility.store, facility.home, at=rig.clock())
        assert "crl.rung-due" not in {one.rule for one in found.concerns}


def test_status_turns_yellow_ninety_days_after_the_last_drill(rig: Rig) -> None:
    year = Shape.of_steps(24, 30 * DAY)
    cut(rig, {Role.INTERMEDIATE: year, Role.ROOT: year})
    rig.clock.move(days=90)
    assert rules(rig) == set()
    rig.clock.move(days=1)
    assert rules(rig) == {"backup.no-drill"}
    (rig.path / "backups.json").write_text(
        f'{{"drilled": {{"at": "{rig.clock():%Y-%m-%dT%H:%M:%SZ}"}}}}'
    )
    assert rules(rig) == set()
    rig.clock.move(days=91)
    assert rules(rig) == {"backup.no-drill"}


def test_a_memory_of_backups_that_cannot_be_read_is_none(rig: Rig) -> None:
    cut(rig)
    for text in ("", "[]", '{"drilled": 7}', '{"drilled": {"at": "yesterday"}}', "\udcff"):
        (rig.path / "backups.json").write_bytes(text.encode("utf-8", "surrogateescape"))
        assert "backup.no-drill" not in rules(rig)


# ---------------------------------------------------------------- calendar


def test_every_end_of_the_ca_is_a_deadline(rig: Rig) -> None:
    row = issue_one(rig)
    cut(rig, LADDER)
    with rig.facility() as facility:
        found = {one.key: one for one in deadlines(facility.store, facility.home, at=rig.clock())}
    kinds = {key.partition("-")[0] for key in found}
    assert kinds == {"issuer", "crl", "certificate", "drill"}
    certificate = next(one for key, one in found.items() if key.startswith("certificate-"))
    assert certificate.ends == row.not_after
    assert certificate.act_by == row.not_after - 30 * DAY
    assert found["crl-intermediate-1"].ends == rig.clock() + 390 * DAY
    assert all(one.act_by <= one.ends for one in found.values())


def test_a_renewed_certificate_is_no_deadline(house: House) -> None:
    before = house.homeca.must("status", "--ics", "-")
    house.homeca.must("renew", house.file("brief.crt"), "--out", house.file("brief-2.crt"))
    after = house.homeca.must("status", "--ics", "-")
    old = house.serial("brief")
    assert old in unfolded(before)
    assert old not in unfolded(after)


def unfolded(text: str) -> str:
    """RFC 5545 §3.1."""
    return re.sub(r"\r?\n[ \t]", "", text)


def test_the_calendar_is_one_by_rfc_5545(house: House, tmp_path: Path) -> None:
    path = tmp_path / "ca.ics"
    house.homeca.must("status", "--ics", path)
    octets = path.read_bytes()
    assert path.stat().st_mode & 0o777 == 0o600
    assert octets.endswith(b"END:VCALENDAR\r\n")
    assert b"\n" not in octets.replace(b"\r\n", b"")
    assert max(map(len, octets.split(b"\r\n"))) <= 75
    lines = unfolded(octets.decode()).splitlines()
    assert lines[:2] == ["BEGIN:VCALENDAR", "VERSION:2.0"]
    depth: list[str] = []
    for line in lines:
        name, found, value = line.partition(":")
        assert found
        assert re.fullmatch(r"[A-Z][A-Z-]*(;[A-Z]+=[A-Z]+)*", name), line
        if name == "BEGIN":
            depth.append(value)
        elif name == "END":
            assert depth.pop() == value
    assert depth == []
    events = octets.count(b"BEGIN:VEVENT")
    uids = re.findall(rb"^UID:(.+)\r$", octets, re.MULTILINE)
    assert len(set(uids)) == len(uids) == events > 5


def test_a_thing_keeps_its_uid_when_its_date_moves() -> None:
    def uid(day: int) -> bytes:
        moment = NOW + day * DAY
        one = Deadline(key="crl-root", what="w", remedy="r", act_by=moment, ends=moment)
        found = re.search(rb"UID:\S+", calendar([one], name="CA", at=NOW))
        assert found is not None
        return found[0]

    assert uid(1) == uid(2)


def test_a_hostile_name_adds_no_line_and_no_property() -> None:
    evil = "a\r\nEND:VEVENT\nX;Y=1,2:\\é" + "ü" * 200
    one = Deadline(key="k", what=evil, remedy=evil, act_by=NOW, ends=NOW)
    octets = calendar([one], name=evil, at=NOW)
    octets.decode("utf-8")
    lines = unfolded(octets.decode()).split("\r\n")
    assert lines.count("END:VEVENT") == 1
    assert not any(line.startswith("X;") for line in lines)
    assert all(len(line.encode()) <= 75 for line in octets.decode().split("\r\n"))


def test_a_calendar_is_no_json(house: House) -> None:
    done = house.homeca.run("status", "--ics", "-", "--json")
    assert (done.returncode, done.stdout.count("BEGIN")) == (2, 0)

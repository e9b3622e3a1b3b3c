"""A backup for a recipient can be made by anybody: what it says is believed by nobody."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Callable
from contextlib import AbstractContextManager, closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from ca.encoding.age import seal
from ca.encoding.age_keys import Passphrase
from ca.errors import BackupDamaged, BackupStrange, BackupTooNew, HomecaError, NotABackup
from ca.home import Home
from ca.interfaces.values import Secret
from ca.services.backup.file import (
    KnownIssuer,
    Manifest,
    Member,
    Reading,
    _header,
    _padded,
    member_of,
    octets_of,
    tar_of,
)
from ca.services.backup.making import make_backup
from ca.services.backup.restoring import restore
from ca.services.facility import Facility
from ca.wiring.facility import open_unpacked
from ca.wiring.ledger import ledger_remembers
from ca.wiring.opening import Opening
from ca.wiring.record import spelled
from tests.services.rig import Rig

KEY = Passphrase(Secret(b"hostile"), 10)
NOW = datetime(2026, 11, 22, tzinfo=UTC)


def never(_: Home) -> AbstractContextManager[Facility]:
    raise AssertionError("nothing of this backup may be opened")


def manifest(*members: Member) -> Manifest:
    return Manifest(
        made_at=NOW,
        homeca="9",
        certificates=0,
        revoked=0,
        entries=0,
        software_tpm=False,
        issuers=(),
        members=members,
        octets=octets_of(members, NOW),
    )


def tried(tmp_path: Path, plain: bytes, database: str | None = None) -> HomecaError:
    """What `restore` says of an age file with this content; nothing is there afterwards."""
    place = tmp_path / "place"
    place.mkdir()
    source = sealed(tmp_path, plain)
    with pytest.raises(HomecaError) as caught:
        restore(
            source,
            KEY,
            Home(place / "home"),
            opened=never,
            spelled=spelled,
            database=database,
            at=NOW,
        )
    assert list(place.iterdir()) == []
    return caught.value


def sealed(tmp_path: Path, plain: bytes) -> Path:
    source = tmp_path / "hostile.age"
    source.write_bytes(b"".join(seal([plain], KEY, entropy=os.urandom)))
    return source


DATABASE = member_of("homeca.db", b"database", 0o600)


def whole(*others: Member) -> bytes:
    members = (DATABASE, *others)
    sources: dict[str, Path | bytes] = {one.path: b"x" * one.size for one in others}
    return b"".join(tar_of(manifest(*members), sources | {"homeca.db": b"database"}))


@pytest.mark.parametrize(
    "path",
    [
        "../escaped", "/etc/escaped", "keys/../../escaped", "keys/..", "keys/.", "keys/",
        "keys/a/b", "certs", "other.db", "keys/a\nb", "keys/" + "n" * 300, "",
    ],
)  # fmt: skip
def test_no_member_has_a_path_that_leads_elsewhere(tmp_path: Path, path: str) -> None:
    evil = replace(member_of("keys/root.tss", b"x", 0o600), path=path)
    assert isinstance(tried(tmp_path, whole(evil)), BackupDamaged)


def test_no_path_comes_twice(tmp_path: Path) -> None:
    one = member_of("keys/root.tss", b"x", 0o600)
    assert isinstance(tried(tmp_path, whole(one, one)), BackupDamaged)


@pytest.mark.parametrize(
    "change",
    [
        {"size": -1}, {"size": "9"}, {"mode": 0o4755}, {"sha256": "00" * 32},
    ],
)  # fmt: skip
def test_no_member_lies_about_itself(tmp_path: Path, change: dict[str, Any]) -> None:
    wrong = manifest(DATABASE).as_json()
    told = json.loads(wrong)
    told["members"][0] |= change
    octets = json.dumps(told).encode()
    plain = b"".join(
        [
            _header("homeca-backup.json", len(octets), 0o600, NOW),
            *_padded([octets], len(octets)),
            _header("homeca.db", 8, 0o600, NOW),
            *_padded([b"database"], 8),
            bytes(1024),
        ]
    )
    assert isinstance(tried(tmp_path, plain), BackupDamaged)


def test_no_member_has_a_name_that_no_file_can_have(tmp_path: Path) -> None:
    told = json.loads(manifest(DATABASE).as_json())
    told["members"].append(told["members"][0] | {"path": "keys/\ud800"})
    octets = json.dumps(told).encode()
    plain = b"".join(
        [
            _header("homeca-backup.json", len(octets), 0o600, NOW),
            *_padded([octets], len(octets)),
            *list(tar_of(manifest(DATABASE), {"homeca.db": b"database"}))[3:],
        ]
    )
    assert isinstance(tried(tmp_path, plain), BackupDamaged)


WAYS = [
    "cmd:touch {}", "pcap:device", "./libtss2-tcti-mine.so", "libtss2-tcti-mine.so",
    "device:{}", "device:/dev/tpmrm0/../../{}", "device:/dev/tpmrm٣", "device:/dev/tty",
    "libtss2-tcti-device.so.0:{}", "swtpm:host=203.0.113.7", "mssim:host=203.0.113.7",
    "tabrmd:bus_type=session",
]  # fmt: skip


def in_settings(rig: Rig, way: str) -> None:
    rig.path.joinpath("homeca.toml").write_text(f'tpm = "{way}"\n')


def in_record(rig: Rig, way: str) -> None:
    with closing(sqlite3.connect(rig.path / "homeca.db")) as connection, connection:
        rules = connection.execute(
            "SELECT name, sql FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'custody'"
        ).fetchall()
        for name, _ in rules:
            connection.execute(f"DROP TRIGGER {name}")
        connection.execute("UPDATE custody SET tcti = ?", (way,))
        for _, rule in rules:
            connection.execute(rule)


@pytest.mark.parametrize("planted", [in_settings, in_record])
@pytest.mark.parametrize("way", WAYS)
def test_a_backup_has_nothing_of_its_choice_taken_for_the_tpm(
    rig: Rig, tmp_path: Path, way: str, planted: Callable[[Rig, str], None]
) -> None:
    trace, kept = tmp_path / "trace", tmp_path / "kept"
    kept.write_text("somebody's own, and long enough to hold a command")
    way = way.format(kept if "device" in way else trace)
    planted(rig, way)
    with rig.facility() as facility:
        make_backup(tmp_path / "backup.age", KEY, facility)
    home = Home(tmp_path / "back")

    def restored(named: str | None) -> None:
        asking = Opening(home=home.path, tcti=None, pin=never_asked, on_wait=lambda _: None)
        restore(
            tmp_path / "backup.age",
            KEY,
            home,
            opened=open_unpacked,
            spelled=spelled,
            witnesses=[ledger_remembers(asking)] if named is None else (),
            tpm=named,
            at=NOW,
        )

    with pytest.raises(BackupStrange):
        restored(None)
    assert not trace.exists()
    assert kept.read_text() == "somebody's own, and long enough to hold a command"
    assert not home.path.exists()
    restored(way)
    assert home.path.exists(), "the operator named it"


def never_asked(_: str) -> Secret:
    raise AssertionError("no key is used here")


@pytest.mark.parametrize("way", ["auto", "embedded", "device:/dev/tpmrm0", "device:/dev/tpm12"])
def test_a_tpm_of_the_kernels_need_not_be_named(rig: Rig, tmp_path: Path, way: str) -> None:
    in_settings(rig, way)
    with rig.facility() as facility:
        make_backup(tmp_path / "backup.age", KEY, facility)
    home = Home(tmp_path / "back")
    restore(tmp_path / "backup.age", KEY, home, opened=open_unpacked, spelled=spelled, at=NOW)
    assert home.path.exists()


def elsewhere(database: str) -> bytes:
    """A backup without a record, whose settings say that it is there."""
    settings = f'database = "{database}"\n'.encode()
    member = member_of("homeca.toml", settings, 0o600)
    return b"".join(tar_of(manifest(member), {"homeca.toml": settings}))


SERVER = "postgresql://ca:hush@db/ca?sslmode=verify-full&sslrootcert=/etc/ssl/db.pem"


@pytest.mark.parametrize(
    "named",
    [None, "postgresql://ca@db/ca", "postgresql://ca@db2/ca?sslmode=verify-full", "sqlite:////x"],
)
def test_a_backup_leads_to_no_server_that_was_not_named(tmp_path: Path, named: str | None) -> None:
    refused = tried(tmp_path, elsewhere(SERVER), named)
    assert isinstance(refused, BackupStrange)
    assert "sslrootcert=%2Fetc%2Fssl%2Fdb.pem" in refused.problem
    assert "hush" not in refused.problem
    assert "--database" in refused.remedy


@pytest.mark.parametrize(
    "named",
    [
        SERVER,
        "postgresql://ca@db/ca?sslmode=verify-full&sslrootcert=%2Fetc%2Fssl%2Fdb.pem",
        "postgresql+psycopg://ca@db/ca?sslrootcert=/etc/ssl/db.pem&sslmode=verify-full",
    ],
)
def test_a_server_that_was_named_is_the_restored_homes(tmp_path: Path, named: str) -> None:
    home = Home(tmp_path / "home")
    source = sealed(tmp_path, elsewhere(SERVER))
    restore(source, KEY, home, opened=never, spelled=spelled, database=named, at=NOW)
    assert SERVER in home.settings.read_text()


@pytest.mark.parametrize(
    "database",
    [
        "postgresql://ca@db/ca?sslcert=/home/c.pem&sslkey=/home/certs/x.so:k",
        "postgresql://ca@db/ca?sslkeylogfile=/home/ca/.profile",
        "postgresql://ca@db/ca?conninfo=sslkey%3Dx.so%3Ak",
        "postgresql://ca:hush@db@evil/ca",
        "sqlite:////var/lib/other/homeca.db",
        "mysql://ca@db/ca",
        "homeca.db",
    ],
)
def test_what_is_no_server_for_homeca_is_refused_even_when_it_was_named(
    tmp_path: Path, database: str
) -> None:
    assert isinstance(tried(tmp_path, elsewhere(database), database), BackupStrange)


@pytest.mark.parametrize(
    "database",
    [
        "sqlite:////var/lib/other/homeca.db",
        "sqlite:///homeca.db",
        "sqlite:///{}/../other/homeca.db",
        "postgresql://ca@db/ca",
        "postgresql://ca@db/ca?sslkey=x.so:k",
    ],
)
def test_a_record_that_came_along_is_not_passed_over_for_another(
    rig: Rig, tmp_path: Path, database: str
) -> None:
    home = Home(tmp_path / "back")
    with rig.facility() as facility:
        rig.path.joinpath("homeca.toml").write_text(f'database = "{database.format(home.path)}"\n')
        make_backup(tmp_path / "backup.age", KEY, facility)
    with pytest.raises(BackupStrange):
        restore(
            tmp_path / "backup.age",
            KEY,
            home,
            opened=open_unpacked,
            spelled=spelled,
            database=database,
            at=NOW,
        )
    assert not home.path.exists()


def test_a_record_that_is_named_where_it_comes_to_lie_is_no_other(rig: Rig, tmp_path: Path) -> None:
    home = Home(tmp_path / "back")
    with rig.facility() as facility:
        rig.path.joinpath("homeca.toml").write_text(f'database = "sqlite:///{home.database}"\n')
        make_backup(tmp_path / "backup.age", KEY, facility)
    restore(tmp_path / "backup.age", KEY, home, opened=open_unpacked, spelled=spelled, at=NOW)
    with open_unpacked(home) as facility:
        assert facility.store.issuers()


def retold(source: Path, change: Callable[[Manifest], Manifest]) -> None:
    """The same files behind another manifest."""
    with source.open("rb") as stream:
        reading = Reading(stream, KEY, size=source.stat().st_size)
        files: dict[str, Path | bytes] = {
            member.path: b"".join(pieces) for member, pieces in reading.files()
        }
    plain = b"".join(tar_of(change(reading.manifest), files))
    source.write_bytes(b"".join(seal([plain], KEY, entropy=os.urandom)))


def other_subject(issuers: tuple[KnownIssuer, ...]) -> tuple[KnownIssuer, ...]:
    return (replace(issuers[0], subject="O=Other,CN=Other Root CA"), *issuers[1:])


@pytest.mark.parametrize(
    ("told", "is_sound"),
    [
        (lambda issuers: issuers, True),
        (other_subject, False),
        (lambda issuers: (replace(issuers[0], slug="root-2"), *issuers[1:]), False),
        (lambda issuers: issuers[:1], False),
        (lambda issuers: (*issuers, replace(issuers[1], slug="intermediate-2")), False),
        (lambda issuers: (), False),
    ],
)
def test_the_record_is_that_of_the_issuers_its_manifest_names(
    rig: Rig,
    tmp_path: Path,
    told: Callable[[tuple[KnownIssuer, ...]], tuple[KnownIssuer, ...]],
    is_sound: bool,
) -> None:
    source, home = tmp_path / "backup.age", Home(tmp_path / "back")
    with rig.facility() as facility:
        make_backup(source, KEY, facility)
    retold(source, lambda made: replace(made, issuers=told(made.issuers)))

    def restored() -> None:
        restore(source, KEY, home, opened=open_unpacked, spelled=spelled, at=NOW)

    if is_sound:
        restored()
        assert home.path.exists()
        return
    with pytest.raises(BackupDamaged, match="not those of the manifest"):
        restored()
    assert not home.path.exists()


def test_a_symbolic_link_in_the_place_of_a_file_is_not_followed(tmp_path: Path) -> None:
    plain = bytearray(whole(member_of("keys/root.tss", b"x", 0o600)))
    at = plain.index(b"keys/root.tss", 2048)
    plain[at + 156 : at + 157] = b"2"  # typeflag: symbolic link
    assert isinstance(tried(tmp_path, bytes(plain)), BackupDamaged)


@pytest.mark.parametrize(
    ("spoil", "expected"),
    [
        (lambda told: told | {"format": 2}, BackupTooNew),
        (lambda told: told | {"format": "1"}, NotABackup),
        (lambda told: {"format": 1}, BackupDamaged),
        (lambda told: told | {"members": []}, BackupDamaged),
        (lambda told: told | {"made_at": "yesterday"}, BackupDamaged),
        (lambda told: told | {"octets": float("inf")}, BackupDamaged),
        (lambda told: told | {"issuers": [{"slug": [], "subject": "", "crl": 0}]}, BackupDamaged),
        (lambda told: told | {"members": [told["members"][0] | {"path": 5}]}, BackupDamaged),
        (lambda told: told | {"members": [told["members"][0] | {"size": 1 << 80}]}, BackupDamaged),
        (lambda told: [told], NotABackup),
    ],
)
def test_a_manifest_that_is_none_is_said_to_be(
    tmp_path: Path, spoil: Callable[[Any], object], expected: type[HomecaError]
) -> None:
    octets = json.dumps(spoil(json.loads(manifest(DATABASE).as_json()))).encode()
    plain = _header("homeca-backup.json", len(octets), 0o600, NOW) + b"".join(
        _padded([octets], len(octets))
    )
    assert type(tried(tmp_path, plain)) is expected


@pytest.mark.parametrize("plain", [b"", b"hello", bytes(4096), b"x" * 100_000])
def test_an_age_file_of_something_else_is_said_to_be_one(tmp_path: Path, plain: bytes) -> None:
    assert isinstance(tried(tmp_path, plain), NotABackup | BackupDamaged)


def test_something_behind_the_end_is_noticed(tmp_path: Path) -> None:
    assert isinstance(tried(tmp_path, whole() + b"more"), BackupDamaged)


@pytest.mark.parametrize("settings", [b"", b"crl_days = 20\n", b"database = \n", b"\xff"])
def test_a_backup_without_a_record_says_where_that_is(tmp_path: Path, settings: bytes) -> None:
    member = member_of("homeca.toml", settings, 0o600)
    plain = b"".join(tar_of(manifest(member), {"homeca.toml": settings}))
    assert isinstance(tried(tmp_path, plain), BackupDamaged)


def test_a_backup_with_neither_record_nor_settings_is_damaged(tmp_path: Path) -> None:
    member = member_of("node", b"0" * 32, 0o600)
    plain = b"".join(tar_of(manifest(member), {"node": b"0" * 32}))
    assert isinstance(tried(tmp_path, plain), BackupDamaged)

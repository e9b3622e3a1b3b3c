"""A backup for a recipient can be made by anybody: what it says is believed by nobody."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from contextlib import AbstractContextManager
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
from ca.services.backup import make_backup
from ca.services.backup_file import (
    Manifest,
    Member,
    _header,
    _padded,
    member_of,
    octets_of,
    tar_of,
)
from ca.services.facility import Facility
from ca.services.restoring import restore
from ca.wiring import Opening, ledger_remembers, open_unpacked
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


def tried(tmp_path: Path, plain: bytes) -> HomecaError:
    """What `restore` says of an age file with this content; nothing is there afterwards."""
    place = tmp_path / "place"
    place.mkdir()
    source = tmp_path / "hostile.age"
    source.write_bytes(b"".join(seal([plain], KEY, entropy=os.urandom)))
    with pytest.raises(HomecaError) as caught:
        restore(source, KEY, Home(place / "home"), opened=never, at=NOW)
    assert list(place.iterdir()) == []
    return caught.value


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


WAYS = ["cmd:touch {}", "pcap:device", "./libtss2-tcti-mine.so", "libtss2-tcti-mine.so"]


@pytest.mark.parametrize("way", WAYS)
def test_a_backup_starts_no_program_on_its_way_to_the_tpm(
    rig: Rig, tmp_path: Path, way: str
) -> None:
    trace = tmp_path / "trace"
    way = way.format(trace)
    rig.path.joinpath("homeca.toml").write_text(f'tpm = "{way}"\n')
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
            witnesses=[ledger_remembers(asking)] if named is None else (),
            tpm=named,
            at=NOW,
        )

    with pytest.raises(BackupStrange):
        restored(None)
    assert not trace.exists()
    assert not home.path.exists()
    restored(way)
    assert home.path.exists(), "the operator named it"


def never_asked(_: str) -> Secret:
    raise AssertionError("no key is used here")


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

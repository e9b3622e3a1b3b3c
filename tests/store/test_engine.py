"""Opening a database: settings read back, private files, errors with a remedy."""

from __future__ import annotations

import os
import sqlite3
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from psycopg import pq
from sqlalchemy import URL

from ca.errors import (
    HomeMissing,
    HomeNotPrivate,
    RecordRefused,
    SettingsMalformed,
    StoreDamaged,
    StoreLocked,
    StoreNotDurable,
    StoreUnwritable,
)
from ca.interfaces.issuing import CertificateQuery
from ca.interfaces.values import Serial
from ca.store.engine import connect
from ca.store.repository import SqlStore, open_store
from ca.store.url import bare, read_url, spelled
from tests.store.making import NOW, active_issuer, intent, issue, listed

ROOT = Path(__file__).resolve().parents[2]


@contextmanager
def writing(place: Path) -> Iterator[None]:
    """Somebody else holds the write lock."""
    with closing(sqlite3.connect(place)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        yield


@pytest.mark.parametrize(
    ("pragma", "answer"),
    [("journal_mode", "wal"), ("synchronous", 2), ("foreign_keys", 1), ("trusted_schema", 0)],
)
def test_every_connection_has_the_durable_settings(
    store: SqlStore, pragma: str, answer: object
) -> None:
    with store._database.read() as first, store._database.read() as second:
        for connection in (first, second):
            assert connection.exec_driver_sql(f"PRAGMA {pragma}").scalar_one() == answer


def test_a_database_that_cannot_have_them_is_refused() -> None:
    with pytest.raises(StoreNotDurable, match="journal_mode is 'memory'"):
        open_store("sqlite://", create=True)


@pytest.mark.parametrize("mask", [0o000, 0o022, 0o077, 0o277])
def test_every_file_is_its_owners_alone_whatever_the_umask(tmp_path: Path, mask: int) -> None:
    place = tmp_path / "homeca.db"
    before = os.umask(mask)
    try:
        with closing(open_store(place, create=True)) as store:
            issue(store, active_issuer(store), 1)
            modes = {p.name: stat.S_IMODE(p.stat().st_mode) for p in tmp_path.iterdir()}
    finally:
        os.umask(before)
    assert modes == {"homeca.db": 0o600, "homeca.db-wal": 0o600, "homeca.db-shm": 0o600}


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o666])
def test_a_database_open_to_others_is_refused(place: Path, mode: int) -> None:
    place.chmod(mode)
    with pytest.raises(HomeNotPrivate, match=f"{mode:04o}"):
        open_store(place)


def test_a_missing_database_is_not_made_by_looking(tmp_path: Path) -> None:
    with pytest.raises(HomeMissing):
        open_store(tmp_path / "homeca.db")
    assert list(tmp_path.iterdir()) == []


def test_a_missing_directory_is_named(tmp_path: Path) -> None:
    with pytest.raises(HomeMissing, match="nowhere"):
        open_store(tmp_path / "nowhere" / "homeca.db", create=True)


def test_an_empty_file_is_no_record(tmp_path: Path) -> None:
    place = tmp_path / "homeca.db"
    place.touch(0o600)
    with pytest.raises(HomeMissing, match="empty"):
        open_store(place)


def test_a_link_is_not_followed_to_make_a_database(tmp_path: Path) -> None:
    (tmp_path / "homeca.db").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(HomeMissing):
        open_store(tmp_path / "homeca.db", create=True)
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.parametrize(
    "name", ["with space.db", "100%41.db", "what?mode=memory", "#1.db", "ä.db", "file:x.db"]
)
def test_a_path_is_a_path_whatever_is_in_it(tmp_path: Path, name: str) -> None:
    open_store(tmp_path / name, create=True).close()
    assert [p.name for p in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize(
    "url",
    [
        "homeca.db",
        "mysql://host/homeca",
        "sqlite+aiosqlite:////tmp/homeca.db",
        "postgresql+nothing://host/homeca",
        "sqlite:////tmp/homeca.db?mode=ro",
        "sqlite:///file:homeca.db",
        "sqlite:///homeca.db",
        "sqlite:///../homeca.db",
        "postgresql://db:five/homeca",
        "://",
        "",
    ],
)
def test_a_url_that_is_not_ours_is_refused(url: str) -> None:
    with pytest.raises(SettingsMalformed):
        connect(url)


def test_postgresql_without_its_driver_says_what_to_install() -> None:
    program = (
        "import sys; sys.modules['psycopg'] = None\n"  # as if it were not installed
        "from ca.store.engine import connect\n"
        "connect('postgresql://db/homeca')"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "SettingsMalformed" in done.stderr.splitlines()[-1]
    assert "psycopg" in done.stderr.splitlines()[-1]


def test_a_password_is_not_shown() -> None:
    url = URL.create("postgresql", username="ca", password="hunter2", host="db", database="ca")
    database = connect(url.render_as_string(hide_password=False))
    assert "hunter2" not in database.shown
    assert "db" in database.shown


@pytest.mark.parametrize(
    "parameter",
    ["password", "sslpassword", "oauth_client_secret", "scram_client_key", "scram_server_key"],
)
def test_a_secret_of_libpqs_is_neither_shown_nor_in_the_command_for_the_dump(
    parameter: str,
) -> None:
    url = f"postgresql://ca:hunter2@db/ca?sslmode=require&sslrootcert=/pg.pem&{parameter}=hunter2"
    database = connect(url)
    assert database.shown == "postgresql://ca:***@db/ca?sslmode=require"
    assert bare(database.url).render_as_string() == (
        "postgresql://ca@db/ca?sslmode=require&sslrootcert=%2Fpg.pem"
    )


@pytest.mark.parametrize(
    "parameter",
    [
        "sslkey=/home/ca/certs/x.so:k",
        "sslkey=a.pem&sslkey=pkcs11:k",
        "ssl%6bey=x.so%3Ak",
        "sslkeylogfile=/home/ca/.profile",
        "conninfo=sslkey%3Dx.so%3Ak",  # psycopg's own, not libpq's
        "autocommit=1",
        "plugin=x",  # SQLAlchemy's
        "SSLKEY=/a.pem",
        "hush=hunter2",
    ],
)
def test_a_url_starts_nothing_and_writes_nothing(parameter: str) -> None:
    with pytest.raises(SettingsMalformed, match="is given with") as refused:
        connect(f"postgresql://ca:hunter2@db/ca?{parameter}")
    assert "hunter2" not in str(refused.value)


def test_every_parameter_of_libpq_is_passed_on_but_two() -> None:
    known = {one.keyword.decode() for one in pq.Conninfo.get_defaults()}
    refused = set()
    for name in known:
        try:
            read_url(f"postgresql://db/ca?{name}=1")
        except SettingsMalformed:
            refused.add(name)
    assert refused <= {"replication", "sslkeylogfile"}


def test_a_url_is_spelled_in_one_way_whatever_its_order_and_secrets() -> None:
    said = spelled("postgresql+psycopg://ca:hush@db/ca?sslmode=require&host=%2Frun&password=hush")
    assert said == "postgresql://ca@db/ca?host=%2Frun&sslmode=require"
    assert spelled(said) == said


def test_a_url_that_can_be_read_in_two_ways_is_not_spelled() -> None:
    with pytest.raises(SettingsMalformed, match="two ways"):
        spelled("postgresql://ca:hush@good@evil/ca")


def test_a_file_that_is_no_database_is_damaged(tmp_path: Path) -> None:
    place = tmp_path / "homeca.db"
    place.write_bytes(b"garbage" * 1000)
    place.chmod(0o600)
    with pytest.raises(StoreDamaged):
        open_store(place)
    assert place.read_bytes() == b"garbage" * 1000


def test_a_database_with_broken_pages_is_damaged(place: Path) -> None:
    with closing(open_store(place)) as store:
        issuer = active_issuer(store)
        issue(store, issuer, *range(1, 500))
    octets = bytearray(place.read_bytes())
    for page in range(20, len(octets) // 4096):
        octets[page * 4096 : page * 4096 + 100] = b"\xff" * 100
    place.write_bytes(octets)
    with pytest.raises(StoreDamaged):
        read_all(place)


def read_all(place: Path) -> None:
    with closing(open_store(place)) as store:
        list(store.certificates(CertificateQuery()))


def test_a_writer_waits_for_another_and_then_says_so(place: Path) -> None:
    with closing(open_store(place, patience=0.2)) as store:
        issuer = active_issuer(store)
        with writing(place), pytest.raises(StoreLocked):
            store.record_intents([intent(issuer, 1)], at=NOW)
        store.record_intents([intent(issuer, 1)], at=NOW)


def test_looking_waits_for_nobody(place: Path) -> None:
    with closing(open_store(place)) as store:
        issuer = active_issuer(store)
        issue(store, issuer, 1)
    with writing(place):
        began = time.monotonic()
        with closing(open_store(place, patience=20)) as store:
            assert [r.serial for r in store.certificates(CertificateQuery())] == [1]
            assert store.counts(at=NOW).valid == 1
            assert listed(store, issuer) == []
            assert store.last_recorded_act() == NOW
        assert time.monotonic() - began < 10


def test_looking_cannot_write(store: SqlStore, place: Path) -> None:
    with store._database.read() as connection, closing(sqlite3.connect(place)) as other:
        connection.exec_driver_sql("SELECT * FROM issuers").all()
        other.execute("BEGIN IMMEDIATE")  # a reader holds nothing a writer needs
        other.rollback()


def test_a_database_that_may_not_be_written_says_so(store: SqlStore) -> None:
    with pytest.raises(StoreUnwritable, match="readonly"):
        execute(store, "PRAGMA query_only=ON", "UPDATE custody SET tcti = ''")


def execute(store: SqlStore, *statements: str) -> None:
    with store._database.write() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)


def test_a_row_that_refers_to_nothing_is_refused(store: SqlStore, issuer: int) -> None:
    with pytest.raises(RecordRefused, match="FOREIGN KEY"):
        execute(store, "UPDATE issuers SET parent_id = 99")


def test_every_refusal_says_what_to_do(place: Path) -> None:
    with (
        closing(open_store(place, patience=0.05)) as store,
        writing(place),
        pytest.raises(StoreLocked) as locked,
    ):
        store.reserve_crl_number(1, at=NOW)
    assert str(place) in locked.value.problem
    assert "try again" in locked.value.remedy
    assert "\n" not in locked.value.problem


def test_a_closed_store_leaves_one_file(place: Path) -> None:
    with closing(open_store(place)) as store:
        issue(store, active_issuer(store), 7)
    assert [p.name for p in place.parent.iterdir()] == ["homeca.db"]
    with closing(open_store(place)) as store:
        assert store.by_serial(Serial(7))


def test_files_copied_under_an_open_store_hold_every_act(place: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    copy.mkdir()
    with closing(open_store(place)) as store:
        issue(store, active_issuer(store), 7)
        for name in ("homeca.db", "homeca.db-wal"):
            (copy / name).write_bytes((tmp_path / name).read_bytes())
    (copy / "homeca.db").chmod(0o600)
    with closing(open_store(copy / "homeca.db")) as store:
        assert store.by_serial(Serial(7))

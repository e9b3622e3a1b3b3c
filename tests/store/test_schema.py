"""Revisions: the migrations make exactly the tables, once, and no other database is touched."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from alembic.operations import Operations
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, inspect, text

from ca.errors import RecordRefused, SchemaMismatch
from ca.interfaces.issuing import CertificateQuery
from ca.store.engine import Database, connect
from ca.store.migrate import differences, upgrade
from ca.store.repository import SqlStore, open_store
from ca.store.schema import REVISION, revision
from tests.store.making import issue

ROOT = Path(__file__).resolve().parents[2]


def change(place: Path, *statements: str) -> None:
    with closing(sqlite3.connect(place)) as connection:
        for statement in statements:
            connection.execute(statement)
        connection.commit()


def differences_of(place: Path) -> list[object]:
    database = connect(place)
    try:
        with database.read() as connection:
            return differences(connection)
    finally:
        database.close()


def test_the_migrations_make_exactly_the_tables(place: Path) -> None:
    assert differences_of(place) == []


@pytest.mark.parametrize(
    "statement",
    [
        "ALTER TABLE issuers ADD COLUMN extra TEXT",
        "DROP INDEX uq_revocations_open",
        "CREATE INDEX ix_extra ON crls (entries)",
    ],
)
def test_another_table_column_or_index_would_be_noticed(place: Path, statement: str) -> None:
    change(place, statement)
    assert differences_of(place) != []


@pytest.mark.parametrize(
    ("was", "becomes"),
    [
        ("CHECK (number > 0)", "CHECK (number > -1)"),
        ("WHERE ended_at IS NULL", "WHERE ended_at = 1"),
        ("'aACompromise')", "'aACompromise', 'boredom')"),
        (" STRICT", ""),
    ],
)
def test_a_looser_rule_of_the_same_name_would_be_noticed(
    place: Path, was: str, becomes: str
) -> None:
    with closing(sqlite3.connect(place)) as connection:
        connection.execute("PRAGMA writable_schema=ON")
        connection.execute("UPDATE sqlite_master SET sql = replace(sql, ?, ?)", [was, becomes])
        connection.commit()
    assert differences_of(place) != []


def test_make_migrations_agrees() -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "ca.store.migrate", "check"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert REVISION in done.stdout


def test_an_ordinary_start_imports_only_what_it_uses(place: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from ca.store.repository import open_store;"
        "open_store(Path(sys.argv[1])).close();"
        "heavy = ('alembic', 'sqlalchemy.orm', 'sqlalchemy.dialects.postgresql', 'tpm2_pytss');"
        "print([module for module in heavy if module in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(place)],
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stdout == "[]\n"


def test_a_newer_homecas_database_is_refused_and_left_alone(place: Path) -> None:
    change(place, "UPDATE alembic_version SET version_num = '9999'")
    before = place.read_bytes()
    with pytest.raises(SchemaMismatch, match="9999") as refused:
        open_store(place)
    assert "newer homeca" in refused.value.remedy
    assert place.read_bytes() == before


@pytest.mark.parametrize("create", [False, True])
def test_a_database_of_another_program_is_refused_and_left_alone(
    tmp_path: Path, create: bool
) -> None:
    place = tmp_path / "homeca.db"
    place.touch(0o600)
    change(place, "CREATE TABLE recipes (name TEXT)")
    with pytest.raises(SchemaMismatch, match="recipes"):
        open_store(place, create=create)
    with closing(sqlite3.connect(place)) as connection:
        tables = connection.execute("SELECT name FROM sqlite_master").fetchall()
    assert tables == [("recipes",)]


@pytest.mark.parametrize(
    "statement",
    ["DELETE FROM alembic_version", "INSERT INTO alembic_version VALUES ('0000')"],
)
def test_a_revision_that_is_none_is_refused(place: Path, statement: str) -> None:
    change(place, statement)
    with pytest.raises(SchemaMismatch):
        open_store(place, create=True)


def test_upgrading_what_is_current_changes_nothing(place: Path) -> None:
    before = place.read_bytes()
    database = connect(place)
    upgrade(database, revision(database))
    database.close()
    assert place.read_bytes() == before


def test_a_migration_that_fails_leaves_nothing(place: Path) -> None:
    database = connect(place)
    with pytest.raises(LookupError):
        fail_half_way(database)
    with database.read() as connection:
        assert "half" not in inspect(connection).get_table_names()
    database.close()


def fail_half_way(database: Database) -> None:
    with database.migrate() as connection:
        connection.execute(text("CREATE TABLE half (id INTEGER)"))
        assert "half" in inspect(connection).get_table_names()
        raise LookupError


def rebuild_issuers(connection: Connection) -> None:
    """What SQLite needs for most changes of a table: copy it, drop it, rename the copy."""
    operations = Operations(MigrationContext.configure(connection))
    with operations.batch_alter_table("issuers", recreate="always"):
        pass


def test_rebuilding_a_table_keeps_the_rows_that_refer_to_it(store: SqlStore, issuer: int) -> None:
    issue(store, issuer, 1, 2, 3)
    with store._database.migrate() as connection:
        rebuild_issuers(connection)
        assert store._database.dangling(connection) == ()
    assert [record.issuer_id for record in store.certificates(CertificateQuery())] == [issuer] * 3


def test_rebuilding_it_with_foreign_keys_on_would_not(store: SqlStore, issuer: int) -> None:
    issue(store, issuer, 1, 2, 3)
    with pytest.raises(RecordRefused), store._database.write() as connection:
        rebuild_issuers(connection)


def test_rows_left_without_their_parent_are_found(store: SqlStore, issuer: int) -> None:
    issue(store, issuer, 1)
    with store._database.migrate() as connection:
        connection.execute(text("UPDATE issuers SET id = 99"))
        assert store._database.dangling(connection) == ("certificates",)
        connection.rollback()


def test_no_reference_dangles(place: Path) -> None:
    database: Database = connect(place)
    with database.read() as connection:
        assert database.dangling(connection) == ()
    database.close()

"""The rules of an SQLite record: each that is gone, another or added is a fault with its remedy."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import pytest
from alembic import command

from ca.interfaces.store import Fault
from ca.store.engine import connect
from ca.store.migrate import _settings
from ca.store.repository import open_store
from ca.store.schema import REVISION
from tests.store.making import active_issuer, issue

OLDER = [f"{number:04}" for number in range(1, int(REVISION))]

#: What somebody did → what is said of it.
MENDED_BY_SQL = {
    "DROP TRIGGER tr_ledger_delete": "the trigger 'tr_ledger_delete' of the table 'ledger', which "
    "keeps rows from being changed or deleted, is gone",
    "DROP TRIGGER tr_ledger_delete;"
    "CREATE TRIGGER tr_ledger_delete BEFORE DELETE ON ledger BEGIN SELECT 1; END": "the trigger "
    "'tr_ledger_delete' of the table 'ledger' is not as homeca made it",
    "DROP TRIGGER tr_crls_change; CREATE TRIGGER tr_crls_change BEFORE UPDATE ON crls"
    " WHEN FALSE BEGIN SELECT RAISE(ABORT, 'no'); END": "'tr_crls_change'",
    "CREATE TRIGGER aside BEFORE INSERT ON revocations BEGIN SELECT RAISE(IGNORE); END": "the "
    "trigger 'aside' of the table 'revocations' is none of homeca's",
    'CREATE TRIGGER "a ""b; --" AFTER INSERT ON ledger BEGIN SELECT 1; END': "is none of homeca's",
    "CREATE TRIGGER alembic_version BEFORE INSERT ON ledger BEGIN SELECT RAISE(IGNORE); END": "the "
    "trigger 'alembic_version' of the table 'ledger' is none of homeca's",
    "DROP INDEX uq_certificates_serial": "which keeps rows apart, is gone",
    "DROP INDEX ix_ledger_serial": "the index 'ix_ledger_serial' of the table 'ledger' is gone",
    "DROP INDEX uq_revocations_open;"
    "CREATE INDEX uq_revocations_open ON revocations (serial)": "'uq_revocations_open'",
    "CREATE UNIQUE INDEX one_each ON certificates (profile)": "'one_each'",
    "CREATE VIEW guests AS SELECT subject FROM certificates": "the view 'guests' is none",
}  # fmt: skip

#: The same for what only a backup brings back: a word of the schema and what it becomes.
MENDED_BY_BACKUP = {
    ("CHECK (number > 0)", "CHECK (number > -1)"): "the constraint 'ck_crls_number' of the table "
    "'crls' is not as homeca made it",
    ("'aACompromise')", "'aACompromise', 'boredom')"): "'ck_revocations_reason'",
    ("serial BLOB NOT NULL", "serial BLOB"): "the column 'serial' of the table",
    ("CHECK (seq > 0)", "CHECK (seq > 0), CONSTRAINT more CHECK (seq < 9)"): "'more'",
    (" STRICT", ""): "the table 'custody' is not as homeca made it, but 'TABLE'",
}


def changed(place: Path) -> tuple[Fault, ...]:
    with closing(open_store(place)) as store:
        return store.changed_rules()


@pytest.mark.parametrize(("script", "said"), MENDED_BY_SQL.items())
def test_a_changed_rule_is_said_and_its_remedy_mends_it(
    place: Path, script: str, said: str
) -> None:
    with closing(sqlite3.connect(place)) as shell:
        shell.executescript(script)
    (fault,) = changed(place)
    assert said in fault.text
    assert "\n" not in fault.text + fault.remedy
    before, _, statements = fault.remedy.partition(", and there: ")
    assert f"sqlite3 {place}" in before
    with closing(sqlite3.connect(place)) as shell:
        shell.executescript(statements)
    assert changed(place) == ()


@pytest.mark.parametrize(("words", "said"), MENDED_BY_BACKUP.items())
def test_a_changed_table_is_said(place: Path, words: Sequence[str], said: str) -> None:
    with closing(sqlite3.connect(place)) as shell:
        shell.execute("PRAGMA writable_schema = ON")
        shell.execute("UPDATE sqlite_master SET sql = replace(sql, ?, ?)", words)
        shell.commit()
    found = changed(place)
    assert said in "; ".join(fault.text for fault in found)
    assert all("from a backup" in fault.remedy for fault in found)


def test_another_table_is_said(place: Path) -> None:
    with closing(sqlite3.connect(place)) as shell:
        shell.executescript("CREATE TABLE guests (name TEXT); CREATE VIRTUAL TABLE f USING fts5(t)")
    said = "; ".join(fault.text for fault in changed(place))
    assert "the table 'guests' is none of homeca's" in said
    assert "the table 'f' is none of homeca's" in said


def test_what_sqlite_notes_for_itself_is_nothing(place: Path) -> None:
    with closing(open_store(place)) as store:
        issue(store, active_issuer(store), 1, 2, 3)
    with closing(sqlite3.connect(place, isolation_level=None)) as shell:
        shell.executescript("ANALYZE; VACUUM; REINDEX")
        assert shell.execute("SELECT count(*) FROM sqlite_stat1").fetchone()[0]
    assert changed(place) == ()


def test_a_record_of_rows_is_sound(place: Path) -> None:
    with closing(open_store(place)) as store:
        issue(store, active_issuer(store), 1, 2, 3)
        assert store.faults() == ()


@pytest.mark.parametrize("older", OLDER)
def test_a_record_of_any_older_revision_has_the_rules_of_a_new_one(
    tmp_path: Path, older: str
) -> None:
    place = tmp_path / "old.db"
    at_revision(place, older)
    assert changed(place) == ()


def at_revision(place: Path | str, wanted: str) -> None:
    """A database as the homeca of that revision left it."""
    database = connect(place, create=True)
    settings = _settings()
    with closing(database), database.migrate() as connection:
        settings.attributes["connection"] = connection
        command.upgrade(settings, wanted)

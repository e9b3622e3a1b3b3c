"""Running `migrations/`, and proving that they build exactly the tables of `ca.store.rules`.

python -m ca.store.migrate check [URL]          on SQLite, and on the database at URL as well
python -m ca.store.migrate draft "what it does" writes the next migration, to be read and named
python -m ca.store.migrate shape [URL]          writes what the newest makes of SQLite, and of URL
"""

from __future__ import annotations

import re
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection
from sqlalchemy.schema import CreateIndex, CreateTable

from ca.errors import HomecaError, SchemaMismatch, StoreDamaged
from ca.resources import resource
from ca.store.engine import Database, connect
from ca.store.rules import metadata
from ca.store.schema import REVISION, revision
from ca.store.shape.deviations import deviations, shape_there
from ca.store.shape.parts import written


def upgrade(database: Database, found: str | None) -> None:
    """All pending migrations in one transaction; several processes may do it at once.

    found:  the revision it has, None when it is empty.
    Raises: SchemaMismatch when this homeca does not know `found`;
            StoreDamaged when rows are left that refer to nothing.
    """
    settings = _settings()
    known = {script.revision for script in ScriptDirectory.from_config(settings).walk_revisions()}
    if found is not None and found not in known:
        raise SchemaMismatch(
            f"the database {database.shown!r} is of revision {found!r}, this homeca knows"
            f" {REVISION!r}",
            remedy="use the newer homeca that wrote it; do not change the database by hand",
        )
    with database.migrate() as connection:
        settings.attributes["connection"] = connection
        command.upgrade(settings, REVISION)
        dangling = database.dangling(connection)
        if dangling:
            raise StoreDamaged(
                f"rows of {', '.join(dangling)} in {database.shown!r} refer to rows that are gone",
                remedy="nothing was changed; restore the database from a backup",
            )


def differences(connection: Connection) -> list[Any]:
    """What the database has other than `ca.store.rules` would: [] when they are the same.

    Alembic compares CHECK constraints by name and partial indices not by their condition, so
    on SQLite, which keeps its DDL word for word, the words are compared as well.
    """
    context = MigrationContext.configure(
        connection,
        opts={
            "compare_type": True,
            "compare_server_default": True,
            "autogenerate_plugins": [
                "alembic.autogenerate.*",
                "alembic.ext.checkconstraint_byname",
            ],
        },
    )
    found = list(compare_metadata(context, metadata))
    if connection.dialect.name == "sqlite":
        found += sorted(_clauses_there(connection) ^ _clauses_wanted(connection))
    return found


#: How SQLite writes down a column that ALTER TABLE added, with its reference.
_ADDED = re.compile(r", (\w+) (\w+) CONSTRAINT (\w+) REFERENCES (\w+) \((\w+)\)")


def _as_created(added: re.Match[str]) -> str:
    """The two lines CREATE TABLE would have for it."""
    column, kind, name, table, key = added.groups()
    return f"\n{column} {kind}\nCONSTRAINT {name} FOREIGN KEY({column}) REFERENCES {table} ({key})"


def _clauses_there(connection: Connection) -> set[str]:
    rows = connection.exec_driver_sql(
        "SELECT tbl_name, sql FROM sqlite_master"
        " WHERE type IN ('table', 'index') AND sql IS NOT NULL AND tbl_name <> 'alembic_version'"
    )
    return {clause for row in rows for clause in _clauses(str(row[0]), str(row[1]))}


def _clauses_wanted(connection: Connection) -> set[str]:
    clauses = set()
    for table in metadata.sorted_tables:
        statements = [CreateTable(table).compile(dialect=connection.dialect)]
        statements += [CreateIndex(i).compile(dialect=connection.dialect) for i in table.indexes]
        for statement in statements:
            clauses |= _clauses(table.name, str(statement))
    return clauses


def _clauses(table: str, ddl: str) -> set[str]:
    """The lines of a CREATE statement, whose order means nothing, each under its table."""
    lines = (line.strip(" ,\t") for line in _ADDED.sub(_as_created, ddl).splitlines())
    return {f"{table}: {line}" for line in lines if line}


def main(arguments: Sequence[str]) -> int:
    """For developers: check (0 when migrations and tables agree everywhere), draft, or shape."""
    match arguments:
        case ["check", *urls]:
            return _check(*urls)
        case ["shape", *urls]:
            return _shape(*urls)
        case ["draft", message]:
            return _draft(message)
        case _:
            print(
                "usage: python -m ca.store.migrate check|shape [URL] | draft MESSAGE",
                file=sys.stderr,
            )
            return 2


def _check(*urls: str) -> int:
    with tempfile.TemporaryDirectory() as directory:
        places: list[Path | str] = [Path(directory, "check.db"), *urls]
        found = [f"{place}: {change}" for place in places for change in _changes(place)]
    print("\n".join(found) or f"migrations agree with the tables at revision {REVISION}")
    return 1 if found else 0


def _shape(*urls: str) -> int:
    """A URL is of an empty database: whatever it holds beside ours would be taken for ours."""
    with tempfile.TemporaryDirectory() as directory:
        places: list[Path | str] = [Path(directory, "shape.db"), *urls]
        for place in places:
            database = connect(place, create=True)
            upgrade(database, revision(database))
            with database.read() as connection:
                file = resource("migrations") / f"shape/{connection.dialect.name}.txt"
                file.write_text(written(shape_there(connection)), "utf-8")
            database.close()
    return 0


def _draft(message: str) -> int:
    settings = _settings()
    with tempfile.TemporaryDirectory() as directory:
        database = connect(Path(directory, "draft.db"), create=True)
        upgrade(database, None)
        with database.migrate() as connection:
            settings.attributes["connection"] = connection
            command.revision(settings, message, autogenerate=True, rev_id=f"{int(REVISION) + 1:04}")
        database.close()
    return 0


def _changes(place: Path | str) -> list[Any]:
    try:
        database = connect(place, create=True)
        upgrade(database, revision(database))
        with database.read() as connection:
            found = differences(connection)
            found += [one.text for one in deviations(connection, program="")]
        database.close()
    except HomecaError as error:
        return [f"{error.problem}; {error.remedy}"]
    return found


def _settings() -> Config:
    settings = Config()
    # % begins an interpolation in alembic's settings
    settings.set_main_option("script_location", str(resource("migrations")).replace("%", "%%"))
    settings.set_main_option("path_separator", "os")
    return settings


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

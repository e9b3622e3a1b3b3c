"""Running `migrations/`, and proving that they build exactly the tables of `ca.store.tables`.

    python -m ca.store.schema check [URL]

compares on a new SQLite file, and on the empty PostgreSQL database at URL as well.
"""

from __future__ import annotations

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

from ca.errors import HomecaError, SchemaMismatch, StoreDamaged
from ca.resources import resource
from ca.store.engine import Database, connect
from ca.store.schema import REVISION, revision
from ca.store.tables import metadata


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
    """What alembic would still change to reach `ca.store.tables`: [] when they are the same."""
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
    return list(compare_metadata(context, metadata))


def main(arguments: Sequence[str]) -> int:
    """The check of `make migrations`: 0 when migrations and tables agree everywhere."""
    if not arguments or arguments[0] != "check" or len(arguments) > 2:
        print("usage: python -m ca.store.schema check [URL]", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory() as directory:
        places: list[Path | str] = [Path(directory, "check.db"), *arguments[1:]]
        found = [f"{place}: {change}" for place in places for change in _check(place)]
    print("\n".join(found) or f"migrations agree with the tables at revision {REVISION}")
    return 1 if found else 0


def _check(place: Path | str) -> list[Any]:
    try:
        database = connect(place, create=True)
        upgrade(database, revision(database))
        with database.read() as connection:
            found = differences(connection)
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

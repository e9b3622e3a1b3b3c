"""Is the database of this homeca's revision? Asked at every start, without importing alembic."""

from __future__ import annotations

import sys

from sqlalchemy import inspect, text

from ca.errors import HomeMissing, SchemaMismatch
from ca.store.engine import Database

#: The newest file in `migrations/versions/`.
REVISION = "0004"


def make_current(database: Database, *, create: bool) -> None:
    """Create the tables of an empty database, upgrade an older one, refuse any other.

    create: False: an empty database is not a CA's.
    Raises: HomeMissing; SchemaMismatch when it is a newer homeca's, or not homeca's at all.
    """
    found = revision(database)
    if found == REVISION:
        return
    if found is None and not create:
        raise HomeMissing(
            f"the database {database.shown!r} is empty",
            remedy="run `homeca init-root`, or name the right home with --home",
        )
    from ca.store.migrate import upgrade  # alembic: 100 ms that only a new or old database costs

    upgrade(database, found)


def revision(database: Database) -> str | None:
    """What the database says of itself; None when it is empty.

    Raises: SchemaMismatch when it holds tables that are not homeca's.
    """
    with database.read() as connection:
        tables = inspect(connection).get_table_names()
        found: list[str] = []
        if "alembic_version" in tables:
            found += connection.scalars(text("SELECT version_num FROM alembic_version"))
    if found:
        return ", ".join(found)  # more than one is no revision that homeca knows
    if tables:
        raise SchemaMismatch(
            f"the database {database.shown!r} is not homeca's: it holds {sorted(tables)[0]!r}",
            remedy="name another database: homeca shares none",
        )
    return None


if __name__ == "__main__":
    from ca.store.migrate import main

    sys.exit(main(sys.argv[1:]))

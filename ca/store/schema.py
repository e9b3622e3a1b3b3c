"""Of which revision is a database? Asked at every start, without importing alembic."""

from __future__ import annotations

from sqlalchemy import inspect, text

from ca.errors import SchemaMismatch
from ca.store.engine import Database

#: The newest file in `migrations/versions/`.
REVISION = "0005"


def revision(database: Database) -> str | None:
    """What the database says of itself; None when it is empty.

    Raises: SchemaMismatch when it holds tables that are not homeca's.
    """
    with database.read() as connection:
        tables = inspect(connection).get_table_names()
        found: list[str] = []
        if "alembic_version" in tables:
            found += connection.scalars(text("SELECT version_num FROM alembic_version"))
    others = sorted(name for name in tables if name != "alembic_version")
    # alembic keeps the revisions of many programs; certificates are in each of homeca's
    if found and (not others or "certificates" in others):
        return ", ".join(found)  # more than one is no revision that homeca knows
    if tables:
        raise SchemaMismatch(
            f"the database {database.shown!r} is not homeca's: it holds {(others or tables)[0]!r}",
            remedy="name another database: homeca shares none",
        )
    return None

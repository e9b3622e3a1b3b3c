"""A copy of the whole record while others write: one snapshot, one file (`homeca backup`)."""

from __future__ import annotations

import os
import shlex
import sqlite3
from contextlib import closing
from pathlib import Path

from sqlalchemy.exc import DBAPIError

from ca.errors import ConfigurationError, StoreDamaged
from ca.store.engine import Database
from ca.store.faults import translated
from ca.store.url import bare


class Copying:
    """The part of the store that copies itself."""

    _database: Database

    def dump_command(self) -> str | None:
        """For PostgreSQL; pg_dump asks for the password itself, or finds it where libpq does."""
        url = self._database.url
        if url.get_backend_name() == "sqlite":
            return None
        uri = bare(url).render_as_string()
        return f"pg_dump --format=custom --file=homeca.pgdump {shlex.quote(uri)}"

    def copy_to(self, path: Path) -> None:
        """An SQLite file of mode 0600 with everything that is committed now; nobody waits for it.

        VACUUM INTO writes each row anew, so damaged pages do not come along unnoticed.
        Raises: ConfigurationError for a PostgreSQL database; StoreDamaged, StoreUnwritable.
        """
        command = self.dump_command()
        if command is not None:
            raise ConfigurationError(
                f"the record is not in this home but in {self._database.shown!r}",
                remedy=f"dump it there: `{command}`",
            )
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        os.close(descriptor)
        with translated(self._database.shown):
            try:
                self._copy(path)
            except sqlite3.Error as error:
                raise DBAPIError("VACUUM INTO", None, error) from error

    def _copy(self, path: Path) -> None:
        patience = self._database.patience
        place = str(self._database.url.database)
        with closing(sqlite3.connect(place, timeout=patience, isolation_level=None)) as source:
            source.execute("PRAGMA trusted_schema=0")
            source.execute("VACUUM INTO ?", (str(path),))
        with closing(sqlite3.connect(path, isolation_level=None)) as copy:
            verdict = copy.execute("PRAGMA integrity_check(1)").fetchone()[0]
        if verdict != "ok":
            raise StoreDamaged(
                f"the database {self._database.shown!r} is damaged: {verdict}",
                remedy="restore it from an earlier backup; run `homeca check` for more",
            )

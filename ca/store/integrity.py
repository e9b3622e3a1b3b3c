"""What the database itself finds wrong: damaged pages, dangling references, other rules."""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import Connection

from ca.interfaces.store import RESTORE_RECORD, Fault
from ca.names.showing import shell_word
from ca.store.engine import Database
from ca.store.url import bare


class Integrity:
    """The part of the store that examines its own database."""

    _database: Database

    def faults(self) -> tuple[Fault, ...]:
        """None when the database is sound and its rules are in force; reads all of an SQLite file.

        A reference can only be followed where what it points at is unique, so dangling ones are
        looked for when the rules are in force.
        """
        with self._database.read() as connection:
            rules = tuple(self._changed_rules(connection))
            dangling = () if rules else self._database.dangling(connection)
            return (
                *(Fault(one, RESTORE_RECORD) for one in self._database.damages(connection)),
                *rules,
                *(
                    Fault(
                        f"rows of the table {one!r} refer to rows that are not there",
                        RESTORE_RECORD,
                    )
                    for one in dangling
                ),
            )

    def changed_rules(self) -> tuple[Fault, ...]:
        """Tables, indices, triggers and checks that are not as the migrations make them."""
        with self._database.read() as connection:
            return tuple(self._changed_rules(connection))

    def _changed_rules(self, connection: Connection) -> Iterator[Fault]:
        from ca.store.shape.deviations import deviations  # what an ordinary command need not load

        url = self._database.url
        if connection.dialect.name == "sqlite":
            yield from deviations(connection, program=f"sqlite3 {shell_word(str(url.database))}")
            return
        yield from deviations(
            connection, program=f"psql {shell_word(bare(url).render_as_string())}"
        )
        role = connection.exec_driver_sql("SHOW session_replication_role").scalar_one()
        if role != "origin":
            yield Fault(
                f"the server fires no triggers for homeca: session_replication_role is {role!r}",
                "find out who set that (`\\drds` in psql shows for whom), and reset it",
            )

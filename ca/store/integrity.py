"""What the database itself finds wrong: damaged pages, dangling references, dropped rules."""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import Connection, UniqueConstraint, inspect

from ca.store.engine import Database
from ca.store.tables import metadata

#: Tables nothing is deleted from, and whose rows change only forwards (`migrations/`).
_GUARDED = (
    "nodes",
    "custody",
    "profiles",
    "issuers",
    "certificates",
    "revocations",
    "crls",
    "ledger",
)
_TRIGGERS = frozenset(
    f"tr_{table}_{event}" for table in _GUARDED for event in ("change", "delete")
) | {"tr_issuers_node"}
_MOST = 10


class Integrity:
    """The part of the store that examines its own database."""

    _database: Database

    def faults(self) -> tuple[str, ...]:
        """One sentence each; none when the database is sound and its rules are in force."""
        with self._database.read() as connection:
            rules = tuple(_missing_rules(connection, self._database.triggers(connection)))
            # a reference can only be followed where what it points at is unique
            dangling = () if rules else self._database.dangling(connection)
            return (
                *self._database.damages(connection),
                *rules,
                *(
                    f"rows of the table {one!r} refer to rows that are not there"
                    for one in dangling
                ),
            )


def _missing_rules(connection: Connection, triggers: frozenset[str]) -> Iterator[str]:
    for name in sorted(_TRIGGERS - triggers):
        yield f"the rule {name!r}, which keeps rows from being changed or deleted, is gone"
    found = inspect(connection)
    for table in metadata.sorted_tables:
        indices = {index["name"] for index in found.get_indexes(table.name)}
        indices |= {one["name"] for one in found.get_unique_constraints(table.name)}
        wanted = {str(one.name) for one in table.indexes if one.unique}
        wanted |= {str(c.name) for c in table.constraints if isinstance(c, UniqueConstraint)}
        for rule in sorted(wanted - indices):
            yield f"the rule {rule!r}, which keeps rows apart, is gone"

"""A record taken from SQLite to PostgreSQL, whole or not at all (`homeca move`)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Select, Table, delete, func, insert, select

from ca.errors import StateConflict, StoreDamaged
from ca.store.issuers import keep_custody
from ca.store.nodes import joined
from ca.store.rules import metadata  # with what refers to what, and so the order of tables
from ca.store.tables import certificates, issuers, ledger, nodes

if TYPE_CHECKING:
    from ca.store.repository import SqlStore

_ROWS_AT_A_TIME = 500

#: Every act ends in the ledger, so nothing is recorded where that takes no entry any more.
_CLOSE = """
    CREATE TRIGGER tr_moved BEFORE INSERT ON ledger BEGIN
        SELECT RAISE(ABORT, 'this record was moved: `database` in homeca.toml names the new place');
    END
"""


def take_over(
    target: SqlStore,
    source: SqlStore,
    *,
    at: datetime,
    on_certificates: Callable[[int], None] = lambda _: None,
) -> int:
    """All rows of an SQLite record into PostgreSQL, in one commit, read back and compared before
    it; the source takes no act afterwards. What was one home's alone becomes the target's node's.

    on_certificates: told how many more have been copied. Returns: how many there are.
    Raises: StateConflict when the target has a record already; StoreDamaged when what is read
            back is not what was written. Then nothing has changed on either side.
    """
    count = 0
    with source._database.write() as old:  # nobody adds to it meanwhile
        kept = source.custody()
        with target._act() as act:
            new = act.connection
            target._database.lock_ledger(new)
            _clear(new, target._database.shown)
            # its row comes first: others refer to it
            node_id = None if _any(old, nodes) else joined(act, target._node, at=at)
            for table in metadata.sorted_tables:
                for rows in _parts(old, table, node_id=node_id):
                    new.execute(insert(table), rows)
                    if table is certificates:
                        count += len(rows)
                        on_certificates(len(rows))
            _compare(old, new, target._database.shown, node_id=node_id)
            _count_on(new)
            if node_id is not None and kept is not None:
                keep_custody(act, kept, target._node, at=at)
        old.exec_driver_sql(_CLOSE)
    return count


def _clear(connection: Connection, place: str) -> None:
    """Its own ledger, which has but begun, makes way for the one that comes.

    The triggers that refuse this are put aside for it, which the tables' owner alone can do.
    """
    found = {table for table in metadata.sorted_tables if _any(connection, table)}
    acts = select(func.count()).select_from(ledger)
    if found - {ledger} or connection.scalars(acts).one() > 1:
        raise StateConflict(
            f"there is a record in {place!r} already, and two do not make one",
            remedy="name an empty database in homeca.toml",
        )
    connection.exec_driver_sql("ALTER TABLE ledger DISABLE TRIGGER USER")
    connection.execute(delete(ledger))
    connection.exec_driver_sql("ALTER TABLE ledger ENABLE TRIGGER USER")


def _compare(old: Connection, new: Connection, place: str, *, node_id: int | None) -> None:
    for table in metadata.sorted_tables:
        if table is nodes and node_id is not None:
            continue  # made here
        wanted = (row for rows in _parts(old, table, node_id=node_id) for row in rows)
        found = (row for rows in _parts(new, table, node_id=None) for row in rows)
        if any(one != other for one, other in zip_longest(wanted, found)):
            raise StoreDamaged(
                f"what {place!r} holds of the table {table.name!r} is not what was written into it",
                remedy="nothing was moved: run `homeca check`, then look at that server",
            )


def _any(connection: Connection, table: Table) -> bool:
    return connection.execute(select(table).limit(1)).first() is not None


def _parts(
    connection: Connection, table: Table, *, node_id: int | None
) -> Iterator[list[dict[str, Any]]]:
    """The rows, some at a time. node_id: whose those become that are nobody's."""
    found = connection.execute(_in_order(table).execution_options(yield_per=_ROWS_AT_A_TIME))
    for part in found.partitions():
        rows = [dict(row._mapping) for row in part]
        if table is issuers and node_id is not None:
            rows = [row | {"node_id": node_id} for row in rows]
        yield rows


def _in_order(table: Table) -> Select[Any]:
    """By number; of issuers the roots first, which the others refer to."""
    order = list(table.primary_key.columns)
    first = [issuers.c.parent_id.is_not(None)] if table is issuers else []
    return select(table).order_by(*first, *order)


def _count_on(connection: Connection) -> None:
    """The server numbers rows by itself, and did not see those that came with their numbers."""
    for table in metadata.sorted_tables:
        if table.autoincrement_column is not None and _any(connection, table):
            sequence = func.pg_get_serial_sequence(table.name, "id")
            connection.execute(select(func.setval(sequence, func.max(table.c.id))))

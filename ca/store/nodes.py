"""Homes that share one database: which rows are whose.

A store opened for a node sees that node's custody and open serials as its own, and the key of
another node's issuer as one that lives elsewhere. A store opened for none has all to itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Table, func, insert, select
from sqlalchemy.exc import IntegrityError

from ca.encoding import ledger as details
from ca.errors import StateConflict
from ca.interfaces.custody import Custody
from ca.interfaces.issuing import State
from ca.interfaces.ledger import LedgerEvent
from ca.interfaces.nodes import Node, NodeRecord
from ca.store.faults import is_duplicate
from ca.store.ledger import Act, LedgerRows
from ca.store.tables import NOT_ISSUED, certificates, custody, issuers, nodes
from ca.store.types import shown


class NodeRows(LedgerRows):
    """The part of the store that knows who shares it."""

    def clock_ahead(self) -> timedelta | None:
        """How far this machine's clock is ahead of the database server's; None: there is none."""
        if self._database.url.get_backend_name() == "sqlite":
            return None
        with self._database.read() as connection:
            there: datetime = connection.execute(select(func.clock_timestamp())).scalar_one()
            return datetime.now(UTC) - there

    def nodes(self) -> tuple[NodeRecord, ...]:
        """In the order they came; none when the record is one home's alone."""
        with self._database.read() as connection:
            rows = connection.execute(select(nodes).order_by(nodes.c.id)).all()
            if not rows:
                return ()
            kept = _custodies(connection)
            begun = _begun(connection)
        here = self._node.identity if self._node is not None else None
        return tuple(
            NodeRecord(
                identity=row.identity,
                name=row.name,
                joined_at=row.joined_at,
                is_here=row.identity == here,
                custody=kept.get(row.id),
                open_serials=begun.get(row.id, (0, None))[0],
                open_since=begun.get(row.id, (0, None))[1],
            )
            for row in rows
        )


def of_node(table: Table, node: Node) -> ColumnElement[bool]:
    """Is a row of `custody` or `issuers` this node's?"""
    return table.c.node_id.in_(select(nodes.c.id).where(nodes.c.identity == node.identity))


def joined(act: Act, node: Node | None, *, at: datetime) -> int | None:
    """The node's row, made with its first act; None for a record that is not shared.

    Raises: StateConflict for a home without an identity.
    """
    if node is None:
        return None
    if not node.identity:
        raise StateConflict(
            "this home shares its record and has no identity of its own: it can hold no key",
            remedy="begin with `homeca init-intermediate --csr-out FILE`, which gives it one",
        )
    wanted = select(nodes.c.id).where(nodes.c.identity == node.identity)
    known = act.connection.scalars(wanted).one_or_none()
    if known is not None:
        return known
    joining = insert(nodes).values(identity=node.identity, name=node.name, joined_at=at)
    try:
        with act.connection.begin_nested():
            act.connection.execute(joining)
    except IntegrityError as error:  # another command of this node, at the same moment
        if not is_duplicate(error):
            raise
    else:
        said = details.node(identity=node.identity, name=shown(node.name))
        act.note(LedgerEvent.NODE, said, at=at)
    return act.connection.scalars(wanted).one()


def labels(connection: Connection) -> Mapping[int, Node]:
    """Every node by the number of its row."""
    rows = connection.execute(select(nodes.c.id, nodes.c.identity, nodes.c.name))
    return {row.id: Node(identity=row.identity, name=row.name) for row in rows}


def custody_of(row: Row[*tuple[Any, ...]]) -> Custody:
    """A row of `custody`."""
    return Custody(
        kind=row.kind,
        tcti=row.tcti,
        manufacturer=row.manufacturer,
        model=row.model,
        firmware=row.firmware,
        srk_public=row.srk_public,
    )


def _custodies(connection: Connection) -> dict[int, Custody]:
    """Node → its newest."""
    rows = connection.execute(select(custody).order_by(custody.c.id))
    return {row.node_id: custody_of(row) for row in rows if row.node_id is not None}


def _begun(connection: Connection) -> dict[int, tuple[int, datetime | None]]:
    """Node → how many serials it has open, and since when."""
    left_open = (
        select(certificates.c.issuer_id, certificates.c.created_at)
        .where(NOT_ISSUED, certificates.c.state.in_([State.RESERVED, State.INTENDED]))
        .subquery()
    )
    query = (
        select(issuers.c.node_id, func.count(), func.min(left_open.c.created_at))
        .join_from(left_open, issuers, issuers.c.id == left_open.c.issuer_id)
        .group_by(issuers.c.node_id)
    )
    rows = connection.execute(query)
    return {node_id: (count, since) for node_id, count, since in rows if node_id is not None}

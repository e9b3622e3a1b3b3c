"""The store as the rest of homeca sees it: `CertificateStore` over one database."""

from __future__ import annotations

from contextlib import AbstractContextManager, closing
from pathlib import Path
from typing import TYPE_CHECKING

from ca.errors import HomecaError, HomeMissing, StoreForbidden
from ca.interfaces.nodes import Node
from ca.store.copying import Copying
from ca.store.crls import CrlRows
from ca.store.engine import PATIENCE, Database, connect
from ca.store.faults import retried
from ca.store.integrity import Integrity
from ca.store.issuers import IssuerRows
from ca.store.listing import CertificateRows
from ca.store.nodes import NodeRows
from ca.store.revocations import RevocationRows
from ca.store.schema import REVISION, revision
from ca.store.serials import SerialRows

if TYPE_CHECKING:
    from ca.interfaces.store import CertificateStore


class SqlStore(
    NodeRows, IssuerRows, SerialRows, CertificateRows, RevocationRows, CrlRows, Integrity, Copying
):
    """The list of what was issued, in SQLite or PostgreSQL."""

    def __init__(self, database: Database, node: Node | None = None) -> None:
        self._database = database
        self._node = node
        self._waiting = []

    def opened_copy(self, path: Path) -> AbstractContextManager[SqlStore]:
        """What `copy_to` wrote, to be read."""
        return closing(SqlStore(connect(path), self._node))

    def close(self) -> None:
        """Give the database back. Nothing is lost without it: each act is committed."""
        self._database.close()


for _act in (
    IssuerRows.record_custody,
    IssuerRows.begin_issuer,
    IssuerRows.record_issuer_key,
    IssuerRows.activate_issuer,
    IssuerRows.set_issuer_state,
    SerialRows.reserve,
    SerialRows.record_intents,
    SerialRows.record_certificates,
    SerialRows.settle,
    RevocationRows.revoke_many,
    RevocationRows.compromise,
    RevocationRows.release,
    CrlRows.reserve_crl_number,
    CrlRows.skip_crl_numbers,
    CrlRows.record_ladder,
    NodeRows.note,
):
    setattr(SqlStore, _act.__name__, retried(_act))


def open_store(
    place: Path | str,
    *,
    create: bool = False,
    patience: float = PATIENCE,
    node: Node | None = None,
) -> SqlStore:
    """The store at a path or a database URL, its tables brought up to date.

    create:   make the file and the tables when there are none; only the first ceremony does.
    patience: seconds to wait for another command's transaction.
    node:     who asks, of those that share the database; None: it is one home's alone.
    Raises:   HomeMissing, HomeNotPrivate, SettingsMalformed, SchemaMismatch, and StoreError's
              other leaves.
    """
    database = connect(place, create=create, patience=patience)
    try:
        _make_current(database, create=create)
    except HomecaError:
        database.close()
        raise
    return SqlStore(database, node)


def _make_current(database: Database, *, create: bool) -> None:
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

    try:
        upgrade(database, found)
    except StoreForbidden as error:
        made = "made" if found is None else f"brought from revision {found} to {REVISION}"
        raise StoreForbidden(
            f"the tables are to be {made}: {error.problem}",
            remedy="run this once with their owner's role in `database`, then give the other "
            'role its rights (README, "Several machines")',
        ) from error


if TYPE_CHECKING:

    def _is_a_certificate_store(store: SqlStore) -> CertificateStore:
        return store

"""The store as the rest of homeca sees it: `CertificateStore` over one database."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ca.errors import HomecaError
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
from ca.store.schema import make_current
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
        make_current(database, create=create)
    except HomecaError:
        database.close()
        raise
    return SqlStore(database, node)


if TYPE_CHECKING:

    def _is_a_certificate_store(store: SqlStore) -> CertificateStore:
        return store

"""Where the record lies: in the home's own file, or in a database that homeca.toml names."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from ca.errors import ConfigurationError, HomeMissing
from ca.files import check_private
from ca.home import Home
from ca.interfaces.nodes import Node
from ca.interfaces.store import CertificateStore
from ca.settings import Settings
from ca.wiring.opening import open_settings, system_clock

if TYPE_CHECKING:
    from ca.store.repository import SqlStore

#: Where homeca.toml names another database than the one that has the record.
TAKE_ALONG = "run `homeca move`: the record is still in the home's own homeca.db"


@contextmanager
def open_store(
    home: Home, settings: Settings, *, create: bool = False
) -> Iterator[CertificateStore]:
    """The record. Raises: HomeMissing, HomeNotPrivate, StoreError."""
    from ca.store.repository import open_store as open_sql_store

    if create:
        if settings.database is None and not home.has_record:
            home.refuse_lost_record()
        home.make()
    elif settings.database is None:
        home.require()
    if settings.database is None:
        opened = open_sql_store(home.database, create=create)
    else:
        opened = _open_shared(home, settings.database, create=create)
    with closing(opened) as store:
        yield store


def _open_shared(home: Home, database: str, *, create: bool) -> SqlStore:
    """A record that others may share: this home is one of its nodes."""
    from ca.store.repository import open_store as open_sql_store

    check_private(home.path)
    if create:
        home.make_node()
    node = Node(identity=home.node_identity(), name=socket.gethostname() or "unnamed")
    try:
        return open_sql_store(database, create=create, node=node)
    except HomeMissing as error:
        if not home.has_record:
            raise
        raise HomeMissing(error.problem, remedy=TAKE_ALONG) from error


def move_record(
    home: Home, source: Path, *, on_certificates: Callable[[int], None]
) -> tuple[int, str]:
    """The record in an SQLite file to the database server that homeca.toml names.

    Returns: how many certificates, and the new place without its secrets.
    Raises:  ConfigurationError, HomeMissing, StateConflict, StoreError.
    """
    from ca.store.moving import take_over
    from ca.store.repository import open_store as open_sql_store

    settings = open_settings(home)
    if settings.database is None or record_directory(home, settings) is not None:
        raise ConfigurationError(
            f"{str(home.settings)!r} names no database server that the record could move to",
            remedy='write `database = "postgresql://…"` into it; a file is moved as files are, '
            "while no homeca runs",
        )
    with (
        closing(open_sql_store(source)) as old,
        closing(_open_shared(home, settings.database, create=True)) as new,
    ):
        count = take_over(new, old, at=system_clock(), on_certificates=on_certificates)
    return count, spelled(settings.database)


def spelled(place: Path | str) -> str:
    """The place of a record in full, without its secrets. Raises: SettingsMalformed."""
    from ca.store.url import spelled as spelled_url

    return spelled_url(place)


def record_directory(home: Home, settings: Settings) -> Path | None:
    """Where the record's file is written; None for a server's. Raises: SettingsMalformed."""
    if settings.database is None:
        return home.path
    from ca.store.url import sqlite_file

    file = sqlite_file(settings.database)
    return file.parent if file is not None else None

"""A database by its URL: durable settings read back, one kind of transaction for each purpose.

All that is particular to SQLite or PostgreSQL at run time is here; the rest of the room is
written once for both.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from msgspec import Struct
from sqlalchemy import URL, Connection, Engine, create_engine, event
from sqlalchemy.pool import NullPool

from ca.errors import (
    HomeMissing,
    HomeNotPrivate,
    SettingsMalformed,
    StoreDamaged,
    StoreNotDurable,
    StoreUnwritable,
)
from ca.failpoints import failpoint
from ca.names.showing import shell_word
from ca.store.faults import translated
from ca.store.url import read_url, shown

#: Seconds a command waits for another one to end its transaction.
PATIENCE = 30.0

#: PRAGMA → what it must answer when asked. WAL and FULL: the fewest fsyncs with which no
#: acknowledged commit is lost in a power cut. trusted_schema: a prepared file runs no functions.
_DURABLE: dict[str, str | int] = {
    "journal_mode": "wal",
    "synchronous": 2,
    "foreign_keys": 1,
    "trusted_schema": 0,
}

#: PostgreSQL, for each session, whatever the server's or the role's own defaults are.
_SESSION = (
    # psycopg shows timestamptz in the session's zone, and year 9999 only fits in UTC
    "-c timezone=UTC",
    # what is acknowledged is on the disk
    "-c synchronous_commit=on",
    # each statement sees what was committed before it: who waited for a lock sees why
    "-c default_transaction_isolation=read\\ committed",
    "-c default_transaction_read_only=off",
    # what an administrator sets for a web application would cut an audit of a long record short,
    # and a listing that somebody reads page by page; who waits for a lock has lock_timeout
    "-c statement_timeout=0 -c idle_in_transaction_session_timeout=0 -c idle_session_timeout=0",
    # a node that lost its power lets go of its locks before the others lose their patience
    "-c tcp_keepalives_idle=10 -c tcp_keepalives_interval=3 -c tcp_keepalives_count=3",
)
_CONNECT_SECONDS = 10
_OLDEST_SERVER = 150000

#: An older one does not know the setting, and takes no connection that names it.
_TRANSACTIONS_TIMED = 170000

_READ_ONLY = "homeca_read_only"

#: Execution option of an UPDATE that may find no row to change.
CONDITIONAL = "homeca_conditional"

#: An arbitrary number all homeca processes agree on: who migrates a PostgreSQL database.
_MIGRATION_LOCK = 0x686F6D65

#: And who appends to the ledger: the next number is one more than the last.
_LEDGER_LOCK = 0x686F6D66


class Database(Struct, frozen=True):
    """One database and the three ways to hold it.

    shown:    its path, or its URL with what is harmless in it, for messages.
    patience: seconds to wait for a lock.
    """

    url: URL
    engine: Engine
    shown: str
    patience: float = PATIENCE

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A snapshot: takes no write lock, waits for no writer."""
        with (
            translated(self.shown),
            self.engine.connect().execution_options(**{_READ_ONLY: True}) as connection,
            connection.begin(),
        ):
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """One durable commit, or nothing. The write lock is taken at once, not on first use."""
        with translated(self.shown), self.engine.begin() as connection:
            failpoint("store.begun")
            yield connection
            failpoint("store.committing")
        failpoint("store.committed")

    @contextmanager
    def migrate(self) -> Iterator[Connection]:
        """As `write`, one process at a time, with foreign keys not enforced on SQLite.

        Rebuilding a table with them on deletes the rows that refer to it, without an error.
        """
        engine = _engine(self.url, patience=self.patience, migrating=True)
        with translated(self.shown), engine.begin() as connection:
            if connection.dialect.name == "postgresql":
                connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_MIGRATION_LOCK})")
            yield connection

    def lock_ledger(self, connection: Connection) -> None:
        """Nobody else appends until this transaction ends. On SQLite nobody writes anyway."""
        if connection.dialect.name == "postgresql":
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_LEDGER_LOCK})")

    def dangling(self, connection: Connection) -> tuple[str, ...]:
        """Tables with a reference to a row that is not there (`migrate` does not enforce them)."""
        if connection.dialect.name != "sqlite":
            return ()
        rows = connection.exec_driver_sql("PRAGMA foreign_key_check").all()
        return tuple(sorted({str(row[0]) for row in rows}))

    def damages(self, connection: Connection) -> tuple[str, ...]:
        """What SQLite finds wrong in its own pages and indices; a whole read of the file."""
        if connection.dialect.name != "sqlite":
            return ()
        rows = connection.exec_driver_sql("PRAGMA integrity_check(10)").scalars().all()
        return tuple(f"the file is damaged: {row}" for row in rows if row != "ok")

    def close(self) -> None:
        """Give every connection back; the last one out merges SQLite's WAL into the file."""
        self.engine.dispose()


def connect(place: Path | str, *, create: bool = False, patience: float = PATIENCE) -> Database:
    """The database at a path or a URL. Nothing is read yet but what its settings need.

    place:    path of an SQLite file, or "sqlite:///…" or "postgresql://…".
    create:   make the SQLite file, mode 0600 from the start, when it is not there.
    patience: seconds to wait for a lock.
    Raises:   HomeMissing, HomeNotPrivate, SettingsMalformed, StoreUnwritable.
    """
    url = read_url(place)
    name = shown(url)
    if url.get_backend_name() == "sqlite" and url.database not in (None, "", ":memory:"):
        name = str(url.database)
        _private_file(Path(name), create=create)
    return Database(url, _engine(url, patience=patience), name, patience)


def _private_file(path: Path, *, create: bool) -> None:
    """The file exists and is its owner's alone. SQLite gives -wal and -shm the same mode."""
    try:
        if create:
            with suppress(FileExistsError):
                _create(path)
        mode = path.stat().st_mode
    except FileNotFoundError as error:
        raise HomeMissing(
            f"there is no database at {str(path)!r}",
            remedy="run `homeca init-root`, or name the right home with --home",
        ) from error
    except OSError as error:
        raise StoreUnwritable(
            f"the database {str(path)!r} cannot be reached: {error.strerror}",
            remedy="check the directory and who owns it (`ls -ld`), then try again",
        ) from error
    if mode & 0o077:
        raise HomeNotPrivate(
            f"the database {str(path)!r} is open to others (mode {mode & 0o777:04o})",
            remedy=f"run `chmod 600 {shell_word(path)}`",
        )


def _create(path: Path) -> None:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    try:
        os.fchmod(descriptor, 0o600)  # the umask may have taken bits away
    finally:
        os.close(descriptor)
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def _engine(url: URL, *, patience: float, migrating: bool = False) -> Engine:
    # hide_parameters: names and octets of certificates are nothing for a log
    options: dict[str, Any] = {"hide_parameters": True}
    if migrating:
        options["poolclass"] = NullPool
    if url.get_backend_name() == "sqlite":
        engine = create_engine(url, connect_args={"timeout": patience}, **options)
        _make_sqlite_durable(engine, patience=patience, foreign_keys=not migrating)
    else:
        given = url.query.get("options", "")
        settings = " ".join([given if isinstance(given, str) else " ".join(given), *_SESSION])
        arguments = {
            "options": f"{settings} -c lock_timeout={int(patience * 1000)}",
            "connect_timeout": str(url.query.get("connect_timeout", _CONNECT_SECONDS)),
            "application_name": "homeca",
            # whatever PGCLIENTENCODING says; and a server that has none of its own is then read,
            # and refused, as text
            "client_encoding": "UTF8",
        }
        try:
            # pre_ping: a server that was restarted is noticed before an act, not by one
            engine = create_engine(url, connect_args=arguments, pool_pre_ping=True, **options)
        except ModuleNotFoundError as error:
            raise SettingsMalformed(
                "a PostgreSQL database needs psycopg, which is not installed",
                remedy="run `pip install 'homeca[postgresql]'`",
            ) from error

        @event.listens_for(engine, "connect")
        def check(connection: Any, _record: object) -> None:
            try:
                _check_server(connection, shown(url))
            except BaseException:
                connection.close()
                raise

        @event.listens_for(engine, "begin")
        def begin(connection: Connection) -> None:
            if connection.get_execution_options().get(_READ_ONLY):
                connection.exec_driver_sql(
                    "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY"
                )

    if not migrating:
        event.listen(engine, "after_cursor_execute", _require_change)
    return engine


def _require_change(
    _connection: Connection,
    cursor: Any,
    _statement: str,
    parameters: Any,
    context: Any,
    executemany: bool,
) -> None:
    """A row that was to be written was: a trigger or rule of somebody else's may swallow it, of
    which neither database says a word. Raises: StoreDamaged.
    """
    if context is None or not (context.isinsert or context.isupdate):
        return
    wanted = len(parameters) if executemany else 1
    if cursor.rowcount < wanted and not context.execution_options.get(CONDITIONAL):
        raise StoreDamaged(
            "the database took a change and did not make it: something was added to it that "
            "swallows what homeca records",
            remedy="run `homeca check`, which names it",
        )


def _check_server(connection: Any, shown: str) -> None:
    """It keeps what it acknowledges, and can hold every name. Raises: StoreNotDurable, …"""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT current_setting('fsync'), current_setting('server_version_num')::int,"
            " current_setting('server_encoding')"
        )
        fsync, version, encoding = cursor.fetchone()
        if version >= _TRANSACTIONS_TIMED:
            cursor.execute("SET transaction_timeout = 0")
    connection.commit()
    if fsync != "on":
        raise StoreNotDurable(
            f"the server of {shown!r} does not write through to its disk: fsync is {fsync!r}",
            remedy="set `fsync = on` in its postgresql.conf and restart it",
        )
    if version < _OLDEST_SERVER or encoding != "UTF8":
        raise SettingsMalformed(
            f"the database {shown!r} is of PostgreSQL {version // 10000} in {encoding}",
            remedy="use PostgreSQL 15 or later, and `createdb --encoding=UTF8 -T template0`",
        )


def _make_sqlite_durable(engine: Engine, *, patience: float, foreign_keys: bool) -> None:
    wanted: dict[str, str | int] = _DURABLE | {"foreign_keys": int(foreign_keys)}

    @event.listens_for(engine, "connect")
    def configure(connection: sqlite3.Connection, _record: object) -> None:
        try:
            found = _configured(connection, wanted, patience)
        except sqlite3.Error:
            connection.close()
            raise
        if found != wanted:
            connection.close()
            raise StoreNotDurable(
                f"the database {engine.url.database!r} does not keep its settings: "
                + ", ".join(f"{n} is {v!r}" for n, v in found.items() if v != wanted[n]),
                remedy="keep the home on a local file system, not a network share",
            )

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        # IMMEDIATE: of two that read and then write, the second waits instead of failing
        reading = connection.get_execution_options().get(_READ_ONLY)
        connection.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")


def _configured(
    connection: sqlite3.Connection, wanted: dict[str, str | int], patience: float
) -> dict[str, str | int]:
    """Each setting as the connection answers after it was asked for."""
    connection.isolation_level = None  # the driver's own BEGIN loses updates in silence
    found = {"journal_mode": _write_ahead(connection, patience)}
    for name in ("synchronous", "foreign_keys", "trusted_schema"):
        connection.execute(f"PRAGMA {name}={wanted[name]}")
        found[name] = connection.execute(f"PRAGMA {name}").fetchone()[0]
    return found


def _write_ahead(connection: sqlite3.Connection, patience: float) -> Any:
    """The journal mode after asking for WAL. SQLite does not wait here by itself."""
    deadline = time.monotonic() + patience
    while True:
        try:
            mode = connection.execute("PRAGMA journal_mode").fetchone()[0]
            if mode != "wal":
                mode = connection.execute("PRAGMA journal_mode=WAL").fetchone()[0]
        except sqlite3.OperationalError as error:
            busy = error.sqlite_errorcode & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
            if not busy or time.monotonic() > deadline:
                raise
            time.sleep(0.02)
        else:
            return mode

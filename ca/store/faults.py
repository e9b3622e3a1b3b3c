"""What the database drivers raise, translated once: SQLite result codes and SQLSTATE to ours."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import ParamSpec, TypeVar

from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError, StatementError

from ca.errors import (
    HomecaError,
    RecordRefused,
    StoreDamaged,
    StoreError,
    StoreForbidden,
    StoreLocked,
    StoreRolledBack,
    StoreUnreachable,
    StoreUnwritable,
)
from ca.files import is_on_read_only_disk
from ca.names.showing import shell_word

_P = ParamSpec("_P")
_T = TypeVar("_T")

#: Seconds before each further attempt at a transaction that was taken back.
_PAUSES = (0.01, 0.05, 0.2)

_LOCKED = frozenset({"SQLITE_BUSY", "SQLITE_LOCKED", "SQLITE_PROTOCOL", "55P03"})
_ROLLED_BACK = frozenset({"40001", "40P01"})  # serialization_failure, deadlock_detected
_AWAY = frozenset(
    {
        "53300",  # too_many_connections
        "57P01",  # admin_shutdown
        "57P02",  # crash_shutdown
        "57P03",  # cannot_connect_now
    }
)
#: What a server says before it lets anybody in has no SQLSTATE in libpq; these words are looked
#: for, and a server of another language gets the remedy for all.
_FULL = ("too many connections", "too many clients", "connection slots")
_NOT_YET = ("starting up", "shutting down", "not yet accepting", "in recovery")

#: insufficient_privilege, read_only_sql_transaction
_FORBIDDEN = {
    "42501": "have the owner of the tables `GRANT` the role in `database` what the README lists",
    "25006": "name the primary server in homeca.toml: this one is a replica, or read-only",
}
_CANCELLED = frozenset({"57014", "25P03", "25P04", "57P05"})  # by a timeout, or by hand
_UNWRITABLE = frozenset(
    {
        "SQLITE_FULL",
        "SQLITE_READONLY",
        "SQLITE_IOERR",
        "SQLITE_CANTOPEN",
        "SQLITE_PERM",
        "SQLITE_NOLFS",
        "53100",  # disk_full
        "58030",  # io_error
    }
)
_DAMAGED = frozenset({"SQLITE_CORRUPT", "SQLITE_NOTADB", "XX001", "XX002"})
_DUPLICATE = frozenset({"SQLITE_CONSTRAINT_UNIQUE", "SQLITE_CONSTRAINT_PRIMARYKEY", "23505"})


@contextmanager
def translated(database: str) -> Iterator[None]:
    """Every driver exception inside leaves as a StoreError; the rest passes unchanged.

    database: how the database is called in the message, without a password.
    """
    try:
        yield
    except DBAPIError as error:
        raise _translation(error, database) from error
    except StatementError as error:
        if isinstance(error.orig, HomecaError):  # a column type refused the value
            raise error.orig from error
        raise


def is_duplicate(error: IntegrityError) -> bool:
    """Is it a UNIQUE constraint or index that stood in the way?"""
    return _code(error) in _DUPLICATE


def _code(error: DBAPIError) -> str:
    """SQLite's extended result code by name, or PostgreSQL's SQLSTATE."""
    return str(
        getattr(error.orig, "sqlite_errorname", None) or getattr(error.orig, "sqlstate", None) or ""
    )


def _is_away(error: DBAPIError, code: str) -> bool:
    """Did the server itself not answer? libpq gives no SQLSTATE for a connection never made."""
    lost = isinstance(error, OperationalError) and not code
    return lost or error.connection_invalidated or code in _AWAY or code.startswith("08")


def _unreachable(said: str, database: str) -> StoreUnreachable:
    if any(words in said for words in _FULL):
        return StoreUnreachable(
            f"the server of the database {database!r} is full: {said}",
            remedy="wait for other programs to end, or raise max_connections, or the role's own "
            "limit (`ALTER ROLE … CONNECTION LIMIT`): a homeca command needs one",
        )
    if any(words in said for words in _NOT_YET):
        return StoreUnreachable(
            f"the server of the database {database!r} is not ready: {said}",
            remedy="wait until it is, then try again; `pg_isready` shows that",
        )
    if "FATAL" in said:  # not translated by servers of other languages, unlike the rest
        return StoreUnreachable(
            f"the server of the database {database!r} refuses: {said}",
            remedy="check database, user and password: in homeca.toml, in ~/.pgpass, and on the "
            "server (pg_hba.conf)",
        )
    return StoreUnreachable(
        f"the database {database!r} cannot be reached: {said}",
        remedy="start its server, or correct `database` in homeca.toml; `pg_isready` shows whether "
        "it answers",
    )


def retried(act: Callable[_P, _T]) -> Callable[_P, _T]:
    """An act of the store, tried a few times when the database takes its transaction back.

    Safe for whatever is one transaction and takes all it needs as arguments: nothing of an
    attempt that was taken back is left, neither rows nor the ledger's entries.
    """

    @wraps(act)
    def again(*args: _P.args, **kwargs: _P.kwargs) -> _T:
        for pause in _PAUSES:
            try:
                return act(*args, **kwargs)
            except StoreRolledBack:
                time.sleep(pause)
        return act(*args, **kwargs)

    return again


def _closed_files(database: Path) -> tuple[Path, ...]:
    """What this user may not write of an SQLite record: the two files beside it have the mode that
    it had when they were made, and keep it when it is given another.
    """
    files = (database, *(Path(f"{database}-{end}") for end in ("wal", "shm")))
    wanted = os.R_OK | os.W_OK
    return tuple(
        one for one in files if one.exists() and not os.access(one, wanted, effective_ids=True)
    )


def _translation(error: DBAPIError, database: str) -> StoreError:
    code = _code(error)
    # SQLITE_IOERR_WRITE is a SQLITE_IOERR: the first two words name the family
    family = "_".join(code.split("_")[:2])
    said = (
        f"{str(error.orig).strip().splitlines()[0] if error.orig else code} ({code or 'no code'})"
    )
    if code in _ROLLED_BACK:
        return StoreRolledBack(
            f"the database {database!r} took a transaction back, and again: {said}",
            remedy="nothing was recorded; try again when the other homeca commands have ended",
        )
    if code in _CANCELLED:
        return StoreUnreachable(
            f"the database {database!r} stopped what it was asked: {said}",
            remedy="try again; if it recurs, find the timeout that the server sets for this role "
            "or database (`\\drds` in psql), and reset it",
        )
    if _is_away(error, code):
        return _unreachable(said, database)
    if family in _LOCKED:
        return StoreLocked(
            f"the database {database!r} is in use by another process: {said}",
            remedy="wait for the other homeca command to end, then try again",
        )
    if code in _FORBIDDEN:
        return StoreForbidden(
            f"the database {database!r} does not allow that: {said}", remedy=_FORBIDDEN[code]
        )
    if family in _UNWRITABLE and is_on_read_only_disk(Path(database).parent):
        # not opened as immutable: the WAL would be ignored, and revocations with it
        return StoreUnwritable(
            f"the database {database!r} is on a read-only disk: {said}",
            remedy="copy the whole home to a disk that can be written (`cp -a`), and look at the "
            "copy with --home; sign only where it lives",
        )
    if closed := _closed_files(Path(database)) if family in _UNWRITABLE else ():
        words = " ".join(shell_word(one) for one in closed)
        return StoreUnwritable(
            f"the database {database!r} cannot be written: {said}",
            remedy=f"give yourself back what is to be written, `chmod u+rw {words}`, or run homeca "
            "as its owner",
        )
    if family in _UNWRITABLE:
        return StoreUnwritable(
            f"the database {database!r} cannot be written: {said}",
            remedy="make room on its disk and check who owns it (`df`, `ls -l`), then try again",
        )
    if family in _DAMAGED:
        return StoreDamaged(
            f"the database {database!r} cannot be read: {said}",
            remedy="restore it from a backup; do not delete it, it is the list of what was issued",
        )
    if isinstance(error, IntegrityError):
        return RecordRefused(
            f"the database {database!r} refuses the record: {said}",
            remedy="nothing was recorded; report this with the text above",
        )
    return StoreError(
        f"the database {database!r} does not answer as it should: {said}",
        remedy="check that it is there and is homeca's, then try again",
    )

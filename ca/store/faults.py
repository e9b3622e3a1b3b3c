"""What the database drivers raise, translated once: SQLite result codes and SQLSTATE to ours."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import DBAPIError, IntegrityError, StatementError

from ca.errors import (
    HomecaError,
    RecordRefused,
    StoreDamaged,
    StoreError,
    StoreLocked,
    StoreUnwritable,
)

_LOCKED = frozenset({"SQLITE_BUSY", "SQLITE_LOCKED", "SQLITE_PROTOCOL", "55P03", "40001", "40P01"})
_UNWRITABLE = frozenset(
    {
        "SQLITE_FULL",
        "SQLITE_READONLY",
        "SQLITE_IOERR",
        "SQLITE_CANTOPEN",
        "SQLITE_PERM",
        "SQLITE_NOLFS",
        "25006",  # read_only_sql_transaction
        "42501",  # insufficient_privilege
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


def _translation(error: DBAPIError, database: str) -> StoreError:
    code = _code(error)
    # SQLITE_IOERR_WRITE is a SQLITE_IOERR: the first two words name the family
    family = "_".join(code.split("_")[:2])
    said = (
        f"{str(error.orig).strip().splitlines()[0] if error.orig else code} ({code or 'no code'})"
    )
    if family in _LOCKED:
        return StoreLocked(
            f"the database {database!r} is in use by another process: {said}",
            remedy="wait for the other homeca command to end, then try again",
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

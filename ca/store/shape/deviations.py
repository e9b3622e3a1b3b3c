"""Each part of a database, word by word, against what `migrations/` make of it.

A trigger that was emptied under its own name lets rows be taken back, and one that was added can
swallow a revocation without an error: names alone say nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from sqlalchemy import Connection

from ca.interfaces.store import RESTORE_RECORD, Fault
from ca.names.showing import visible
from ca.store.shape import postgresql, sqlite
from ca.store.shape.parts import Part, Shape, shape_wanted

#: Whoever looks after a server may want one of his own; it decides nothing and runs no function.
_PLAIN_INDEX = re.compile(r'CREATE INDEX [^()]* USING \w+ \([\w", ]+\)( INCLUDE \([\w", ]+\))?')
_PLAIN_NAME = re.compile(r"[a-z_][a-z0-9_]*")
_SHOWN = 300


def shape_there(connection: Connection) -> Shape:
    """What this database holds."""
    if connection.dialect.name == "sqlite":
        return sqlite.shape(connection)
    return postgresql.shape(connection)


def deviations(connection: Connection, *, program: str) -> Iterator[Fault]:
    """A Fault for each part that is gone, that is another, and that nobody here made.

    program: the command that opens the database, for the remedy.
    """
    there, wanted = shape_there(connection), shape_wanted(connection.dialect.name)
    for part, definition in wanted.items():
        if part not in there:
            text = f"{_called(part)}{_purpose(part, definition)} is gone"
            sql: tuple[str, ...] = ()
        elif there[part] != definition:
            text = f"{_called(part)} is not as homeca made it, but {_cut(there[part])}"
            sql = _drop(part, connection.dialect.name)
        else:
            continue
        again = _make(part, definition, connection.dialect.name)
        yield Fault(text, _remedy((*sql, *again) if again else (), program))
    for part in sorted(there.keys() - wanted.keys()):
        if part.kind == "function" or _PLAIN_INDEX.fullmatch(there[part]):
            continue  # what calls a function is said by itself
        text = f"{_called(part)} is none of homeca's: {_cut(there[part])}"
        yield Fault(text, _remedy(_drop(part, connection.dialect.name), program))


def _called(part: Part) -> str:
    of = f" of the table {visible(part.table)!r}" if part.table not in ("", part.name) else ""
    return f"the {part.kind} {visible(part.name)!r}{of}"


def _purpose(part: Part, definition: str) -> str:
    if part.kind == "trigger":
        return ", which keeps rows from being changed or deleted,"
    if definition.startswith(("CREATE UNIQUE", "UNIQUE", "PRIMARY KEY")):
        return ", which keeps rows apart,"
    return ""


def _cut(text: str) -> str:
    shown = visible(text)
    return repr(shown if len(shown) <= _SHOWN else f"{shown[:_SHOWN]}…")


def _remedy(statements: tuple[str, ...], program: str) -> str:
    if not statements:
        return RESTORE_RECORD
    return (
        f"find out who did it, then put it right: `{program}`, and there: {'; '.join(statements)};"
    )


def _quoted(name: str) -> str:
    plain = name if _PLAIN_NAME.fullmatch(name) else '"' + name.replace('"', '""') + '"'
    return visible(plain)


def _drop(part: Part, dialect: str) -> tuple[str, ...]:
    """The statement that removes it, where no row goes with it."""
    name, table = _quoted(part.name), _quoted(part.table)
    match part.kind:
        case "trigger" | "rule" if dialect == "postgresql":
            return (f"DROP {part.kind.upper()} {name} ON {table}",)
        case "trigger" | "index" | "view":
            return (f"DROP {part.kind.upper()} {name}",)
        case "constraint" if dialect == "postgresql":
            return (f"ALTER TABLE {table} DROP CONSTRAINT {name}",)
        case _:
            return ()


def _make(part: Part, definition: str, dialect: str) -> tuple[str, ...]:
    """The statement that makes it, where that is all there is to do."""
    match part.kind:
        case "trigger" | "index" | "function":
            return (definition,)
        case "constraint" if dialect == "postgresql":
            return (f"ALTER TABLE {part.table} ADD CONSTRAINT {part.name} {definition}",)
        case _:
            return ()

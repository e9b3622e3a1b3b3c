"""The parts of an SQLite database, from the statements it keeps word for word."""

from __future__ import annotations

import re
from collections.abc import Iterator

from sqlalchemy import Connection

from ca.store.shape.parts import Part, Shape

_TABLE = re.compile(r'CREATE TABLE "?\w+"? ?\((.*)\)([^()]*)', re.DOTALL)
_WORD = re.compile(r"'(?:[^']|'')*'|[(),]|[^'(),]+")

#: What SQLite keeps for itself, once `ANALYZE` was run, and alembic.
_NOT_OURS = re.compile(r"sqlite_(stat\d|sequence|autoindex_.*)|alembic_version")


def shape(connection: Connection) -> Shape:
    """Tables by column and constraint; indices, triggers and views as they stand."""
    rows = connection.exec_driver_sql("SELECT type, tbl_name, name, sql FROM sqlite_master").all()
    found: dict[Part, str] = {}
    for kind, table, name, sql in rows:
        if kind in ("table", "index") and _NOT_OURS.fullmatch(str(name)):
            continue
        if kind == "table":
            found.update(_of_table(str(name), str(sql)))
        else:
            found[Part(str(kind), str(table), str(name))] = _single(str(sql))
    return found


def _of_table(name: str, sql: str) -> Iterator[tuple[Part, str]]:
    parsed = _TABLE.fullmatch(sql.strip())
    if parsed is None:  # a virtual table, or none that homeca made
        yield Part("table", name, name), _single(sql)
        return
    yield Part("table", name, name), _single(f"TABLE {parsed[2]}")
    for clause in _clauses(parsed[1]):
        words = clause.split(" ", 2)
        kind = "constraint" if words[0] == "CONSTRAINT" and len(words) == 3 else "column"
        yield Part(kind, name, words[1] if kind == "constraint" else words[0]), clause


def _clauses(body: str) -> Iterator[str]:
    """What the commas part that stand in no brackets and no text."""
    clause, depth = "", 0
    for word in _WORD.findall(body):
        depth += {"(": 1, ")": -1}.get(word, 0)
        if word == "," and depth == 0:
            yield _single(clause)
            clause = ""
        else:
            clause += word
    yield _single(clause)


def _single(text: str) -> str:
    return " ".join(text.split())

"""Homes with many certificates: real rows multiplied, each with a serial of its own.

A copy has a real TBS, real columns and true entries in the ledger. Only its signature is that of
the certificate it was copied from: no TPM signs a million times for a benchmark.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from ca.encoding.crl import crl_entry
from ca.encoding.ledger import digest, link
from ca.encoding.ledger import revoked as revoked_details
from ca.interfaces.revocation import Reason
from ca.interfaces.values import Serial
from ca.store.types import UtcTime

_ROWS_AT_A_TIME = 20_000


def fill(home: Path, count: int, *, revoked: int = 0) -> None:
    """Certificates of the newest issuer in this home's record, `count` more of them.

    revoked: how many of those, for keyCompromise.
    """
    with closing(sqlite3.connect(home / "homeca.db", isolation_level=None)) as connection:
        connection.row_factory = sqlite3.Row
        for pragma in ("journal_mode = WAL", "synchronous = OFF", "cache_size = -200000"):
            connection.execute(f"PRAGMA {pragma}")
        copying = _Copying(connection)
        for start in range(0, count, _ROWS_AT_A_TIME):
            connection.execute("BEGIN IMMEDIATE")
            copying.copy(
                min(_ROWS_AT_A_TIME, count - start), min(max(revoked - start, 0), _ROWS_AT_A_TIME)
            )
            connection.execute("COMMIT")
        connection.execute("ANALYZE")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


class _Copying:
    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._originals = [
            (dict(row), self._entries(row["serial"]))
            for row in connection.execute(
                "SELECT * FROM certificates WHERE state = 'issued' AND issuer_id ="
                " (SELECT max(issuer_id) FROM certificates WHERE state = 'issued') LIMIT 16"
            ).fetchall()
        ]
        if not self._originals:
            raise SystemExit("error: there is no certificate to copy")
        self._row = connection.execute("SELECT max(id) FROM certificates").fetchone()[0]
        last = connection.execute("SELECT * FROM ledger ORDER BY seq DESC LIMIT 1").fetchone()
        self._seq, self._link = last["seq"], last["link"]

    def _entries(self, serial: bytes) -> list[dict[str, Any]]:
        found = self._connection.execute("SELECT * FROM ledger WHERE serial = ?", (serial,))
        return [dict(row) for row in found.fetchall()]

    def copy(self, count: int, revoked: int) -> None:
        rows: list[dict[str, Any]] = []
        lines: list[dict[str, Any]] = []
        entries: list[dict[str, Any]] = []
        for number in range(count):
            original, history = self._originals[number % len(self._originals)]
            serial = (1 << 158 | int.from_bytes(os.urandom(19), "big")).to_bytes(20, "big")
            tbs = original["tbs"].replace(original["serial"], serial, 1)
            der = original["der"].replace(original["serial"], serial, 1)
            self._row += 1
            rows.append({**original, "id": self._row, "serial": serial, "tbs": tbs, "der": der})
            entries.extend(self._history(history, serial, tbs, der))
            if number < revoked:
                line, entry = self._revocation(rows[-1], serial)
                lines.append(line)
                entries.append(entry)
        self._insert("certificates", rows)
        self._insert("revocations", lines)
        self._insert("ledger", entries)

    def _history(
        self, history: list[dict[str, Any]], serial: bytes, tbs: bytes, der: bytes
    ) -> Iterator[dict[str, Any]]:
        for entry in history:
            details = json.loads(entry["details"])
            details |= {"tbs": digest(tbs)} if "tbs" in details else {}
            details |= {"certificate": digest(der)} if "certificate" in details else {}
            text = json.dumps(details, sort_keys=True, separators=(",", ":"))
            yield self._linked({**entry, "serial": serial, "details": text})

    def _revocation(
        self, row: dict[str, Any], serial: bytes
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        number = Serial(int.from_bytes(serial, "big"))
        at = UtcTime().process_result_value(row["issued_at"], _sqlite())
        if at is None:
            raise SystemExit("error: the certificate to copy has no date")
        entry = crl_entry(number, at, Reason.KEY_COMPROMISE, None)
        reason = Reason.KEY_COMPROMISE.value
        told = revoked_details(reason=reason, revoked_at=at, invalidity=None, entry=entry)
        line = {
            "issuer_id": row["issuer_id"],
            "serial": serial,
            "not_after": row["not_after"],
            "revoked_at": row["issued_at"],
            "ended_at": None,
            "reason": reason,
            "invalidity": None,
            "entry": entry,
        }
        noted = {
            "at": row["issued_at"],
            "event": "revoked",
            "issuer_id": row["issuer_id"],
            "serial": serial,
            "details": json.dumps(told, sort_keys=True, separators=(",", ":")),
        }
        return line, self._linked(noted)

    def _linked(self, entry: dict[str, Any]) -> dict[str, Any]:
        self._seq += 1
        self._link = link(
            self._link,
            seq=self._seq,
            at=entry["at"],
            event=entry["event"],
            issuer_id=entry["issuer_id"],
            serial=int.from_bytes(entry["serial"], "big"),
            details=entry["details"],
        )
        return {**entry, "seq": self._seq, "link": self._link}

    def _insert(self, table: str, rows: list[dict[str, Any]]) -> None:
        if rows:
            names = ", ".join(rows[0])
            values = ", ".join(f":{name}" for name in rows[0])
            statement = f"INSERT INTO {table} ({names}) VALUES ({values})"  # noqa: S608 # our names
            self._connection.executemany(statement, rows)


def _sqlite() -> Any:
    from sqlalchemy.dialects import sqlite

    return sqlite.dialect()

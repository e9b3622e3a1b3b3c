"""A certificate of the record as a row: for a terminal, a pipe, a spreadsheet, a program."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Collection, Iterable, Iterator
from datetime import datetime
from itertools import chain, islice
from typing import Any

from ca.cli.output import JSON_SCHEMA, compact, day, table, when
from ca.interfaces.issuing import CertificateRecord
from ca.interfaces.values import serial_text
from ca.names.showing import visible
from ca.services.standing.condition import Condition, condition_of

#: Rows of one table on a terminal: its columns are fitted to them, and the memory is bounded.
_CHUNK = 500

#: Digits of a serial on a terminal: no two of 158 random bits share them, and a row still fits.
#: `show` and `revoke` take them; pipes, CSV and JSON have all forty.
SHORT_SERIAL = 16

_HEADINGS = ("Serial", "Subject", "Names", "Profile", "Expires", "State")

#: A spreadsheet takes a cell that begins like this for a formula (OWASP, CSV injection).
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")


def print_table(
    records: Iterable[CertificateRecord], refused: Collection[int], *, at: datetime
) -> int:
    """Columns on a terminal, tab-separated values in a pipe; how many rows there were.

    refused: ids of the issuers that are revoked, here and below.
    """
    is_terminal = sys.stdout.isatty()
    rows = (_cells(record, refused, at=at, short=is_terminal) for record in records)
    counted = _Counted(rows)
    if not is_terminal:
        table(_HEADINGS, counted)
        return counted.count
    while page := list(islice(counted, _CHUNK)):
        table(_HEADINGS, page, whole=("Serial", "Expires"))
    return counted.count


def _cells(
    record: CertificateRecord, refused: Collection[int], *, at: datetime, short: bool
) -> tuple[str, ...]:
    serial = serial_text(record.serial)
    return (
        serial[:SHORT_SERIAL] if short else serial,
        visible(record.subject),
        ", ".join(visible(name) for name in record.names),
        visible(record.profile),
        day(record.not_after) if record.tbs else "",
        state_text(record, refused, at=at),
    )


def state_text(record: CertificateRecord, refused: Collection[int], *, at: datetime) -> str:
    """ "valid", "revoked (keyCompromise)", "refused (issuer revoked)": one phrase."""
    condition = condition_of(record, at=at)
    if condition is Condition.REVOKED and record.revocation is not None:
        return f"revoked ({record.revocation.reason.value})"
    if condition is Condition.VALID and record.issuer_id in refused:
        return "refused (issuer revoked)"
    return condition.value


def print_csv(
    records: Iterable[CertificateRecord], refused: Collection[int], *, at: datetime
) -> int:
    """A header line first, every cell quoted; none is a formula or holds a control character."""
    writer = csv.writer(sys.stdout, quoting=csv.QUOTE_ALL, lineterminator="\n")
    writer.writerow(heading.lower() for heading in (*_HEADINGS, "Issued"))
    count = 0
    for record in records:
        issued = when(record.issued_at) if record.issued_at is not None else ""
        cells = list(_cells(record, refused, at=at, short=False))
        cells[4] = when(record.not_after) if record.tbs else ""
        writer.writerow(harmless_cell(cell) for cell in (*cells, issued))
        count += 1
    return count


def harmless_cell(text: str) -> str:
    """What a spreadsheet would calculate gets an apostrophe before it."""
    return "'" + text if text.startswith(_FORMULA) else text


def print_json(
    records: Iterable[CertificateRecord],
    issuers: dict[int, str],
    refused: Collection[int],
    *,
    at: datetime,
) -> int:
    """One document, written as it comes: {"schema": 1, "certificates": [one a line]}."""
    print(f'{{"schema": {JSON_SCHEMA}, "at": {json.dumps(when(at))}, "certificates": [')
    count = 0
    for record in records:
        comma = ",\n" if count else ""
        sys.stdout.write(comma + compact(record_fields(record, issuers, refused, at=at)))
        count += 1
    print("\n]}" if count else "]}")
    return count


def record_fields(
    record: CertificateRecord, issuers: dict[int, str], refused: Collection[int], *, at: datetime
) -> dict[str, Any]:
    """One record as JSON. issuers: slug by id. refused: as in `print_table`.

    The names are as recorded; JSON escapes them.
    """
    revocation = record.revocation
    return {
        "serial": serial_text(record.serial),
        "subject": record.subject,
        "names": list(record.names),
        "profile": record.profile,
        "issuer": issuers.get(record.issuer_id, ""),
        "state": condition_of(record, at=at).value,
        "issuer_revoked": record.issuer_id in refused,
        "not_before": record.not_before if record.tbs else None,
        "not_after": record.not_after if record.tbs else None,
        "issued_at": record.issued_at,
        "revoked_at": revocation.revoked_at if revocation else None,
        "reason": revocation.reason.value if revocation else None,
        "invalidity": revocation.invalidity if revocation else None,
        "replaces": serial_text(record.replaces) if record.replaces is not None else None,
        "note": record.note,
    }


class _Counted(Iterator[tuple[str, ...]]):
    """Passes rows on and counts them."""

    def __init__(self, rows: Iterable[tuple[str, ...]]) -> None:
        self._rows = chain(rows)
        self.count = 0

    def __next__(self) -> tuple[str, ...]:
        row = next(self._rows)
        self.count += 1
        return row

"""The ledger: an append-only account, each entry tied to the one before.

What the record already holds is written into it first, in the order it came to be, as if the
ledger had been there from the start; the entry `adopted` says that it was not.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa
from alembic import op

from ca.encoding import ledger as format_1
from ca.store.types import Lines, SerialOctets, UtcTime

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

Counter = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
PAGE = 500


def upgrade() -> None:
    op.create_table(
        "ledger",
        sa.Column("seq", Counter, nullable=False, autoincrement=False),
        sa.Column("at", Counter, nullable=False),
        sa.Column("event", sa.Text, nullable=False),
        sa.Column("issuer_id", Counter),
        sa.Column("serial", sa.LargeBinary),
        sa.Column("details", sa.Text, nullable=False),
        sa.Column("link", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("seq", name="pk_ledger"),
        sa.CheckConstraint("length(serial) IN (20)", name=op.f("ck_ledger_serial")),
        sa.CheckConstraint("length(link) IN (32)", name=op.f("ck_ledger_link")),
        sa.CheckConstraint("seq > 0", name=op.f("ck_ledger_seq")),
        sqlite_strict=True,
    )
    of_serials = sa.text("serial IS NOT NULL")
    notes = sa.text("event IN ('anchor-placed', 'anchored', 'accepted', 'settings')")
    for name, columns, where in (
        ("ix_ledger_serial", ["serial", "issuer_id"], of_serials),
        ("ix_ledger_notes", ["event", "seq"], notes),
    ):
        op.create_index(name, "ledger", columns, sqlite_where=where, postgresql_where=where)
    pen = Pen()
    pen.write("begun", format_1.begun(os.urandom(32)), at=int(time.time()))
    adopt(pen)
    pen.flush()
    for event, message in (
        ("UPDATE", "an entry of the ledger never changes"),
        ("DELETE", "nothing is deleted from the record"),
    ):
        trigger(f"tr_ledger_{'change' if event == 'UPDATE' else 'delete'}", event, message)


def trigger(name: str, event: str, message: str) -> None:
    if op.get_bind().dialect.name == "sqlite":
        op.execute(
            f"CREATE TRIGGER {name} BEFORE {event} ON ledger"
            f" BEGIN SELECT RAISE(ABORT, '{message}'); END"
        )
        return
    op.execute(
        f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS"
        f" $$ BEGIN RAISE EXCEPTION '{message}' USING ERRCODE = 'check_violation'; END $$"
    )
    op.execute(
        f"CREATE TRIGGER {name} BEFORE {event} ON ledger FOR EACH ROW EXECUTE FUNCTION {name}()"
    )


# ---------------------------------------------------------------- entries

LEDGER = sa.table(
    "ledger",
    sa.column("seq", Counter),
    sa.column("at", Counter),
    sa.column("event", sa.Text),
    sa.column("issuer_id", Counter),
    sa.column("serial", SerialOctets),
    sa.column("details", sa.Text),
    sa.column("link", sa.LargeBinary),
)


class Pen:
    """Appends to the ledger, a page at a time."""

    def __init__(self) -> None:
        self.seq = 0
        self.last = format_1.ORIGIN
        self.rows: list[dict[str, Any]] = []

    def write(
        self,
        event: str,
        details: dict[str, object],
        *,
        at: Any,
        issuer_id: int | None = None,
        serial: int | None = None,
    ) -> None:
        self.seq += 1
        row = {
            "seq": self.seq,
            "at": at if isinstance(at, int) else format_1.seconds(at),
            "event": event,
            "issuer_id": issuer_id,
            "serial": serial,
            "details": format_1.details_text(details),
        }
        self.last = format_1.link(self.last, **row)
        self.rows.append(row | {"link": self.last})
        if len(self.rows) >= PAGE:
            self.flush()

    def flush(self) -> None:
        if self.rows:
            op.get_bind().execute(sa.insert(LEDGER), self.rows)
            self.rows.clear()


# ---------------------------------------------------------------- what was there before


def adopt(pen: Pen) -> None:
    """An entry for each step that a row shows; the time of a step nobody kept is the row's."""
    counted = {name: count(name) for name in ("issuers", "certificates", "revocations", "crls")}
    if not any(counted.values()):
        return
    pen.write("adopted", dict(counted), at=int(time.time()))
    for row in rows("custody", "recorded_at"):
        said = {name: row[name] for name in ("kind", "tcti", "manufacturer", "model", "firmware")}
        details = format_1.custody(**said, srk_public=row["srk_public"])
        pen.write("custody", details, at=row["recorded_at"])
    for row in rows("issuers", "created_at", "not_before", "not_after", "serial"):
        adopt_issuer(pen, row)
    for row in rows("certificates", *CERTIFICATE_COLUMNS):
        adopt_certificate(pen, row)
    adopt_revocations(pen)
    for row in rows("crls", "reserved_at", "this_update", "next_update"):
        adopt_crl(pen, row)


def adopt_issuer(pen: Pen, row: Any) -> None:
    about = {"at": row["created_at"], "issuer_id": row["id"]}
    begun = {name: row[name] for name in ("role", "slug", "subject", "subject_der")}
    places = {name: row[name] for name in ("crl_url", "issuer_url")}
    pen.write("issuer-begun", format_1.issuer_begun(**begun, **places), **about)
    if row["spki"]:
        key = {name: row[name] for name in ("spki", "key_kind", "key_file")}
        pen.write("issuer-key", format_1.issuer_key(**key), **about)
    if row["certificate"] is not None:
        names = ("parent_id", "certificate", "serial", "not_before", "not_after")
        details = format_1.issuer_active(**{name: row[name] for name in names})
        pen.write("issuer-active", details, **about)
    if row["state"] in ("retired", "abandoned"):
        pen.write(f"issuer-{row['state']}", {}, **about)


CERTIFICATE_COLUMNS = (
    "created_at", "changed_at", "issued_at", "not_before", "not_after", "serial", "replaces",
    "names",
)  # fmt: skip


def adopt_certificate(pen: Pen, row: Any) -> None:
    about = {"issuer_id": row["issuer_id"], "serial": row["serial"]}
    if row["tbs"] is None:
        details = format_1.reserved(subject=row["subject"])
        pen.write("reserved", details, at=row["created_at"], **about)
    else:
        names = (
            "tbs", "profile", "profile_sha256", "subject", "names", "spki_sha256", "not_before",
            "not_after", "replaces",
        )  # fmt: skip
        said = {name: row[name] for name in names}
        details = format_1.intended(**said, request_sha256=row["request_sha256"])
        pen.write("intended", details, at=row["created_at"], **about)
    if row["state"] == "issued":
        pen.write("issued", format_1.issued(row["der"]), at=row["issued_at"], **about)
    elif row["state"] in ("uncertain", "failed"):
        pen.write(row["state"], format_1.settled(row["note"]), at=row["changed_at"], **about)


def adopt_revocations(pen: Pen) -> None:
    """A hold that ended was released, unless the next line of its serial took its place."""
    following: dict[tuple[int, int], list[Any]] = {}
    lines = list(rows("revocations", "revoked_at", "ended_at", "invalidity", "serial"))
    for row in lines:
        following.setdefault((row["issuer_id"], row["serial"]), []).append(row)
    for row in lines:
        about = {"issuer_id": row["issuer_id"], "serial": row["serial"]}
        details = format_1.revoked(
            reason=row["reason"],
            revoked_at=row["revoked_at"],
            invalidity=row["invalidity"],
            entry=row["entry"],
        )
        pen.write("revoked", details, at=row["revoked_at"], **about)
        rest = following[row["issuer_id"], row["serial"]]
        rest.pop(0)
        replaced = bool(rest) and rest[0]["revoked_at"] == row["ended_at"]
        if row["ended_at"] is not None and not replaced:
            pen.write("released", {}, at=row["ended_at"], **about)


def adopt_crl(pen: Pen, row: Any) -> None:
    about = {"at": row["reserved_at"], "issuer_id": row["issuer_id"]}
    pen.write("crl-reserved", format_1.crl_reserved(row["number"]), **about)
    if row["sha256"] is not None:
        names = ("number", "this_update", "next_update", "entries", "sha256")
        pen.write("crl", format_1.crl(**{name: row[name] for name in names}), **about)


def count(table: str) -> int:
    return int(op.get_bind().scalar(sa.select(sa.func.count()).select_from(sa.table(table))) or 0)


#: How to read the columns whose form in the database is not their meaning.
TYPES: dict[str, Any] = {"serial": SerialOctets, "replaces": SerialOctets, "names": Lines}


def rows(table: str, *typed: str) -> Iterator[Any]:
    """Every row, oldest first; where there is a key to go by, a page at a time."""
    bind = op.get_bind()
    names = [column["name"] for column in sa.inspect(bind).get_columns(table)]
    columns = [
        sa.column(name, TYPES.get(name, UtcTime)) if name in typed else sa.column(name)
        for name in names
    ]
    source = sa.table(table, *columns)
    if "id" not in names:
        ordered = sa.select(source).order_by(source.c.number, source.c.issuer_id)
        yield from bind.execute(ordered).mappings().all()
        return
    after = 0
    while True:
        page = sa.select(source).where(source.c.id > after).order_by(source.c.id).limit(PAGE)
        found = bind.execute(page).mappings().all()
        yield from found
        if len(found) < PAGE:
            return
        after = found[-1]["id"]

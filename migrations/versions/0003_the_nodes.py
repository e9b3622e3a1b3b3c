"""Several homes may share a record: whose custody and issuers are whose, one space of serials.

Rows from before it have no node; a record that is one home's alone never gets one.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

Time = sa.TIMESTAMP(timezone=True).with_variant(sa.Integer(), "sqlite")
TABLES = (
    "nodes",
    "custody",
    "profiles",
    "issuers",
    "certificates",
    "revocations",
    "crls",
    "ledger",
)


def upgrade() -> None:
    op.create_table(
        "nodes",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("identity", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("joined_at", Time, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_nodes"),
        sa.UniqueConstraint("identity", name="uq_nodes_identity"),
        sa.CheckConstraint("length(identity) IN (32)", name=op.f("ck_nodes_identity")),
        sqlite_strict=True,
    )
    for table in ("custody", "issuers"):
        # not by alembic: on SQLite it would copy the table, and lose its triggers
        op.execute(
            f"ALTER TABLE {table} ADD COLUMN node_id INTEGER"
            f" CONSTRAINT fk_{table}_node_id REFERENCES nodes (id)"
        )
    op.create_index("uq_certificates_serial", "certificates", ["serial"], unique=True)
    trigger("tr_nodes_change", "nodes", "UPDATE", "a node is recorded once")
    trigger("tr_nodes_delete", "nodes", "DELETE", "nothing is deleted from the record")
    trigger(
        "tr_issuers_node",
        "issuers",
        "UPDATE",
        "an issuer stays with its node",
        "NEW.node_id IS DISTINCT FROM OLD.node_id",
    )
    if op.get_bind().dialect.name == "postgresql":
        no_truncate()


def no_truncate() -> None:
    """TRUNCATE, which SQLite does not have, passes by every trigger for rows."""
    for table in TABLES:
        op.execute(
            f"CREATE TRIGGER tr_{table}_truncate BEFORE TRUNCATE ON {table}"
            f" FOR EACH STATEMENT EXECUTE FUNCTION tr_{table}_delete()"
        )


def trigger(name: str, table: str, event: str, message: str, condition: str = "TRUE") -> None:
    if op.get_bind().dialect.name == "sqlite":
        op.execute(
            f"CREATE TRIGGER {name} BEFORE {event} ON {table} WHEN {condition}"
            f" BEGIN SELECT RAISE(ABORT, '{message}'); END"
        )
        return
    op.execute(
        f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS"
        f" $$ BEGIN RAISE EXCEPTION '{message}' USING ERRCODE = 'check_violation'; END $$"
    )
    op.execute(
        f"CREATE TRIGGER {name} BEFORE {event} ON {table} FOR EACH ROW WHEN ({condition})"
        f" EXECUTE FUNCTION {name}()"
    )

"""The record: custody, issuers, profiles, certificates, revocations and CRLs.

Times are whole seconds since 1970 on SQLite, timestamptz on PostgreSQL. Serials are 20 octets.
There is no way down: a list of what was issued is not taken back.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

Time = sa.TIMESTAMP(timezone=True).with_variant(sa.Integer(), "sqlite")
Counter = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    custody()
    issuers()
    profiles()
    certificates()
    revocations()
    crls()
    append_only()


def custody() -> None:
    op.create_table(
        "custody",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("tcti", sa.Text, nullable=False),
        sa.Column("manufacturer", sa.Text, nullable=False),
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("firmware", sa.Text, nullable=False),
        sa.Column("srk_public", sa.LargeBinary, nullable=False),
        sa.Column("recorded_at", Time, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_custody"),
        check("custody_kind", "kind IN ('hardware-tpm', 'software-tpm', 'pkcs11', 'file')"),
        sqlite_strict=True,
    )


def issuers() -> None:
    op.create_table(
        "issuers",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("role", sa.Text, nullable=False),
        sa.Column("slug", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("subject_der", sa.LargeBinary, nullable=False),
        sa.Column("parent_id", sa.Integer),
        sa.Column("crl_url", sa.Text),
        sa.Column("issuer_url", sa.Text),
        sa.Column("key_kind", sa.Text, nullable=False),
        sa.Column("key_file", sa.Text, nullable=False),
        sa.Column("spki", sa.LargeBinary, nullable=False),
        sa.Column("certificate", sa.LargeBinary),
        sa.Column("serial", sa.LargeBinary),
        sa.Column("not_before", Time),
        sa.Column("not_after", Time),
        sa.Column("created_at", Time, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_issuers"),
        sa.ForeignKeyConstraint(["parent_id"], ["issuers.id"], name="fk_issuers_parent_id"),
        check("issuers_role", "role IN ('root', 'intermediate')"),
        check("issuers_state", "state IN ('pending', 'active', 'retired', 'abandoned')"),
        check("issuers_serial", "length(serial) IN (20)"),
        check("issuers_pending", "state <> 'pending' OR certificate IS NULL"),
        check(
            "issuers_certified",
            "state IN ('pending', 'abandoned') OR (certificate IS NOT NULL AND serial IS NOT NULL"
            " AND not_before IS NOT NULL AND not_after IS NOT NULL)",
        ),
        check("issuers_validity", "not_before <= not_after"),
        sqlite_strict=True,
    )
    standing = "state <> 'abandoned'"
    index("uq_issuers_slug", "issuers", ["slug"], unique=True, where=standing)
    index("uq_issuers_subject", "issuers", ["subject"], unique=True, where=standing)
    index(
        "uq_issuers_root",
        "issuers",
        ["role"],
        unique=True,
        where="state <> 'abandoned' AND role = 'root'",
    )


def profiles() -> None:
    op.create_table(
        "profiles",
        sa.Column("sha256", sa.LargeBinary, nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("sha256", name="pk_profiles"),
        check("profiles_sha256", "length(sha256) IN (32)"),
        sqlite_strict=True,
    )


def certificates() -> None:
    op.create_table(
        "certificates",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("issuer_id", sa.Integer, nullable=False),
        sa.Column("serial", sa.LargeBinary, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("created_at", Time, nullable=False),
        sa.Column("changed_at", Time, nullable=False),
        sa.Column("issued_at", Time),
        sa.Column("not_before", Time),
        sa.Column("not_after", Time),
        sa.Column("profile", sa.Text, nullable=False),
        sa.Column("profile_sha256", sa.LargeBinary),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("names", sa.Text, nullable=False),
        sa.Column("spki_sha256", sa.LargeBinary),
        sa.Column("request_sha256", sa.LargeBinary, nullable=False),
        sa.Column("replaces", sa.LargeBinary),
        sa.Column("note", sa.Text, nullable=False),
        sa.Column("tbs", sa.LargeBinary),
        sa.Column("der", sa.LargeBinary),
        sa.PrimaryKeyConstraint("id", name="pk_certificates"),
        sa.UniqueConstraint("serial", "issuer_id", name="uq_certificates_serial_issuer_id"),
        sa.ForeignKeyConstraint(["issuer_id"], ["issuers.id"], name="fk_certificates_issuer_id"),
        sa.ForeignKeyConstraint(
            ["profile_sha256"], ["profiles.sha256"], name="fk_certificates_profile_sha256"
        ),
        check(
            "certificates_state",
            "state IN ('reserved', 'intended', 'issued', 'uncertain', 'failed')",
        ),
        check("certificates_serial", "length(serial) IN (20)"),
        check("certificates_replaces", "length(replaces) IN (20)"),
        check("certificates_spki_sha256", "length(spki_sha256) IN (32)"),
        check("certificates_request_sha256", "length(request_sha256) IN (0, 32)"),
        check("certificates_tbs", "state = 'failed' OR (state = 'reserved') = (tbs IS NULL)"),
        check(
            "certificates_intent",
            "(tbs IS NULL) = (profile_sha256 IS NULL) AND (tbs IS NULL) = (spki_sha256 IS NULL)"
            " AND (tbs IS NULL) = (not_before IS NULL) AND (tbs IS NULL) = (not_after IS NULL)",
        ),
        check(
            "certificates_issued",
            "(state = 'issued') = (der IS NOT NULL)"
            " AND (state = 'issued') = (issued_at IS NOT NULL)",
        ),
        check("certificates_validity", "not_before <= not_after"),
        sqlite_strict=True,
    )
    index("ix_certificates_spki_sha256", "certificates", ["spki_sha256"])
    index("ix_certificates_changed_at", "certificates", ["changed_at"])
    index("ix_certificates_replaces", "certificates", ["replaces"], where="replaces IS NOT NULL")
    index("ix_certificates_expiry", "certificates", ["not_after"], where="state = 'issued'")
    index(
        "ix_certificates_other",
        "certificates",
        ["state", "not_after"],
        where="state <> 'issued'",
    )


def revocations() -> None:
    op.create_table(
        "revocations",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("issuer_id", sa.Integer, nullable=False),
        sa.Column("serial", sa.LargeBinary, nullable=False),
        sa.Column("not_after", Time, nullable=False),
        sa.Column("revoked_at", Time, nullable=False),
        sa.Column("ended_at", Time),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("invalidity", Time),
        sa.Column("entry", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_revocations"),
        sa.ForeignKeyConstraint(
            ["serial", "issuer_id"],
            ["certificates.serial", "certificates.issuer_id"],
            name="fk_revocations_serial_issuer_id",
        ),
        check(
            "revocations_reason",
            "reason IN ('unspecified', 'keyCompromise', 'cACompromise', 'affiliationChanged',"
            " 'superseded', 'cessationOfOperation', 'certificateHold', 'privilegeWithdrawn',"
            " 'aACompromise')",
        ),
        check("revocations_serial", "length(serial) IN (20)"),
        check("revocations_entry", "length(entry) > 0"),
        check("revocations_permanent", "ended_at IS NULL OR reason = 'certificateHold'"),
        sqlite_strict=True,
    )
    index(
        "uq_revocations_open",
        "revocations",
        ["issuer_id", "serial"],
        unique=True,
        where="ended_at IS NULL",
    )
    index("ix_revocations_expiry", "revocations", ["not_after"], where="ended_at IS NULL")
    index("ix_revocations_ended_at", "revocations", ["ended_at"], where="ended_at IS NOT NULL")
    index("ix_revocations_revoked_at", "revocations", ["revoked_at"])


def crls() -> None:
    op.create_table(
        "crls",
        sa.Column("issuer_id", sa.Integer, nullable=False),
        sa.Column("number", Counter, nullable=False, autoincrement=False),
        sa.Column("reserved_at", Time, nullable=False),
        sa.Column("this_update", Time),
        sa.Column("next_update", Time),
        sa.Column("entries", Counter),
        sa.Column("sha256", sa.LargeBinary),
        sa.Column("der", sa.LargeBinary),
        sa.PrimaryKeyConstraint("issuer_id", "number", name="pk_crls"),
        sa.ForeignKeyConstraint(["issuer_id"], ["issuers.id"], name="fk_crls_issuer_id"),
        check("crls_sha256", "length(sha256) IN (32)"),
        check("crls_number", "number > 0"),
        check("crls_validity", "this_update < next_update"),
        check(
            "crls_recorded",
            "(sha256 IS NULL) = (this_update IS NULL) AND (sha256 IS NULL) = (next_update IS NULL)"
            " AND (sha256 IS NULL) = (entries IS NULL) AND (sha256 IS NOT NULL OR der IS NULL)",
        ),
        sqlite_strict=True,
    )
    index("uq_crls_kept", "crls", ["issuer_id"], unique=True, where="der IS NOT NULL")
    index("ix_crls_reserved_at", "crls", ["reserved_at"])


# Rows as they may not be changed: name, table, condition over OLD and NEW, what to say.
CHANGES = (
    ("custody", "custody", "TRUE", "custody is recorded once"),
    ("profiles", "profiles", "TRUE", "a profile is recorded once"),
    (
        "issuers",
        "issuers",
        "OLD.state = 'abandoned'"
        " OR (OLD.state = 'active' AND NEW.state NOT IN ('active', 'retired'))"
        " OR (OLD.state = 'retired' AND NEW.state <> 'retired')"
        " OR (OLD.certificate IS NOT NULL AND NEW.certificate IS DISTINCT FROM OLD.certificate)"
        " OR (length(OLD.spki) > 0 AND NEW.spki <> OLD.spki)"
        " OR NEW.subject_der <> OLD.subject_der",
        "an issuer keeps its name, key and certificate",
    ),
    (
        "certificates",
        "certificates",
        "OLD.state IN ('issued', 'uncertain', 'failed')"
        " OR (OLD.state = 'intended' AND NEW.state = 'reserved')"
        " OR NEW.serial <> OLD.serial OR NEW.issuer_id <> OLD.issuer_id"
        " OR (OLD.tbs IS NOT NULL AND NEW.tbs IS DISTINCT FROM OLD.tbs)",
        "a serial belongs to one TBS for ever, and to one outcome",
    ),
    (
        "revocations",
        "revocations",
        "OLD.ended_at IS NOT NULL OR OLD.reason <> 'certificateHold'"
        " OR NEW.serial <> OLD.serial OR NEW.issuer_id <> OLD.issuer_id"
        " OR NEW.entry <> OLD.entry OR NEW.revoked_at <> OLD.revoked_at"
        " OR NEW.reason <> OLD.reason",
        "a line of the CRL is recorded once; only a hold can end",
    ),
    (
        "crls",
        "crls",
        "NEW.issuer_id <> OLD.issuer_id OR NEW.number <> OLD.number"
        " OR (OLD.sha256 IS NOT NULL AND NEW.sha256 IS DISTINCT FROM OLD.sha256)",
        "a CRL number belongs to one CRL for ever",
    ),
)


def append_only() -> None:
    """The database itself refuses what no code here does: deleting, and taking back."""
    for name, table, condition, message in CHANGES:
        trigger(f"tr_{name}_change", table, "UPDATE", message, condition)
        trigger(f"tr_{name}_delete", table, "DELETE", "nothing is deleted from the record")


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


def check(name: str, condition: str) -> sa.CheckConstraint:
    return sa.CheckConstraint(condition, name=op.f(f"ck_{name}"))


def index(
    name: str, table: str, columns: list[str], *, unique: bool = False, where: str | None = None
) -> None:
    condition = None if where is None else sa.text(where)
    op.create_index(
        name,
        table,
        columns,
        unique=unique,
        sqlite_where=condition,
        postgresql_where=condition,
    )

"""A line that was revoked for another reason may come to say that the key is compromised.

Everything else about a line stays as it was: its date, and that only a hold can end.
"""

from __future__ import annotations

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

NAME = "tr_revocations_change"
CONDITION = (
    "OLD.ended_at IS NOT NULL"
    " OR (NEW.ended_at IS NOT NULL AND OLD.reason <> 'certificateHold')"
    " OR NEW.serial <> OLD.serial OR NEW.issuer_id <> OLD.issuer_id"
    " OR NEW.revoked_at <> OLD.revoked_at OR NEW.not_after <> OLD.not_after"
    " OR ((OLD.reason IN ('certificateHold', 'keyCompromise', 'cACompromise')"
    "      OR NEW.reason NOT IN ('keyCompromise', 'cACompromise'))"
    "     AND (NEW.reason <> OLD.reason OR NEW.entry <> OLD.entry"
    "          OR NEW.invalidity IS DISTINCT FROM OLD.invalidity))"
)
MESSAGE = "a line of the CRL is recorded once; only a hold can end, only a compromise be added"


def upgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        op.execute(f"DROP TRIGGER {NAME}")
        op.execute(
            f"CREATE TRIGGER {NAME} BEFORE UPDATE ON revocations WHEN {CONDITION}"
            f" BEGIN SELECT RAISE(ABORT, '{MESSAGE}'); END"
        )
        return
    op.execute(f"DROP TRIGGER {NAME} ON revocations")
    op.execute(
        f"CREATE OR REPLACE FUNCTION {NAME}() RETURNS trigger LANGUAGE plpgsql AS"
        f" $$ BEGIN RAISE EXCEPTION '{MESSAGE}' USING ERRCODE = 'check_violation'; END $$"
    )
    op.execute(
        f"CREATE TRIGGER {NAME} BEFORE UPDATE ON revocations FOR EACH ROW WHEN ({CONDITION})"
        f" EXECUTE FUNCTION {NAME}()"
    )

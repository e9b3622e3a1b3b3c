"""A CRL of any length is read from one index, in the order in which it lists.

The index of open lines leads to rows that lie anywhere: of 100,000, each cost a page.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    is_open = sa.text("ended_at IS NULL")
    op.create_index(
        "ix_revocations_listed",
        "revocations",
        ["issuer_id", "serial", "not_after", "entry"],
        sqlite_where=is_open,
        postgresql_where=is_open,
    )

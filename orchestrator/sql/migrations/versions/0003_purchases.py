"""Shares that are with a provider, what was bought from it, and how much may be."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

SENT = sa.text("state = 'sent'")


def upgrade() -> None:
    op.add_column("assignments", sa.Column("due_at", sa.Float(), nullable=True))
    op.create_index("assignments_sent", "assignments", ["backend", "due_at"], sqlite_where=SENT, postgresql_where=SENT)
    op.create_table(
        "purchases",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("assignment_id", sa.String(length=40), nullable=False),
        sa.Column("job_id", sa.String(length=32), nullable=False),
        sa.Column("project", sa.String(length=100), nullable=False),
        sa.Column("backend", sa.String(length=100), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("usd", sa.Float(), nullable=False),
        sa.Column("qpu_s", sa.Float(), nullable=False),
        sa.Column("made_at", sa.Float(), nullable=False),
        sa.Column("record", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("purchases_by_job", "purchases", ["job_id"], unique=False)
    op.create_index("purchases_by_project", "purchases", ["project", "made_at"], unique=False)
    op.create_table(
        "budgets",
        sa.Column("project", sa.String(length=100), nullable=False),
        sa.Column("max_usd", sa.Float(), nullable=True),
        sa.Column("max_qpu_s", sa.Float(), nullable=True),
        sa.Column("since", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("project"),
    )


def downgrade() -> None:
    op.drop_table("budgets")
    op.drop_table("purchases")
    op.drop_index("assignments_sent", table_name="assignments")
    op.drop_column("assignments", "due_at")

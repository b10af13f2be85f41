"""What a policy was told beside the jobs, so that a decision can be taken again."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.create_table(
        "situations",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("record", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.add_column("decisions", sa.Column("situation", sa.String(length=40), nullable=True))
    op.create_index("decisions_by_situation", "decisions", ["situation"], unique=False)


def downgrade() -> None:
    op.drop_index("decisions_by_situation", table_name="decisions")
    op.drop_column("decisions", "situation")
    op.drop_table("situations")

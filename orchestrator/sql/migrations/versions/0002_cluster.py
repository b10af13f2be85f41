"""What a cluster needs: projects and tokens, re-placement, job graphs, switches, and who is still to be told."""

from __future__ import annotations

import json

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

READY = sa.text("to_place > 0 AND num_blockers = 0")
UNTOLD = sa.text("finished_at IS NOT NULL AND NOT told")
UNDER_DEADLINE = sa.text("deadline_at IS NOT NULL AND finished_at IS NULL")


def upgrade() -> None:
    for column in (
        sa.Column("project", sa.String(length=100), nullable=False, server_default=""),
        sa.Column("to_place", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("num_placements", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("num_blockers", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("told", sa.Boolean(), nullable=False, server_default=sa.false()),
    ):
        op.add_column("jobs", column)
    op.create_index("jobs_by_project", "jobs", ["project", "seq"], unique=False)
    op.create_index("jobs_ready", "jobs", ["rank", "seq"], sqlite_where=READY, postgresql_where=READY)
    op.create_index("jobs_untold", "jobs", ["finished_at"], sqlite_where=UNTOLD, postgresql_where=UNTOLD)
    op.create_index(
        "jobs_by_deadline", "jobs", ["deadline_at"], sqlite_where=UNDER_DEADLINE, postgresql_where=UNDER_DEADLINE
    )
    op.create_table(
        "dependencies",
        sa.Column("job_id", sa.String(length=32), nullable=False),
        sa.Column("after_id", sa.String(length=32), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"]),
        sa.ForeignKeyConstraint(["after_id"], ["jobs.id"]),
        sa.PrimaryKeyConstraint("job_id", "after_id"),
    )
    op.create_index("dependencies_by_parent", "dependencies", ["after_id"], unique=False)
    op.create_table(
        "switches",
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("mode", sa.String(length=16), nullable=False),
        sa.Column("at", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("kind", "name"),
    )
    op.create_table(
        "tokens",
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.Column("project", sa.String(length=100), nullable=False),
        sa.Column("created_at", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
        sa.UniqueConstraint("hash"),
    )
    op.create_table(
        "incidents",
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("label", sa.String(length=100), nullable=False),
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.PrimaryKeyConstraint("kind", "label"),
    )
    _carry_over()


def _carry_over() -> None:
    """Jobs that wait for a place have all their shots to be placed; those that have ended were told of."""
    names = ("id", "state", "spec", "to_place", "num_placements", "told")
    jobs = sa.table("jobs", *(sa.column(name) for name in names))
    tx = op.get_bind()
    ended = jobs.c.state.in_(["done", "failed", "cancelled"])
    tx.execute(sa.update(jobs).where(ended).values(told=sa.true()))
    tx.execute(sa.update(jobs).where(jobs.c.state.in_(["placed", "running"])).values(num_placements=1))
    for row in tx.execute(sa.select(jobs.c.id, jobs.c.spec).where(jobs.c.state == "submitted")).all():
        shots = json.loads(row.spec).get("shots", 1024)
        tx.execute(sa.update(jobs).where(jobs.c.id == row.id).values(to_place=shots))


def downgrade() -> None:
    op.drop_table("incidents")
    op.drop_table("tokens")
    op.drop_table("switches")
    op.drop_table("dependencies")
    for name in ("jobs_by_deadline", "jobs_untold", "jobs_ready", "jobs_by_project"):
        op.drop_index(name, table_name="jobs")
    for name in ("told", "num_blockers", "num_placements", "to_place", "project"):
        op.drop_column("jobs", name)

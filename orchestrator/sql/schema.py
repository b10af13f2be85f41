"""The tables. Each record rests whole as JSON; the columns beside it are what queries need to see."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
)

metadata = MetaData()

_number = BigInteger().with_variant(Integer, "sqlite")  # SQLite numbers rows by itself only in INTEGER columns


def _job_id() -> Column[str]:
    return Column("job_id", String(32), ForeignKey("jobs.id"), nullable=False)


jobs = Table(
    "jobs",
    metadata,
    Column("seq", _number, primary_key=True, autoincrement=True),
    Column("id", String(32), nullable=False, unique=True),
    Column("idempotency_key", String(200), unique=True),
    Column("state", String(16), nullable=False),
    Column("rank", Float, nullable=False),
    Column("spec", Text, nullable=False),
    Column("submitted_at", Float, nullable=False),
    Column("deadline_at", Float),
    Column("finished_at", Float),
    Column("cancel_requested", Boolean, nullable=False, default=False),
    Column("failure", Text),
    Column("num_events", Integer, nullable=False, default=0),
    Index("jobs_by_state", "state", "rank"),
)

tags = Table(
    "tags",
    metadata,
    Column("tag", String(100), primary_key=True),
    Column("job_id", String(32), ForeignKey("jobs.id"), primary_key=True),
)

assignments = Table(
    "assignments",
    metadata,
    Column("id", String(40), primary_key=True),
    _job_id(),
    Column("backend", String(100), nullable=False),
    Column("state", String(16), nullable=False),
    Column("rank", Float, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("owner", String(300)),
    Column("service_s", Float, nullable=False),
    Column("started_at", Float),
    Column("lease_expires_at", Float),
    Column("record", Text, nullable=False),
    Index("assignments_due", "backend", "state", "rank"),
    Index("assignments_by_job", "job_id"),
    Index("assignments_by_state", "state", "lease_expires_at"),
)

runs = Table(
    "runs",
    metadata,
    Column("assignment_id", String(40), ForeignKey("assignments.id"), primary_key=True),
    _job_id(),
    Column("record", Text, nullable=False),
    Index("runs_by_job", "job_id"),
)

results = Table(
    "results",
    metadata,
    Column("job_id", String(32), ForeignKey("jobs.id"), primary_key=True),
    Column("record", Text, nullable=False),
)

events = Table(
    "events",
    metadata,
    Column("job_id", String(32), ForeignKey("jobs.id"), primary_key=True),
    Column("seq", Integer, primary_key=True, autoincrement=False),
    Column("kind", String(32), nullable=False),
    Column("at", Float, nullable=False),
    Column("data", Text, nullable=False),
)

telemetry = Table(
    "telemetry",
    metadata,
    Column("id", _number, primary_key=True, autoincrement=False),
    Column("assignment_id", String(40), nullable=False, unique=True),
    Column("record", Text, nullable=False),
)

counters = Table(
    "counters",
    metadata,
    Column("name", String(32), primary_key=True),
    Column("value", _number, nullable=False),
)

snapshots = Table(
    "snapshots",
    metadata,
    Column("fold_version", Integer, primary_key=True, autoincrement=False),
    Column("cursor", _number, primary_key=True, autoincrement=False),
    Column("model", Text, nullable=False),
)

decisions = Table(
    "decisions",
    metadata,
    Column("id", _number, primary_key=True, autoincrement=True),
    _job_id(),
    Column("record", Text, nullable=False),
    Index("decisions_by_job", "job_id"),
)

programs = Table(
    "programs",
    metadata,
    Column("hash", String(64), primary_key=True),
    Column("facts", Text, nullable=False),
)

fits = Table(
    "fits",
    metadata,
    Column("program_hash", String(64), primary_key=True),
    Column("key", String(160), primary_key=True),
    Column("record", Text, nullable=False),
)

roll = Table(
    "roll",
    metadata,
    Column("worker", String(200), primary_key=True),
    Column("backend", String(100), primary_key=True),
    Column("slots", Integer, nullable=False),
    Column("device", Text, nullable=False),
    Column("warm", Boolean, nullable=False),
    Column("heartbeat_at", Float, nullable=False),
)

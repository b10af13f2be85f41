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
    false,
    text,
)

metadata = MetaData()

_READY = text("to_place > 0 AND num_blockers = 0")
_UNTOLD = text("finished_at IS NOT NULL AND NOT told")
_SENT = text("state = 'sent'")
_UNDER_DEADLINE = text("deadline_at IS NOT NULL AND finished_at IS NULL")

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
    Column("project", String(100), nullable=False, default="", server_default=""),
    Column("to_place", Integer, nullable=False, default=0, server_default="0"),
    Column("num_placements", Integer, nullable=False, default=0, server_default="0"),
    Column("num_blockers", Integer, nullable=False, default=0, server_default="0"),
    Column("told", Boolean, nullable=False, default=False, server_default=false()),
    Index("jobs_by_state", "state", "rank"),
    Index("jobs_by_project", "project", "seq"),
    # what waits for somebody is found however many jobs have ended: these hold the unfinished ones alone
    Index("jobs_ready", "rank", "seq", sqlite_where=_READY, postgresql_where=_READY),
    Index("jobs_untold", "finished_at", sqlite_where=_UNTOLD, postgresql_where=_UNTOLD),
    Index("jobs_by_deadline", "deadline_at", sqlite_where=_UNDER_DEADLINE, postgresql_where=_UNDER_DEADLINE),
)

dependencies = Table(
    "dependencies",
    metadata,
    Column("job_id", String(32), ForeignKey("jobs.id"), primary_key=True),
    Column("after_id", String(32), ForeignKey("jobs.id"), primary_key=True),
    Index("dependencies_by_parent", "after_id"),
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
    Column("due_at", Float),
    Column("record", Text, nullable=False),
    Index("assignments_due", "backend", "state", "rank"),
    Index("assignments_by_job", "job_id"),
    Index("assignments_by_state", "state", "lease_expires_at"),
    Index("assignments_sent", "backend", "due_at", sqlite_where=_SENT, postgresql_where=_SENT),
)

purchases = Table(
    "purchases",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("assignment_id", String(40), nullable=False),
    Column("job_id", String(32), nullable=False),  # no reference: what was paid is kept when the job is removed
    Column("project", String(100), nullable=False),
    Column("backend", String(100), nullable=False),
    Column("state", String(16), nullable=False),
    Column("usd", Float, nullable=False),
    Column("qpu_s", Float, nullable=False),
    Column("made_at", Float, nullable=False),
    Column("record", Text, nullable=False),
    Index("purchases_by_job", "job_id"),
    Index("purchases_by_project", "project", "made_at"),
)

budgets = Table(
    "budgets",
    metadata,
    Column("project", String(100), primary_key=True),
    Column("max_usd", Float),
    Column("max_qpu_s", Float),
    Column("since", Float, nullable=False),
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

incidents = Table(
    "incidents",
    metadata,
    Column("kind", String(32), primary_key=True),
    Column("label", String(100), primary_key=True),
    Column("number", _number, nullable=False),
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
    Column("situation", String(40)),
    Index("decisions_by_job", "job_id"),
    Index("decisions_by_situation", "situation"),
)

situations = Table(
    "situations",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("record", Text, nullable=False),
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

switches = Table(
    "switches",
    metadata,
    Column("kind", String(16), primary_key=True),
    Column("name", String(200), primary_key=True),
    Column("mode", String(16), nullable=False),
    Column("at", Float, nullable=False),
)

tokens = Table(
    "tokens",
    metadata,
    Column("name", String(100), primary_key=True),
    Column("hash", String(64), nullable=False, unique=True),
    Column("project", String(100), nullable=False),
    Column("created_at", Float, nullable=False),
)

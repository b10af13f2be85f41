"""What placement looks at: what waits for a decision, or will, and what is on its way. Nothing is changed here."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import BindParameter, Connection, bindparam, func, select

from orchestrator.job import Assignment, AssignmentState, JobState
from orchestrator.records import from_json
from orchestrator.sql import schema as sql
from orchestrator.sql.desk import job_of, part_number
from orchestrator.sql.engine import Database
from orchestrator.sql.ledger import read_roll, read_switches
from orchestrator.store import Blocked, Look, Outstanding, Waiting

NAMED_AT_ONCE = 10_000
"""Most ids in one statement; no database takes any number of them."""

WAITING = sql.assignments.c.state == AssignmentState.WAITING.value
RUNNING = sql.assignments.c.state == AssignmentState.RUNNING.value
SENT = sql.assignments.c.state == AssignmentState.SENT.value
READY = (sql.jobs.c.to_place > 0) & (sql.jobs.c.num_blockers == 0)

# built once: making a statement costs as much as running it
_IDS: BindParameter[Any] = bindparam("ids", expanding=True)
_PARTS = select(sql.assignments.c.record).where(sql.assignments.c.job_id.in_(_IDS))
_UNPLACED = select(sql.jobs).where(READY).order_by(sql.jobs.c.rank, sql.jobs.c.seq).limit(bindparam("most"))
_BLOCKED = (
    select(sql.jobs)
    .where(sql.jobs.c.state == JobState.SUBMITTED.value, sql.jobs.c.num_blockers > 0)
    .order_by(sql.jobs.c.rank, sql.jobs.c.seq)
    .limit(bindparam("most"))
)
_BEFORE = (
    select(sql.jobs)
    .join(sql.dependencies, sql.dependencies.c.after_id == sql.jobs.c.id)
    .where(sql.dependencies.c.job_id.in_(_IDS), sql.jobs.c.finished_at.is_(None))
    .distinct()
)
_WAIT = (
    select(sql.assignments.c.backend, func.sum(sql.assignments.c.service_s), func.count())
    .where(sql.assignments.c.state.in_([AssignmentState.WAITING.value, AssignmentState.SENT.value]))
    .group_by(sql.assignments.c.backend)
)
_QUEUED = (
    select(sql.assignments.c.job_id)
    .where(WAITING)
    .order_by(sql.assignments.c.rank, sql.assignments.c.id)
    .limit(bindparam("most"))
)
_OF_JOBS = select(sql.jobs).where(sql.jobs.c.id.in_(_IDS))
_HERE = select(sql.assignments.c.id).where(
    WAITING, sql.assignments.c.backend.in_(bindparam("backends", expanding=True))
)
_ELSEWHERE = select(sql.assignments.c.id).where(WAITING, ~_HERE.exists()).limit(1)
_RUN = select(sql.assignments.c.backend, sql.assignments.c.service_s, sql.assignments.c.started_at).where(RUNNING)


class SqlSight:
    """The part of the store that placement looks at."""

    _db: Database

    def look(self, limit: int, *, silent_s: float, queued: int = 0) -> Look:
        with self._db.read() as tx:
            jobs = [job_of(row) for row in tx.execute(_UNPLACED, {"most": limit})]
            parts = parts_of_jobs(tx, [job.id for job in jobs if job.num_placements])
            together = tx.execute(_WAIT).all()
            outstanding = [Outstanding(backend, service_s, None, number) for backend, service_s, number in together]
            outstanding += [Outstanding(*row) for row in tx.execute(_RUN)]
            now = self._db.now(tx)
            roll, switches = read_roll(tx, now - silent_s), read_switches(tx)
            standing = _queued(tx, queued) if queued else []
        waiting = [Waiting(job, tuple(parts.get(job.id, ()))) for job in jobs]
        return Look(now, roll, switches, waiting, outstanding, standing)

    def waits_elsewhere(self, backends: Sequence[str]) -> bool:
        with self._db.read() as tx:
            return tx.execute(_ELSEWHERE, {"backends": list(backends)}).first() is not None

    def stranded(self, backends: Sequence[str], limit: int, *, skip: int = 0) -> list[Waiting]:
        held = select(sql.assignments.c.job_id).where(WAITING, sql.assignments.c.backend.in_(backends))
        query = select(sql.jobs).where(sql.jobs.c.id.in_(held)).order_by(sql.jobs.c.rank, sql.jobs.c.seq)
        with self._db.read() as tx:
            jobs = [job_of(row) for row in tx.execute(query.offset(skip).limit(limit))]
            parts = parts_of_jobs(tx, [job.id for job in jobs])
        return [Waiting(job, tuple(parts.get(job.id, ()))) for job in jobs]

    def blocked(self, limit: int) -> list[Blocked]:
        with self._db.read() as tx:
            jobs = [job_of(row) for row in tx.execute(_BLOCKED, {"most": limit})]
            rows = tx.execute(_BEFORE, {"ids": [job.id for job in jobs]}).all() if jobs else ()
            before = {row.id: job_of(row) for row in rows}
            parts: dict[str, list[Assignment]] = {}
            for some in in_turn(sorted(before)):
                parts |= parts_of_jobs(tx, some)
        waiting = {i: Waiting(job, tuple(parts.get(i, ()))) for i, job in before.items()}
        return [Blocked(job, tuple(waiting[i] for i in dict.fromkeys(job.spec.after) if i in waiting)) for job in jobs]

    def held(self, backends: Sequence[str]) -> list[Assignment]:
        query = select(sql.assignments.c.record).where(WAITING | RUNNING, sql.assignments.c.backend.in_(backends))
        with self._db.read() as tx:
            parts = [from_json(Assignment, record) for record in tx.execute(query).scalars()]
        return sorted(parts, key=lambda part: (part.placed_at, part.decision, part_number(part.id)))


def _queued(tx: Connection, most: int) -> list[Waiting]:
    """Jobs of which something waits for a worker, by the order in which that is served."""
    ids = list(dict.fromkeys(tx.execute(_QUEUED, {"most": most}).scalars()))
    jobs = {row.id: job_of(row) for row in tx.execute(_OF_JOBS, {"ids": ids})} if ids else {}
    parts = parts_of_jobs(tx, ids)
    return [Waiting(jobs[i], tuple(parts[i])) for i in ids if i in jobs and i in parts]


def parts_of_jobs(tx: Connection, job_ids: Sequence[str]) -> dict[str, list[Assignment]]:
    """Assignments by job, in the order in which they were placed."""
    if not job_ids:
        return {}
    found: dict[str, list[Assignment]] = {}
    records = tx.execute(_PARTS, {"ids": job_ids}).scalars()
    for part in sorted((from_json(Assignment, r) for r in records), key=lambda part: part_number(part.id)):
        found.setdefault(part.job_id, []).append(part)
    return found


def in_turn(ids: Sequence[str]) -> Iterator[Sequence[str]]:
    """As many at a time as a statement can name."""
    return (ids[start : start + NAMED_AT_ONCE] for start in range(0, len(ids), NAMED_AT_ONCE))

"""Jobs and assignments in SQL. The decisions are ``lifecycle``'s; here they are made atomic.

Locks are always taken in the order assignments, then their job: a claim and a sibling's end can then never deadlock.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection, Row, func, insert, select, update

from orchestrator.errors import JobNotFound
from orchestrator.job import (
    FINAL_ASSIGNMENT_STATES,
    FINAL_JOB_STATES,
    Assignment,
    AssignmentState,
    Event,
    Failure,
    Job,
    JobSpec,
    JobState,
    Result,
)
from orchestrator.lifecycle import AssignmentEvent, Claimed, Expired, Withdrawn, advance, job_state
from orchestrator.placement import missed_deadline, rank
from orchestrator.records import from_json, to_json
from orchestrator.sql import schema as sql
from orchestrator.sql.engine import Database, insert_once
from orchestrator.sql.ledger import append_observation, insert_decision
from orchestrator.store import Decision, Outstanding, Run, Swept
from orchestrator.telemetry import Observation

_FINAL_JOBS = [state.value for state in FINAL_JOB_STATES]


class SqlJobs:
    """The half of the store that moves jobs."""

    def __init__(self, database: Database, *, max_attempts: int) -> None:
        self._db = database
        self._max_attempts = max_attempts

    # ── jobs ──────────────────────────────────────────────────────────────────────────────────────────────────────
    def add_jobs(self, specs: Sequence[JobSpec]) -> tuple[list[Job], list[Event]]:
        with self._db.write() as tx:
            now = self._db.now(tx)
            added = [self._add_job(tx, spec, now) for spec in specs]
        return [job for job, _ in added], [event for _, events in added for event in events]

    def _add_job(self, tx: Connection, spec: JobSpec, now: float) -> tuple[Job, list[Event]]:
        deadline_at = None if spec.limits.deadline_s is None else now + spec.limits.deadline_s
        job_id = uuid.uuid4().hex
        values = {
            "id": job_id,
            "idempotency_key": spec.idempotency_key,
            "state": JobState.SUBMITTED.value,
            "rank": rank(submitted_at=now, priority=spec.priority, deadline_at=deadline_at),
            "spec": to_json(spec),
            "submitted_at": now,
            "deadline_at": deadline_at,
            "cancel_requested": False,
            "num_events": 0,
        }
        if spec.idempotency_key is None:
            tx.execute(insert(sql.jobs), values)
        else:
            insert_once(tx, sql.jobs, [values], key=["idempotency_key"])
            first = tx.execute(select(sql.jobs).where(sql.jobs.c.idempotency_key == spec.idempotency_key)).one()
            if first.id != job_id:
                return _job(first), []
        if spec.tags:
            tx.execute(insert(sql.tags), [{"tag": tag, "job_id": job_id} for tag in sorted(set(spec.tags))])
        events = [_tell(tx, job_id, "submitted", now)]
        return _job(tx.execute(select(sql.jobs).where(sql.jobs.c.id == job_id)).one()), events

    def job(self, job_id: str) -> Job:
        with self._db.read() as tx:
            return _job(_row(tx, job_id))

    def jobs(self, *, state: JobState | None = None, tag: str | None = None, limit: int = 50) -> list[Job]:
        query = select(sql.jobs).order_by(sql.jobs.c.seq.desc()).limit(limit)
        if state is not None:
            query = query.where(sql.jobs.c.state == state.value)
        if tag is not None:
            query = query.join(sql.tags, sql.tags.c.job_id == sql.jobs.c.id).where(sql.tags.c.tag == tag)
        with self._db.read() as tx:
            return [_job(row) for row in tx.execute(query)]

    def assignments(self, job_id: str) -> list[Assignment]:
        with self._db.read() as tx:
            return _assignments(tx, job_id)

    def result(self, job_id: str) -> Result | None:
        with self._db.read() as tx:
            record = tx.execute(select(sql.results.c.record).where(sql.results.c.job_id == job_id)).scalar()
        return None if record is None else from_json(Result, record)

    def events(self, job_id: str, *, after: int = 0) -> list[Event]:
        query = select(sql.events).where(sql.events.c.job_id == job_id, sql.events.c.seq > after)
        with self._db.read() as tx:
            rows = tx.execute(query.order_by(sql.events.c.seq)).all()
        return [Event(row.job_id, row.kind, row.at, from_json(dict[str, Any], row.data), row.seq) for row in rows]

    def add_event(self, event: Event) -> list[Event]:
        with self._db.write() as tx:
            return [_tell(tx, event.job_id, event.kind, self._db.now(tx), event.data)]

    def request_cancel(self, job_id: str) -> list[Event]:
        with self._db.write() as tx:
            now = self._db.now(tx)
            parts = _assignments(tx, job_id, lock=True)
            row = _row(tx, job_id, lock=True)
            if row.state in _FINAL_JOBS or row.cancel_requested:
                return []
            tx.execute(update(sql.jobs).where(sql.jobs.c.id == job_id).values(cancel_requested=True))
            parts = self._withdraw_waiting(tx, parts, now)
            events = [_tell(tx, job_id, "cancel_requested", now)]
            return events + self._fold(tx, job_id, parts, now)

    # ── placement ─────────────────────────────────────────────────────────────────────────────────────────────────
    def unplaced(self, limit: int) -> list[Job]:
        query = select(sql.jobs).where(sql.jobs.c.state == JobState.SUBMITTED.value)
        with self._db.read() as tx:
            return [_job(row) for row in tx.execute(query.order_by(sql.jobs.c.rank, sql.jobs.c.seq).limit(limit))]

    def outstanding(self) -> list[Outstanding]:
        columns = sql.assignments.c
        busy = [AssignmentState.WAITING.value, AssignmentState.RUNNING.value]
        query = select(columns.backend, columns.service_s, columns.started_at).where(columns.state.in_(busy))
        with self._db.read() as tx:
            return [Outstanding(*row) for row in tx.execute(query)]

    def place(self, decision: Decision, assignments: Sequence[Assignment]) -> list[Event]:
        with self._db.write() as tx:
            row = _row(tx, decision.job_id, lock=True)
            if row.state != JobState.SUBMITTED.value:
                return []
            now = self._db.now(tx)
            number = insert_decision(tx, decision)
            written = [replace(part, decision=number, placed_at=now) for part in assignments]
            tx.execute(insert(sql.assignments), [_assignment_values(part) for part in written])
            tx.execute(update(sql.jobs).where(sql.jobs.c.id == decision.job_id).values(state=JobState.PLACED.value))
            shares = {part.backend: part.shots for part in written}
            return [_tell(tx, decision.job_id, "placed", now, {"shares": shares, "policy": decision.policy})]

    def fail(self, job_id: str, failure: Failure) -> list[Event]:
        with self._db.write() as tx:
            if _row(tx, job_id, lock=True).state != JobState.SUBMITTED.value:
                return []
            return _end(tx, job_id, JobState.FAILED, self._db.now(tx), failure)

    # ── execution ─────────────────────────────────────────────────────────────────────────────────────────────────
    def claim(
        self, backends: Sequence[str], *, owner: str, lease_s: float
    ) -> tuple[Assignment, Job, list[Event]] | None:
        due = (
            select(sql.assignments.c.id)
            .where(
                sql.assignments.c.state == AssignmentState.WAITING.value,
                sql.assignments.c.backend.in_(backends),
            )
            .order_by(sql.assignments.c.rank, sql.assignments.c.id)
            .limit(1)
            .with_for_update(skip_locked=True)
        )
        with self._db.write() as tx:
            due_id = tx.execute(due).scalar()
            if due_id is None:
                return None
            record = select(sql.assignments.c.record).where(sql.assignments.c.id == due_id)
            waiting = from_json(Assignment, tx.execute(record).scalar_one())
            now = self._db.now(tx)
            claimed = self._advance(tx, waiting, Claimed(owner, now, now + lease_s))
            row = _row(tx, claimed.job_id, lock=True)
            tx.execute(update(sql.jobs).where(sql.jobs.c.id == row.id).values(state=JobState.RUNNING.value))
            data = {"backend": claimed.backend, "attempt": claimed.attempt, "worker": owner}
            return claimed, _job(row), [_tell(tx, row.id, "running", now, data)]

    def renew(self, owner: str, *, lease_s: float, held: Sequence[str] | None = None) -> None:
        theirs = [sql.assignments.c.owner == owner, sql.assignments.c.state == AssignmentState.RUNNING.value]
        if held is not None:
            theirs.append(sql.assignments.c.id.in_(held))
        with self._db.write() as tx:
            until = self._db.now(tx) + lease_s
            tx.execute(update(sql.assignments).where(*theirs).values(lease_expires_at=until))

    def disown(self, worker: str) -> None:
        with self._db.write() as tx:
            past = self._db.now(tx) - 1.0
            theirs = sql.assignments.c.owner.startswith(f"{worker}/", autoescape=True)
            tx.execute(update(sql.assignments).where(theirs).values(lease_expires_at=past))

    def finish(
        self, claimed: Assignment, event: AssignmentEvent, *, run: Run | None = None, seen: Observation | None = None
    ) -> list[Event] | None:
        with self._db.write() as tx:
            parts = _assignments(tx, claimed.job_id, lock=True)
            mine = next(part for part in parts if part.id == claimed.id)
            if (mine.state, mine.attempt, mine.owner) != (AssignmentState.RUNNING, claimed.attempt, claimed.owner):
                return None
            _row(tx, claimed.job_id, lock=True)
            now = self._db.now(tx)
            ended = self._advance(tx, mine, event)
            if run is not None:
                values = {"assignment_id": mine.id, "job_id": mine.job_id, "record": to_json(run)}
                tx.execute(insert(sql.runs), values)
            if seen is not None:
                append_observation(tx, seen)
            return self._settle(tx, parts, ended, now)

    def runs(self, job_id: str) -> list[Run]:
        query = select(sql.runs.c.record).where(sql.runs.c.job_id == job_id).order_by(sql.runs.c.assignment_id)
        with self._db.read() as tx:
            return [from_json(Run, record) for record in tx.execute(query).scalars()]

    def conclude(self, result: Result) -> list[Event]:
        with self._db.write() as tx:
            if _row(tx, result.job_id, lock=True).state in _FINAL_JOBS:
                return []
            tx.execute(insert(sql.results), {"job_id": result.job_id, "record": to_json(result)})
            return _end(tx, result.job_id, JobState.DONE, self._db.now(tx), None)

    def unconcluded(self) -> list[str]:
        with self._db.read() as tx:
            return _all_parts_done(tx)

    def sweep(self) -> Swept:
        swept = Swept()
        with self._db.write() as tx:
            now = self._db.now(tx)
            overdue = select(sql.assignments.c.id, sql.assignments.c.job_id).where(
                sql.assignments.c.state == AssignmentState.RUNNING.value, sql.assignments.c.lease_expires_at < now
            )
            for row in tx.execute(overdue.order_by(sql.assignments.c.id)).all():
                swept.events.extend(self._expire(tx, row.id, row.job_id, now))
            not_begun = [JobState.SUBMITTED.value, JobState.PLACED.value]
            too_late = select(sql.jobs.c.id).where(sql.jobs.c.state.in_(not_begun), sql.jobs.c.deadline_at < now)
            for job_id in tx.execute(too_late).scalars().all():
                swept.events.extend(self._miss(tx, job_id, now))
        with self._db.read() as tx:
            waiting = select(sql.assignments.c.backend).where(sql.assignments.c.state == AssignmentState.WAITING.value)
            swept.waiting_backends.extend(tx.execute(waiting.distinct()).scalars())
            submitted = select(sql.jobs.c.id).where(sql.jobs.c.state == JobState.SUBMITTED.value).limit(1)
            undecided = tx.execute(submitted).scalar() is not None or bool(_all_parts_done(tx))
            return replace(swept, undecided=undecided)

    def _expire(self, tx: Connection, assignment_id: str, job_id: str, now: float) -> list[Event]:
        parts = _assignments(tx, job_id, lock=True)
        late = next(part for part in parts if part.id == assignment_id)
        lease = tx.execute(
            select(sql.assignments.c.lease_expires_at).where(sql.assignments.c.id == assignment_id)
        ).scalar()
        if late.state is not AssignmentState.RUNNING or lease is None or lease >= now:
            return []
        _row(tx, job_id, lock=True)
        return self._settle(tx, parts, self._advance(tx, late, Expired(now)), now)

    def _miss(self, tx: Connection, job_id: str, now: float) -> list[Event]:
        """End a job whose deadline has passed before any of it began."""
        parts = _assignments(tx, job_id, lock=True)
        row = _row(tx, job_id, lock=True)
        if row.state in _FINAL_JOBS or any(part.state is not AssignmentState.WAITING for part in parts):
            return []
        self._withdraw_waiting(tx, parts, now)
        return _end(tx, job_id, JobState.FAILED, now, missed_deadline(from_json(JobSpec, row.spec)))

    # ── inside a transaction ──────────────────────────────────────────────────────────────────────────────────────
    def _advance(self, tx: Connection, assignment: Assignment, event: AssignmentEvent) -> Assignment:
        moved = advance(assignment, event, max_attempts=self._max_attempts)
        values = _assignment_values(moved)
        tx.execute(update(sql.assignments).where(sql.assignments.c.id == moved.id).values(**values))
        return moved

    def _settle(self, tx: Connection, parts: Sequence[Assignment], moved: Assignment, now: float) -> list[Event]:
        """What the move of one part means for its siblings and its job. Nothing waits on for a job that is lost."""
        events = [_tell_part(tx, moved, now)]
        parts = [moved if part.id == moved.id else part for part in parts]
        lost = {AssignmentState.FAILED, AssignmentState.CANCELLED} & {part.state for part in parts}
        if lost or _row(tx, moved.job_id).cancel_requested:
            parts = self._withdraw_waiting(tx, parts, now)
        return events + self._fold(tx, moved.job_id, parts, now)

    def _withdraw_waiting(self, tx: Connection, parts: Iterable[Assignment], now: float) -> list[Assignment]:
        return [
            self._advance(tx, part, Withdrawn(now)) if part.state is AssignmentState.WAITING else part for part in parts
        ]

    @staticmethod
    def _fold(tx: Connection, job_id: str, parts: Sequence[Assignment], now: float) -> list[Event]:
        """Bring the job to the state of its parts. DONE waits for its result: ``conclude`` writes both."""
        row = _row(tx, job_id)
        failure = next((part.failure for part in parts if part.state is AssignmentState.FAILED), None)
        state = job_state(parts, failure=failure, cancel_requested=row.cancel_requested)
        if state in (JobState.FAILED, JobState.CANCELLED):
            return _end(tx, job_id, state, now, failure)
        if state is not JobState.DONE and state.value != row.state:
            tx.execute(update(sql.jobs).where(sql.jobs.c.id == job_id).values(state=state.value))
        return []


def _row(tx: Connection, job_id: str, *, lock: bool = False) -> Row[Any]:
    query = select(sql.jobs).where(sql.jobs.c.id == job_id)
    row = tx.execute(query.with_for_update() if lock else query).one_or_none()
    if row is None:
        raise JobNotFound(job_id)
    return row


def _job(row: Row[Any]) -> Job:
    return Job(
        id=row.id,
        seq=row.seq,
        spec=from_json(JobSpec, row.spec),
        state=JobState(row.state),
        submitted_at=row.submitted_at,
        cancel_requested=row.cancel_requested,
        finished_at=row.finished_at,
        failure=None if row.failure is None else from_json(Failure, row.failure),
    )


def _assignments(tx: Connection, job_id: str, *, lock: bool = False) -> list[Assignment]:
    query = select(sql.assignments.c.record).where(sql.assignments.c.job_id == job_id).order_by(sql.assignments.c.id)
    return [from_json(Assignment, r) for r in tx.execute(query.with_for_update() if lock else query).scalars()]


def _assignment_values(assignment: Assignment) -> dict[str, Any]:
    return {
        "id": assignment.id,
        "job_id": assignment.job_id,
        "backend": assignment.backend,
        "state": assignment.state.value,
        "rank": assignment.rank,
        "attempt": assignment.attempt,
        "owner": assignment.owner,
        "service_s": assignment.estimate.service_s,
        "started_at": assignment.started_at,
        "lease_expires_at": assignment.lease_expires_at,
        "record": to_json(assignment),
    }


def _all_parts_done(tx: Connection) -> list[str]:
    """Jobs whose assignments are all done while nobody stored the result: their worker died in between."""
    not_done = func.count().filter(sql.assignments.c.state != AssignmentState.DONE.value)
    query = (
        select(sql.jobs.c.id)
        .join(sql.assignments, sql.assignments.c.job_id == sql.jobs.c.id)
        .where(sql.jobs.c.state == JobState.RUNNING.value)  # a job of which something is done is running or has ended
        .group_by(sql.jobs.c.id)
        .having(not_done == 0)
    )
    return list(tx.execute(query).scalars())


def _end(tx: Connection, job_id: str, state: JobState, now: float, failure: Failure | None) -> list[Event]:
    values = {"state": state.value, "finished_at": now, "failure": None if failure is None else to_json(failure)}
    tx.execute(update(sql.jobs).where(sql.jobs.c.id == job_id).values(**values))
    data = {} if failure is None else {"stage": failure.stage, "message": failure.message}
    return [_tell(tx, job_id, state.value, now, data)]


def _tell_part(tx: Connection, part: Assignment, now: float) -> Event:
    data: dict[str, Any] = {"backend": part.backend, "attempt": part.attempt}
    if part.failure is not None and part.state is not AssignmentState.DONE:
        data["message"] = part.failure.message
    kind = "assignment_" + ("released" if part.state not in FINAL_ASSIGNMENT_STATES else part.state.value)
    return _tell(tx, part.job_id, kind, now, data)


def _tell(tx: Connection, job_id: str, kind: str, now: float, data: Mapping[str, Any] | None = None) -> Event:
    """Append to the job's own log. Its row is locked by the update, so the numbers follow the commits."""
    counted = update(sql.jobs).where(sql.jobs.c.id == job_id).values(num_events=sql.jobs.c.num_events + 1)
    seq = tx.execute(counted.returning(sql.jobs.c.num_events)).scalar_one()
    told = dict(data or {})
    tx.execute(insert(sql.events), {"job_id": job_id, "seq": seq, "kind": kind, "at": now, "data": to_json(told)})
    return Event(job_id, kind, now, told, seq)

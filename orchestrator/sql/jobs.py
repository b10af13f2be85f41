"""Jobs and assignments in SQL. What a change means is ``case``'s to say; here it is made atomic, many at a time."""

from __future__ import annotations

import hashlib
import math
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import BindParameter, ColumnElement, Connection, Row, bindparam, func, insert, select, update

from orchestrator.case import Case
from orchestrator.errors import JobNotFound
from orchestrator.job import (
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
from orchestrator.lifecycle import Claimed as ClaimedEvent
from orchestrator.lifecycle import Expired, Rules, Settled, job_state
from orchestrator.placement import missed_deadline, rank
from orchestrator.records import from_json, to_json
from orchestrator.sql import schema as sql
from orchestrator.sql.decisions import insert_decisions
from orchestrator.sql.desk import Desk, holds, job_of, part_number, taken_of, write_events
from orchestrator.sql.engine import Database, insert_once
from orchestrator.sql.ledger import append_observations
from orchestrator.sql.purchases import write_purchases
from orchestrator.sql.sight import READY, RUNNING, SENT, WAITING, in_turn, parts_of_jobs
from orchestrator.store import Claim, Ending, Placed, Run, Swept
from orchestrator.telemetry import Observation

SWEPT_AT_ONCE = 1000
"""Most rows of one kind that one sweep moves: its transaction stays short, and the next one goes on."""

_FINAL = [state.value for state in FINAL_JOB_STATES]
# built once: making a statement costs as much as running it
_IDS: BindParameter[Any] = bindparam("ids", expanding=True)
_STATES = select(sql.jobs.c.id, sql.jobs.c.state, sql.jobs.c.project).where(sql.jobs.c.id.in_(_IDS))
_RESULTS = select(sql.results.c.job_id, sql.results.c.record).where(sql.results.c.job_id.in_(_IDS))
_CLOSED = select(sql.switches.c.name).where(sql.switches.c.kind == "backend", sql.switches.c.mode == "disabled")
_LEAVING = select(sql.switches.c.name).where(
    sql.switches.c.kind == "worker", sql.switches.c.name == bindparam("worker")
)
_DUE = (
    select(sql.assignments.c.id, sql.assignments.c.job_id, sql.assignments.c.backend, sql.assignments.c.service_s)
    .join(sql.jobs, sql.jobs.c.id == sql.assignments.c.job_id)
    .where(
        WAITING,
        sql.assignments.c.backend.in_(bindparam("backends", expanding=True)),
        sql.assignments.c.backend.not_in(_CLOSED),
        ~_LEAVING.exists(),
    )
    .order_by(sql.assignments.c.rank, sql.assignments.c.id)
    .limit(bindparam("most"))
)
_FREE = _DUE.with_for_update(of=[sql.jobs, sql.assignments], skip_locked=True)
_HELD = select(sql.jobs.c.id).where(sql.jobs.c.id == bindparam("job_id")).with_for_update()
_ADD_RUNS = insert(sql.runs)
_ADD_RESULTS = insert(sql.results)


class SqlJobs:
    """The half of the store that moves jobs."""

    def __init__(self, database: Database, rules: Rules) -> None:
        self._db = database
        self._rules = rules

    # ── jobs ──────────────────────────────────────────────────────────────────────────────────────────────────────
    def add_jobs(self, specs: Sequence[JobSpec], *, project: str = "") -> tuple[list[Job], list[Event]]:
        ids = [uuid.uuid4().hex for _ in specs]
        keys = [_key(spec, project) for spec in specs]
        with self._db.write() as tx:
            desk = Desk(tx, self._db.now(tx))
            desk.open(parent for spec in specs for parent in spec.after)
            _check_parents(desk, specs, project)
            rows = [_job_row(*new, project, desk.now) for new in zip(ids, keys, specs, strict=True)]
            insert_once(tx, sql.jobs, rows, key=["idempotency_key"])
            found, earlier = _written(tx, ids, keys)
            cases: list[Case] = []
            for job_id, spec in zip(ids, specs, strict=True):
                if job_id in found:
                    job = Job(job_id, found[job_id], spec, JobState.SUBMITTED, desk.now, project=project)
                    cases.append(_begin(desk, replace(job, to_place=spec.shots)))
            _insert_beside(tx, [case.job for case in cases])
            events = desk.write()
            jobs = {case.job.id: desk[case.job.id].job for case in cases}
        return [jobs.get(i) or earlier[key or ""] for i, key in zip(ids, keys, strict=True)], events

    def job(self, job_id: str) -> Job:
        with self._db.read() as tx:
            row = tx.execute(select(sql.jobs).where(sql.jobs.c.id == job_id)).one_or_none()
        if row is None:
            raise JobNotFound(job_id)
        return job_of(row)

    def jobs(
        self, *, state: JobState | None = None, tag: str | None = None, limit: int = 50, project: str | None = None
    ) -> list[Job]:
        query = select(sql.jobs).order_by(sql.jobs.c.seq.desc()).limit(limit)
        if state is not None:
            query = query.where(sql.jobs.c.state == state.value)
        if tag is not None:
            query = query.join(sql.tags, sql.tags.c.job_id == sql.jobs.c.id).where(sql.tags.c.tag == tag)
        if project is not None:
            query = query.where(sql.jobs.c.project == project)
        with self._db.read() as tx:
            return [job_of(row) for row in tx.execute(query)]

    def states(self, job_ids: Sequence[str], *, project: str | None = None) -> dict[str, JobState]:
        with self._db.read() as tx:
            rows = [row for some in in_turn(job_ids) for row in tx.execute(_STATES, {"ids": some})]
        return {row.id: JobState(row.state) for row in rows if project is None or row.project == project}

    def assignments(self, job_id: str) -> list[Assignment]:
        with self._db.read() as tx:
            return parts_of_jobs(tx, [job_id]).get(job_id, [])

    def results(self, job_ids: Sequence[str], *, project: str | None = None) -> dict[str, Result]:
        query = _RESULTS
        if project is not None:
            query = query.join(sql.jobs, sql.jobs.c.id == sql.results.c.job_id).where(sql.jobs.c.project == project)
        with self._db.read() as tx:
            rows = [row for some in in_turn(job_ids) for row in tx.execute(query, {"ids": some})]
        return {row.job_id: from_json(Result, row.record) for row in rows}

    def events(self, job_id: str, *, after: int = 0) -> list[Event]:
        query = select(sql.events).where(sql.events.c.job_id == job_id, sql.events.c.seq > after)
        with self._db.read() as tx:
            rows = tx.execute(query.order_by(sql.events.c.seq)).all()
        return [Event(row.job_id, row.kind, row.at, from_json(dict[str, Any], row.data), row.seq) for row in rows]

    def add_event(self, event: Event) -> list[Event]:
        return self.add_events([event])

    def add_events(self, events: Sequence[Event]) -> list[Event]:
        job_id, counted = events[0].job_id, sql.jobs.c.num_events + len(events)
        with self._db.write(lasting=False) as tx:
            numbered = update(sql.jobs).where(sql.jobs.c.id == job_id).values(num_events=counted)
            last = tx.execute(numbered.returning(sql.jobs.c.num_events)).scalar_one_or_none()
            if last is None:
                raise JobNotFound(job_id)
            now, first = self._db.now(tx), last - len(events) + 1
            written = [replace(event, seq=n, at=event.at or now) for n, event in enumerate(events, start=first)]
            write_events(tx, written)
            return written

    def unwanted(self, job_ids: Sequence[str]) -> set[str]:
        decided = sql.jobs.c.cancel_requested | sql.jobs.c.failure.is_not(None)
        with self._db.read() as tx:
            return set(tx.execute(select(sql.jobs.c.id).where(sql.jobs.c.id.in_(job_ids), decided)).scalars())

    def request_cancel(self, job_id: str) -> list[Event]:
        with self._db.write() as tx:
            desk = Desk(tx, self._db.now(tx))
            desk.open([job_id])
            desk.put(desk[job_id].cancelled(desk.now))
            return desk.write()

    def told(self, job_ids: Sequence[str]) -> None:
        with self._db.write(lasting=False) as tx:
            tx.execute(update(sql.jobs).where(sql.jobs.c.id.in_(job_ids)).values(told=True))

    # ── placement ─────────────────────────────────────────────────────────────────────────────────────────────────
    def place(self, decided: Sequence[Placed]) -> list[Event]:
        with self._db.write(lasting=False) as tx:
            desk = Desk(tx, self._db.now(tx))
            desk.open(placed.decision.job_id for placed in decided)
            awaited = []
            for placed in decided:
                case, over = desk[placed.decision.job_id], placed.instead_of
                case = case.reconsidered(over, desk.now) if placed.again else case.freed(over, desk.now, self._rules)
                if case.awaits(placed.parts):
                    awaited.append((placed, case))
            numbers = insert_decisions(tx, [placed.decision for placed, _ in awaited])
            for (placed, case), number in zip(awaited, numbers, strict=True):
                written = [replace(part, decision=number, placed_at=desk.now) for part in placed.parts]
                desk.put(case.placed(written, placed.decision.policy, desk.now))
            return desk.write()

    def fail(self, failures: Mapping[str, Failure]) -> list[Event]:
        with self._db.write() as tx:
            desk = Desk(tx, self._db.now(tx))
            desk.open(failures)
            for job_id, failure in failures.items():
                desk.put(desk[job_id].failed(failure, desk.now))
            return desk.write()

    # ── execution ─────────────────────────────────────────────────────────────────────────────────────────────────
    def claim(
        self,
        backends: Sequence[str],
        *,
        owner: str,
        lease_s: float,
        most: int = 1,
        window_s: float = 0.0,
        alone_s: float = math.inf,
    ) -> Claim | None:
        asked = {"backends": list(backends), "worker": owner.rpartition("/")[0] or owner, "most": most + 1}
        with self._db.write(lasting=False) as tx:
            rows = _due(tx, asked)
            if not rows:
                return None
            taken, total_s, longest_s = [rows[0]], rows[0].service_s, rows[0].service_s
            for row in rows[1:most]:
                total_s, longest_s = total_s + row.service_s, max(longest_s, row.service_s)
                if row.backend != rows[0].backend or total_s > window_s or longest_s > alone_s:
                    break
                taken.append(row)
            more = rows[len(taken)].backend if len(rows) > len(taken) else None
            desk = Desk(tx, self._db.now(tx))
            desk.open(row.job_id for row in taken)
            for row in taken:
                desk.put(desk[row.job_id].claimed(row.id, ClaimedEvent(owner, desk.now, desk.now + lease_s)))
            events = desk.write()
            return Claim([taken_of(desk[row.job_id], row.id) for row in taken], events, more)

    def renew(self, owner: str, *, lease_s: float, held: Sequence[str] | None = None) -> None:
        theirs = [sql.assignments.c.owner == owner, RUNNING]
        if held is not None:
            theirs.append(sql.assignments.c.id.in_(held))
        with self._db.write(lasting=False) as tx:
            _lease_until(tx, theirs, self._db.now(tx) + lease_s)

    def disown(self, worker: str) -> None:
        theirs = sql.assignments.c.owner.startswith(f"{worker}/", autoescape=True)
        with self._db.write() as tx:
            _lease_until(tx, [theirs, RUNNING], self._db.now(tx) - 1.0)

    def finish(self, endings: Sequence[Ending]) -> tuple[list[Event], list[bool]]:
        with self._db.write() as tx:
            desk = Desk(tx, self._db.now(tx))
            desk.open(ending.assignment.job_id for ending in endings)
            written: list[Ending] = []
            results: list[dict[str, Any]] = []
            for ending in endings:
                case, claimed = desk[ending.assignment.job_id], ending.assignment
                mine = case.part(claimed.id)
                if mine is None or not holds(claimed, mine):
                    desk.count("stale_writes", claimed.backend)
                    continue
                if ending.purchase is not None and not ending.purchase.open:
                    case = case.settled(mine.id, Settled(desk.now))
                case = case.moved(mine.id, ending.event, self._rules, ending.news, **_figures(ending.seen))
                if ending.result is not None and not case.ended:
                    case = case.concluded(desk.now)
                    results.append(_result_row(ending.result))
                desk.put(case)
                written.append(ending)
            runs = [_run_row(ending.assignment, ending.run) for ending in written if ending.run is not None]
            if runs:
                tx.execute(_ADD_RUNS, runs)
            if results:
                tx.execute(_ADD_RESULTS, results)
            append_observations(tx, [ending.seen for ending in written if ending.seen is not None])
            write_purchases(tx, [ending.purchase for ending in written if ending.purchase is not None])
            kept = {ending.assignment.id for ending in written}
            return desk.write(), [ending.assignment.id in kept for ending in endings]

    def runs(self, job_id: str) -> list[Run]:
        query = select(sql.runs.c.assignment_id, sql.runs.c.record).where(sql.runs.c.job_id == job_id)
        with self._db.read() as tx:
            rows = sorted(tx.execute(query), key=lambda row: part_number(row.assignment_id))
        return [from_json(Run, row.record) for row in rows]

    def conclude(self, result: Result) -> list[Event]:
        with self._db.write() as tx:
            desk = Desk(tx, self._db.now(tx))
            desk.open([result.job_id])
            case = desk[result.job_id]
            if case.ended or job_state(case.job, case.parts) is not JobState.DONE:  # a share was lost meanwhile
                return []
            tx.execute(_ADD_RESULTS, [_result_row(result)])
            desk.put(case.concluded(desk.now))
            return desk.write()

    # ── sweep ─────────────────────────────────────────────────────────────────────────────────────────────────────
    def sweep(self, *, silent_s: float) -> Swept:
        with self._db.write() as tx:
            desk = Desk(tx, self._db.now(tx))
            self._expire(tx, desk)
            self._miss(tx, desk)
            events = desk.write()
        with self._db.read() as tx:
            due = SENT & (sql.assignments.c.due_at <= self._db.now(tx))
            waiting = list(tx.execute(select(sql.assignments.c.backend).where(WAITING | due).distinct()).scalars())
            undecided = tx.execute(select(sql.jobs.c.id).where(READY).limit(1)).scalar() is not None
            untold = _untold(tx, self._db.now(tx) - silent_s)
            return Swept(events + untold, waiting, undecided, _all_parts_done(tx))

    def _expire(self, tx: Connection, desk: Desk) -> None:
        """Attempts whose worker has gone silent."""
        late = sql.assignments.c.lease_expires_at < desk.now
        query = select(sql.assignments.c.id, sql.assignments.c.job_id).where(RUNNING, late).limit(SWEPT_AT_ONCE)
        rows = tx.execute(query).all()
        desk.open(row.job_id for row in rows)
        # asked again now that nobody can renew one any more: the first look took no lock
        still = select(sql.assignments.c.id).where(sql.assignments.c.id.in_([row.id for row in rows]), RUNNING, late)
        still = still.order_by(sql.assignments.c.id).with_for_update()
        for row_id in list(tx.execute(still).scalars()) if rows else ():
            job_id = row_id.rpartition("-")[0]
            desk.put(desk[job_id].moved(row_id, Expired(desk.now), self._rules))

    def _miss(self, tx: Connection, desk: Desk) -> None:
        """Jobs whose deadline has passed before any of them began."""
        late = (sql.jobs.c.deadline_at < desk.now) & sql.jobs.c.finished_at.is_(None)
        not_begun = sql.jobs.c.state.in_([JobState.SUBMITTED.value, JobState.PLACED.value])
        found = tx.execute(select(sql.jobs.c.id).where(late, not_begun).limit(SWEPT_AT_ONCE)).scalars().all()
        desk.open(found)
        for job_id in found:
            desk.put(desk[job_id].missed(missed_deadline(desk[job_id].job.spec), desk.now))


def _due(tx: Connection, asked: Mapping[str, Any]) -> Sequence[Row[*tuple[Any, ...]]]:
    """What may be claimed. Where others hold all of it at this moment, the first is waited for, nothing in hand."""
    rows = tx.execute(_FREE, asked).all()
    if not rows and (held := tx.execute(_DUE, {**asked, "most": 1}).first()) is not None:
        tx.execute(_HELD, {"job_id": held.job_id})
        rows = tx.execute(_FREE, asked).all()
    return rows


def _lease_until(tx: Connection, which: Sequence[ColumnElement[bool]], until: float) -> None:
    """Move the end of leases. They are locked first, in the order of the desk, so that nobody waits in a circle."""
    locked = select(sql.assignments.c.id).where(*which).order_by(sql.assignments.c.id).with_for_update()
    ids = tx.execute(locked).scalars().all()
    for some in in_turn(ids):
        tx.execute(update(sql.assignments).where(sql.assignments.c.id.in_(some)).values(lease_expires_at=until))


def _key(spec: JobSpec, project: str) -> str | None:
    """The idempotency key as it is kept: two projects may use the same one."""
    if spec.idempotency_key is None or not project:
        return spec.idempotency_key
    return hashlib.sha256(f"{project}\0{spec.idempotency_key}".encode()).hexdigest()


def _check_parents(desk: Desk, specs: Sequence[JobSpec], project: str) -> None:
    for spec in specs:
        for parent in spec.after:
            if desk[parent].job.project != project:
                raise JobNotFound(parent)


def _job_row(job_id: str, key: str | None, spec: JobSpec, project: str, now: float) -> dict[str, Any]:
    deadline_at = None if spec.limits.deadline_s is None else now + spec.limits.deadline_s
    return {
        "id": job_id,
        "idempotency_key": key,
        "state": JobState.SUBMITTED.value,
        "rank": rank(submitted_at=now, priority=spec.priority, deadline_at=deadline_at),
        "spec": to_json(spec),
        "submitted_at": now,
        "deadline_at": deadline_at,
        "cancel_requested": False,
        "num_events": 1,
        "project": project,
        "to_place": spec.shots,
        "num_placements": 0,
        "num_blockers": len(set(spec.after)),
        "told": False,
    }


def _written(tx: Connection, ids: Sequence[str], keys: Sequence[str | None]) -> tuple[dict[str, int], dict[str, Job]]:
    """Numbers of the new jobs, and the jobs that had their keys before, by key."""
    found = {row.id: row.seq for row in tx.execute(select(sql.jobs.c.id, sql.jobs.c.seq).where(sql.jobs.c.id.in_(ids)))}
    known = [key for key in keys if key is not None]
    if not known:
        return found, {}
    rows = tx.execute(select(sql.jobs).where(sql.jobs.c.idempotency_key.in_(known))).all()
    return found, {row.idempotency_key: job_of(row) for row in rows}


def _begin(desk: Desk, job: Job) -> Case:
    """A new job's case: told of its submission and of what became of the jobs it comes after."""
    parents = [desk[parent].job for parent in dict.fromkeys(job.spec.after)]
    case = Case(replace(job, num_blockers=len(parents))).tell("submitted", desk.now)
    desk.welcome(case)
    for parent in parents:
        if parent.state in FINAL_JOB_STATES:
            case = case.parent_ended(parent, desk.now)
    desk.put(case)
    return case


def _insert_beside(tx: Connection, jobs: Sequence[Job]) -> None:
    """What stands in other tables of new jobs."""
    tags = [{"tag": tag, "job_id": job.id} for job in jobs for tag in sorted(set(job.spec.tags))]
    if tags:
        tx.execute(insert(sql.tags), tags)
    after = [{"job_id": job.id, "after_id": parent} for job in jobs for parent in dict.fromkeys(job.spec.after)]
    if after:
        tx.execute(insert(sql.dependencies), after)


def _run_row(part: Assignment, run: Run) -> dict[str, Any]:
    return {"assignment_id": part.id, "job_id": part.job_id, "record": to_json(run)}


def _figures(seen: Observation | None) -> dict[str, Any]:
    """What the event of a finished attempt says of it."""
    if seen is None:
        return {}
    measured = seen.measurement
    times_s = {"service_s": measured.service_s, "wait_s": measured.wait_s, "expected_s": seen.estimate.service_s}
    return {**times_s, "fidelity": measured.fidelity}


def _result_row(result: Result) -> dict[str, Any]:
    return {"job_id": result.job_id, "record": to_json(result)}


def _untold(tx: Connection, before: float) -> list[Event]:
    """Last words of jobs that ended before that time without anybody saying that they were heard."""
    ended = select(sql.jobs.c.id).where(sql.jobs.c.finished_at < before, ~sql.jobs.c.told).limit(SWEPT_AT_ONCE)
    ids = tx.execute(ended).scalars().all()
    if not ids:
        return []
    rows = tx.execute(select(sql.events).where(sql.events.c.job_id.in_(ids), sql.events.c.kind.in_(_FINAL))).all()
    return [Event(row.job_id, row.kind, row.at, from_json(dict[str, Any], row.data), row.seq) for row in rows]


def _all_parts_done(tx: Connection) -> list[str]:
    """Jobs whose assignments are all done while nobody stored the result: their worker died in between."""
    over = [AssignmentState.DONE.value, AssignmentState.REPLACED.value]
    not_done = func.count().filter(sql.assignments.c.state.not_in(over))
    query = (
        select(sql.jobs.c.id)
        .join(sql.assignments, sql.assignments.c.job_id == sql.jobs.c.id)
        .where(sql.jobs.c.state == JobState.RUNNING.value, sql.jobs.c.to_place == 0)
        .group_by(sql.jobs.c.id)
        .having(not_done == 0)
    )
    return list(tx.execute(query).scalars())

"""Cases in hand within one transaction: locked, changed by ``case``'s rules, written back in bulk.

A job's lock is that of its assignments, too: nobody moves or adds one without it. Locks are always taken in the order
jobs by their number, then the jobs that come after those, then assignments: a job comes after older ones only, so that
nobody waits in a circle. A claim waits for nobody: it takes what it finds unlocked.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from functools import lru_cache
from operator import itemgetter
from typing import Any

from sqlalchemy import BindParameter, Connection, Row, bindparam, insert, select, update

from orchestrator.case import Case
from orchestrator.census import incidents
from orchestrator.errors import JobNotFound
from orchestrator.job import Assignment, AssignmentState, Event, Failure, Job, JobSpec, JobState
from orchestrator.records import from_json, to_json
from orchestrator.sql import schema as sql
from orchestrator.sql.census import count_incidents
from orchestrator.store import Claimed

# built once: making a statement costs as much as running it
_IDS: BindParameter[Any] = bindparam("ids", expanding=True)
_PARTS = select(sql.assignments.c.record).where(sql.assignments.c.job_id.in_(_IDS)).order_by(sql.assignments.c.id)
_JOBS = select(sql.jobs).where(sql.jobs.c.id.in_(_IDS)).order_by(sql.jobs.c.seq).with_for_update()
_CHILDREN = (
    select(sql.dependencies)
    .where(sql.dependencies.c.after_id.in_(_IDS))
    .order_by(sql.dependencies.c.job_id, sql.dependencies.c.after_id)
)
_ADD_PARTS = insert(sql.assignments)
_ADD_EVENTS = insert(sql.events)
_CHANGE_JOBS = (
    update(sql.jobs)
    .where(sql.jobs.c.id == bindparam("_id"))
    .values({name: bindparam(name) for name in (
        "state", "cancel_requested", "failure", "finished_at", "num_events", "to_place", "num_placements",
        "num_blockers",
    )})
)  # fmt: skip
_CHANGE_PARTS = (
    update(sql.assignments)
    .where(sql.assignments.c.id == bindparam("_id"))
    .values({name: bindparam(name) for name in (
        "state", "attempt", "owner", "started_at", "lease_expires_at", "due_at", "record",
    )})
)  # fmt: skip


class Desk:
    """The cases that one transaction works on."""

    def __init__(self, tx: Connection, now: float) -> None:
        self._tx = tx
        self.now = now
        self._read: dict[str, Case] = {}
        self._cases: dict[str, Case] = {}
        self._order: list[Event] = []
        self._incidents: Counter[tuple[str, str]] = Counter()

    def open(self, job_ids: Iterable[str]) -> None:
        """Lock jobs with all their assignments. Those that are not there are left out."""
        wanted = [job_id for job_id in dict.fromkeys(job_ids) if job_id not in self._read]
        if not wanted:
            return
        jobs = self._tx.execute(_JOBS, {"ids": wanted}).all()
        parts: dict[str, list[Assignment]] = {}
        for record in self._tx.execute(_PARTS, {"ids": wanted}).scalars().all():  # after the locks: all there are
            part = from_json(Assignment, record)
            parts.setdefault(part.job_id, []).append(part)
        for row in jobs:
            own = sorted(parts.get(row.id, ()), key=lambda part: part_number(part.id))
            self._read[row.id] = self._cases[row.id] = Case(job_of(row), tuple(own), row.num_events)

    def welcome(self, case: Case) -> None:
        """Take a new job whose row was just inserted as it stands; its first events are still to be written."""
        self._read[case.job.id] = self._cases[case.job.id] = case
        self._order.extend(case.events)

    def __getitem__(self, job_id: str) -> Case:
        """Raises: JobNotFound: it was not there."""
        try:
            return self._cases[job_id]
        except KeyError:
            raise JobNotFound(job_id) from None

    def put(self, case: Case) -> None:
        """The case as it is now."""
        before = len(self._cases[case.job.id].events)
        self._order.extend(case.events[before:])
        self._cases[case.job.id] = case

    def count(self, kind: str, backend: str) -> None:
        """One more rare event of a kind that shows in no case."""
        self._incidents[kind, backend] += 1

    def write(self) -> list[Event]:
        """Write what changed, of the jobs that come after those which ended, too; the events in their order."""
        self._tell_children()
        changed = [case for job_id, case in self._cases.items() if case is not self._read[job_id]]
        new, moved = [], []
        for case in changed:
            before = {part.id: part for part in self._read[case.job.id].parts}
            new += [part_values(part) for part in case.parts if part.id not in before]
            for part in case.parts:
                if part is not before.get(part.id, part):
                    moved.append(_moved(part))
                    self._incidents.update(incidents(before[part.id], part))
        if new:
            self._tx.execute(_ADD_PARTS, new)
        if moved:
            self._tx.execute(_CHANGE_PARTS, sorted(moved, key=itemgetter("_id")))
        if changed:
            self._tx.execute(_CHANGE_JOBS, [_job_values(case) for case in changed])
        write_events(self._tx, self._order)
        count_incidents(self._tx, self._incidents)
        return self._order

    def _tell_children(self) -> None:
        told: set[str] = set()
        while True:
            ended = [i for i, case in self._cases.items() if case.ended and not self._read[i].ended and i not in told]
            if not ended:
                return
            told.update(ended)
            pairs = self._tx.execute(_CHILDREN, {"ids": ended}).all()
            self.open(row.job_id for row in pairs)
            for row in pairs:
                self.put(self[row.job_id].parent_ended(self[row.after_id].job, self.now))


def write_events(tx: Connection, events: Sequence[Event]) -> None:
    """Append to the jobs' logs; their numbers were given under the lock of their job."""
    rows = [{"job_id": e.job_id, "seq": e.seq, "kind": e.kind, "at": e.at, "data": to_json(e.data)} for e in events]
    if rows:
        tx.execute(_ADD_EVENTS, rows)


def part_number(part_id: str) -> int:
    """The place of an assignment among its job's."""
    return int(part_id.rpartition("-")[2])


def taken_of(case: Case, part_id: str) -> Claimed:
    """What a worker has taken, as the case has it now."""
    part = case.part(part_id)
    assert part is not None, part_id
    return Claimed(part, case.job, alone=len(case.parts) == 1 and not case.job.to_place)


def holds(claimed: Assignment, mine: Assignment) -> bool:
    """Whether the attempt that was claimed is still its owner's, by what is written now."""
    held = (mine.attempt, mine.owner) == (claimed.attempt, claimed.owner)
    return held and mine.state is AssignmentState.RUNNING


@lru_cache(maxsize=4096)
def _spec(record: str) -> JobSpec:
    """A specification as written. One process reads the same one several times on the trip of its job."""
    return from_json(JobSpec, record)


def job_of(row: Row[*tuple[Any, ...]]) -> Job:
    """The job in a row of its table."""
    return Job(
        id=row.id,
        seq=row.seq,
        spec=_spec(row.spec),
        state=JobState(row.state),
        submitted_at=row.submitted_at,
        cancel_requested=row.cancel_requested,
        finished_at=row.finished_at,
        failure=None if row.failure is None else from_json(Failure, row.failure),
        project=row.project,
        to_place=row.to_place,
        num_placements=row.num_placements,
        num_blockers=row.num_blockers,
    )


def _job_values(case: Case) -> dict[str, Any]:
    job = case.job
    return {
        "_id": job.id,
        "state": job.state.value,
        "cancel_requested": job.cancel_requested,
        "failure": None if job.failure is None else to_json(job.failure),
        "finished_at": job.finished_at,
        "num_events": case.num_events,
        "to_place": job.to_place,
        "num_placements": job.num_placements,
        "num_blockers": job.num_blockers,
    }


def part_values(part: Assignment) -> dict[str, Any]:
    """A new assignment as a row."""
    moved = _moved(part)
    del moved["_id"]
    return moved | {
        "id": part.id,
        "job_id": part.job_id,
        "backend": part.backend,
        "rank": part.rank,
        "service_s": part.estimate.service_s,
    }


def _moved(part: Assignment) -> dict[str, Any]:
    return {
        "_id": part.id,
        "state": part.state.value,
        "attempt": part.attempt,
        "owner": part.owner,
        "started_at": part.started_at,
        "lease_expires_at": part.lease_expires_at,
        "due_at": part.due_at,
        "record": to_json(part),
    }

"""What the tests of the store share: the steps of a job's way through it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest

from orchestrator.decision import Decision
from orchestrator.job import Assignment, Event, Job, JobSpec
from orchestrator.lifecycle import AssignmentEvent
from orchestrator.placement import Request
from orchestrator.sql.store import SqlStore
from orchestrator.store import Ending, Placed

LEASE_S = 30.0


@pytest.fixture
def submit(store: SqlStore, spec: JobSpec) -> Callable[..., Job]:
    """Submits one small job; any field of its specification can be given, and ``project``."""

    def one(*, project: str = "", **fields: Any) -> Job:
        return store.add_jobs([replace(spec, **fields)], project=project)[0][0]

    return one


@pytest.fixture
def placed_on(store: SqlStore, new_assignment: Callable[..., Assignment]) -> Callable[..., Placed]:
    """Makes a decision for a job: its shots that wait, and those of ``instead_of``, on these backends."""

    def one(
        job: Job, *backends: str, rank: float = 0.0, instead_of: Sequence[str] = (), service_s: float = 1.0
    ) -> Placed:
        job, parts = store.job(job.id), store.assignments(job.id)
        shots = job.to_place + sum(part.shots for part in parts if part.id in instead_of) or job.spec.shots
        names = backends or ("aer_statevector",)
        each = [shots // len(names) + (number < shots % len(names)) for number in range(len(names))]
        request = Request(job.id, job.seq, replace(job.spec, shots=shots), rank, 0.0, (), len(parts))
        decision = Decision(job.id, "eft", 0.0, 0, "batch", {}, request, dict.fromkeys(names, 1.0 / len(names)))
        new = [
            new_assignment(id=f"{job.id}-{len(parts) + number}", job_id=job.id, backend=name, shots=own, rank=rank)
            for number, (name, own) in enumerate(zip(names, each, strict=True))
        ]
        sized = [replace(part, estimate=replace(part.estimate, service_s=service_s)) for part in new]
        return Placed(decision, sized, tuple(instead_of))

    return one


@pytest.fixture
def place(store: SqlStore, submit: Callable[..., Job], placed_on: Callable[..., Placed]) -> Callable[..., Job]:
    """Submits a job, unless one is given, and places it on these backends; the job as it is then."""

    def one(*backends: str, job: Job | None = None, rank: float = 0.0, service_s: float = 1.0, **fields: Any) -> Job:
        waiting = job or submit(**fields)
        events = store.place([placed_on(waiting, *backends, rank=rank, service_s=service_s)])
        assert [event.kind for event in events] == ["placed"]
        return store.job(waiting.id)

    return one


@pytest.fixture
def claim(store: SqlStore) -> Callable[..., Assignment]:
    """Claims the next assignment of a backend."""

    def one(backend: str = "aer_statevector", owner: str = "w/1", lease_s: float = LEASE_S) -> Assignment:
        found = store.claim([backend], owner=owner, lease_s=lease_s)
        assert found is not None
        (taken,) = found.taken
        return taken.assignment

    return one


@pytest.fixture
def end(store: SqlStore) -> Callable[..., list[str] | None]:
    """Ends one attempt: the kinds of the events that were written, None if it was refused."""

    def one(assignment: Assignment, event: AssignmentEvent, **gave: Any) -> list[str] | None:
        events, (written,) = store.finish([Ending(assignment, event, **gave)])
        assert written or not events
        return [event.kind for event in events] if written else None

    return one


@pytest.fixture
def kinds(store: SqlStore) -> Callable[[str], list[str]]:
    """The kinds of everything that happened to a job."""

    def one(job_id: str) -> list[str]:
        events: list[Event] = store.events(job_id)
        assert [event.seq for event in events] == list(range(1, len(events) + 1))
        return [event.kind for event in events]

    return one


@pytest.fixture
def waiting(store: SqlStore) -> Callable[[], list[str]]:
    """The jobs that wait for a decision, by rank."""

    def one() -> list[str]:
        return [found.job.id for found in store.look(1000, silent_s=60.0).waiting]

    return one

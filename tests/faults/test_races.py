"""Two transactions on the same job at the same moment, on PostgreSQL, where they really run side by side."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial

import pytest

from circuits.program import Program
from orchestrator.decision import Decision
from orchestrator.errors import StoreUnavailable
from orchestrator.job import Assignment, AssignmentState, Estimate, Job, JobSpec, JobState
from orchestrator.placement import Request
from orchestrator.sql import engine
from orchestrator.sql.desk import Desk
from orchestrator.sql.store import SqlStore
from orchestrator.store import Claim, Placed

ROUNDS = 40
ESTIMATE = Estimate(service_s=1.0, fidelity=0.9, energy_j=0.0, cost_usd=0.0)
BACKENDS = ("a", "b")


@pytest.fixture
def stores(postgres: str) -> Iterator[tuple[SqlStore, SqlStore]]:
    """Two processes' ways to one store."""
    first, second = SqlStore(postgres), SqlStore(postgres)
    yield first, second
    first.close()
    second.close()


def at_once(*calls: Callable[[], object]) -> None:
    start = threading.Barrier(len(calls))
    failed: list[BaseException] = []

    def run(call: Callable[[], object]) -> None:
        start.wait()
        try:
            call()
        except Exception as error:  # noqa: BLE001  # whatever it is, the test is to show it
            failed.append(error)

    threads = [threading.Thread(target=run, args=(call,)) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []


def new_job(store: SqlStore) -> Job:
    return store.add_jobs([JobSpec(Program("openqasm2", text="any"), shots=10)])[0][0]


def placed(job: Job) -> Placed:
    request = Request(job.id, job.seq, job.spec, rank=0.0, waited_s=0.0, candidates=())
    decision = Decision(job.id, "eft", 0.0, 0, "batch", {}, request, dict.fromkeys(BACKENDS, 0.5))
    parts = [
        Assignment(f"{job.id}-{index}", job.id, backend, 5, 0.0, ESTIMATE, ESTIMATE, 0.0, 0, "v", 0.0)
        for index, backend in enumerate(BACKENDS)
    ]
    return Placed(decision, parts)


def test_a_job_that_is_cancelled_as_it_is_placed_leaves_nothing_behind(stores: tuple[SqlStore, SqlStore]) -> None:
    first, second = stores
    for _ in range(ROUNDS):
        job = new_job(first)
        at_once(partial(first.place, [placed(job)]), partial(second.request_cancel, job.id))
        assert first.job(job.id).state is JobState.CANCELLED
        assert all(part.state is AssignmentState.CANCELLED for part in first.assignments(job.id))


def test_a_process_that_stands_still_in_a_transaction_holds_nobody_up(
    postgres: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "STANDSTILL_S", 0.5)
    still, other = SqlStore(postgres), SqlStore(postgres)
    with closing(still), closing(other):
        job = new_job(other)

        def stand_still() -> None:
            with still._db.write() as tx:
                desk = Desk(tx, 0.0)
                desk.open([job.id])
                assert other.request_cancel(job.id)[-1].kind == "cancelled"  # waits until the database ends the first
                desk.open([new_job(other).id])

        with pytest.raises(StoreUnavailable):
            stand_still()
        assert other.job(job.id).state is JobState.CANCELLED


def test_shares_of_one_job_are_claimed_side_by_side(stores: tuple[SqlStore, SqlStore]) -> None:
    first, second = stores
    for _ in range(ROUNDS):
        job = new_job(first)
        first.place([placed(job)])
        claims: list[Claim | None] = []

        def claim(store: SqlStore, backend: str, claims: list[Claim | None] = claims) -> None:
            claims.append(store.claim([backend], owner=f"{backend}/1", lease_s=9.0))

        at_once(partial(claim, first, "a"), partial(claim, second, "b"))
        for store, backend in ((first, "a"), (second, "b")):  # one that the other one's lock hid is there afterwards
            claim(store, backend)
        assert sorted(taken.assignment.backend for claim in claims if claim for taken in claim.taken) == ["a", "b"]
        first.request_cancel(job.id)
        assert first.job(job.id).state is JobState.RUNNING

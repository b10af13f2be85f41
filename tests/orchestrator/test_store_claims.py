"""Who takes which work, for how long, and what becomes of it when its worker is gone: on both databases."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from functools import partial

import pytest

from orchestrator.job import Assignment, AssignmentState, Failure, Job, JobState, Limits, Measurement
from orchestrator.lifecycle import Broken, Completed, Returned, Withdrawn
from orchestrator.sql.desk import Desk
from orchestrator.sql.store import SqlStore
from orchestrator.store import Claim, Ending, Run, Switch
from orchestrator.telemetry import Observation

LEASE_S = 30.0
Submit = Callable[..., Job]
Take = Callable[..., Assignment]
End = Callable[..., list[str] | None]


def batch(store: SqlStore, *backends: str, most: int = 100, window_s: float = 1e9, owner: str = "w/1") -> Claim:
    found = store.claim(backends or ["aer_statevector"], owner=owner, lease_s=LEASE_S, most=most, window_s=window_s)
    assert found is not None
    return found


# ── order ─────────────────────────────────────────────────────────────────────────────────────────────────────────────
def test_the_smallest_rank_is_served_first(store: SqlStore, place: Submit, claim: Take) -> None:
    jobs = {rank: place(rank=rank) for rank in (3.0, 1.0, 2.0)}
    assert [claim().job_id for _ in jobs] == [jobs[rank].id for rank in sorted(jobs)]
    assert store.claim(["aer_statevector"], owner="w/1", lease_s=LEASE_S) is None


def test_a_claim_says_what_it_takes(store: SqlStore, place: Submit) -> None:
    job = place()
    before = store.now()
    found = batch(store)
    (taken,) = found.taken
    assert (taken.job, taken.assignment) == (store.job(job.id), store.assignments(job.id)[0])
    assert (taken.job.state, taken.assignment.state, taken.alone) == (
        JobState.RUNNING,
        AssignmentState.RUNNING,
        True,
    )
    assert (taken.assignment.owner, taken.assignment.attempt) == ("w/1", 1)
    assert taken.assignment.started_at is not None
    assert taken.assignment.lease_expires_at == pytest.approx(taken.assignment.started_at + LEASE_S)
    assert taken.assignment.started_at >= before - 1.0
    assert [event.kind for event in found.events] == ["running"]
    assert found.more is None
    place("aer_statevector", "aer_mps")
    assert not batch(store).taken[0].alone, "another share will be merged with it"


# ── windows ───────────────────────────────────────────────────────────────────────────────────────────────────────────
def test_small_ones_are_taken_together_up_to_a_number(store: SqlStore, place: Submit) -> None:
    jobs = [place(rank=float(number), service_s=0.01) for number in range(5)]
    found = batch(store, most=3)
    assert [one.job.id for one in found.taken] == [job.id for job in jobs[:3]]
    assert [event.job_id for event in found.events] == [job.id for job in jobs[:3]]
    assert found.more == "aer_statevector"
    rest = batch(store, most=3)
    assert [one.job.id for one in rest.taken] == [job.id for job in jobs[3:]]
    assert rest.more is None


@pytest.mark.parametrize(("window_s", "number"), [(0.0, 1), (0.25, 1), (0.5, 2), (0.75, 2), (0.8, 3), (10.0, 4)])
def test_together_they_need_no_more_than_the_window(
    store: SqlStore, place: Submit, window_s: float, number: int
) -> None:
    for rank, service_s in enumerate((0.25, 0.25, 0.3, 1.0)):
        place(rank=float(rank), service_s=service_s)
    found = batch(store, window_s=window_s)
    assert len(found.taken) == number
    assert (found.more is None) == (number == 4)


def test_a_long_one_is_taken_alone_and_first_of_its_rank(store: SqlStore, place: Submit) -> None:
    long, short = place(rank=0.0, service_s=100.0), place(rank=1.0, service_s=0.001)
    assert [one.job.id for one in batch(store, window_s=0.1).taken] == [long.id]
    assert [one.job.id for one in batch(store, window_s=0.1).taken] == [short.id]


def test_what_is_not_small_is_taken_alone(store: SqlStore, place: Submit) -> None:
    jobs = [place(rank=float(rank), service_s=service_s) for rank, service_s in enumerate((0.1, 0.1, 0.3, 0.1))]

    def taken() -> list[str]:
        found = store.claim(["aer_statevector"], owner="w/1", lease_s=LEASE_S, most=9, window_s=1e9, alone_s=0.2)
        assert found is not None
        return [one.job.id for one in found.taken]

    assert [taken() for _ in range(3)] == [[jobs[0].id, jobs[1].id], [jobs[2].id], [jobs[3].id]]


def test_a_batch_stays_on_one_backend_and_names_the_other(store: SqlStore, place: Submit) -> None:
    for rank, backend in enumerate(("aer_mps", "aer_mps", "aer_statevector", "aer_mps")):
        place(backend, rank=float(rank))
    found = batch(store, "aer_mps", "aer_statevector")
    assert [one.assignment.backend for one in found.taken] == ["aer_mps", "aer_mps"]
    assert found.more == "aer_statevector"
    assert batch(store, "aer_statevector").more is None, "it was asked for one backend only"


def test_two_shares_of_one_job_may_be_taken_together(
    store: SqlStore, place: Submit, kinds: Callable[..., list[str]]
) -> None:
    job = place("aer_mps", "aer_mps")
    found = batch(store, "aer_mps")
    assert [(one.job.id, one.alone) for one in found.taken] == [(job.id, False)] * 2
    _, written = store.finish([Ending(one.assignment, Withdrawn(0.0)) for one in found.taken])
    assert written == [True, True]
    assert kinds(job.id)[-2:] == ["assignment_cancelled", "cancelled"]


# ── races ─────────────────────────────────────────────────────────────────────────────────────────────────────────────
def together(*works: Callable[[], None]) -> list[BaseException]:
    """Run these at the same time; what they raised."""
    with ThreadPoolExecutor(len(works)) as pool:
        futures = [pool.submit(work) for work in works]
    return [error for future in futures if (error := future.exception()) is not None]


@pytest.mark.parametrize("most", [1, 4])
def test_no_two_workers_claim_the_same(store: SqlStore, place: Submit, most: int) -> None:
    for _ in range(20):
        place()
    claimed: list[str] = []

    def work(owner: str) -> None:
        while (
            found := store.claim(["aer_statevector"], owner=owner, lease_s=LEASE_S, most=most, window_s=1e9)
        ) is not None:
            claimed.extend(one.assignment.id for one in found.taken)

    assert together(*(partial(work, f"w/{number}") for number in range(4))) == []
    rest = store.claim(["aer_statevector"], owner="w/9", lease_s=LEASE_S, most=20, window_s=1e9)
    claimed += [one.assignment.id for one in rest.taken] if rest else []
    assert len(claimed) == len(set(claimed)) == 20


def test_shares_of_a_job_may_be_claimed_at_the_same_moment(
    store: SqlStore, place: Submit, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two workers have each found a share of one job, and neither has locked the job yet: both get theirs."""
    job = place("aer_mps", "cirq_simulator")
    both = threading.Barrier(2)
    opened = Desk.open

    def meet(desk: Desk, job_ids: Iterable[str], **how: bool) -> None:
        with suppress(threading.BrokenBarrierError):  # on SQLite the other one is not let in before this one is done
            both.wait(timeout=0.5)
        opened(desk, job_ids, **how)

    monkeypatch.setattr(Desk, "open", meet)
    found: list[Assignment] = []

    def take(backend: str) -> None:
        found.extend(one.assignment for one in batch(store, backend, most=1, owner=f"{backend}/1").taken)

    assert together(lambda: take("aer_mps"), lambda: take("cirq_simulator")) == []
    assert sorted(part.id for part in found) == [f"{job.id}-0", f"{job.id}-1"]


def test_a_share_may_end_while_its_sibling_is_claimed(store: SqlStore, place: Submit) -> None:
    num_jobs = 40
    for rank in range(num_jobs):
        place("aer_mps", "cirq_simulator", rank=float(rank))
    running = batch(store, "aer_mps", most=num_jobs).taken
    left = num_jobs

    def claim_the_others() -> None:
        nonlocal left
        while left:
            found = store.claim(["cirq_simulator"], owner="c/1", lease_s=LEASE_S, most=3, window_s=1e9)
            left -= len(found.taken) if found else 0

    def finish() -> None:
        for start in range(0, num_jobs, 4):
            store.finish([Ending(one.assignment, Returned(0.0)) for one in running[start : start + 4]])

    assert together(claim_the_others, finish) == []


def test_leases_may_be_renewed_while_attempts_end(store: SqlStore, place: Submit) -> None:
    """A heartbeat and the end of a batch touch the same assignments, each in an order of its own."""
    num_jobs = 100
    for number in range(num_jobs):
        place(rank=float(-number))
    taken = batch(store, most=num_jobs).taken
    held = [one.assignment.id for one in taken]
    over = threading.Event()

    def renew() -> None:
        while not over.is_set():
            store.renew("w/1", lease_s=LEASE_S, held=held)

    def finish() -> None:
        try:
            for start in range(0, num_jobs, 10):
                store.finish([Ending(one.assignment, Withdrawn(0.0)) for one in taken[start : start + 10]])
        finally:
            over.set()

    assert together(renew, finish) == []
    assert store.look(10, silent_s=60.0).outstanding == []


# ── leases ────────────────────────────────────────────────────────────────────────────────────────────────────────────
def swept(store: SqlStore) -> list[str]:
    return [event.kind for event in store.sweep(silent_s=60.0).events]


def test_a_stale_worker_is_refused(
    store: SqlStore, place: Submit, claim: Take, end: End, measurement: Measurement, observation: Observation
) -> None:
    job = place()
    stale = claim(owner="slow/1", lease_s=-1.0)
    assert swept(store) == ["assignment_released"]
    fresh = claim(owner="quick/1")
    assert fresh.attempt == stale.attempt + 1
    gave = {"run": Run({"00": 1}, measurement), "seen": observation}
    assert end(stale, Completed(0.0), **gave) is None
    assert store.runs(job.id) == []
    assert store.observations() == []
    assert end(fresh, Completed(0.0), **gave) == ["assignment_done"]
    assert end(fresh, Completed(0.0), **gave) is None, "twice is stale too"
    assert len(store.runs(job.id)) == len(store.observations()) == 1


def test_one_refused_ending_does_not_hold_up_the_others(
    store: SqlStore, place: Submit, claim: Take, measurement: Measurement
) -> None:
    place(rank=0.0)
    stale = claim(lease_s=-1.0)
    store.sweep(silent_s=60.0)
    good = place(rank=-1.0)
    parts = [stale, claim(), replace(stale, id="nothing-0", job_id=stale.job_id)]
    events, written = store.finish([Ending(part, Completed(0.0), run=Run({"0": 1}, measurement)) for part in parts])
    assert written == [False, True, False]
    assert {event.job_id for event in events} == {good.id}


def test_a_worker_that_dies_each_time_uses_up_the_attempts(
    store: SqlStore, place: Submit, claim: Take, waiting: Callable[[], list[str]]
) -> None:
    job, pinned = place(rank=0.0), place(rank=1.0, pin={"aer_statevector": 1.0})
    for _ in range(3):
        for _ in range(2):
            claim(lease_s=-1.0)
        kinds = swept(store)
    assert sorted(kinds) == ["assignment_failed", "assignment_replaced", "failed"]
    assert waiting() == [job.id], "another backend may do better"
    failed = store.job(pinned.id)
    assert failed.state is JobState.FAILED
    assert failed.failure is not None
    assert failed.failure.kind == "worker_lost"


def test_a_renewed_lease_does_not_expire(store: SqlStore, place: Submit, claim: Take) -> None:
    place()
    claim(owner="w/1", lease_s=-1.0)
    store.renew("w/2", lease_s=LEASE_S)
    store.renew("w/1", lease_s=LEASE_S)
    assert swept(store) == []


def test_a_lease_that_is_not_held_any_more_expires(store: SqlStore, place: Submit, claim: Take) -> None:
    place()
    place()
    lost, kept = claim(lease_s=-1.0), claim(lease_s=-1.0)
    store.renew("w/1", lease_s=LEASE_S, held=[])
    store.renew("w/1", lease_s=LEASE_S, held=[kept.id])
    assert [event.job_id for event in store.sweep(silent_s=60.0).events] == [lost.job_id]


def test_a_worker_that_is_gone_owns_nothing(store: SqlStore, place: Submit, claim: Take, end: End) -> None:
    place()
    place()
    mine, other = claim(owner="w/1"), claim(owner="w2/1")
    store.disown("w")
    assert [event.job_id for event in store.sweep(silent_s=60.0).events] == [mine.job_id]
    assert (end(other, Withdrawn(0.0)) or [])[0] == "assignment_cancelled"


def test_work_given_back_waits_again(store: SqlStore, place: Submit, claim: Take, end: End) -> None:
    job = place()
    assert end(claim(), Returned(0.0)) == ["assignment_released"]
    assert store.job(job.id).state is JobState.PLACED
    assert store.sweep(silent_s=60.0).waiting_backends == ["aer_statevector"]
    assert claim().num_failures == 0


def test_a_job_that_cannot_begin_in_time_fails(
    store: SqlStore, submit: Submit, place: Submit, claim: Take, end: End
) -> None:
    late = Limits(deadline_s=0.0)
    running = place(limits=late)
    part = claim()
    jobs = [submit(limits=late), place(limits=late)]
    given_back = place(limits=late, rank=-1.0)
    end(claim(), Returned(0.0))
    store.sweep(silent_s=60.0)
    for job in (*jobs, given_back):
        failed = store.job(job.id)
        assert failed.state is JobState.FAILED
        assert failed.failure is not None
        assert "deadline_s 0" in failed.failure.message
    assert store.job(running.id).state is JobState.RUNNING
    assert end(part, Broken(0.0, Failure("execute", "deadline", "too late", elsewhere=False))) is not None


# ── switches ──────────────────────────────────────────────────────────────────────────────────────────────────────────
def test_a_drained_worker_claims_nothing(store: SqlStore, place: Submit, claim: Take, end: End) -> None:
    place()
    running = claim(owner="w@host/1")
    place()
    store.switch(Switch("worker", "w@host", "drained"))
    assert store.claim(["aer_statevector"], owner="w@host/2", lease_s=LEASE_S) is None
    assert end(running, Returned(0.0)) == ["assignment_released"], "what it runs is its own until it ends"
    assert claim(owner="w@host2/1").backend == "aer_statevector", "its neighbour goes on"
    store.switch(Switch("worker", "w@host", "on"))
    assert claim(owner="w@host/1").backend == "aer_statevector"


def test_a_disabled_backend_is_not_claimed_from_and_a_drained_one_is(store: SqlStore, place: Submit) -> None:
    for _ in range(2):
        place("aer_mps", rank=-1.0)
    place("aer_statevector")
    store.switch(Switch("backend", "aer_mps", "disabled"))
    found = batch(store, "aer_mps", "aer_statevector")
    assert [one.assignment.backend for one in found.taken] == ["aer_statevector"]
    assert found.more is None
    assert store.claim(["aer_mps"], owner="w/1", lease_s=LEASE_S) is None
    store.switch(Switch("backend", "aer_mps", "drained"))
    assert len(batch(store, "aer_mps").taken) == 2, "what was placed is done"


def test_a_worker_and_a_backend_of_one_name_are_two_things(store: SqlStore, place: Submit, claim: Take) -> None:
    place("aer_mps")
    store.switch(Switch("worker", "aer_mps", "drained"))
    assert claim("aer_mps").backend == "aer_mps"

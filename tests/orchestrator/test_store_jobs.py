"""Jobs go into the store, are found again, cancelled and told of: on SQLite and on PostgreSQL."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace

import pytest

from orchestrator.errors import JobNotFound
from orchestrator.job import Assignment, Event, Failure, Job, JobSpec, JobState, Limits, Measurement, Result
from orchestrator.lifecycle import Broken, Completed, Returned, Withdrawn
from orchestrator.measure import placement
from orchestrator.sql.store import SqlStore

Submit = Callable[..., Job]
Claim = Callable[..., Assignment]
End = Callable[..., list[str] | None]
Kinds = Callable[[str], list[str]]


def result_of(job: Job, part: Assignment, measurement: Measurement) -> Result:
    """Some result."""
    return Result(job.id, placement(job, [part]), part.estimate, measurement, {"00": part.shots})


def test_a_job_comes_back_as_it_went_in(store: SqlStore, spec: JobSpec, submit: Submit) -> None:
    full = replace(spec, pin={"aer_statevector": 1.0}, tags=("a", "b"), limits=Limits(min_fidelity=0.5))
    (job,), events = store.add_jobs([full])
    assert job == store.job(job.id)
    assert job.spec == full
    assert (job.state, job.to_place, job.num_placements, job.num_blockers) == (JobState.SUBMITTED, 100, 0, 0)
    assert events == store.events(job.id)
    assert [found.id for found in store.jobs(tag="b")] == [job.id]
    assert store.jobs(state=JobState.DONE) == []
    with pytest.raises(JobNotFound, match="qorch jobs"):
        store.job("nobody")


def test_the_newest_are_listed_first(store: SqlStore, submit: Submit) -> None:
    jobs = [submit(), submit(project="lab"), submit()]
    assert [job.id for job in store.jobs(limit=2)] == [jobs[2].id, jobs[1].id]
    assert [job.id for job in store.jobs(project="lab")] == [jobs[1].id]
    assert [job.id for job in store.jobs(project="")] == [jobs[2].id, jobs[0].id]


# ── keys ──────────────────────────────────────────────────────────────────────────────────────────────────────────────
def test_one_key_is_one_job_however_many_race(store: SqlStore, submit: Submit) -> None:
    found: list[str] = []
    threads = [threading.Thread(target=lambda: found.append(submit(idempotency_key="k").id)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert len(set(found)) == 1
    assert len(store.jobs()) == 1


def test_a_batch_may_mix_known_new_and_repeated_keys(
    store: SqlStore, spec: JobSpec, submit: Submit, kinds: Kinds
) -> None:
    first = submit(idempotency_key="a", shots=1)
    keys = ["b", None, "a", "b", None, "a"]
    batch = [replace(spec, idempotency_key=key, shots=10 + number) for number, key in enumerate(keys)]
    jobs, events = store.add_jobs(batch)
    assert [job.spec.shots for job in jobs] == [10, 11, 1, 10, 14, 1]
    assert jobs[0] == jobs[3]
    assert jobs[2] == jobs[5] == first
    assert [event.job_id for event in events] == [jobs[number].id for number in (0, 1, 4)]
    assert [job.seq for job in jobs[:2]] == sorted(job.seq for job in jobs[:2])
    assert len(store.jobs()) == 4
    assert all(kinds(job.id) == ["submitted"] for job in jobs)
    assert store.add_jobs(batch)[0][0] == jobs[0], "submitting again finds what has a key"


def test_a_key_is_the_projects_own(store: SqlStore, submit: Submit) -> None:
    jobs = {project: submit(idempotency_key="k", project=project) for project in ("", "lab", "other")}
    assert len({job.id for job in jobs.values()}) == 3
    for project, job in jobs.items():
        assert submit(idempotency_key="k", project=project).id == job.id
        assert store.job(job.id).project == project


# ── looking many up ───────────────────────────────────────────────────────────────────────────────────────────────────
def test_states_and_results_of_many_and_of_ones_own(
    store: SqlStore, place: Submit, submit: Submit, claim: Claim, end: End, measurement: Measurement
) -> None:
    done, other, new = place(), place(project="lab"), submit(project="lab")
    for job in (done, other):
        part = claim()
        assert part.job_id == job.id or part.job_id in (done.id, other.id)
        mine = store.job(part.job_id)
        assert end(part, Completed(0.0), result=result_of(mine, part, measurement)) == ["assignment_done", "done"]
    ids = [done.id, other.id, new.id, "nobody"]
    expected = {done.id: JobState.DONE, other.id: JobState.DONE, new.id: JobState.SUBMITTED}
    assert store.states(ids) == expected
    assert store.states(ids, project="lab") == {i: expected[i] for i in (other.id, new.id)}
    assert store.states([]) == {}
    assert set(store.results(ids)) == {done.id, other.id}
    assert store.results(ids)[done.id].counts == {"00": 100}
    assert set(store.results(ids, project="lab")) == {other.id}
    assert store.results(ids, project="nobody") == {}
    assert store.results([]) == {}


def test_many_may_be_looked_up_at_once(store: SqlStore, submit: Submit) -> None:
    """As many as a client may hold handles of: more than any database takes as values of one statement."""
    job = submit()
    ids = [f"{number:032x}" for number in range(70_000)] + [job.id]
    assert store.states(ids) == {job.id: JobState.SUBMITTED}
    assert store.results(ids) == {}


def test_a_result_belongs_to_a_job_that_is_done(
    store: SqlStore, place: Submit, claim: Claim, end: End, measurement: Measurement
) -> None:
    """It was cancelled when it had just ended: nobody gets what it gave."""
    job = place()
    part = claim()
    store.request_cancel(job.id)
    assert end(part, Completed(0.0), result=result_of(job, part, measurement)) == ["assignment_done", "cancelled"]
    assert store.job(job.id).state is JobState.CANCELLED
    assert store.results([job.id]) == {}


# ── events ────────────────────────────────────────────────────────────────────────────────────────────────────────────
def test_events_are_numbered_in_order(store: SqlStore, place: Submit, claim: Claim, end: End, kinds: Kinds) -> None:
    job = place()
    part = claim()
    told = store.add_event(Event(job.id, "progress", 0.0, {"round": 1}))
    events = store.events(job.id)
    assert kinds(job.id) == ["submitted", "placed", "running", "progress"]
    assert told == events[3:] == store.events(job.id, after=3)
    assert events[3].data == {"round": 1}
    assert events[2].data == {"backend": "aer_statevector", "attempt": 1, "worker": "w/1"}
    end(part, Returned(0.0))
    assert kinds(job.id)[4:] == ["assignment_released"], "what the store counts and what a case counts agree"
    with pytest.raises(JobNotFound):
        store.add_event(Event("nobody", "progress", 0.0))


def test_who_listens_is_told_of_an_end_until_it_was_heard(store: SqlStore, submit: Submit) -> None:
    jobs = [submit(), submit()]
    for job in jobs:
        store.request_cancel(job.id)
    assert store.sweep(silent_s=60.0).events == [], "it is being told"
    for _ in range(2):
        untold = store.sweep(silent_s=-1.0).events
        assert {event.job_id for event in untold} == {job.id for job in jobs}
        assert all(event == store.events(event.job_id)[-1] for event in untold)
        assert {event.kind for event in untold} == {"cancelled"}
    store.told([jobs[0].id])
    assert [event.job_id for event in store.sweep(silent_s=-1.0).events] == [jobs[1].id]
    store.told([jobs[1].id, jobs[1].id, "nobody"])
    assert store.sweep(silent_s=-1.0).events == []


# ── cancel ────────────────────────────────────────────────────────────────────────────────────────────────────────────
def test_cancel_withdraws_what_waits_and_tells_what_runs(
    store: SqlStore, place: Submit, submit: Submit, claim: Claim, end: End, waiting: Callable[[], list[str]]
) -> None:
    def cancelled(job: Job) -> list[str]:
        return [event.kind for event in store.request_cancel(job.id)]

    assert cancelled(place()) == ["cancel_requested", "assignment_cancelled", "cancelled"]
    unplaced = submit()
    assert cancelled(unplaced) == ["cancel_requested", "cancelled"]
    assert waiting() == []
    running = place()
    part = claim()
    assert store.unwanted([running.id, unplaced.id, "nobody"]) == {unplaced.id}
    assert cancelled(running) == ["cancel_requested"]
    assert store.unwanted([running.id]) == {running.id}
    assert cancelled(running) == []
    assert end(part, Withdrawn(0.0)) == ["assignment_cancelled", "cancelled"]
    assert cancelled(running) == []
    with pytest.raises(JobNotFound):
        store.request_cancel("nobody")


def test_what_is_given_back_after_a_cancel_does_not_wait_again(
    store: SqlStore, place: Submit, claim: Claim, end: End
) -> None:
    for event in (Returned(0.0), Broken(0.0, Failure("execute", "TransientFailure", "not now", transient=True))):
        job = place()
        part = claim()
        store.request_cancel(job.id)
        assert (end(part, event) or [])[-1] == "cancelled"
        assert store.job(job.id).state is JobState.CANCELLED


def test_what_failed_for_good_after_a_cancel_goes_nowhere_else(
    store: SqlStore, place: Submit, claim: Claim, end: End, waiting: Callable[[], list[str]]
) -> None:
    job = place()
    part = claim()
    store.request_cancel(job.id)
    assert end(part, Broken(0.0, Failure("execute", "ExecutionFailed", "no"))) == ["assignment_failed", "failed"]
    assert waiting() == []


def test_the_clock_goes_on(store: SqlStore) -> None:
    first = store.now()
    assert store.now() >= first > 1.7e9

"""The store keeps its promises on SQLite and on PostgreSQL."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import text

import backends
from orchestrator.errors import ConfigurationError, JobNotFound
from orchestrator.job import Assignment, AssignmentState, Event, Failure, Job, JobSpec, JobState, Limits, Measurement
from orchestrator.lifecycle import Broken, Completed, Returned, Withdrawn
from orchestrator.placement import Request
from orchestrator.sql.engine import HEAD, MIGRATIONS
from orchestrator.sql.schema import metadata
from orchestrator.sql.store import SqlStore
from orchestrator.store import Announcement, Decision, Run
from orchestrator.telemetry import Observation

Make = Callable[..., Assignment]
LEASE_S = 30.0


def submitted(store: SqlStore, spec: JobSpec) -> Job:
    return store.add_jobs([spec])[0][0]


def placed(store: SqlStore, spec: JobSpec, make: Make, *backends: str, rank: float = 0.0) -> Job:
    job = submitted(store, spec)
    request = Request(job.id, job.seq, spec, rank, 0.0, ())
    decision = Decision(job.id, "eft", 0.0, 0, "batch", {}, request, dict.fromkeys(backends, 1.0))
    parts = [
        make(id=f"{job.id}-{number}", job_id=job.id, backend=backend, rank=rank)
        for number, backend in enumerate(backends or ("aer_statevector",))
    ]
    assert [event.kind for event in store.place(decision, parts)] == ["placed"]
    return job


def claim(store: SqlStore, backend: str = "aer_statevector", owner: str = "w", lease_s: float = LEASE_S) -> Assignment:
    found = store.claim([backend], owner=owner, lease_s=lease_s)
    assert found is not None
    return found[0]


def kinds(events: list[Event] | None) -> list[str]:
    assert events is not None
    return [event.kind for event in events]


def test_the_schema_is_what_the_migrations_make(store: SqlStore) -> None:
    with store._db.read() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    assert ScriptDirectory.from_config(config).get_current_head() == HEAD


@pytest.mark.parametrize("url", ["nonsense", "mysql://u:secret@host/db", "sqlite:////proc/none/qorch.sqlite"])
def test_an_unusable_address_says_so_without_its_password(url: str) -> None:
    with pytest.raises((ConfigurationError, OSError)) as caught:
        SqlStore(url)
    assert "secret" not in str(caught.value)


def test_a_password_is_never_shown() -> None:
    with pytest.raises(ConfigurationError) as caught:
        SqlStore("postgresql+psycopg://user:secret@127.0.0.1:1/db")
    assert "secret" not in str(caught.value)
    assert "127.0.0.1" in str(caught.value)


def test_a_job_comes_back_as_it_went_in(store: SqlStore, spec: JobSpec) -> None:
    full = replace(spec, pin={"aer_statevector": 1.0}, tags=("a", "b"), limits=Limits(min_fidelity=0.5))
    job = submitted(store, full)
    assert store.job(job.id).spec == full
    assert [found.id for found in store.jobs(tag="b")] == [job.id]
    assert store.jobs(state=JobState.DONE) == []
    with pytest.raises(JobNotFound, match="qorch jobs"):
        store.job("nobody")


def test_one_key_is_one_job_however_many_race(store: SqlStore, spec: JobSpec) -> None:
    keyed = replace(spec, idempotency_key="k")
    found: list[str] = []
    threads = [threading.Thread(target=lambda: found.append(submitted(store, keyed).id)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert len(set(found)) == 1
    assert len(store.jobs()) == 1


def test_the_smallest_rank_is_served_first(store: SqlStore, spec: JobSpec, new_assignment: Make) -> None:
    jobs = {rank: placed(store, spec, new_assignment, rank=rank) for rank in (3.0, 1.0, 2.0)}
    assert [claim(store).job_id for _ in jobs] == [jobs[rank].id for rank in sorted(jobs)]
    assert store.claim(["aer_statevector"], owner="w", lease_s=LEASE_S) is None


def test_no_two_workers_claim_the_same(store: SqlStore, spec: JobSpec, new_assignment: Make) -> None:
    for _ in range(12):
        placed(store, spec, new_assignment)
    claimed: list[str] = []

    def work(owner: str) -> None:
        while (found := store.claim(["aer_statevector"], owner=owner, lease_s=LEASE_S)) is not None:
            claimed.append(found[0].id)

    threads = [threading.Thread(target=work, args=(f"w{number}",)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(claimed) == len(set(claimed)) == 12


def test_a_stale_worker_is_refused(
    store: SqlStore, spec: JobSpec, new_assignment: Make, measurement: Measurement, observation: Observation
) -> None:
    job = placed(store, spec, new_assignment)
    stale = claim(store, owner="slow", lease_s=-1.0)
    assert kinds(store.sweep().events) == ["assignment_released"]
    fresh = claim(store, owner="quick")
    assert fresh.attempt == stale.attempt + 1
    run = Run({"00": 1}, measurement)
    assert store.finish(stale, Completed(0.0), run=run, seen=observation) is None
    assert store.runs(job.id) == []
    assert store.observations() == []
    assert kinds(store.finish(fresh, Completed(0.0), run=run, seen=observation)) == ["assignment_done"]
    assert store.finish(fresh, Completed(0.0), run=run, seen=observation) is None, "twice is stale too"
    assert len(store.runs(job.id)) == len(store.observations()) == 1


def test_a_worker_that_dies_each_time_uses_up_the_attempts(
    store: SqlStore, spec: JobSpec, new_assignment: Make
) -> None:
    job = placed(store, spec, new_assignment)
    for _ in range(3):
        claim(store, lease_s=-1.0)
        events = store.sweep().events
    assert kinds(events) == ["assignment_failed", "failed"]
    failed = store.job(job.id)
    assert failed.state is JobState.FAILED
    assert failed.failure is not None
    assert failed.failure.kind == "worker_lost"


def test_a_renewed_lease_does_not_expire(store: SqlStore, spec: JobSpec, new_assignment: Make) -> None:
    placed(store, spec, new_assignment)
    claim(store, owner="w", lease_s=-1.0)
    store.renew("w", lease_s=LEASE_S)
    assert store.sweep().events == []


def test_one_failed_share_ends_the_job_and_frees_the_rest(store: SqlStore, spec: JobSpec, new_assignment: Make) -> None:
    job = placed(store, spec, new_assignment, "aer_statevector", "cirq_simulator", "aer_mps")
    first, second = claim(store), claim(store, "cirq_simulator")
    events = store.finish(first, Broken(0.0, Failure("execute", "ExecutionFailed", "no")))
    assert kinds(events) == ["assignment_failed"], "one share still runs"
    assert store.claim(["aer_mps"], owner="w", lease_s=LEASE_S) is None, "what waited was withdrawn"
    assert kinds(store.finish(second, Withdrawn(0.0))) == ["assignment_cancelled", "failed"]
    assert [part.state for part in store.assignments(job.id)] == [
        AssignmentState.FAILED,
        AssignmentState.CANCELLED,
        AssignmentState.CANCELLED,
    ]


def test_cancel_withdraws_what_waits_and_tells_what_runs(store: SqlStore, spec: JobSpec, new_assignment: Make) -> None:
    waiting, unplaced = placed(store, spec, new_assignment), submitted(store, spec)
    assert kinds(store.request_cancel(waiting.id)) == ["cancel_requested", "cancelled"]
    assert kinds(store.request_cancel(unplaced.id)) == ["cancel_requested", "cancelled"]
    assert store.unplaced(10) == []
    running = placed(store, spec, new_assignment)
    part = claim(store)
    assert kinds(store.request_cancel(running.id)) == ["cancel_requested"]
    assert store.request_cancel(running.id) == []
    assert kinds(store.finish(part, Withdrawn(0.0))) == ["assignment_cancelled", "cancelled"]


def test_work_given_back_waits_again(store: SqlStore, spec: JobSpec, new_assignment: Make) -> None:
    job = placed(store, spec, new_assignment)
    assert kinds(store.finish(claim(store), Returned(0.0))) == ["assignment_released"]
    assert store.job(job.id).state is JobState.PLACED
    assert claim(store).num_failures == 0


def test_a_job_is_placed_once(store: SqlStore, spec: JobSpec, new_assignment: Make) -> None:
    job = placed(store, spec, new_assignment)
    request = Request(job.id, job.seq, spec, 0.0, 0.0, ())
    again = Decision(job.id, "eft", 0.0, 0, "batch", {}, request, {"aer_mps": 1.0})
    assert store.place(again, [new_assignment(id="other", job_id=job.id)]) == []
    assert store.fail(job.id, Failure("place", "x", "y")) == []
    decision = store.decision(job.id)
    assert decision is not None
    assert decision.id == store.assignments(job.id)[0].decision


def test_a_crash_before_the_result_is_found(
    store: SqlStore, spec: JobSpec, new_assignment: Make, measurement: Measurement
) -> None:
    job = placed(store, spec, new_assignment)
    store.finish(claim(store), Completed(0.0), run=Run({"0": 1}, measurement))
    assert store.unconcluded() == [job.id]
    assert store.sweep().undecided


def test_events_are_numbered_in_order(store: SqlStore, spec: JobSpec, new_assignment: Make) -> None:
    job = placed(store, spec, new_assignment)
    claim(store)
    store.add_event(Event(job.id, "progress", 0.0, {"round": 1}))
    events = store.events(job.id)
    assert [(event.seq, event.kind) for event in events] == [
        (1, "submitted"),
        (2, "placed"),
        (3, "running"),
        (4, "progress"),
    ]
    assert store.events(job.id, after=3) == events[3:]
    assert events[3].data == {"round": 1}


def test_telemetry_is_numbered_without_gaps_under_a_race(store: SqlStore, observation: Observation) -> None:
    from orchestrator.sql.ledger import append_observation

    def append(number: int) -> None:
        with store._db.write() as connection:
            append_observation(connection, replace(observation, assignment_id=f"a{number}"))

    threads = [threading.Thread(target=append, args=(number,)) for number in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [number for number, _ in store.observations()] == list(range(1, 11))
    assert [number for number, _ in store.observations(after=4, limit=3)] == [5, 6, 7]


def test_the_roll_forgets_who_is_silent(store: SqlStore) -> None:
    device = backends.load("aer_statevector").device()
    store.announce("w", [Announcement("aer_statevector", "w", 2, device)])
    (entry,) = store.roll(silent_s=60.0)
    assert (entry.device, entry.slots) == (device, 2)
    assert store.roll(silent_s=-1.0) == []
    store.heartbeat("w")
    assert store.roll(silent_s=60.0)[0].heartbeat_at > entry.heartbeat_at
    assert entry.warm
    store.announce("w", [Announcement("aer_statevector", "w", 2, device, warm=False)])
    assert not store.roll(silent_s=60.0)[0].warm
    store.announce("w", [])
    assert store.roll(silent_s=60.0) == []


def test_snapshots_belong_to_their_fold(store: SqlStore) -> None:
    assert store.snapshot(1) is None
    for cursor in (100, 200, 200):
        store.save_snapshot(1, cursor, f"model {cursor}")
    assert store.snapshot(1) == "model 200"
    assert store.snapshot(2) is None


def test_the_clock_goes_on(store: SqlStore) -> None:
    first = store.now()
    assert store.now() >= first > 1.7e9


def test_preparation_is_kept(store: SqlStore) -> None:
    from circuits.features import features
    from circuits.program import Program
    from orchestrator.preparation import Fit, ProgramFacts

    text = 'OPENQASM 2.0; include "qelib1.inc"; qreg q[1]; creg c[1]; x q[0]; measure q -> c;'
    circuit: Any = Program("openqasm2", text=text).load().build()
    facts = ProgramFacts("program", features(circuit), adaptive=False, ideal={"1": 1.0})
    store.save_preparation("h", facts, {"k": Fit(num_qubits=1)})
    store.save_preparation("h", facts, {"l": Fit(cannot="no")})
    assert store.facts("h") == facts
    assert store.facts("x") is None
    assert store.fits("h", ["k", "l", "m"]) == {"k": Fit(num_qubits=1), "l": Fit(cannot="no")}


def test_what_is_given_back_after_a_cancel_does_not_wait_again(
    store: SqlStore, spec: JobSpec, new_assignment: Make
) -> None:
    for end in (Returned(0.0), Broken(0.0, Failure("execute", "TransientFailure", "not now", transient=True))):
        job = placed(store, spec, new_assignment)
        part = claim(store)
        store.request_cancel(job.id)
        assert kinds(store.finish(part, end))[-1] == "cancelled"
        assert store.job(job.id).state is JobState.CANCELLED


def test_a_share_of_a_lost_job_is_not_tried_again(store: SqlStore, spec: JobSpec, new_assignment: Make) -> None:
    job = placed(store, spec, new_assignment, "aer_statevector", "cirq_simulator")
    first, second = claim(store), claim(store, "cirq_simulator", lease_s=-1.0)
    store.finish(first, Broken(0.0, Failure("execute", "ExecutionFailed", "no")))
    assert "failed" in kinds(store.sweep().events), "the other one's worker has gone silent"
    assert store.job(job.id).state is JobState.FAILED
    assert store.finish(second, Returned(0.0)) is None


def test_a_lease_that_is_not_held_any_more_expires(store: SqlStore, spec: JobSpec, new_assignment: Make) -> None:
    placed(store, spec, new_assignment)
    placed(store, spec, new_assignment)
    lost, kept = claim(store, lease_s=-1.0), claim(store, lease_s=-1.0)
    store.renew("w", lease_s=LEASE_S, held=[kept.id])
    assert [event.job_id for event in store.sweep().events] == [lost.job_id]


def test_a_worker_that_is_gone_owns_nothing(store: SqlStore, spec: JobSpec, new_assignment: Make) -> None:
    placed(store, spec, new_assignment)
    placed(store, spec, new_assignment)
    mine, other = claim(store, owner="w/1"), claim(store, owner="w2/1")
    store.disown("w")
    assert [event.job_id for event in store.sweep().events] == [mine.job_id]
    assert kinds(store.finish(other, Withdrawn(0.0)))[0] == "assignment_cancelled"


def test_a_job_that_cannot_begin_in_time_fails(store: SqlStore, spec: JobSpec, new_assignment: Make) -> None:
    late = replace(spec, limits=Limits(deadline_s=0.0))
    jobs = [submitted(store, late), placed(store, late, new_assignment)]
    running = placed(store, late, new_assignment)
    while claim(store).job_id != running.id:
        pass  # take the placed ones too: only what nobody began is swept
    jobs[1:] = [placed(store, late, new_assignment)]
    store.sweep()
    for job in jobs:
        failed = store.job(job.id)
        assert failed.state is JobState.FAILED
        assert failed.failure is not None
        assert "deadline_s 0" in failed.failure.message
    assert store.job(running.id).state is JobState.RUNNING


def test_only_the_last_snapshots_are_kept(store: SqlStore) -> None:
    for cursor in range(100, 1000, 100):
        store.save_snapshot(1, cursor, str(cursor))
    with store._db.read() as connection:
        assert connection.execute(text("SELECT count(*) FROM snapshots")).scalar_one() == 2


def test_who_was_taken_off_the_roll_is_told(store: SqlStore) -> None:
    assert not store.heartbeat("nobody")
    store.announce("w", [Announcement("aer_mps", "w", 1, backends.load("aer_mps").device())])
    assert store.heartbeat("w")

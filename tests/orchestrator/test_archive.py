"""What has ended is removed, read and copied: on SQLite and on PostgreSQL."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from circuits.features import features
from circuits.program import Program
from orchestrator.cost_model.model import FOLD_VERSION, CostModel
from orchestrator.errors import ConfigurationError, JobNotFound
from orchestrator.job import Assignment, Estimate, Failure, Job, JobSpec, JobState, Limits, Measurement, Result
from orchestrator.lifecycle import Completed
from orchestrator.measure import placement
from orchestrator.placement import Candidate
from orchestrator.preparation import Fit, Preparation, ProgramFacts, preparation_key
from orchestrator.sql import schema as sql
from orchestrator.sql.archive import PAGE, Wanted
from orchestrator.sql.ledger import append_observations
from orchestrator.sql.store import SqlStore
from orchestrator.store import Placed, Run
from orchestrator.telemetry import Observation

Submit = Callable[..., Job]
End = Callable[..., list[str] | None]
OF_JOBS = ("jobs", "assignments", "runs", "results", "events", "decisions", "tags", "dependencies")


@pytest.fixture
def done(
    store: SqlStore,
    place: Callable[..., Job],
    claim: Callable[..., Assignment],
    end: End,
    measurement: Measurement,
    observation: Observation,
) -> Callable[..., Job]:
    """Submits a job, unless one is given, and brings it to its result."""

    def one(**fields: Any) -> Job:
        job = place(**fields)
        part = claim()
        run, result = Run({"00": part.shots}, measurement), None
        result = Result(job.id, placement(job, [part]), part.estimate, measurement, {"00": part.shots})
        end(part, Completed(0.0), run=run, result=result, seen=replace(observation, assignment_id=part.id))
        return store.job(job.id)

    return one


def rows(store: SqlStore) -> dict[str, int]:
    """How many there are in each table that holds jobs."""
    with store._db.read() as tx:
        tables = {name: sql.metadata.tables[name] for name in OF_JOBS}
        return {name: tx.execute(select(func.count()).select_from(t)).scalar_one() for name, t in tables.items()}


def soon(store: SqlStore) -> float:
    """A time before which everything of this test ended."""
    return store.now() + 10.0


# ── remove ────────────────────────────────────────────────────────────────────────────────────────────────────────────
def test_what_is_known_of_programs_goes_with_the_last_job_that_has_them(
    store: SqlStore, submit: Submit, done: Callable[..., Job], spec: JobSpec
) -> None:
    other = Program("openqasm2", text="OPENQASM 2.0; qreg q[1];")
    facts = ProgramFacts("program", features(spec.program.load().build()), adaptive=False, ideal=None)
    prepared = {preparation_key(one): Preparation(facts, {"key": Fit(num_gates=2)}) for one in (spec.program, other)}
    store.save_prepared({**prepared, "of an older version": Preparation(facts, {})})
    ended, waiting = done(), submit(program=other)
    assert store.prune_programs() == 1, "no job has it under its old key"
    assert store.prepared(list(prepared), ["key"]) == prepared
    store.prune(before=soon(store), most=10)
    with pytest.raises(JobNotFound):
        store.job(ended.id)
    assert store.prune_programs() == 1
    assert list(store.prepared(list(prepared), ["key"])) == [preparation_key(other)]
    assert store.job(waiting.id)
    with store._db.read() as tx:
        assert tx.execute(select(func.count()).select_from(sql.fits)).scalar_one() == 1
    assert store.prune_programs() == 0


def test_a_job_goes_with_everything_of_its_own_and_nothing_else(store: SqlStore, done: Callable[..., Job]) -> None:
    gone = done(tags=("a", "b"))
    with_one = rows(store)
    assert all(number for name, number in with_one.items() if name != "dependencies")
    moment = store.job(gone.id).finished_at
    assert moment is not None
    kept = done(tags=("a",))
    assert store.prune(before=moment, most=10) == 0, "not yet"
    between = moment + 1e-6
    assert store.prunable(before=between) == store.prune(before=between, most=10) == 1
    assert [job.id for job in store.jobs()] == [kept.id]
    assert rows(store) == with_one | {"tags": 1}
    assert store.events(kept.id)
    assert len(store.observations()) == 2, "what was measured stays"
    with pytest.raises(JobNotFound):
        store.job(gone.id)


def test_only_what_has_ended_goes(store: SqlStore, submit: Submit, place: Callable[..., Job]) -> None:
    cancelled = submit()
    store.request_cancel(cancelled.id)
    for job in (submit(), place()):
        assert store.job(job.id).finished_at is None
    assert store.prune(before=soon(store), most=10) == 1
    assert {job.state for job in store.jobs()} == {JobState.SUBMITTED, JobState.PLACED}


def test_neighbours_of_unfinished_jobs_stay(store: SqlStore, submit: Submit, done: Callable[..., Job]) -> None:
    parent = done()
    child = submit(after=(parent.id,))
    unfinished = submit()
    early = submit(after=(unfinished.id,))
    store.request_cancel(early.id)
    assert store.job(early.id).state is JobState.CANCELLED
    assert store.prunable(before=soon(store)) == store.prune(before=soon(store), most=10) == 0
    store.request_cancel(child.id)
    store.request_cancel(unfinished.id)
    assert store.prune(before=soon(store), most=10) == 4
    assert set(rows(store).values()) == {0}


def test_a_child_outlives_its_pruned_parent(store: SqlStore, submit: Submit, done: Callable[..., Job]) -> None:
    parent = done()
    moment = store.job(parent.id).finished_at
    child = submit(after=(parent.id,))
    store.request_cancel(child.id)
    assert moment is not None
    assert store.prune(before=moment + 1e-6, most=10) == 1
    assert store.job(child.id).spec.after == (parent.id,)
    with pytest.raises(JobNotFound):
        submit(after=(parent.id,))


def test_failed_jobs_may_stay(store: SqlStore, submit: Submit, done: Callable[..., Job]) -> None:
    failed = submit()
    store.fail({failed.id: Failure("place", "x", "no place")})
    done()
    assert store.prunable(before=soon(store), keep_failed=True) == 1
    assert store.prune(before=soon(store), most=10, keep_failed=True) == 1
    assert [job.id for job in store.jobs()] == [failed.id]


def test_one_go_is_bounded_and_begins_with_the_oldest(store: SqlStore, submit: Submit) -> None:
    jobs = [submit() for _ in range(5)]
    for job in jobs:
        store.request_cancel(job.id)
    store.fail({submit().id: Failure("place", "x", "no place")})
    sizes = []
    while gone := store.prune(before=soon(store), most=4):
        sizes.append(gone)
        left = {job.id for job in store.jobs()}
        assert jobs[0].id not in left
    assert sizes == [4, 2]
    assert store.jobs() == []


def test_several_may_prune_while_others_submit(store: SqlStore, submit: Submit) -> None:
    parents = [submit() for _ in range(30)]
    for job in parents:
        store.request_cancel(job.id)
    before, gone, children = soon(store), [], []

    def prune() -> None:
        while number := store.prune(before=before, most=3):
            gone.append(number)

    def follow() -> None:
        for parent in parents:
            try:
                children.append(submit(after=(parent.id,)).id)
            except JobNotFound:
                children.append("")

    threads = [threading.Thread(target=work) for work in (prune, prune, follow)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    # a job that comes after a cancelled one is cancelled as well: both are gone, or both are to go
    store.prune(before=soon(store), most=1000)
    assert set(rows(store).values()) == {0}
    assert len(children) == 30


def test_measurements_go_only_once_a_model_has_them(store: SqlStore, observation: Observation) -> None:
    seen = [replace(observation, assignment_id=f"a{number}", at=float(number)) for number in range(1, 11)]
    with store._db.write() as tx:
        append_observations(tx, seen)
    assert store.prune_telemetry(FOLD_VERSION, before=100.0, most=100) == 0
    model = CostModel().fold(store.observations(limit=6))
    store.save_snapshot(FOLD_VERSION, model.cursor, model.to_json())
    assert store.prune_telemetry(FOLD_VERSION + 1, before=100.0, most=100) == 0
    assert store.prune_telemetry(FOLD_VERSION, before=4.0, most=2) == 2
    assert store.prune_telemetry(FOLD_VERSION, before=4.0, most=2) == 1
    assert store.prune_telemetry(FOLD_VERSION, before=100.0, most=100) == 3
    assert [number for number, _ in store.observations()] == [7, 8, 9, 10]
    stored = store.snapshot(FOLD_VERSION)
    assert stored is not None
    whole = CostModel().fold(list(enumerate(seen, start=1)))
    assert CostModel.from_json(stored).fold(store.observations()).to_json() == whole.to_json()


def test_urgent_jobs_and_those_with_a_deadline_are_found_as_well(store: SqlStore, submit: Submit) -> None:
    for priority, deadline_s in ((0, None), (9, None), (4, 1e6), (4, 5.0)):
        store.request_cancel(submit(priority=priority, limits=Limits(deadline_s=deadline_s)).id)
    assert store.prune(before=soon(store), most=10) == 4


# ── read ──────────────────────────────────────────────────────────────────────────────────────────────────────────────
def test_a_page_has_all_of_its_jobs(
    store: SqlStore, submit: Submit, done: Callable[..., Job], placed_on: Callable[..., Placed], estimate: Estimate
) -> None:
    whole = done()
    shared = submit()
    placed = placed_on(shared, "aer_mps", "aer_statevector")
    options = (
        Candidate("aer_mps", estimate, estimate, 0.5, "v"),
        Candidate("aer_stabilizer", estimate, estimate, 0.0, "v", ("not Clifford",)),
    )
    request = replace(placed.decision.request, candidates=options)
    store.place([replace(placed, decision=replace(placed.decision, request=request))])
    (page,) = store.pages(Wanted())
    assert [job.id for job in page.jobs] == [whole.id, shared.id]
    assert {part.job_id for part in page.assignments} == {whole.id, shared.id}
    assert len(page.assignments) == 3
    assert [result.job_id for result in page.results] == [whole.id]
    assert [number for number, _ in page.observations] == [1]
    considered = {decision.job_id: decision for _, decision in page.decisions}
    assert considered[shared.id].request.candidates == options
    assert considered[shared.id].choice == {"aer_mps": 0.5, "aer_statevector": 0.5}
    assert [event for event in page.events if event.job_id == shared.id] == store.events(shared.id)


def test_pages_hold_what_was_asked_for(store: SqlStore, submit: Submit) -> None:
    jobs = [submit(tags=("even",) if number % 2 == 0 else ()) for number in range(3)]
    store.request_cancel(jobs[0].id)

    def asked(**conditions: Any) -> list[str]:
        return [job.id for page in store.pages(Wanted(**conditions)) for job in page.jobs]

    assert asked() == [job.id for job in jobs]
    assert asked(tag="even") == [jobs[0].id, jobs[2].id]
    assert asked(state=JobState.CANCELLED) == [jobs[0].id]
    assert asked(since=jobs[1].submitted_at) == [job.id for job in jobs if job.submitted_at >= jobs[1].submitted_at]
    assert asked(since=soon(store)) == asked(tag="odd") == []


def test_many_jobs_come_page_by_page_and_each_once(store: SqlStore, spec: Any) -> None:
    store.add_jobs([spec] * (2 * PAGE + 1))
    pages = store.pages(Wanted())
    first = next(pages)
    store.add_jobs([spec])  # what comes later is not of this reading
    sizes = [len(first.jobs), *(len(page.jobs) for page in pages)]
    assert sizes == [PAGE, PAGE, 1]


# ── copy ──────────────────────────────────────────────────────────────────────────────────────────────────────────────
def test_a_copy_is_whole_while_others_write(tmp_path: Path, spec: Any) -> None:
    store = SqlStore(f"sqlite:///{tmp_path / 'a.sqlite'}")
    store.add_jobs([spec] * 200)
    stop = threading.Event()

    def write() -> None:
        while not stop.is_set():
            store.add_jobs([spec] * 5)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        store.backup(tmp_path / "b.sqlite")
    finally:
        stop.set()
        writer.join()
        store.close()
    assert [path.name for path in tmp_path.glob("b.sqlite*")] == ["b.sqlite"]
    copy = SqlStore(f"sqlite:///{tmp_path / 'b.sqlite'}")
    found = copy.jobs(limit=100_000)
    assert len(found) >= 200
    assert len(found) % 5 == 0, "no batch is there in part"
    assert copy.states([job.id for job in found]) == {job.id: JobState.SUBMITTED for job in found}
    copy.close()


def test_removed_rows_give_their_room_back(tmp_path: Path, spec: Any) -> None:
    path = tmp_path / "a.sqlite"
    store = SqlStore(f"sqlite:///{path}")
    jobs, _ = store.add_jobs([spec] * 2000)
    store.fail({job.id: Failure("place", "x", "no place") for job in jobs})
    store.prune(before=soon(store), most=2000)
    store.vacuum()
    store.close()  # the last connection writes back what lies beside the file
    with sqlite3.connect(path) as connection:
        assert connection.execute("PRAGMA freelist_count").fetchone() == (0,)
    connection.close()


@pytest.mark.parametrize("store_url", ["postgresql"], indirect=True)
def test_postgresql_is_left_to_its_own_tools(store: SqlStore, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"pg_dump --format=custom --file=FILE 'postgresql://"):
        store.backup(tmp_path / "x")
    with pytest.raises(ConfigurationError, match="autovacuum"):
        store.vacuum()

"""Where jobs are placed, and placed again: shares that fail, backends that nobody serves, results merged from parts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from orchestrator.decision import Decision
from orchestrator.job import Assignment, AssignmentState, Failure, Job, JobState, Measurement, Result
from orchestrator.lifecycle import Broken, Completed, Returned, Rules, Withdrawn
from orchestrator.measure import placement
from orchestrator.sql.store import SqlStore
from orchestrator.store import Ending, Placed, Run

NO = Failure("execute", "ExecutionFailed", "no")
NOT_NOW = Failure("execute", "TransientFailure", "not now", transient=True)
NOWHERE = Failure("execute", "InvalidProgram", "the program is to blame", elsewhere=False)

Submit = Callable[..., Job]
Decide = Callable[..., Placed]
Take = Callable[..., Assignment]
End = Callable[..., list[str] | None]
Listed = Callable[[], list[str]]


def states(store: SqlStore, job: Job) -> str:
    """The first letters of its assignments' states, R for one that was replaced."""
    parts = store.assignments(job.id)
    return "".join("R" if part.state is AssignmentState.REPLACED else part.state.value[0] for part in parts)


# ── once ──────────────────────────────────────────────────────────────────────────────────────────────────────────────
def test_a_job_is_placed_once(store: SqlStore, place: Submit, placed_on: Decide, waiting: Listed) -> None:
    job = place()
    assert store.place([placed_on(job, "aer_mps")]) == []
    assert store.fail({job.id: Failure("place", "x", "y")}) == []
    assert (job.state, job.to_place, job.num_placements) == (JobState.PLACED, 0, 1)
    decision = store.decision(job.id)
    assert decision is not None
    assert decision.id == store.assignments(job.id)[0].decision
    assert waiting() == []


def test_a_batch_of_decisions_is_written_but_for_those_that_came_too_late(
    store: SqlStore, submit: Submit, placed_on: Decide
) -> None:
    jobs = [submit() for _ in range(4)]
    decided = [placed_on(job, "aer_mps") for job in jobs]
    store.request_cancel(jobs[1].id)
    events = store.place(decided)
    assert [(event.job_id, event.kind) for event in events] == [(jobs[n].id, "placed") for n in (0, 2, 3)]
    assert events[0].data == {"shares": {"aer_mps": 100}, "policy": "eft"}
    assert store.assignments(jobs[1].id) == []
    assert store.decision(jobs[1].id) is None
    decisions: list[Decision] = [found for n in (0, 2, 3) if (found := store.decision(jobs[n].id)) is not None]
    assert [found.id for found in decisions] == sorted({found.id for found in decisions})
    for n, found in zip((0, 2, 3), decisions, strict=True):
        assert replace(found, id=0) == decided[n].decision
        assert [part.decision for part in store.assignments(jobs[n].id)] == [found.id]


def test_too_few_shots_are_not_a_placement(store: SqlStore, submit: Submit, placed_on: Decide, waiting: Listed) -> None:
    job = submit()
    decided = placed_on(job)
    assert store.place([replace(decided, parts=[replace(decided.parts[0], shots=99)])]) == []
    assert waiting() == [job.id]


def test_what_cannot_be_placed_fails_in_its_stages_words(store: SqlStore, submit: Submit, waiting: Listed) -> None:
    jobs = [submit(), submit()]
    events = store.fail({job.id: Failure("place", "NoFeasibleBackend", f"too wide: {job.seq}") for job in jobs})
    assert [(event.job_id, event.kind) for event in events] == [(job.id, "failed") for job in jobs]
    assert events[0].data == {"stage": "place", "message": f"too wide: {jobs[0].seq}"}
    assert waiting() == []


def test_what_waits_is_ordered_by_rank_and_cut(store: SqlStore, submit: Submit) -> None:
    jobs = {priority: submit(priority=priority) for priority in (0, 9, 5)}
    look = store.look(2, silent_s=60.0)
    assert [one.job.id for one in look.waiting] == [jobs[9].id, jobs[5].id]
    assert all(one.parts == () for one in look.waiting)
    assert (look.roll, look.switches, look.outstanding) == ([], [], [])
    assert look.now == pytest.approx(store.now(), abs=60.0)


def test_the_backlog_is_summed_where_it_waits_and_single_where_it_runs(
    store: SqlStore, place: Submit, claim: Take
) -> None:
    for rank, service_s in enumerate((1.0, 2.0, 4.0)):
        place("aer_mps", rank=float(rank), service_s=service_s)
    place("cirq_simulator", service_s=8.0)
    part = claim("aer_mps")
    found = sorted(store.look(10, silent_s=60.0).outstanding, key=lambda one: one.service_s)
    assert [(one.backend, one.service_s, one.number) for one in found] == [
        ("aer_mps", 1.0, 1),
        ("aer_mps", 6.0, 2),
        ("cirq_simulator", 8.0, 1),
    ]
    assert [one.started_at for one in found] == [part.started_at, None, None]


def test_what_waits_for_workers_is_listed_as_it_is_served(store: SqlStore, place: Submit, claim: Take) -> None:
    late, early = place("aer_mps", rank=3.0), place("aer_mps", rank=1.0)
    shared = place("aer_mps", "fake_hanoi", rank=2.0)
    assert store.look(10, silent_s=60.0).queued == [], "nobody asked"
    found = store.look(10, silent_s=60.0, queued=10).queued
    assert [(one.job.id, len(one.parts)) for one in found] == [(early.id, 1), (shared.id, 2), (late.id, 1)]
    assert [one.job.id for one in store.look(10, silent_s=60.0, queued=1).queued] == [early.id]
    assert store.waits_elsewhere(["cirq_simulator"])
    assert not store.waits_elsewhere(["aer_mps"]), "something waits here, too"
    claim("fake_hanoi")
    claim("aer_mps")
    assert [one.job.id for one in store.look(10, silent_s=60.0, queued=10).queued] == [shared.id, late.id]


# ── again ─────────────────────────────────────────────────────────────────────────────────────────────────────────────
def test_a_failed_share_is_placed_again_and_the_rest_goes_on(
    store: SqlStore,
    place: Submit,
    claim: Take,
    end: End,
    waiting: Listed,
    measurement: Measurement,
    kinds: Callable[[str], list[str]],
) -> None:
    job = place("aer_mps", "aer_statevector")
    first, second = claim("aer_mps"), claim()
    assert end(first, Broken(0.0, NO)) == ["assignment_replaced"]
    assert end(second, Completed(0.0), run=Run({"0": 50}, measurement)) == ["assignment_done"]
    found = store.job(job.id)
    assert (found.state, found.to_place, found.num_placements) == (JobState.RUNNING, 50, 1)
    assert store.sweep(silent_s=60.0).unconcluded == [], "half of it still waits for a place"
    (look,) = store.look(10, silent_s=60.0).waiting
    assert [part.state for part in look.parts] == [AssignmentState.REPLACED, AssignmentState.DONE]
    assert look.parts[0].failure == NO

    place("cirq_simulator", job=job)
    assert waiting() == []
    third = claim("cirq_simulator")
    assert (third.id, third.shots) == (f"{job.id}-2", 50)
    end(third, Completed(0.0), run=Run({"1": 50}, measurement))
    assert [run.counts for run in store.runs(job.id)] == [{"0": 50}, {"1": 50}]
    assert store.sweep(silent_s=60.0).unconcluded == [job.id]
    decision = store.decision(job.id)
    assert decision is not None
    assert (decision.request.spec.shots, decision.request.num_parts) == (50, 2), "the last one stands"
    assert replace(decision.request.spec, shots=100) == job.spec
    parts = [part for part in store.assignments(job.id) if part.state is AssignmentState.DONE]
    result = Result(job.id, placement(job, parts), parts[0].estimate, measurement, {"0": 50, "1": 50})
    assert [event.kind for event in store.conclude(result)] == ["done"]
    assert store.results([job.id]) == {job.id: result}
    assert store.conclude(result) == []
    assert kinds(job.id)[-1] == "done"


def test_half_a_job_is_not_concluded(
    store: SqlStore, place: Submit, claim: Take, end: End, measurement: Measurement
) -> None:
    """Whoever merges the shares looks at job and shares one after the other; meanwhile a share may be lost."""
    job = place("aer_mps", "aer_statevector")
    first, second = claim("aer_mps"), claim()
    end(second, Completed(0.0), run=Run({"0": 50}, measurement))
    result = Result(job.id, placement(job, [second]), second.estimate, measurement, {"0": 50})
    assert store.conclude(result) == [], "the other half runs"
    end(first, Broken(0.0, NO))
    assert store.conclude(result) == [], "the other half waits for a place"
    place("cirq_simulator", job=job)
    assert store.conclude(result) == [], "the other half waits to be run"
    assert store.job(job.id).state is JobState.RUNNING
    assert store.results([job.id]) == {}


def test_after_so_many_decisions_the_job_fails(
    store: SqlStore, submit: Submit, place: Submit, claim: Take, end: End
) -> None:
    job = submit()
    for number, backend in enumerate(("aer_mps", "cirq_simulator", "aer_statevector"), start=1):
        assert place(backend, job=job).num_placements == number
        ended = end(claim(backend), Broken(0.0, NO))
    assert ended == ["assignment_failed", "failed"]
    assert states(store, job) == "RRf"


@pytest.mark.parametrize("max_placements", [1, 2])
def test_how_often_is_a_rule(store: SqlStore, submit: Submit, placed_on: Decide, max_placements: int) -> None:
    strict = SqlStore(store._db._engine.url.render_as_string(hide_password=False), Rules(1, max_placements))
    try:
        job = submit()
        for _ in range(max_placements):
            strict.place([placed_on(job)])
            found = strict.claim(["aer_statevector"], owner="w/1", lease_s=30.0)
            assert found is not None
            events, _ = strict.finish([Ending(found.taken[0].assignment, Broken(0.0, NOT_NOW))])
        assert [event.kind for event in events] == ["assignment_failed", "failed"]
    finally:
        strict.close()


def test_a_transient_failure_stays_where_it_is_while_attempts_are_left(
    store: SqlStore, place: Submit, claim: Take, end: End
) -> None:
    job = place()
    assert end(claim(), Broken(0.0, NOT_NOW)) == ["assignment_released"]
    assert end(claim(), Broken(0.0, NOT_NOW)) == ["assignment_released"]
    assert end(claim(), Broken(0.0, NOT_NOW)) == ["assignment_replaced"]
    assert store.job(job.id).state is JobState.SUBMITTED


@pytest.mark.parametrize(("failure", "pin"), [(NO, {"aer_mps": 0.5, "cirq_simulator": 0.5}), (NOWHERE, {})])
def test_one_share_that_may_not_move_ends_the_job_and_frees_the_rest(
    store: SqlStore, place: Submit, claim: Take, end: End, failure: Failure, pin: dict[str, float]
) -> None:
    job = place("aer_statevector", "cirq_simulator", "aer_mps", pin=pin)
    first, second = claim(), claim("cirq_simulator")
    assert end(first, Broken(0.0, failure)) == ["assignment_failed", "failing", "assignment_cancelled"]
    assert store.unwanted([job.id]) == {job.id}, "who runs the other share is told"
    assert store.job(job.id).state is JobState.RUNNING
    assert store.claim(["aer_mps"], owner="w/1", lease_s=30.0) is None, "what waited was withdrawn"
    assert end(second, Withdrawn(0.0)) == ["assignment_cancelled", "failed"]
    assert states(store, job) == "fcc"
    assert store.job(job.id).failure == failure


def test_a_share_of_a_lost_job_is_not_tried_again(store: SqlStore, place: Submit, claim: Take, end: End) -> None:
    job = place("aer_statevector", "cirq_simulator")
    first, second = claim(), claim("cirq_simulator", lease_s=-1.0)
    end(first, Broken(0.0, NOWHERE))
    kinds = [event.kind for event in store.sweep(silent_s=60.0).events]
    assert kinds == ["assignment_released", "assignment_cancelled", "failed"], "the other one's worker has gone silent"
    assert store.job(job.id).state is JobState.FAILED
    assert end(second, Returned(0.0)) is None


# ── stranded ──────────────────────────────────────────────────────────────────────────────────────────────────────────
def test_what_waits_in_vain_is_found_by_rank(store: SqlStore, place: Submit, claim: Take) -> None:
    jobs = [place("aer_mps", rank=2.0), place("cirq_simulator", "aer_mps", rank=1.0), place("aer_statevector")]
    found = store.stranded(["aer_mps"], 10)
    assert [one.job.id for one in found] == [jobs[0].id, jobs[1].id], "they were submitted in this order"
    assert [len(one.parts) for one in found] == [1, 2]
    assert [one.job.id for one in store.stranded(["aer_mps"], 1)] == [jobs[0].id]
    assert [one.job.id for one in store.stranded(["aer_mps"], 5, skip=1)] == [jobs[1].id]
    assert store.stranded([], 10) == store.stranded(["fake_hanoi"], 10) == []
    claim("aer_mps")
    assert len(store.stranded(["aer_mps"], 10)) == 1, "what runs is not stranded"


def test_a_second_thought_moves_what_waits_and_counts_as_no_placement(
    store: SqlStore, place: Submit, placed_on: Decide, claim: Take, kinds: Callable[[str], list[str]]
) -> None:
    waits, runs = place("aer_mps", rank=2.0), place("aer_mps", rank=1.0)
    claim("aer_mps")
    thoughts = [replace(placed_on(job, "fake_hanoi", instead_of=[f"{job.id}-0"]), again=True) for job in (waits, runs)]
    events = store.place(thoughts)
    assert [(event.job_id, event.kind) for event in events] == [(waits.id, "reconsidered"), (waits.id, "placed")]
    assert kinds(runs.id) == ["submitted", "placed", "running"], "it has begun"
    assert [store.job(job.id).num_placements for job in (waits, runs)] == [1, 1]
    assert states(store, waits) == "Rw"
    assert store.assignments(waits.id)[0].failure is None
    assert [len(store.decisions(job.id)) for job in (waits, runs)] == [2, 1]
    assert store.claim(["aer_mps"], owner="w/1", lease_s=30.0) is None
    assert claim("fake_hanoi").id == f"{waits.id}-1"


def test_stranded_work_gets_another_place(
    store: SqlStore, place: Submit, placed_on: Decide, claim: Take, end: End
) -> None:
    job = place("aer_mps", "aer_statevector")
    running = claim()
    events = store.place([placed_on(job, "cirq_simulator", "fake_hanoi", instead_of=[f"{job.id}-0"])])
    assert [event.kind for event in events] == ["assignment_replaced", "placed"]
    assert events[1].data["shares"] == {"cirq_simulator": 25, "fake_hanoi": 25}
    assert states(store, job) == "Rrww"
    found = store.job(job.id)
    assert (found.to_place, found.num_placements) == (0, 2)
    assert store.claim(["aer_mps"], owner="w/1", lease_s=30.0) is None
    lost = store.assignments(job.id)[0].failure
    assert lost is not None
    assert lost.kind == "backend_lost"
    assert end(running, Returned(0.0)) == ["assignment_released"], "the share that ran is none the worse for it"


def test_stranded_work_that_was_taken_meanwhile_stays(
    store: SqlStore, place: Submit, placed_on: Decide, claim: Take
) -> None:
    job = place("aer_mps")
    decided = placed_on(job, "cirq_simulator", instead_of=[f"{job.id}-0"])
    claim("aer_mps")
    assert store.place([decided]) == []
    assert states(store, job) == "r"
    assert store.job(job.id).num_placements == 1


@pytest.mark.parametrize("pinned", [True, False])
def test_stranded_work_that_may_not_move_stays(store: SqlStore, place: Submit, placed_on: Decide, pinned: bool) -> None:
    job = place("aer_mps", pin={"aer_mps": 1.0} if pinned else {})
    for number, backend in enumerate(("cirq_simulator", "aer_statevector", "fake_hanoi")):
        store.place([placed_on(job, backend, instead_of=[f"{job.id}-{number}"])])
    assert states(store, job) == ("w" if pinned else "RRw"), "three decisions are all it gets"


def test_the_same_shots_are_not_placed_twice_by_two_deciders(store: SqlStore, place: Submit, placed_on: Decide) -> None:
    job = place("aer_mps")
    decided = [placed_on(job, backend, instead_of=[f"{job.id}-0"]) for backend in ("cirq_simulator", "fake_hanoi")]
    assert len(store.place([decided[0]])) == 2
    assert store.place([decided[1]]) == []
    assert sum(p.shots for p in store.assignments(job.id) if p.state is AssignmentState.WAITING) == 100


# ── result ────────────────────────────────────────────────────────────────────────────────────────────────────────────
def test_a_crash_before_the_result_is_found(
    store: SqlStore, place: Submit, claim: Take, end: End, measurement: Measurement
) -> None:
    job = place()
    end(claim(), Completed(0.0), run=Run({"0": 1}, measurement))
    assert store.job(job.id).state is JobState.RUNNING
    swept = store.sweep(silent_s=60.0)
    assert (swept.unconcluded, swept.undecided) == ([job.id], False)


def test_shares_come_back_in_their_order(
    store: SqlStore, place: Submit, claim: Take, end: End, measurement: Measurement
) -> None:
    names = [f"backend_{number}" for number in range(12)]
    job = place(*names)
    for name in reversed(names):
        part = claim(name)
        end(part, Completed(0.0), run=Run({part.id.rpartition("-")[2]: part.shots}, measurement))
    assert [part.backend for part in store.assignments(job.id)] == names
    assert [list(run.counts) for run in store.runs(job.id)] == [[str(number)] for number in range(12)]

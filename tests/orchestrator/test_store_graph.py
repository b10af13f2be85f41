"""Jobs that come after others: when they may begin, and what becomes of them if those end badly."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from orchestrator.errors import JobNotFound
from orchestrator.job import Assignment, Failure, Job, JobSpec, JobState, Limits, Measurement, Result
from orchestrator.lifecycle import Broken, Completed, Withdrawn
from orchestrator.measure import placement
from orchestrator.sql.store import SqlStore
from orchestrator.store import Ending

Submit = Callable[..., Job]
Claim = Callable[..., Assignment]
End = Callable[..., list[str] | None]
Kinds = Callable[[str], list[str]]
Listed = Callable[[], list[str]]


@pytest.fixture
def run(
    place: Submit, claim: Claim, store: SqlStore, measurement: Measurement
) -> Callable[[Job], list[tuple[str, str]]]:
    """Places and runs a job to its result; all events of that end, with their jobs."""

    def one(job: Job) -> list[tuple[str, str]]:
        place(job=job)
        part = claim()
        assert part.job_id == job.id
        result = Result(job.id, placement(job, [part]), part.estimate, measurement, {"00": part.shots})
        events, _ = store.finish([Ending(part, Completed(0.0), result=result)])
        return [(event.job_id, event.kind) for event in events]

    return one


def test_a_chain_goes_on_link_by_link(
    store: SqlStore, submit: Submit, run: Callable[[Job], list[tuple[str, str]]], waiting: Listed, kinds: Kinds
) -> None:
    first = submit()
    second = submit(after=(first.id,))
    third = submit(after=(second.id,))
    assert [store.job(job.id).num_blockers for job in (first, second, third)] == [0, 1, 1]
    assert waiting() == [first.id]
    assert run(first) == [(first.id, "assignment_done"), (first.id, "done"), (second.id, "unblocked")]
    assert waiting() == [second.id]
    assert store.sweep(silent_s=60.0).undecided
    run(second)
    assert waiting() == [third.id]
    assert (third.id, "unblocked") not in run(third)
    assert kinds(third.id) == ["submitted", "unblocked", "placed", "running", "assignment_done", "done"]


def test_who_waits_for_others_is_told_with_those_that_are_not_done(
    store: SqlStore, submit: Submit, place: Submit, run: Callable[[Job], list[tuple[str, str]]]
) -> None:
    done, placed, free = submit(), submit(), submit()
    late = submit(after=(free.id, done.id, placed.id))
    behind = submit(after=(late.id,))
    run(done)
    place(job=placed)
    first, second = store.blocked(10)
    assert (first.job.id, second.job.id) == (late.id, behind.id)
    assert [one.job.id for one in first.before] == [free.id, placed.id], "as it names them, what is done left out"
    assert [len(one.parts) for one in first.before] == [0, 1]
    assert (first.before[0].job.to_place, first.before[1].job.to_place) == (free.spec.shots, 0)
    assert [one.job.id for one in second.before] == [late.id]
    assert [one.job.id for one in store.blocked(1)] == [late.id]
    store.request_cancel(free.id)
    assert store.blocked(10) == []


def test_a_diamond_waits_for_both_sides(
    store: SqlStore, submit: Submit, run: Callable[[Job], list[tuple[str, str]]], waiting: Listed
) -> None:
    top = submit()
    sides = [submit(after=(top.id,)) for _ in range(2)]
    bottom = submit(after=(*(side.id for side in sides), sides[0].id))
    assert store.job(bottom.id).num_blockers == 2, "one named twice counts once"
    assert (sides[1].id, "unblocked") in run(top)
    assert sorted(waiting()) == sorted(side.id for side in sides)
    assert bottom.id not in dict(run(sides[1]))
    assert store.job(bottom.id).num_blockers == 1
    assert run(sides[0])[-1] == (bottom.id, "unblocked")
    assert waiting() == [bottom.id]


def test_both_sides_may_end_in_one_go(
    store: SqlStore, submit: Submit, place: Submit, measurement: Measurement, waiting: Listed
) -> None:
    sides = [submit(), submit()]
    bottom = submit(after=tuple(side.id for side in sides))
    for side in sides:
        place(job=side)
    claim = store.claim(["aer_statevector"], owner="w/1", lease_s=30.0, most=2, window_s=60.0)
    assert claim is not None
    endings = [
        Ending(
            one.assignment,
            Completed(0.0),
            result=Result(
                one.job.id, placement(one.job, [one.assignment]), one.assignment.estimate, measurement, {"0": 1}
            ),
        )
        for one in claim.taken
    ]
    events, written = store.finish(endings)
    assert written == [True, True]
    assert [event.job_id for event in events if event.kind == "unblocked"] == [bottom.id]
    assert waiting() == [bottom.id]


def test_a_failure_goes_down_the_graph_and_says_where_it_began(
    store: SqlStore, submit: Submit, waiting: Listed, kinds: Kinds
) -> None:
    first = submit()
    second = submit(after=(first.id,))
    third = submit(after=(second.id,))
    beside = submit()
    events = store.fail({first.id: Failure("place", "NoFeasibleBackend", "nothing is wide enough")})
    assert [(event.job_id, event.kind) for event in events] == [(j.id, "failed") for j in (first, second, third)]
    for job in (second, third):
        failed = store.job(job.id)
        assert failed.state is JobState.FAILED
        assert failed.failure is not None
        assert failed.failure.kind == "dependency"
        assert "nothing is wide enough" in failed.failure.message
        assert first.id in failed.failure.message
        assert kinds(job.id) == ["submitted", "failed"]
    assert waiting() == [beside.id]


def test_a_cancel_goes_down_the_graph(store: SqlStore, submit: Submit, place: Submit, claim: Claim, end: End) -> None:
    first = place()
    second = submit(after=(first.id,))
    third = submit(after=(second.id,))
    part = claim()
    store.request_cancel(first.id)
    assert store.job(second.id).state is JobState.SUBMITTED, "the first one still runs"
    end(part, Withdrawn(0.0))
    assert set(store.states([first.id, second.id, third.id]).values()) == {JobState.CANCELLED}


def test_cancelling_a_child_leaves_its_parent_alone(
    store: SqlStore, submit: Submit, run: Callable[[Job], list[tuple[str, str]]], kinds: Kinds
) -> None:
    parent = submit()
    child = submit(after=(parent.id,))
    store.request_cancel(child.id)
    assert run(parent)[-1] == (parent.id, "done")
    assert kinds(child.id) == ["submitted", "cancel_requested", "cancelled"]


def test_parents_that_have_ended_count_at_once(
    store: SqlStore, submit: Submit, run: Callable[[Job], list[tuple[str, str]]], waiting: Listed, kinds: Kinds
) -> None:
    done, cancelled, failed, open_one = submit(), submit(), submit(), submit()
    run(done)
    store.request_cancel(cancelled.id)
    store.fail({failed.id: Failure("place", "x", "no")})
    free = submit(after=(done.id,))
    half = submit(after=(done.id, open_one.id))
    assert (free.num_blockers, half.num_blockers) == (0, 1)
    assert set(waiting()) == {open_one.id, free.id}
    assert kinds(free.id) == ["submitted", "unblocked"]
    gone = [submit(after=(done.id, cancelled.id)), submit(after=(failed.id, open_one.id))]
    assert [job.state for job in gone] == [JobState.CANCELLED, JobState.FAILED]
    assert [store.job(job.id) for job in gone] == gone
    assert kinds(gone[0].id)[-1] == "cancelled"
    run(open_one)
    assert store.job(gone[1].id).state is JobState.FAILED


@pytest.mark.parametrize("project", ["", "lab"])
def test_after_a_job_that_is_not_there_nothing_is_written(
    store: SqlStore, spec: JobSpec, submit: Submit, project: str
) -> None:
    mine, theirs = submit(project=project), submit(project="other")
    before = len(store.jobs())
    for stranger in ("nobody", theirs.id):
        batch = [spec, replace(spec, after=(mine.id, stranger), idempotency_key="k"), spec]
        with pytest.raises(JobNotFound) as caught:
            store.add_jobs(batch, project=project)
        assert caught.value.job_id == stranger
    assert len(store.jobs()) == before
    assert submit(project=project, idempotency_key="k").spec.after == ()


def test_a_failed_share_anywhere_above_is_enough(
    store: SqlStore, submit: Submit, place: Submit, claim: Claim, end: End
) -> None:
    parent = place(pin={"aer_statevector": 1.0})
    child = submit(after=(parent.id,))
    end(claim(), Broken(0.0, Failure("execute", "ExecutionFailed", "no")))
    assert store.job(child.id).state is JobState.FAILED


def test_what_waits_for_a_parent_still_has_its_deadline(store: SqlStore, submit: Submit) -> None:
    parent = submit()
    child = submit(after=(parent.id,), limits=Limits(deadline_s=0.0))
    store.sweep(silent_s=60.0)
    failed = store.job(child.id)
    assert failed.failure is not None
    assert failed.failure.kind == "deadline"
    assert store.job(parent.id).state is JobState.SUBMITTED


def test_a_parent_that_ends_at_this_moment_is_not_missed(store: SqlStore, spec: JobSpec) -> None:
    """Children come while their parents end: none of them waits for ever, none goes ahead too early."""
    parents = store.add_jobs([spec] * 20)[0]

    def submit_children() -> None:
        for parent in parents:
            store.add_jobs([replace(spec, after=(parent.id,))])

    with ThreadPoolExecutor(1) as beside:
        submitted = beside.submit(submit_children)
        for parent in parents:
            store.request_cancel(parent.id)
    submitted.result()
    assert {job.state for job in store.jobs()} == {JobState.CANCELLED}


def test_a_wide_graph_ends_in_one_go(store: SqlStore, spec: JobSpec, submit: Submit) -> None:
    root = submit()
    children = store.add_jobs([replace(spec, after=(root.id,))] * 200)[0]
    last = submit(after=tuple(child.id for child in children))
    events = store.request_cancel(root.id)
    assert [event.kind for event in events].count("cancelled") == 202
    assert store.job(last.id).state is JobState.CANCELLED
    assert all(len([e for e in store.events(job.id) if e.kind == "cancelled"]) == 1 for job in (root, last))

"""A job with all its parts: whatever happens to them in whatever order, some things hold."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from circuits.program import Program
from orchestrator.case import Case
from orchestrator.errors import InvalidTransition
from orchestrator.job import (
    FINAL_ASSIGNMENT_STATES,
    FINAL_JOB_STATES,
    Assignment,
    AssignmentState,
    Estimate,
    Failure,
    Job,
    JobSpec,
    JobState,
)
from orchestrator.lifecycle import AssignmentEvent, Broken, Claimed, Completed, Expired, Returned, Rules, Withdrawn

RULES = Rules(max_attempts=2, max_placements=3)
BUSY = (AssignmentState.WAITING, AssignmentState.RUNNING)
KEPT = (*BUSY, AssignmentState.DONE)

PERMANENT = Failure("execute", "ExecutionFailed", "no")
TRANSIENT = Failure("execute", "TransientFailure", "not now", transient=True)
OWN_FAULT = Failure("execute", "InvalidProgram", "the program is to blame", elsewhere=False)
ENDS: list[AssignmentEvent] = [
    Completed(2.0),
    Broken(2.0, PERMANENT),
    Broken(2.0, TRANSIENT),
    Broken(2.0, OWN_FAULT),
    Expired(2.0),
    Returned(2.0),
    Withdrawn(2.0),
]
SPEC = JobSpec(program=Program("openqasm2", text=""), shots=12)


def new(spec: JobSpec = SPEC, num_blockers: int = 0) -> Case:
    job = Job("j", 1, spec, JobState.SUBMITTED, 0.0, to_place=spec.shots, num_blockers=num_blockers)
    return Case(job).tell("submitted", 0.0)


def parts_for(case: Case, *shots: int) -> list[Assignment]:
    estimate = Estimate(1.0, 1.0, 1.0, 0.0)
    start = len(case.parts)
    return [
        Assignment(f"j-{start + n}", "j", f"b{n}", own, 0.0, estimate, estimate, 0.0, 1, "v", 1.0)
        for n, own in enumerate(shots)
    ]


def placed(case: Case, *shots: int) -> Case:
    return case.placed(parts_for(case, *shots), "eft", 1.0)


def claimed(case: Case, *numbers: int) -> Case:
    for number in numbers:
        case = case.claimed(f"j-{number}", Claimed("w/1", 1.0, 31.0))
    return case


def kinds(case: Case) -> list[str]:
    return [event.kind for event in case.events]


class Life(RuleBasedStateMachine):
    """Everything that can happen to a job, in any order."""

    @initialize(pinned=st.booleans(), num_blockers=st.integers(0, 2))
    def begin(self, pinned: bool, num_blockers: int) -> None:
        self.case = new(replace(SPEC, pin={"b0": 1.0} if pinned else {}), num_blockers)
        self.before = self.case
        self.num_decisions = 0

    def step(self, case: Case) -> None:
        self.before, self.case = self.case, case

    def some(self, data: st.DataObject, *states: AssignmentState) -> str | None:
        ids = [part.id for part in self.case.parts if part.state in states]
        return data.draw(st.sampled_from(ids)) if ids else None

    @precondition(lambda self: self.case.job.to_place and not self.case.job.num_blockers)
    @rule(first=st.integers(1, 12))
    def place(self, first: int) -> None:
        left = self.case.job.to_place - first
        parts = parts_for(self.case, *([first, left] if left > 0 else [self.case.job.to_place]))
        assert self.case.awaits(parts)
        self.num_decisions += 1
        self.step(self.case.placed(parts, "eft", 1.0))
        assert not self.case.awaits(parts), "not a second time"

    @rule(data=st.data())
    def claim(self, data: st.DataObject) -> None:
        if (part_id := self.some(data, AssignmentState.WAITING)) is not None:
            self.step(self.case.claimed(part_id, Claimed("w/1", 1.0, 31.0)))

    @rule(data=st.data(), event=st.sampled_from(ENDS))
    def end_one(self, data: st.DataObject, event: AssignmentEvent) -> None:
        if (part_id := self.some(data, AssignmentState.RUNNING)) is not None:
            self.step(self.case.moved(part_id, event, RULES))

    @rule(data=st.data())
    def impossible(self, data: st.DataObject) -> None:
        """A store that forgets to look first must not get away with it."""
        if (part_id := self.some(data, *FINAL_ASSIGNMENT_STATES)) is not None:
            with pytest.raises(InvalidTransition):
                self.case.moved(part_id, data.draw(st.sampled_from(ENDS)), RULES)

    @rule(data=st.data())
    def free(self, data: st.DataObject) -> None:
        ids = data.draw(st.lists(st.sampled_from([*(part.id for part in self.case.parts), "nothing-0"])))
        self.step(self.case.freed(ids, 2.0, RULES))

    @rule()
    def cancel(self) -> None:
        self.step(self.case.cancelled(2.0))

    @rule()
    def fail(self) -> None:
        self.step(self.case.failed(PERMANENT, 2.0))

    @rule()
    def miss(self) -> None:
        self.step(self.case.missed(PERMANENT, 2.0))

    @precondition(lambda self: self.case.job.num_blockers)
    @rule(state=st.sampled_from(sorted(FINAL_JOB_STATES)))
    def parent(self, state: JobState) -> None:
        self.step(self.case.parent_ended(Job("p", 0, SPEC, state, 0.0, failure=PERMANENT), 2.0))

    @precondition(lambda self: self.over() and not self.case.ended)
    @rule()
    def conclude(self) -> None:
        self.step(self.case.concluded(2.0))

    def over(self) -> bool:
        """Whether all shots were run, so that there is a result."""
        states = {part.state for part in self.case.parts} - {AssignmentState.REPLACED}
        return states == {AssignmentState.DONE} and not self.case.job.to_place

    # ── what holds ────────────────────────────────────────────────────────────────────────────────────────────────
    @invariant()
    def no_shot_is_lost(self) -> None:
        lost = self.case.job.failure is not None or self.case.job.cancel_requested
        if not lost and all(part.state is not AssignmentState.CANCELLED for part in self.case.parts):
            held = sum(part.shots for part in self.case.parts if part.state in KEPT)
            assert held + self.case.job.to_place == SPEC.shots

    @invariant()
    def an_end_is_an_end(self) -> None:
        if self.before.ended:
            assert self.case.job == self.before.job
            assert [part.state for part in self.case.parts] == [part.state for part in self.before.parts]
        if self.case.ended:
            assert all(part.state in FINAL_ASSIGNMENT_STATES for part in self.case.parts), "nothing is left behind"
            assert (self.case.job.to_place, self.case.job.finished_at) == (0, 2.0)
            assert (self.case.job.state is JobState.FAILED) == (self.case.job.failure is not None)
        else:
            assert self.case.job.finished_at is None

    @invariant()
    def there_is_one_last_word(self) -> None:
        last = [kind for kind in kinds(self.case) if kind in set(FINAL_JOB_STATES)]
        assert last == ([self.case.job.state.value] if self.case.ended else [])
        assert not last or kinds(self.case)[-1] == last[0]

    @invariant()
    def events_are_numbered(self) -> None:
        assert [event.seq for event in self.case.events] == list(range(1, self.case.num_events + 1))

    @invariant()
    def decisions_are_counted_and_few(self) -> None:
        assert self.case.job.num_placements == self.num_decisions == kinds(self.case).count("placed")
        assert self.num_decisions <= RULES.max_placements

    @invariant()
    def who_named_the_place_gets_no_other(self) -> None:
        if self.case.job.spec.pin:
            assert all(part.state is not AssignmentState.REPLACED for part in self.case.parts)
            assert self.num_decisions <= 1

    @invariant()
    def nothing_waits_for_a_job_that_is_lost(self) -> None:
        job = self.case.job
        if job.failure is not None or job.cancel_requested:
            states = {part.state for part in self.case.parts}
            assert AssignmentState.WAITING not in states
            assert not job.to_place
            assert self.case.ended == (AssignmentState.RUNNING not in states), "it ends once its last part has"
            if AssignmentState.RUNNING in states:
                assert {"failing", "cancel_requested"} & set(kinds(self.case)), "who runs a part of it is told"

    @invariant()
    def the_state_says_what_its_parts_do(self) -> None:
        states = {part.state for part in self.case.parts} - {AssignmentState.REPLACED}
        if not self.case.ended:
            expected = JobState.RUNNING
            if not states:
                expected = JobState.SUBMITTED
            elif states == {AssignmentState.WAITING}:
                expected = JobState.PLACED
            assert self.case.job.state is expected
            assert self.case.job.to_place or states & set(BUSY) or self.over(), "somebody has something to do"


def test_no_order_of_things_breaks_a_promise() -> None:
    run_state_machine_as_test(Life, settings=settings(max_examples=300, stateful_step_count=25))


# ── one by one ────────────────────────────────────────────────────────────────────────────────────────────────────────
def test_a_whole_life() -> None:
    case = claimed(placed(new(), 5, 7), 0, 1)
    case = case.moved("j-0", Completed(2.0), RULES).moved("j-1", Broken(2.0, PERMANENT), RULES)
    assert (case.job.state, case.job.to_place) == (JobState.RUNNING, 7)
    case = claimed(placed(case, 7), 2).moved("j-2", Completed(3.0), RULES).concluded(4.0)
    assert kinds(case) == [
        "submitted",
        "placed",
        "running",
        "running",
        "assignment_done",
        "assignment_replaced",
        "placed",
        "running",
        "assignment_done",
        "done",
    ]
    assert case.events[5].data == {"backend": "b1", "attempt": 1, "message": "no"}
    assert (case.job.state, case.job.finished_at, case.job.failure) == (JobState.DONE, 4.0, None)


@pytest.mark.parametrize(
    "change",
    [
        lambda case: case.cancelled(5.0),
        lambda case: case.failed(PERMANENT, 5.0),
        lambda case: case.missed(PERMANENT, 5.0),
        lambda case: case.freed(["j-0"], 5.0, RULES),
        lambda case: case.parent_ended(Job("p", 0, SPEC, JobState.FAILED, 0.0), 5.0),
    ],
    ids=["cancelled", "failed", "missed", "freed", "parent_ended"],
)
def test_what_has_ended_stays_as_it_is(change: Callable[[Case], Case]) -> None:
    done = claimed(placed(new(), 12), 0).moved("j-0", Completed(2.0), RULES).concluded(2.0)
    cancelled = new().cancelled(2.0)
    for case in (done, cancelled):
        assert change(case) is case, "not even written again"


def test_a_doomed_job_waits_for_what_runs_and_keeps_the_first_reason() -> None:
    case = claimed(placed(new(), 4, 4, 4), 0, 1).moved("j-0", Broken(2.0, OWN_FAULT), RULES)
    assert kinds(case)[-3:] == ["assignment_failed", "failing", "assignment_cancelled"]
    assert (case.job.state, case.job.failure) == (JobState.RUNNING, OWN_FAULT)
    case = case.moved("j-1", Broken(3.0, PERMANENT), RULES)
    assert kinds(case)[-2:] == ["assignment_failed", "failed"]
    assert case.job.failure == OWN_FAULT
    assert case.events[-1].data == {"stage": "execute", "message": OWN_FAULT.message}


def test_a_deadline_spares_what_has_begun() -> None:
    late = Failure("execute", "deadline", "too late", elsewhere=False)
    assert new().missed(late, 2.0).job.state is JobState.FAILED
    assert placed(new(), 12).missed(late, 2.0).job.state is JobState.FAILED
    running = claimed(placed(new(), 6, 6), 0)
    assert running.missed(late, 2.0) is running
    done = running.moved("j-0", Completed(2.0), RULES)
    assert done.missed(late, 2.0) is done
    given_back = running.moved("j-0", Returned(2.0), RULES).missed(late, 2.0)
    assert given_back.job.state is JobState.FAILED


def test_blockers_are_counted_down_and_the_last_one_tells() -> None:
    parent = Job("p", 0, SPEC, JobState.DONE, 0.0)
    case = new(num_blockers=2).parent_ended(parent, 2.0)
    assert (case.job.num_blockers, kinds(case)) == (1, ["submitted"])
    case = case.parent_ended(parent, 2.0)
    assert (case.job.num_blockers, kinds(case)) == (0, ["submitted", "unblocked"])


def test_a_failed_parent_is_named_with_its_reason() -> None:
    parent = Job("p", 0, SPEC, JobState.FAILED, 0.0, failure=PERMANENT)
    failure = new(num_blockers=2).parent_ended(parent, 2.0).job.failure
    assert failure is not None
    assert (failure.stage, failure.kind) == ("place", "dependency")
    assert failure.message == "job p, which this one comes after, failed: no"


@given(st.lists(st.integers(1, 5), min_size=1, max_size=4))
def test_only_just_the_shots_that_wait_are_awaited(shots: list[int]) -> None:
    case = new(replace(SPEC, shots=sum(shots)))
    parts = parts_for(case, *shots)
    assert case.awaits(parts)
    assert not case.awaits(parts[:-1])
    assert not case.awaits([*parts, *parts_for(case, 1)])
    assert not case.cancelled(1.0).awaits(parts)

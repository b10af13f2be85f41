"""An assignment's life: every order of events keeps its promises."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.errors import InvalidTransition
from orchestrator.job import FINAL_ASSIGNMENT_STATES, Assignment, AssignmentState, Estimate, Failure, JobState
from orchestrator.lifecycle import (
    AssignmentEvent,
    Broken,
    Claimed,
    Completed,
    Expired,
    Returned,
    Withdrawn,
    advance,
    job_state,
)

PERMANENT = Failure("execute", "ExecutionFailed", "no")
TRANSIENT = Failure("execute", "TransientFailure", "not now", transient=True)
CLAIMED = Claimed("worker", 1.0, 31.0)

EVENTS: list[AssignmentEvent] = [
    CLAIMED,
    Completed(2.0),
    Broken(2.0, PERMANENT),
    Broken(2.0, TRANSIENT),
    Expired(2.0),
    Returned(2.0),
    Withdrawn(2.0),
]


def fresh() -> Assignment:
    estimate = Estimate(1.0, 1.0, 1.0, 0.0)
    return Assignment("a", "j", "b", 1, 0.0, estimate, estimate, 0.0, 0, "v", 0.0)


def follow(events: list[AssignmentEvent], max_attempts: int = 3) -> list[Assignment]:
    """Every assignment on the way; events that cannot happen are left out."""
    seen = [fresh()]
    for event in events:
        try:
            seen.append(advance(seen[-1], event, max_attempts=max_attempts))
        except InvalidTransition:
            continue
    return seen


@given(st.lists(st.sampled_from(EVENTS), max_size=20), st.integers(1, 4))
def test_no_order_of_events_breaks_a_promise(events: list[AssignmentEvent], max_attempts: int) -> None:
    way = follow(events, max_attempts)
    for before, after in itertools.pairwise(way):
        assert before.state not in FINAL_ASSIGNMENT_STATES, "a final state is final"
        assert after.attempt - before.attempt == (after.story[-1] == "Claimed"), "the fencing token counts claims"
        assert len(after.story) == len(before.story) + 1
        running = after.state is AssignmentState.RUNNING
        assert (after.lease_expires_at is not None) == running, "a lease is held exactly while it runs"
        assert (after.finished_at is not None) == (after.state in FINAL_ASSIGNMENT_STATES)
        assert after.num_failures <= max_attempts
    assert way[-1].num_failures < max_attempts or way[-1].state is not AssignmentState.WAITING


def test_a_transient_failure_is_tried_again_until_no_attempt_is_left() -> None:
    way = follow([CLAIMED, Broken(2.0, TRANSIENT)] * 3)
    assert [a.state for a in way[2::2]] == [AssignmentState.WAITING, AssignmentState.WAITING, AssignmentState.FAILED]
    assert way[-1].failure == TRANSIENT


def test_giving_back_costs_no_attempt() -> None:
    last = follow([CLAIMED, Returned(2.0)] * 10)[-1]
    assert (last.state, last.attempt, last.num_failures) == (AssignmentState.WAITING, 10, 0)


def test_an_impossible_event_tells_the_story(new_assignment: Callable[..., Assignment]) -> None:
    done = advance(advance(new_assignment(), CLAIMED, max_attempts=3), Completed(2.0), max_attempts=3)
    with pytest.raises(InvalidTransition, match=r"done; its story: Claimed -> Completed -> Withdrawn"):
        advance(done, Withdrawn(3.0), max_attempts=3)


@pytest.mark.parametrize(
    ("states", "expected"),
    [
        ("", JobState.SUBMITTED),
        ("w", JobState.PLACED),
        ("ww", JobState.PLACED),
        ("wr", JobState.RUNNING),
        ("wd", JobState.RUNNING),
        ("rf", JobState.RUNNING),
        ("dd", JobState.DONE),
        ("df", JobState.FAILED),
        ("cf", JobState.FAILED),
        ("dc", JobState.CANCELLED),
    ],
)
def test_a_job_is_the_fold_of_its_assignments(states: str, expected: JobState) -> None:
    names = {state.value[0]: state for state in AssignmentState}
    parts = [replace(fresh(), state=names[letter]) for letter in states]
    assert job_state(parts, failure=None, cancel_requested=False) is expected


def test_a_job_without_assignments_may_fail_or_be_cancelled() -> None:
    assert job_state([], failure=PERMANENT, cancel_requested=False) is JobState.FAILED
    assert job_state([], failure=None, cancel_requested=True) is JobState.CANCELLED

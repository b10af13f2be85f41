"""An assignment's life: every order of events keeps its promises."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.errors import InvalidTransition
from orchestrator.job import (
    FINAL_ASSIGNMENT_STATES,
    Assignment,
    AssignmentState,
    Estimate,
    Failure,
    Job,
    JobSpec,
    JobState,
)
from orchestrator.lifecycle import (
    AssignmentEvent,
    Broken,
    Claimed,
    Completed,
    Expired,
    Orphaned,
    Recalled,
    Reconsidered,
    Reserved,
    Returned,
    Rules,
    Sent,
    Settled,
    Withdrawn,
    advance,
    job_state,
    movable,
)

PERMANENT = Failure("execute", "ExecutionFailed", "no")
OWN_FAULT = Failure("execute", "InvalidProgram", "the program is to blame", elsewhere=False)
TRANSIENT = Failure("execute", "TransientFailure", "not now", transient=True)
CLAIMED = Claimed("worker", 1.0, 31.0)

EVENTS: list[AssignmentEvent] = [
    CLAIMED,
    Completed(2.0),
    Broken(2.0, PERMANENT),
    Broken(2.0, TRANSIENT),
    Broken(2.0, OWN_FAULT),
    Expired(2.0),
    Returned(2.0),
    Withdrawn(2.0),
    Orphaned(2.0),
    Reconsidered(2.0),
    Reserved(2.0, "p"),
    Sent(2.0, 3.0),
    Recalled(2.0),
    Settled(2.0),
]


def fresh() -> Assignment:
    estimate = Estimate(1.0, 1.0, 1.0, 0.0)
    return Assignment("a", "j", "b", 1, 0.0, estimate, estimate, 0.0, 0, "v", 0.0)


def follow(events: list[AssignmentEvent], max_attempts: int = 3, *, movable: bool = False) -> list[Assignment]:
    """Every assignment on the way; events that cannot happen are left out."""
    seen = [fresh()]
    for event in events:
        try:
            seen.append(advance(seen[-1], event, max_attempts=max_attempts, movable=movable))
        except InvalidTransition:
            continue
    return seen


@given(st.lists(st.sampled_from(EVENTS), max_size=20), st.integers(1, 4), st.booleans())
def test_no_order_of_events_breaks_a_promise(events: list[AssignmentEvent], max_attempts: int, movable: bool) -> None:
    way = follow(events, max_attempts, movable=movable)
    for before, after in itertools.pairwise(way):
        assert before.state not in FINAL_ASSIGNMENT_STATES, "a final state is final"
        claimed = after.story[-1] == "Claimed"
        assert after.attempt - before.attempt == claimed, "the fencing token counts claims"
        no_news = before.story[-2:] == ("Sent", "Claimed") and after.story[-1] == "Sent"
        assert len(after.story) == len(before.story) + (-1 if no_news else 1)
        if before.purchase_id is not None:
            kept = (AssignmentState.RUNNING, AssignmentState.SENT)
            assert after.state in kept, "what may exist at a provider is not given up"
            assert after.purchase_id is not None or after.story[-1] == "Settled"
        assert after.state is not AssignmentState.SENT or after.purchase_id is not None
        running = after.state is AssignmentState.RUNNING
        assert (after.lease_expires_at is not None) == running, "a lease is held exactly while it runs"
        assert (after.finished_at is not None) == (after.state in FINAL_ASSIGNMENT_STATES)
        assert after.num_failures <= max_attempts
        thought = after.story[-1] == "Reconsidered"
        assert movable or thought or after.state is not AssignmentState.REPLACED, "who may not move stays"
    assert way[-1].num_failures < max_attempts or way[-1].state is not AssignmentState.WAITING


def test_a_transient_failure_is_tried_again_until_no_attempt_is_left() -> None:
    way = follow([CLAIMED, Broken(2.0, TRANSIENT)] * 3)
    assert [a.state for a in way[2::2]] == [AssignmentState.WAITING, AssignmentState.WAITING, AssignmentState.FAILED]
    assert way[-1].failure == TRANSIENT


def test_giving_back_costs_no_attempt() -> None:
    last = follow([CLAIMED, Returned(2.0)] * 10)[-1]
    assert (last.state, last.attempt, last.num_failures) == (AssignmentState.WAITING, 10, 0)


SENT = [CLAIMED, Reserved(2.0, "p"), Sent(3.0, 8.0)]


def test_what_is_sent_has_no_owner_and_a_time() -> None:
    sent = follow(SENT)[-1]
    assert (sent.state, sent.owner, sent.due_at, sent.started_at) == (AssignmentState.SENT, None, 8.0, 1.0)
    looked = follow([*SENT, Claimed("other", 8.0, 38.0), Sent(9.0, 20.0)])[-1]
    assert (looked.due_at, looked.started_at, looked.num_polls, looked.num_tries) == (20.0, 1.0, 1, 1)
    assert looked.story == sent.story, "a look that brought no news is no part of the story"


@pytest.mark.parametrize("event", [Expired(4.0), Returned(4.0)])
def test_whoever_looked_after_it_is_gone_and_it_is_due(event: AssignmentEvent) -> None:
    for before in ([CLAIMED, Reserved(2.0, "p")], [*SENT, CLAIMED]):
        left = follow([*before, event], max_attempts=1, movable=True)[-1]
        assert (left.state, left.due_at, left.num_failures) == (AssignmentState.SENT, 4.0, 0)


def test_a_purchase_is_settled_before_the_end() -> None:
    way = follow([*SENT, CLAIMED, Settled(9.0), Broken(9.0, PERMANENT)], movable=True)
    assert [a.state for a in way[-3:]] == [AssignmentState.RUNNING, AssignmentState.RUNNING, AssignmentState.REPLACED]
    for event in (Completed(9.0), Broken(9.0, PERMANENT), Withdrawn(9.0), Orphaned(9.0), Reserved(9.0, "another")):
        with pytest.raises(InvalidTransition):
            advance(follow([*SENT, CLAIMED])[-1], event, max_attempts=3, movable=True)


def test_patience_uses_up_no_attempt() -> None:
    patience = Broken(2.0, TRANSIENT, due_at=7.0, counts=False)
    last = follow([CLAIMED, patience] * 5)[-1]
    assert (last.state, last.num_failures, last.due_at) == (AssignmentState.WAITING, 0, 7.0)


def test_an_impossible_event_tells_the_story(new_assignment: Callable[..., Assignment]) -> None:
    done = advance(advance(new_assignment(), CLAIMED, max_attempts=3), Completed(2.0), max_attempts=3)
    with pytest.raises(InvalidTransition, match=r"done; its story: Claimed -> Completed -> Withdrawn"):
        advance(done, Withdrawn(3.0), max_attempts=3)


def test_what_failed_for_good_moves_if_another_place_may_help() -> None:
    def end(failure: Failure, *, movable: bool) -> AssignmentState:
        return follow([CLAIMED, Broken(2.0, failure)], max_attempts=1, movable=movable)[-1].state

    for failure in (PERMANENT, TRANSIENT):
        assert end(failure, movable=True) is AssignmentState.REPLACED
        assert end(failure, movable=False) is AssignmentState.FAILED
    assert end(OWN_FAULT, movable=True) is AssignmentState.FAILED, "it would fail anywhere"
    assert follow([CLAIMED, Expired(2.0)], max_attempts=1, movable=True)[-1].state is AssignmentState.REPLACED


def test_only_what_waits_is_orphaned() -> None:
    left = follow([Orphaned(2.0)], movable=True)[-1]
    assert left.state is AssignmentState.REPLACED
    assert left.failure is not None
    assert (left.failure.kind, left.num_failures) == ("backend_lost", 0), "no attempt of its own failed"
    for events in ([CLAIMED], [CLAIMED, Completed(2.0)]):
        with pytest.raises(InvalidTransition, match="Orphaned cannot happen"):
            advance(follow(events, movable=True)[-1], Orphaned(3.0), max_attempts=3, movable=True)
    with pytest.raises(InvalidTransition):
        advance(fresh(), Orphaned(3.0), max_attempts=3)


def test_a_job_may_move_until_its_decisions_are_used_up(spec: JobSpec) -> None:
    rules = Rules(max_placements=2)
    job = Job("j", 1, spec, JobState.PLACED, 0.0, num_placements=1)
    assert movable(job, rules)
    assert not movable(replace(job, num_placements=2), rules)
    assert not movable(replace(job, spec=replace(spec, pin={"b": 1.0})), rules), "its user named the place"
    assert not movable(replace(job, cancel_requested=True), rules)
    assert not movable(replace(job, failure=PERMANENT), rules)


@pytest.mark.parametrize(
    ("states", "to_place", "expected"),
    [
        ("", 1, JobState.SUBMITTED),
        ("w", 0, JobState.PLACED),
        ("ww", 0, JobState.PLACED),
        ("wr", 0, JobState.RUNNING),
        ("wd", 0, JobState.RUNNING),
        ("rf", 0, JobState.RUNNING),
        ("dd", 0, JobState.DONE),
        ("df", 0, JobState.FAILED),
        ("cf", 0, JobState.FAILED),
        ("dc", 0, JobState.CANCELLED),
        ("R", 1, JobState.SUBMITTED),
        ("Rw", 0, JobState.PLACED),
        ("Rd", 0, JobState.DONE),
        ("dR", 1, JobState.RUNNING),
        ("wR", 1, JobState.PLACED),
        ("s", 0, JobState.RUNNING),
        ("ds", 0, JobState.RUNNING),
        ("fs", 0, JobState.RUNNING),
    ],
)
def test_a_job_is_the_fold_of_its_assignments(spec: JobSpec, states: str, to_place: int, expected: JobState) -> None:
    names = {state.value[0]: state for state in AssignmentState if state is not AssignmentState.REPLACED}
    names["R"] = AssignmentState.REPLACED
    parts = [replace(fresh(), state=names[letter]) for letter in states]
    assert job_state(Job("j", 1, spec, JobState.SUBMITTED, 0.0, to_place=to_place), parts) is expected


def test_a_job_without_assignments_may_fail_or_be_cancelled(spec: JobSpec) -> None:
    job = Job("j", 1, spec, JobState.SUBMITTED, 0.0, to_place=1)
    assert job_state(replace(job, failure=PERMANENT), []) is JobState.FAILED
    assert job_state(replace(job, cancel_requested=True), []) is JobState.CANCELLED

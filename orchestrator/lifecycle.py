"""How an assignment moves, and what that makes of its job. Pure: no clock, no store.

    WAITING ──Claimed──▶ RUNNING ──Completed──▶ DONE
       ▲  │                 │ ├──Broken─────▶ FAILED     (permanent, or no attempt left)
       │  └─Withdrawn─┐     │ └──Withdrawn──▶ CANCELLED
       │              ▼     │
       │          CANCELLED │
       └────────────────────┘   (Returned; or a transient failure or an expired lease, with attempts left)

A job's state is the fold over its assignments; before there are any, over its own failure and cancel request.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from orchestrator.errors import InvalidTransition
from orchestrator.job import FINAL_ASSIGNMENT_STATES, Assignment, AssignmentState, Failure, JobState


@dataclass(frozen=True)
class Claimed:
    """A worker took it, until its lease ends."""

    owner: str
    at: float
    lease_expires_at: float


@dataclass(frozen=True)
class Completed:
    """It ran; its execution is stored in the same transaction."""

    at: float


@dataclass(frozen=True)
class Broken:
    """The attempt failed. A transient failure is tried again while attempts are left."""

    at: float
    failure: Failure


@dataclass(frozen=True)
class Expired:
    """The lease ended without a word from its owner."""

    at: float


@dataclass(frozen=True)
class Returned:
    """Its worker is closing and gives it back; nobody is to blame, so it costs no attempt."""

    at: float


@dataclass(frozen=True)
class Withdrawn:
    """Nobody wants it any more: its job was cancelled or has already failed."""

    at: float


AssignmentEvent = Claimed | Completed | Broken | Expired | Returned | Withdrawn


def advance(assignment: Assignment, event: AssignmentEvent, *, max_attempts: int) -> Assignment:
    """The assignment after the event.

    Raises:
        InvalidTransition: the event cannot happen in this state; the message tells the story so far.
    """
    state = assignment.state
    told = replace(assignment, story=(*assignment.story, type(event).__name__))
    match event, state:
        case Claimed(), AssignmentState.WAITING:
            return replace(
                told,
                state=AssignmentState.RUNNING,
                attempt=assignment.attempt + 1,
                owner=event.owner,
                started_at=event.at,
                lease_expires_at=event.lease_expires_at,
            )
        case Completed(), AssignmentState.RUNNING:
            return _ended(told, AssignmentState.DONE, event.at)
        case Broken(failure=failure), AssignmentState.RUNNING:
            return _failed(told, failure, event.at, max_attempts)
        case Expired(), AssignmentState.RUNNING:
            lost = Failure(
                "execute",
                "worker_lost",
                f"worker {assignment.owner} went silent while it ran this on {assignment.backend}; its log may say why",
                transient=True,
            )
            return _failed(told, lost, event.at, max_attempts)
        case Returned(), AssignmentState.RUNNING:
            return _released(told)
        case Withdrawn(), AssignmentState.WAITING | AssignmentState.RUNNING:
            return _ended(told, AssignmentState.CANCELLED, event.at)
    raise InvalidTransition(state.value, type(event).__name__, told.story)


def _failed(assignment: Assignment, failure: Failure, at: float, max_attempts: int) -> Assignment:
    told = replace(assignment, failure=failure, num_failures=assignment.num_failures + 1)
    if failure.transient and told.num_failures < max_attempts:
        return _released(told)
    return _ended(told, AssignmentState.FAILED, at)


def _released(assignment: Assignment) -> Assignment:
    return replace(assignment, state=AssignmentState.WAITING, owner=None, lease_expires_at=None, started_at=None)


def _ended(assignment: Assignment, state: AssignmentState, at: float) -> Assignment:
    return replace(assignment, state=state, lease_expires_at=None, finished_at=at)


def job_state(assignments: Sequence[Assignment], *, failure: Failure | None, cancel_requested: bool) -> JobState:
    """A job's state, folded from what is known of its parts. It is final only when every part is."""
    if not assignments:
        if failure is not None:
            return JobState.FAILED
        return JobState.CANCELLED if cancel_requested else JobState.SUBMITTED
    states = {assignment.state for assignment in assignments}
    if not states <= FINAL_ASSIGNMENT_STATES:
        return JobState.PLACED if states == {AssignmentState.WAITING} else JobState.RUNNING
    if AssignmentState.FAILED in states:
        return JobState.FAILED
    return JobState.CANCELLED if AssignmentState.CANCELLED in states else JobState.DONE

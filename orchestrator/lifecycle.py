"""How an assignment moves, and what that makes of its job. Pure: no clock, no store.

    WAITING ──Claimed──▶ RUNNING ──Completed──▶ DONE
     ▲  │ │                 │ ├──Broken─────▶ REPLACED   (permanent, or no attempt left: its shots go elsewhere)
     │  │ ├─Orphaned────────┼─┼─────────────▶ REPLACED   (nobody serves its backend any more)
     │  │ └─Reconsidered────┼─┼─────────────▶ REPLACED   (another place is better now)
     │  │                   │ ├──Broken─────▶ FAILED     (and no other place is to be tried)
     │  └─Withdrawn─┐       │ └──Withdrawn──▶ CANCELLED
     │              ▼       │
     │          CANCELLED   │
     └──────────────────────┘   (Returned; or a transient failure or an expired lease, with attempts left)

On a remote device a share is bought, and let go of while it is with the provider:

    RUNNING ──Reserved──▶ RUNNING with a purchase ──Sent──▶ SENT ──Claimed──▶ RUNNING ──Settled──▶ RUNNING without it
                                                              ▲                  │
                                                              └──Sent────────────┘  (also Returned, Expired)

While it has a purchase, something may exist at the provider: it does not end, fail or move, whatever happens to whoever
looks after it, until Settled says that the purchase is over.

A job's state is the fold over its assignments; before there are any, over its own failure and cancel request.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from orchestrator.errors import InvalidTransition
from orchestrator.job import FINAL_ASSIGNMENT_STATES, Assignment, AssignmentState, Failure, Job, JobState


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
    """The attempt failed. A transient failure is tried again while attempts are left.

    Attributes:
        due_at: not to be tried again before.   counts: it uses up an attempt; to be asked for patience does not.
    """

    at: float
    failure: Failure
    due_at: float | None = None
    counts: bool = True


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


@dataclass(frozen=True)
class Orphaned:
    """Nobody serves its backend any more, or an operator has closed it."""

    at: float


@dataclass(frozen=True)
class Reconsidered:
    """Its policy would have it elsewhere now."""

    at: float


@dataclass(frozen=True)
class Reserved:
    """Its purchase is written down, in the same transaction: from here on it may exist at the provider."""

    at: float
    purchase_id: str


@dataclass(frozen=True)
class Sent:
    """Nobody waits at the provider: it is let go of until it is due.

    Attributes:
        failure: what kept its worker from hearing the provider's word, if anything did.
        counts: that failure uses up an attempt: the work itself ended it, not the way to the provider.
        knowing: that the job wants it no more; where it is wanted no more and nobody knew, it is due at once.
    """

    at: float
    due_at: float
    failure: Failure | None = None
    counts: bool = False
    knowing: bool = False


@dataclass(frozen=True)
class Recalled:
    """It is with the provider, and its job wants it no more: it is due at once."""

    at: float


@dataclass(frozen=True)
class Settled:
    """Its purchase is over, in the same transaction: paid for, or certainly not made."""

    at: float


AssignmentEvent = (
    Claimed
    | Completed
    | Broken
    | Expired
    | Returned
    | Withdrawn
    | Orphaned
    | Reconsidered
    | Reserved
    | Sent
    | Recalled
    | Settled
)


@dataclass(frozen=True)
class Rules:
    """How often something is tried.

    Attributes:
        max_attempts: failed attempts of one assignment on its backend.
        max_placements: decisions for one job: the first and those after a failure for good.
    """

    max_attempts: int = 3
    max_placements: int = 3


def movable(job: Job, rules: Rules) -> bool:
    """Whether a share of the job may be placed elsewhere: not if its user named the place, or it is not wanted."""
    return not job.spec.pin and not unwanted(job) and job.num_placements < rules.max_placements


def unwanted(job: Job) -> bool:
    """Whether the job's end is decided, so that nothing more of it need run."""
    return job.cancel_requested or job.failure is not None


def advance(assignment: Assignment, event: AssignmentEvent, *, max_attempts: int, movable: bool = False) -> Assignment:
    """The assignment after the event.

    Args:
        max_attempts: of :class:`Rules`.   movable: what it failed at may be placed elsewhere.

    Raises:
        InvalidTransition: the event cannot happen in this state; the message tells the story so far.
    """
    if assignment.purchase_id is not None or isinstance(event, Reserved):
        return _advance_bought(assignment, event)
    state = assignment.state
    story = (*assignment.story, type(event).__name__)
    moved = partial(replace, assignment, story=story)
    match event, state:
        case Claimed(), AssignmentState.WAITING:
            return moved(started_at=event.at, **_held(assignment, event))
        case Completed(), AssignmentState.RUNNING:
            return moved(state=AssignmentState.DONE, lease_expires_at=None, finished_at=event.at)
        case Broken() | Expired(), AssignmentState.RUNNING:
            return _failed(moved, assignment, event, max_attempts=max_attempts, movable=movable)
        case Returned(), AssignmentState.RUNNING:
            return moved(**_FREE)
        case Withdrawn(), AssignmentState.WAITING | AssignmentState.RUNNING:
            return moved(state=AssignmentState.CANCELLED, lease_expires_at=None, finished_at=event.at)
        case Orphaned(), AssignmentState.WAITING if movable:
            return moved(failure=_backend_lost(assignment), state=AssignmentState.REPLACED, finished_at=event.at)
        case Reconsidered(), AssignmentState.WAITING:
            return moved(state=AssignmentState.REPLACED, finished_at=event.at)
    raise InvalidTransition(state.value, type(event).__name__, story)


def _failed(
    moved: Callable[..., Assignment], before: Assignment, event: Broken | Expired, *, max_attempts: int, movable: bool
) -> Assignment:
    """After a failed attempt: it waits for another one, or it is over here."""
    broken = event if isinstance(event, Broken) else Broken(event.at, _worker_lost(before))
    failure, num_failures = broken.failure, before.num_failures + broken.counts
    if failure.transient and (num_failures < max_attempts or not broken.counts):
        return moved(failure=failure, num_failures=num_failures, **_FREE | {"due_at": broken.due_at})
    ended = AssignmentState.REPLACED if movable and failure.elsewhere else AssignmentState.FAILED
    return moved(failure=failure, num_failures=num_failures, state=ended, lease_expires_at=None, finished_at=event.at)


def _advance_bought(assignment: Assignment, event: AssignmentEvent) -> Assignment:
    """What has a purchase waits for nobody but the provider: until it is settled, it runs or is sent."""
    state = assignment.state
    story = (*assignment.story, type(event).__name__)
    moved = partial(replace, assignment, story=story)
    away: dict[str, Any] = {"state": AssignmentState.SENT, "owner": None, "lease_expires_at": None}
    match event, state:
        case Reserved(), AssignmentState.RUNNING if assignment.purchase_id in (None, event.purchase_id):
            return moved(purchase_id=event.purchase_id)
        case Sent(), AssignmentState.RUNNING:
            if story[-3:] == ("Sent", "Claimed", "Sent"):  # a look that brought no news is no part of the story
                moved = partial(replace, assignment, story=story[:-2])
            num_failures = assignment.num_failures + event.counts
            told = event.failure or assignment.failure
            return moved(**away, due_at=event.due_at, failure=told, num_failures=num_failures)
        case Expired() | Returned(), AssignmentState.RUNNING:
            return moved(**away, due_at=event.at)
        case Recalled(), AssignmentState.SENT:
            return moved(due_at=event.at)
        case Claimed(), AssignmentState.SENT:
            return moved(num_polls=assignment.num_polls + 1, **_held(assignment, event))
        case Settled(), AssignmentState.RUNNING:
            return moved(purchase_id=None)
    raise InvalidTransition(state.value, type(event).__name__, story)


def _held(assignment: Assignment, event: Claimed) -> dict[str, Any]:
    """What an assignment is that a worker has taken."""
    return {
        "state": AssignmentState.RUNNING,
        "attempt": assignment.attempt + 1,
        "owner": event.owner,
        "lease_expires_at": event.lease_expires_at,
        "due_at": None,
    }


_FREE: dict[str, Any] = {
    "state": AssignmentState.WAITING,
    "owner": None,
    "lease_expires_at": None,
    "started_at": None,
}
"""What an assignment is that waits for a worker again."""


def _worker_lost(assignment: Assignment) -> Failure:
    message = f"worker {assignment.owner} went silent while it ran this on {assignment.backend}; its log may say why"
    return Failure("execute", "worker_lost", message, transient=True)


def _backend_lost(assignment: Assignment) -> Failure:
    message = f"no worker serves {assignment.backend} any more; what was to run there is placed elsewhere"
    return Failure("execute", "backend_lost", message, transient=True)


def job_state(job: Job, assignments: Sequence[Assignment]) -> JobState:
    """A job's state, folded from what is known of its parts. It is final only when every part is."""
    states = {assignment.state for assignment in assignments} - {AssignmentState.REPLACED}
    if not states <= FINAL_ASSIGNMENT_STATES:
        return JobState.PLACED if states == {AssignmentState.WAITING} else JobState.RUNNING
    if job.failure is not None or AssignmentState.FAILED in states:
        return JobState.FAILED
    if job.cancel_requested or AssignmentState.CANCELLED in states:
        return JobState.CANCELLED
    if job.to_place:
        return JobState.RUNNING if states else JobState.SUBMITTED
    return JobState.DONE

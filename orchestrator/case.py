"""A job with all its parts: what a move of one means for the others and for the whole. Pure, like ``lifecycle``.

Every change of a job goes through here: the store reads a case, applies one of these, and writes down what is new.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from orchestrator.job import (
    FINAL_ASSIGNMENT_STATES,
    FINAL_JOB_STATES,
    Assignment,
    AssignmentState,
    Event,
    Failure,
    Job,
    JobState,
)
from orchestrator.lifecycle import (
    AssignmentEvent,
    Broken,
    Claimed,
    Expired,
    Orphaned,
    Recalled,
    Reconsidered,
    Reserved,
    Rules,
    Sent,
    Settled,
    Withdrawn,
    advance,
    job_state,
    movable,
    unwanted,
)

News = tuple[str, Mapping[str, Any]]
"""Kind and data of an event about a share that is with a provider."""

_BREAKS = tuple(kind.__name__ for kind in (Broken, Expired, Orphaned))
"""Events that give an assignment its failure."""


@dataclass(frozen=True)
class Case:
    """One job, its assignments in order, the number of its events so far, and those that are new."""

    job: Job
    parts: tuple[Assignment, ...] = ()
    num_events: int = 0
    events: tuple[Event, ...] = ()

    @property
    def ended(self) -> bool:
        """Whether the job's state is final."""
        return self.job.state in FINAL_JOB_STATES

    def part(self, part_id: str) -> Assignment | None:
        """The assignment with that id."""
        return next((part for part in self.parts if part.id == part_id), None)

    def tell(self, kind: str, at: float, **data: Any) -> Case:
        """The case with one more event in the job's log."""
        event = Event(self.job.id, kind, at, data, self.num_events + 1)
        return Case(self.job, self.parts, self.num_events + 1, (*self.events, event))

    # ── place ─────────────────────────────────────────────────────────────────────────────────────────────────────
    def awaits(self, parts: Sequence[Assignment]) -> bool:
        """Whether these are places for just what waits; it may have got others, or the job have ended.

        How many items a job has is known by its first parts that have some.
        """
        taken = {part.id for part in self.parts} & {part.id for part in parts}
        first = any(part.items for part in parts) and not any(part.items for part in self.parts)
        amount = self.job.to_place if first else sum(part.amount for part in parts)
        return not self.ended and not taken and 0 < amount == self.job.to_place

    def placed(self, parts: Sequence[Assignment], policy: str, at: float) -> Case:
        """What waited of it has got its places."""
        job = replace(self.job, to_place=0, num_placements=self.job.num_placements + 1)
        case = Case(job, (*self.parts, *parts), self.num_events, self.events)
        shares = dict[str, int]()
        for part in parts:
            shares[part.backend] = shares.get(part.backend, 0) + part.amount
        unit = {"unit": "items"} if any(part.items for part in parts) else {}
        return case.tell("placed", at, shares=shares, policy=policy, **unit)._folded(at)

    def freed(self, part_ids: Iterable[str], at: float, rules: Rules) -> Case:
        """Without those of these parts that still wait where nobody serves them; their shots wait for places."""
        case = self
        for part_id in part_ids:
            part = case.part(part_id)
            if part is not None and part.state is AssignmentState.WAITING and movable(case.job, rules):
                case = case.moved(part_id, Orphaned(at), rules)
        return case

    def reconsidered(self, part_ids: Iterable[str], at: float) -> Case:
        """Without those of these parts that still wait, as if they had not been placed yet."""
        case = self
        for part_id in part_ids:
            part = case.part(part_id)
            if part is not None and part.state is AssignmentState.WAITING and not unwanted(case.job):
                job = case.job
                left = advance(part, Reconsidered(at), max_attempts=1)
                case = case._with([left]).tell("reconsidered", at, backend=part.backend)
                case = case._now(to_place=job.to_place + part.amount, num_placements=job.num_placements - 1)
        return case

    def failed(self, failure: Failure, at: float) -> Case:
        """Its waiting shots cannot be placed, so that the job fails. Nothing changes if none wait any more."""
        if self.ended or not self.job.to_place:
            return self
        return self._doomed(failure, at)._folded(at)

    def missed(self, failure: Failure, at: float) -> Case:
        """Its deadline has passed. Nothing changes once any of it has begun."""
        begun = (AssignmentState.RUNNING, AssignmentState.SENT, AssignmentState.DONE)
        if self.ended or any(part.state in begun for part in self.parts):
            return self
        return self._doomed(failure, at)._folded(at)

    # ── execute ───────────────────────────────────────────────────────────────────────────────────────────────────
    def claimed(self, part_id: str, event: Claimed) -> Case:
        """A worker took one of its parts. That it looks after one that was sent is no news."""
        part = self.part(part_id)
        assert part is not None, part_id
        case = self._with([advance(part, event, max_attempts=1)])
        if part.state is AssignmentState.SENT:
            return case
        told = {"backend": part.backend, "attempt": part.num_tries + 1, "worker": event.owner}
        return case.tell("running", event.at, **told)._folded(event.at)

    def reserved(self, part_id: str, event: Reserved, **figures: Any) -> Case:
        """Its purchase is written down: for the first time, or again before it is looked for and sent once more."""
        part = self.part(part_id)
        assert part is not None, part_id
        case = self._with([advance(part, event, max_attempts=1)])
        told = {"backend": part.backend, "purchase": event.purchase_id, **figures}
        return case if part.purchase_id else case.tell("reserved", event.at, **told)

    def settled(self, part_id: str, event: Settled) -> Case:
        """The purchase of one of its parts is over. How the part goes on is said next."""
        return self._with([advance(part, event, max_attempts=1) for part in self.parts if part.id == part_id])

    def moved(
        self, part_id: str, event: AssignmentEvent, rules: Rules, news: Sequence[News] = (), **figures: Any
    ) -> Case:
        """How an attempt at one of its parts ended.

        Args:
            news: of a part that goes on being sent.   figures: of the attempt, told with its event.
        """
        part = self.part(part_id)
        assert part is not None, part_id
        part = advance(part, event, max_attempts=rules.max_attempts, movable=movable(self.job, rules))
        case = self._with([part])
        for kind, data in news:
            case = case.tell(kind, event.at, backend=part.backend, **data)
        if isinstance(event, Sent):
            return case._left(part, event, rules)._folded(event.at)
        case = case._told_of(part, event.at, **figures)
        if part.state is AssignmentState.REPLACED:
            case = case._now(to_place=case.job.to_place + part.amount)
        if part.state is AssignmentState.FAILED and part.failure is not None and case.job.failure is None:
            case = case._doomed(part.failure, event.at)
        return case._folded(event.at)

    def concluded(self, at: float) -> Case:
        """Its result is stored."""
        return self._ended(JobState.DONE, at)

    # ── cancel, and what others mean for it ───────────────────────────────────────────────────────────────────────
    def cancelled(self, at: float) -> Case:
        """Somebody withdrew it. What waits ends here; what runs is told by the event. Nothing changes for an end."""
        if self.ended or self.job.cancel_requested:
            return self
        return self._now(cancel_requested=True).tell("cancel_requested", at)._recalled(at)._folded(at)

    def parent_ended(self, parent: Job, at: float) -> Case:
        """A job that this one comes after has ended."""
        if self.ended:
            return self
        if parent.state is JobState.DONE:
            case = self._now(num_blockers=self.job.num_blockers - 1)
            return case if case.job.num_blockers else case.tell("unblocked", at)
        if parent.state is JobState.CANCELLED:
            return self.cancelled(at)
        message = f"job {parent.id}, which this one comes after, failed"
        if parent.failure is not None:
            message += f": {parent.failure.message}"
        return self._doomed(Failure("place", "dependency", message, elsewhere=False), at)._folded(at)

    # ── inside ────────────────────────────────────────────────────────────────────────────────────────────────────
    def _with(self, changed: Iterable[Assignment]) -> Case:
        by_id = {part.id: part for part in changed}
        parts = tuple(by_id.get(part.id, part) for part in self.parts)
        return Case(self.job, parts, self.num_events, self.events)

    def _now(self, **changes: Any) -> Case:
        """The case with another state of its job."""
        return Case(replace(self.job, **changes), self.parts, self.num_events, self.events)

    def _told_of(self, part: Assignment, at: float, **figures: Any) -> Case:
        final = part.state in FINAL_ASSIGNMENT_STATES
        data: dict[str, Any] = {"backend": part.backend, "attempt": part.num_tries, **figures}
        if part.failure is not None and part.story[-1] in _BREAKS:  # after any other event it is one of the past
            data["message"] = part.failure.message
        return self.tell(f"assignment_{part.state.value if final else 'released'}", at, **data)

    def _left(self, part: Assignment, event: Sent, rules: Rules) -> Case:
        """After a part was let go of: it is due at once if it is wanted no more, and its worker did not know."""
        if event.counts and part.num_failures >= rules.max_attempts and part.failure is not None:
            return self if unwanted(self.job) else self._doomed(part.failure, event.at)
        return self._recalled(event.at) if unwanted(self.job) and not event.knowing else self

    def _recalled(self, at: float) -> Case:
        """What is with a provider is due at once, to be withdrawn there."""
        case = self
        for part in self.parts:
            if part.state is AssignmentState.SENT:
                case = case._with([advance(part, Recalled(at), max_attempts=1)])
                case = case.tell("recalled", at, backend=part.backend)
        return case

    def _doomed(self, failure: Failure, at: float) -> Case:
        """Its end is decided: who runs a part of it hears that it is not wanted any more."""
        case = self._now(failure=failure)
        going_on = (AssignmentState.RUNNING, AssignmentState.SENT)
        running = any(part.state in going_on for part in self.parts)
        return (case.tell("failing", at, message=failure.message) if running else case)._recalled(at)

    def _folded(self, at: float) -> Case:
        """The job's state from its parts. Nothing waits on for a job that is lost, or whose part was withdrawn."""
        case = self
        lost = any(part.state is AssignmentState.CANCELLED for part in case.parts)
        if lost or unwanted(case.job):
            waiting = [part for part in case.parts if part.state is AssignmentState.WAITING]
            withdrawn = [advance(part, Withdrawn(at), max_attempts=1) for part in waiting]
            case = case._with(withdrawn)
            if case.job.to_place:
                case = case._now(to_place=0)
            for part in withdrawn:
                case = case._told_of(part, at)
        state = job_state(case.job, case.parts)
        if state in (JobState.FAILED, JobState.CANCELLED):
            return case._ended(state, at)
        if state is JobState.DONE:  # it ends with its result
            state = JobState.RUNNING
        return case if state is case.job.state else case._now(state=state)

    def _ended(self, state: JobState, at: float) -> Case:
        failure = self.job.failure if state is JobState.FAILED else None
        data = {} if failure is None else {"stage": failure.stage, "message": failure.message}
        return self._now(state=state, finished_at=at, to_place=0, failure=failure).tell(state.value, at, **data)

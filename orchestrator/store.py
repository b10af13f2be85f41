"""Where everything rests: jobs, assignments, what was measured, what was decided, who is there.

The interface that the trip needs; ``sql_store`` fills it. Every method is one transaction. Those that change a job
return the events they wrote, for the caller to publish once they are committed. Time is the store's own, so that
workers on several machines agree on it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from backends.backend import Device
from circuits.family import Counts
from orchestrator.job import Assignment, Event, Failure, Job, JobSpec, JobState, Measurement, Result
from orchestrator.lifecycle import AssignmentEvent
from orchestrator.placement import Choice, Request
from orchestrator.preparation import Fit, ProgramFacts
from orchestrator.telemetry import Observation


@dataclass(frozen=True)
class Announcement:
    """A backend that a worker serves.

    Attributes:
        slots: assignments that the worker runs at the same time.
        warm: it has run there before, so nothing need be imported or compiled first.
        heartbeat_at: when the worker was last heard of.
    """

    backend: str
    worker: str
    slots: int
    device: Device
    warm: bool = True
    heartbeat_at: float = 0.0


@dataclass(frozen=True)
class Decision:
    """Why a job went where it went; with the model at its cursor it can be taken again.

    Attributes:
        cursor: last observation in the cost model that was asked.
        load_s: backlog per worker when the batch was decided, seconds.
        batch: jobs decided together share it.
    """

    job_id: str
    policy: str
    at: float
    cursor: int
    batch: str
    load_s: Mapping[str, float]
    request: Request
    choice: Choice
    id: int = 0


@dataclass(frozen=True)
class Outstanding:
    """What the backlog needs to know of an assignment. ``started_at`` is None while it waits."""

    backend: str
    service_s: float
    started_at: float | None


@dataclass(frozen=True)
class Run:
    """The stored execution of one assignment."""

    counts: Counts
    measurement: Measurement
    outcome: Any = None
    memory: tuple[str, ...] | None = None
    compiled: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Swept:
    """What a sweep found: events to publish, queues to wake again, and whether something waits to be decided."""

    events: list[Event] = field(default_factory=list)
    waiting_backends: list[str] = field(default_factory=list)
    undecided: bool = False


class Store(Protocol):
    """See the module's docstring."""

    def now(self) -> float:
        """The store's clock, seconds since the epoch."""
        ...

    def close(self) -> None:
        """Give back every connection."""
        ...

    # ── jobs ──────────────────────────────────────────────────────────────────────────────────────────────────────
    def add_jobs(self, specs: Sequence[JobSpec]) -> tuple[list[Job], list[Event]]:
        """Write new jobs; a spec whose idempotency key is known gives the job that has it."""
        ...

    def job(self, job_id: str) -> Job:
        """Raises: JobNotFound."""
        ...

    def jobs(self, *, state: JobState | None = None, tag: str | None = None, limit: int = 50) -> list[Job]:
        """The newest first."""
        ...

    def assignments(self, job_id: str) -> list[Assignment]:
        """In order of their share."""
        ...

    def result(self, job_id: str) -> Result | None:
        """None until the job is done."""
        ...

    def events(self, job_id: str, *, after: int = 0) -> list[Event]:
        """Events of one job with a larger ``seq``, in order."""
        ...

    def add_event(self, event: Event) -> list[Event]:
        """Append to the job's log something that changes no state, such as progress."""
        ...

    def request_cancel(self, job_id: str) -> list[Event]:
        """Withdraw what has not started; what runs is told by the events. Does nothing to a job that has ended."""
        ...

    # ── placement ─────────────────────────────────────────────────────────────────────────────────────────────────
    def unplaced(self, limit: int) -> list[Job]:
        """Jobs that wait for a decision, by rank."""
        ...

    def outstanding(self) -> list[Outstanding]:
        """What waits or runs: the backlog."""
        ...

    def place(self, decision: Decision, assignments: Sequence[Assignment]) -> list[Event]:
        """Write a decision and its assignments. Does nothing if the job was placed or ended meanwhile."""
        ...

    def fail(self, job_id: str, failure: Failure) -> list[Event]:
        """End a job that has no assignments. Does nothing if it has ended meanwhile."""
        ...

    # ── execution ─────────────────────────────────────────────────────────────────────────────────────────────────
    def claim(
        self, backends: Sequence[str], *, owner: str, lease_s: float
    ) -> tuple[Assignment, Job, list[Event]] | None:
        """Take the due assignment with the smallest rank, or None if nothing waits."""
        ...

    def renew(self, owner: str, *, lease_s: float, held: Sequence[str] | None = None) -> None:
        """Extend the owner's leases of these assignments; None means all that it holds."""
        ...

    def disown(self, worker: str) -> None:
        """End the leases of every process that went by this worker's name; the caller knows that they are gone."""
        ...

    def finish(
        self, claimed: Assignment, event: AssignmentEvent, *, run: Run | None = None, seen: Observation | None = None
    ) -> list[Event] | None:
        """Write how an attempt ended, with what it gave. None, and nothing written, if it is no longer the owner's."""
        ...

    def runs(self, job_id: str) -> list[Run]:
        """Executions of a job's assignments, in order of their share."""
        ...

    def conclude(self, result: Result) -> list[Event]:
        """Store the merged result and end the job, once."""
        ...

    def unconcluded(self) -> list[str]:
        """Jobs whose assignments are all done while nobody stored the result: their worker died in between."""
        ...

    def sweep(self) -> Swept:
        """Expire leases, end what missed its deadline before it began, find what waits for a wake-up that was lost."""
        ...

    # ── what was learned ──────────────────────────────────────────────────────────────────────────────────────────
    def observations(self, *, after: int = 0, limit: int = 1000) -> list[tuple[int, Observation]]:
        """Telemetry in commit order, with the number of each entry."""
        ...

    def snapshot(self, fold_version: int) -> str | None:
        """The newest cost model that this version of the fold wrote, as JSON."""
        ...

    def save_snapshot(self, fold_version: int, cursor: int, model: str) -> None:
        """Keep the model at a cursor, and of the older ones the last. Writing one again changes nothing."""
        ...

    def decision(self, job_id: str) -> Decision | None:
        """The job's last decision."""
        ...

    # ── what is known ─────────────────────────────────────────────────────────────────────────────────────────────
    def facts(self, program_hash: str) -> ProgramFacts | None:
        """A prepared program."""
        ...

    def fits(self, program_hash: str, keys: Sequence[str]) -> dict[str, Fit]:
        """How it fits the targets with these keys, as far as known."""
        ...

    def save_preparation(self, program_hash: str, facts: ProgramFacts, fits: Mapping[str, Fit]) -> None:
        """Keep both."""
        ...

    # ── who is there ──────────────────────────────────────────────────────────────────────────────────────────────
    def announce(self, worker: str, announcements: Sequence[Announcement]) -> None:
        """Replace what a worker serves; an empty list takes it off the roll."""
        ...

    def heartbeat(self, worker: str) -> bool:
        """The worker is alive. False if it is not on the roll and has to announce itself again."""
        ...

    def roll(self, *, silent_s: float) -> list[Announcement]:
        """Backends of the workers heard of in the last ``silent_s`` seconds."""
        ...

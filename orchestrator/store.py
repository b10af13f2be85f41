"""Where everything rests: jobs, assignments, what was measured, what was decided, who is there.

The interface that the trip needs; ``sql_store`` fills it. Every method is one transaction. Those that change a job
return the events they wrote, for the caller to publish once they are committed. Time is the store's own, so that
workers on several machines agree on it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from backends.backend import Device
from circuits.family import Counts
from orchestrator import checks
from orchestrator.case import News
from orchestrator.decision import Decision
from orchestrator.job import Assignment, Event, Failure, Job, JobSpec, JobState, Measurement, Result
from orchestrator.lifecycle import AssignmentEvent
from orchestrator.preparation import Preparation
from orchestrator.purchase import Balance, Budget, Purchase
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


SWITCH_KINDS = ("backend", "worker")
SWITCH_MODES = ("on", "drained", "disabled")


@dataclass(frozen=True)
class Switch:
    """What an operator decided about a backend or a worker.

    Attributes:
        kind: "backend" or "worker".   name: of it.
        mode: "on": in service, as if nothing had been said.
            "drained": nothing new is placed on the backend, what was placed is done; a worker ends what it runs and
            takes nothing more.
            "disabled", of a backend: what was placed and has not begun is placed elsewhere, too.
    """

    kind: str
    name: str
    mode: str
    at: float = 0.0

    def __post_init__(self) -> None:
        if self.kind not in SWITCH_KINDS:
            checks.refuse("what is switched", f"one of {', '.join(SWITCH_KINDS)}", self.kind)
        modes = SWITCH_MODES if self.kind == "backend" else SWITCH_MODES[:2]
        if self.mode not in modes:
            checks.refuse(f"a {self.kind}'s mode", f"one of {', '.join(modes)}", self.mode)
        checks.kind("a switch's name", self.name, str, "the name of a backend or worker")


@dataclass(frozen=True)
class Outstanding:
    """What the backlog needs to know of one running assignment, or of all that wait for a backend together.

    Attributes:
        service_s: expected, summed.   started_at: None while they wait.
    """

    backend: str
    service_s: float
    started_at: float | None
    number: int = 1


@dataclass(frozen=True)
class Run:
    """The stored execution of one assignment."""

    counts: Counts
    measurement: Measurement
    outcome: Any = None
    memory: tuple[str, ...] | None = None
    compiled: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Claimed:
    """An assignment that a worker took.

    Attributes:
        alone: it is the only one its job ever had, so that its end is the end of the job.
        purchase: of a share on a remote device: the one that is not over yet, if there is one.
        num_purchases: that it has made, that one included.
    """

    assignment: Assignment
    job: Job
    alone: bool
    purchase: Purchase | None = None
    num_purchases: int = 0


@dataclass(frozen=True)
class Claim:
    """What a worker took together, all for one backend.

    Attributes:
        more: something else waits for one of the backends that were asked for, and this is one where it does.
    """

    taken: list[Claimed]
    events: list[Event]
    more: str | None = None


@dataclass(frozen=True)
class Ending:
    """How an attempt ended, with what it gave.

    Attributes:
        run: what a share executed; it is merged with the others.
        result: of the whole job, where the assignment is all of it; it is stored and the job ends with it.
        seen: for the telemetry.
        purchase: how its purchase stands now, on a remote device; one that is over is settled before the event.
        news: what is told of a share that goes on being sent.
    """

    assignment: Assignment
    event: AssignmentEvent
    run: Run | None = None
    result: Result | None = None
    seen: Observation | None = None
    purchase: Purchase | None = None
    news: tuple[News, ...] = ()


@dataclass(frozen=True)
class Waiting:
    """A job that waits for a decision, with the assignments it has had.

    Attributes:
        moving: ids of those that wait in vain, whose place others are to take.
    """

    job: Job
    parts: tuple[Assignment, ...] = ()
    moving: tuple[str, ...] = ()


@dataclass(frozen=True)
class Blocked:
    """A job that comes after others.

    Attributes:
        before: those of them that are not done yet, with their assignments.
    """

    job: Job
    before: tuple[Waiting, ...]


@dataclass(frozen=True)
class Look:
    """What placement sees.

    Attributes:
        now: the store's time of this look.
        waiting: jobs that wait for a decision, by rank; those that come after unfinished ones do not.
        outstanding: what waits for a worker or runs: the backlog.
        queued: jobs of which something waits for a worker, by that, if they were asked for.
    """

    now: float
    roll: list[Announcement]
    switches: list[Switch]
    waiting: list[Waiting]
    outstanding: list[Outstanding]
    queued: list[Waiting] = field(default_factory=list)


@dataclass(frozen=True)
class Placed:
    """A decision and what it makes.

    Attributes:
        instead_of: ids of waiting assignments whose place these take.
        again: nothing has happened to those, the decision alone is another one.
    """

    decision: Decision
    parts: Sequence[Assignment]
    instead_of: tuple[str, ...] = ()
    again: bool = False


@dataclass(frozen=True)
class Swept:
    """What a sweep found.

    Attributes:
        events: to publish; of jobs that ended a while ago without anybody being told, too.
        waiting_backends: whose queues to wake again.
        undecided: some job waits for a place.
        unconcluded: jobs whose parts are all done while nobody stored the result: their worker died in between.
    """

    events: list[Event] = field(default_factory=list)
    waiting_backends: list[str] = field(default_factory=list)
    undecided: bool = False
    unconcluded: list[str] = field(default_factory=list)


class Store(Protocol):
    """See the module's docstring."""

    def now(self) -> float:
        """The store's clock, seconds since the epoch; for records. Leases are decided by the database alone."""
        ...

    def first_asked(self, name: str) -> float:
        """When this was first asked about that name, by the store's clock: the same for all who ever ask.

        Args:
            name: at most 32 characters.
        """
        ...

    def close(self) -> None:
        """Give back every connection."""
        ...

    # ── jobs ──────────────────────────────────────────────────────────────────────────────────────────────────────
    def add_jobs(self, specs: Sequence[JobSpec], *, project: str = "") -> tuple[list[Job], list[Event]]:
        """Write new jobs, all or none; a spec whose idempotency key the project knows gives the job that has it.

        Raises:
            JobNotFound: one of them comes after a job that the project does not have.
        """
        ...

    def job(self, job_id: str) -> Job:
        """Raises: JobNotFound."""
        ...

    def jobs(
        self, *, state: JobState | None = None, tag: str | None = None, limit: int = 50, project: str | None = None
    ) -> list[Job]:
        """The newest first; ``project`` None means of all."""
        ...

    def states(self, job_ids: Sequence[str], *, project: str | None = None) -> dict[str, JobState]:
        """Where these jobs are; those that are not there are left out."""
        ...

    def assignments(self, job_id: str) -> list[Assignment]:
        """In the order in which they were placed."""
        ...

    def results(self, job_ids: Sequence[str], *, project: str | None = None) -> dict[str, Result]:
        """Results of those of these jobs that are done."""
        ...

    def events(self, job_id: str, *, after: int = 0) -> list[Event]:
        """Events of one job with a larger ``seq``, in order."""
        ...

    def add_event(self, event: Event) -> list[Event]:
        """Append to the job's log something that changes no state, such as progress."""
        ...

    def add_events(self, events: Sequence[Event]) -> list[Event]:
        """Several of the same job; one whose time is 0 happened now. Raises: JobNotFound."""
        ...

    def unwanted(self, job_ids: Sequence[str]) -> set[str]:
        """Those of these jobs whose end is decided, so that nothing more of them need run."""
        ...

    def request_cancel(self, job_id: str) -> list[Event]:
        """Withdraw what has not started; what runs is told by the events. Does nothing to a job that has ended."""
        ...

    def told(self, job_ids: Sequence[str]) -> None:
        """Whoever listens has been told of the end of these jobs."""
        ...

    # ── placement ─────────────────────────────────────────────────────────────────────────────────────────────────
    def look(self, limit: int, *, silent_s: float, queued: int = 0) -> Look:
        """What placement needs to see, all at one moment.

        Args:
            limit: most jobs that may wait in it.   silent_s: as in :meth:`roll`.
            queued: most jobs that wait for workers, those that are served first.
        """
        ...

    def waits_elsewhere(self, backends: Sequence[str]) -> bool:
        """Whether something waits for a worker, and nothing for one of these backends."""
        ...

    def stranded(self, backends: Sequence[str], limit: int, *, skip: int = 0) -> list[Waiting]:
        """Jobs of which something waits for one of these backends, by rank, without the first ``skip`` of them."""
        ...

    def blocked(self, limit: int) -> list[Blocked]:
        """Jobs that come after others which are not done yet, by rank."""
        ...

    def held(self, backends: Sequence[str]) -> list[Assignment]:
        """What waits or runs on these backends, in order of its placement."""
        ...

    def place(self, decided: Sequence[Placed]) -> list[Event]:
        """Write decisions and their assignments; not those of jobs that were placed or ended meanwhile."""
        ...

    def fail(self, failures: Mapping[str, Failure]) -> list[Event]:
        """End these jobs, whose shots cannot be placed. Nothing happens to one that was placed or ended meanwhile."""
        ...

    # ── execution ─────────────────────────────────────────────────────────────────────────────────────────────────
    def claim(
        self,
        backends: Sequence[str],
        *,
        owner: str,
        lease_s: float,
        most: int = 1,
        window_s: float = 0.0,
        alone_s: float = math.inf,
    ) -> Claim | None:
        """Take the due assignment with the smallest rank, or None if nothing waits.

        Args:
            most: assignments that may be taken together.
            window_s: those behind the first are taken as long as all together are expected to need no more.
            alone_s: one that is expected to need more is taken alone.
        """
        ...

    def renew(self, owner: str, *, lease_s: float, held: Sequence[str] | None = None) -> None:
        """Extend the owner's leases of these assignments; None means all that it holds."""
        ...

    def disown(self, worker: str) -> None:
        """End the leases of every process that went by this worker's name; the caller knows that they are gone."""
        ...

    def finish(self, endings: Sequence[Ending]) -> tuple[list[Event], list[bool]]:
        """Write how attempts ended, with what they gave.

        Returns:
            The events, and for each ending whether it was written; it is not if the attempt is no longer its owner's.
        """
        ...

    def runs(self, job_id: str) -> list[Run]:
        """Executions of a job's assignments, in order of their share."""
        ...

    def conclude(self, result: Result) -> list[Event]:
        """Store the merged result and end the job, once."""
        ...

    def sweep(self, *, silent_s: float) -> Swept:
        """Expire leases, end what missed its deadline before it began, find what waits for somebody.

        Args:
            silent_s: the end of a job that nobody was told of for so long is told again.
        """
        ...

    # ── what is bought ────────────────────────────────────────────────────────────────────────────────────────────
    def claim_sent(self, backends: Sequence[str], *, owner: str, lease_s: float) -> Claim | None:
        """Take one assignment of these remote backends: one that was sent and is due, else one that waits, by rank.

        What was sent is looked after to its end whatever an operator has switched; only a worker that leaves takes
        nothing.
        """
        ...

    def reserve(self, taken: Assignment, purchase: Purchase) -> Purchase | None:
        """Write down that somebody is about to send it, before anything is sent; its price is set aside.

        Returns:
            It with its times; None if the attempt is no longer its owner's, or nobody wants it any more.

        Raises:
            BudgetExceeded: nothing is written.
        """
        ...

    def purchases(self, job_id: str) -> list[Purchase]:
        """All that a job has bought or tried to, in order."""
        ...

    def balances(self, projects: Sequence[str] | None = None) -> dict[str, list[Balance]]:
        """The budgets that bind each of these projects, with what was taken from them; None: each budget's own."""
        ...

    def set_budget(self, budget: Budget) -> None:
        """Replace a project's budget; one without limits goes."""
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

    def decisions(self, job_id: str) -> list[Decision]:
        """All that was decided about a job, in order."""
        ...

    def count_incident(self, kind: str, backend: str = "") -> None:
        """One more rare event of a kind that no other method sees; see :mod:`orchestrator.census`."""
        ...

    # ── what is known ─────────────────────────────────────────────────────────────────────────────────────────────
    def prepared(self, hashes: Sequence[str], keys: Sequence[str]) -> dict[str, Preparation]:
        """What is known of these programs, and of how they fit the targets with these keys."""
        ...

    def save_prepared(self, known: Mapping[str, Preparation]) -> None:
        """Keep it, by the program's hash."""
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

    def switches(self) -> list[Switch]:
        """What an operator has taken out of service."""
        ...

    def switch(self, switch: Switch) -> None:
        """Take a backend or worker out of service, or put it back."""
        ...

    # ── what has ended ────────────────────────────────────────────────────────────────────────────────────────────
    def prune(self, *, before: float, most: int, keep_failed: bool = False) -> int:
        """Remove jobs that ended before that time, with everything of theirs but the telemetry; their number.

        One that comes before or after an unfinished job stays.

        Args:
            before: seconds since the epoch.   most: jobs in one go; fewer come back when no more are left.
            keep_failed: those that failed stay, too.
        """
        ...

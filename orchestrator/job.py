"""The records of the trip: what is asked for, what was decided, what was done, what was measured.

All are frozen and go through JSON unchanged (:mod:`orchestrator.records`). Times are seconds since the epoch by the
store's clock. The unit of attempt, lease, execution and telemetry is the :class:`Assignment`: one share of one job's
shots, or of the items of its work, on one backend. A placement is the set of a job's assignments.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from backends.backend import TranspileOptions
from backends.pairs import Brought
from circuits.family import Counts
from circuits.program import Program
from orchestrator import checks
from orchestrator.entanglement import Promise

MAX_WEIGHT = 1e9
MAX_PRICE_USD = 1e9
MAX_SECONDS = 1e9
"""What clocks and sockets of every system can still hold, about thirty years."""

MAX_TIMEOUT_S = 1e6
MAX_LAYOUT = 100_000
"""Largest physical qubit that a layout may name; a device has far fewer."""

MAX_PARTS = 64
"""Most backends that share one job's shots (ours): each part is a claim, a run and a row of its own."""


class Times(StrEnum):
    """How long an emulated device counts as taking: as its simulation does, or as it would itself, with its queue."""

    WALL = "wall"
    EMULATED = "emulated"


class JobState(StrEnum):
    """Where a job is; the last three are final."""

    SUBMITTED = "submitted"
    PLACED = "placed"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


class AssignmentState(StrEnum):
    """Where an assignment is; the last four are final.

    One that was sent is with a provider, or may be, and nobody waits there: it is asked about when it is due. A
    replaced one has failed, and its shots go elsewhere.
    """

    WAITING = "waiting"
    RUNNING = "running"
    SENT = "sent"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"
    REPLACED = "replaced"


FINAL_JOB_STATES = frozenset({JobState.DONE, JobState.FAILED, JobState.CANCELLED})
FINAL_ASSIGNMENT_STATES = frozenset(AssignmentState) - {
    AssignmentState.WAITING,
    AssignmentState.RUNNING,
    AssignmentState.SENT,
}


@dataclass(frozen=True)
class Objective:
    """How much each thing matters; weights >= 0, not all zero. Their scales are ``orchestrator.placement.Scales``.

    Attributes:
        caution: 0 takes every figure as expected, 1 at the bad end of its 90 % interval, which it misses with a chance
            of 5 %; in between it lies between them (ours). Limits are held against the same figures. What has no
            interval counts as expected.
    """

    latency: float = 1.0
    energy: float = 0.0
    fidelity: float = 1.0
    price: float = 1.0
    caution: float = 0.0

    def __post_init__(self) -> None:
        weights = {"latency": self.latency, "energy": self.energy, "fidelity": self.fidelity, "price": self.price}
        for name, weight in weights.items():
            checks.number(f"the objective's weight of {name}", weight, 0, MAX_WEIGHT)
        if not any(weights.values()):
            checks.refuse("an objective", "weights that are not all zero", weights)
        checks.number("the objective's caution", self.caution, 0, 1)


@dataclass(frozen=True)
class Limits:
    """What a job must not exceed; None means no limit.

    Attributes:
        min_fidelity: backends whose estimate is lower are excluded, in [0, 1].
        deadline_s: seconds from submission to result; a job that cannot start in time fails instead of running late.
        max_cost_usd: backends whose estimated price is higher are excluded, and nothing is bought beyond it.
        max_qpu_s: the same for seconds of real devices, all that the job buys together.
        timeout_s: hard limit of one assignment's execution; the process that runs it is ended.
    """

    min_fidelity: float | None = None
    deadline_s: float | None = None
    max_cost_usd: float | None = None
    timeout_s: float | None = None
    max_qpu_s: float | None = None

    def __post_init__(self) -> None:
        for name, value, high in (
            ("min_fidelity", self.min_fidelity, 1.0),
            ("deadline_s", self.deadline_s, MAX_SECONDS),
            ("max_cost_usd", self.max_cost_usd, MAX_PRICE_USD),
            ("timeout_s", self.timeout_s, MAX_TIMEOUT_S),
            ("max_qpu_s", self.max_qpu_s, MAX_SECONDS),
        ):
            if value is not None:
                checks.number(name, value, 0.0, high)
        if self.timeout_s == 0:
            checks.refuse("timeout_s", "a positive number of seconds", self.timeout_s)


@dataclass(frozen=True)
class JobSpec:
    """Everything a user may ask for.

    Attributes:
        program: what to run.
        shots: repetitions, >= 1; an adaptive family takes them per circuit.
        policy: key in ``policies.POLICIES``.
        pin: backend -> share of the shots or items (they add up to 1): no policy is asked. Empty: the policy decides.
        allow: only these backends are candidates; empty means all.
        exclude: these are not.
        priority: 0 (background) to 9 (urgent); waiting raises it.
        seed: of every random draw of this job.
        memory: keep the outcome of every shot.
        return_compiled: keep the transpiled circuit, as OpenQASM 3 text.
        canary: where its outcome cannot be judged, so many more shots, as a share of its own, go to circuits like it
            whose outcome is known (``backends.canary``), on emulated devices; they cost like the rest. 0: none.
        tags: to find it again.
        idempotency_key: a second submission with the same key returns the first job.
        after: ids of jobs that have to be done before it; if one of them fails or is cancelled, so does this one.
        max_parts: most backends among which a policy may share its shots, or the items of a family that can be divided
            (``circuits.family.DivisibleFamily``), 1 to MAX_PARTS. A pin is no policy.
    """

    program: Program
    shots: int = 1024
    policy: str = "eft"
    objective: Objective = field(default_factory=Objective)
    limits: Limits = field(default_factory=Limits)
    pin: Mapping[str, float] = field(default_factory=dict)
    allow: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    priority: int = 4
    seed: int = 7
    transpile: TranspileOptions = field(default_factory=TranspileOptions)
    memory: bool = False
    return_compiled: bool = False
    tags: tuple[str, ...] = ()
    idempotency_key: str | None = None
    after: tuple[str, ...] = ()
    canary: float = 0.0
    max_parts: int = 1

    def __post_init__(self) -> None:
        checks.kind("program", self.program, Program, "a Program; Client.submit makes one of what you have")
        checks.integer("shots", self.shots, 1)
        checks.kind("policy", self.policy, str, "a policy's name")
        checks.kind("objective", self.objective, Objective, "an Objective, such as Objective(fidelity=1, latency=1)")
        checks.kind("limits", self.limits, Limits, "Limits, such as Limits(timeout_s=60)")
        checks.integer("priority", self.priority, 0, 9)
        checks.integer("seed", self.seed, 0, 2**31 - 1)
        checks.integer("max_parts", self.max_parts, 1, MAX_PARTS)
        checks.kind("memory", self.memory, bool, "True or False")
        checks.kind("return_compiled", self.return_compiled, bool, "True or False")
        checks.number("canary", self.canary, 0.0, 1.0)
        for name in ("allow", "exclude", "tags", "after"):
            checks.texts(name, getattr(self, name))
        if self.idempotency_key is not None:
            checks.kind("idempotency_key", self.idempotency_key, str, "a text or None")
        self._check_transpile()
        self._check_pin()

    def _check_transpile(self) -> None:
        options = self.transpile
        checks.kind("transpile", options, TranspileOptions, "TranspileOptions, such as TranspileOptions(seed=1)")
        checks.integer("optimization_level", options.optimization_level, 0, 3)
        checks.integer("the transpiler's seed", options.seed, 0, 2**31 - 1)
        if options.initial_layout is not None:
            checks.distinct("initial_layout", options.initial_layout, MAX_LAYOUT)

    def _check_pin(self) -> None:
        checks.kind("pin", self.pin, Mapping, "a backend's name or a mapping such as {'a': 0.5, 'b': 0.5}")
        checks.texts("the backends of a pin", list(self.pin))
        for backend, share in self.pin.items():
            checks.number(f"the share of {backend[:80]!r} in a pin", share, 0.0, 1.0)
        if self.pin and (abs(sum(self.pin.values()) - 1) > 1e-9 or not all(self.pin.values())):
            checks.refuse("the shares of a pin", "> 0 and add up to 1", dict(self.pin))
        if len(self.pin) > self.shots and self.program.language != "family":  # some of these are divided otherwise
            checks.refuse("shots", f"at least one for each of the {len(self.pin)} backends of the pin", self.shots)


@dataclass(frozen=True)
class Failure:
    """Why something ended without a result: errors cross a wire as this.

    Attributes:
        stage: "prepare", "place", "execute" or "measure".
        kind: class of the error where it happened, or "timeout", "worker_lost", "backend_lost", "deadline",
            "dependency".
        message: what was wanted, what was got, what to do.
        transient: trying again may help.
        elsewhere: another backend may do better; False where the program or its limits are to blame.
    """

    stage: str
    kind: str
    message: str
    transient: bool = False
    elsewhere: bool = True


@dataclass(frozen=True)
class Interval:
    """Where a figure lies with a probability of 90 %."""

    low: float
    high: float


@dataclass(frozen=True)
class Intervals:
    """Of the figures of an :class:`Estimate`.

    Attributes:
        nearness: of what they were learned from: 3 the very program on that backend, 2 others of its group there, 1
            other groups there, 0 nothing.
    """

    elapsed_s: Interval
    fidelity: Interval
    energy_j: Interval
    cost_usd: Interval
    nearness: int = 0


@dataclass(frozen=True)
class Estimate:
    """What a job is expected to need on one backend, apart from waiting.

    Attributes:
        service_s: seconds that it keeps the backend busy, transpilation included.
        fidelity: relative to the ideal, in [0, 1].
        energy_j: energy of the run, joules.
        cost_usd: price of the run.
        num_observations: measurements of this kind of job on this backend behind the estimate; 0 is the prior alone.
        queue_s: seconds that it waits at the device itself; None where nothing waits there, or it does not count.
        device_s: seconds that an emulated device would be busy, where that counts instead of its simulation's time.
        intervals: of these figures; None of a prior, which does not know how far it is off.
        prepare_s: what transpilation takes of service_s.
        pairs: of a prior, what an allocator of entangled pairs said, link by link; queue_s and fidelity follow from it.
    """

    service_s: float
    fidelity: float
    energy_j: float
    cost_usd: float
    num_observations: float = 0.0
    queue_s: float | None = None
    device_s: float | None = None
    intervals: Intervals | None = None
    prepare_s: float = 0.0
    pairs: tuple[Promise, ...] = ()

    @property
    def elapsed_s(self) -> float:
        """Seconds from its start to its result, as policies compare them: in the device's queue, and then on it."""
        return (self.queue_s or 0.0) + (self.service_s if self.device_s is None else self.device_s)


@dataclass(frozen=True)
class Assignment:
    """One share of one job on one backend.

    Attributes:
        items: first and behind the last of those that it is of a family that can be divided, each with all shots; None
            where shots are shared.
        attempt: fencing token: raised at each claim; a write with an older one is refused.
        num_failures: attempts that failed; given-back ones do not count.
        num_polls: how often it was looked at after it had been sent; each is an attempt, too.
        due_at: when it is to be looked at again, if it was sent; if it waits, not to be begun before.
        purchase_id: what it may have bought and that has not ended; None where there is certainly nothing of the kind.
        rank: order of service: smaller first (see ``orchestrator.placement.rank``).
        prior: what calibration and features alone predicted for this share.
        estimate: what the cost model predicted when it was placed.
        wait_s: the waiting predicted then, seconds.
        decision: id of the decision that placed it.
    """

    id: str
    job_id: str
    backend: str
    shots: int
    rank: float
    prior: Estimate
    estimate: Estimate
    wait_s: float
    decision: int
    target_version: str
    placed_at: float
    state: AssignmentState = AssignmentState.WAITING
    attempt: int = 0
    num_failures: int = 0
    owner: str | None = None
    lease_expires_at: float | None = None
    started_at: float | None = None
    finished_at: float | None = None
    failure: Failure | None = None
    story: tuple[str, ...] = ()
    num_polls: int = 0
    due_at: float | None = None
    purchase_id: str | None = None
    items: tuple[int, int] | None = None

    @property
    def amount(self) -> int:
        """How much of the job it is: items, or shots."""
        return self.shots if self.items is None else self.items[1] - self.items[0]

    @property
    def num_tries(self) -> int:
        """How often it was begun; to look after what was sent is none of these."""
        return self.attempt - self.num_polls


@dataclass(frozen=True)
class Job:
    """A job as the store knows it.

    Attributes:
        seq: numbers the jobs of a store in order of submission.
        project: to whom it belongs; empty on a store without tokens.
        to_place: shots that wait for a decision: all of them at first, later those of shares that failed; of a job that
            was divided by items, how many of these.
        num_placements: decisions taken for it, apart from second thoughts.
        num_blockers: jobs it comes after that are not done yet.
    """

    id: str
    seq: int
    spec: JobSpec
    state: JobState
    submitted_at: float
    cancel_requested: bool = False
    finished_at: float | None = None
    failure: Failure | None = None
    project: str = ""
    to_place: int = 0
    num_placements: int = 0
    num_blockers: int = 0


@dataclass(frozen=True)
class Measurement:
    """What really happened, of one assignment or, merged, of one job.

    Attributes:
        wait_s: from placement to start, the queue of a real device included.   prepare_s: transpilation on the worker.
        run_s: the backend alone.
        service_s: from start to result: what the backend was busy with it.
        latency_s: from submission to result, in the ``times`` that count.
        fidelity: relative to the ideal, in [0, 1]; None where no ideal can be computed (then kind is "estimated" and
            the estimate stands in for it).
        fidelity_kind: as of ``circuits.facts.Judgement``; "canary" is a share of shots without error.
        fidelity_floor: what an ideal device would reach on average with that many shots; None where it has no meaning.
        score: the family's own figure of merit, raw.
        method: the engine or engines that ran, as the backend names them.
        approximate: one of them only stands in for an exact one, so fidelity and score say nothing about the device.
        device_s: seconds that the device was busy, as it says or its emulation schedules; None where there is none.
        queue_s: seconds waited at the device itself, emulated or as its provider tells; None where nobody tells.
        at: the moment in which emulated devices lived when it ran, seconds since the epoch.
        times: those in ``latency_s``; emulated ones are what it would have been with the device and its queue in the
            place of the simulation.
        energy_model: how the energy is known, a key in ``backends.energy.ENERGY_MODELS``.
        pair_fidelity: of the entangled pairs of a distributed run, each when it came; None where there were none.
        links: what each link brought of them, with its times those of the pairs of others that came first; empty
            where shares were merged.
    """

    wait_s: float
    prepare_s: float
    run_s: float
    service_s: float
    latency_s: float
    fidelity: float | None
    fidelity_kind: str
    fidelity_floor: float | None
    score: float | None
    energy_j: float
    cost_usd: float
    method: str = ""
    approximate: bool = False
    device_s: float | None = None
    queue_s: float | None = None
    at: float | None = None
    times: Times = Times.WALL
    energy_model: str = "wall_time"
    pair_fidelity: float | None = None
    links: tuple[Brought, ...] = ()


@dataclass(frozen=True)
class Share:
    """One assignment as its submitter sees it."""

    backend: str
    shots: int
    state: AssignmentState
    attempts: int
    estimate: Estimate
    wait_s: float
    items: tuple[int, int] | None = None


@dataclass(frozen=True)
class Placement:
    """Where a job went, by which policy and decision."""

    policy: str
    decision: int
    shares: tuple[Share, ...]


@dataclass(frozen=True)
class Result:
    """What a job gave.

    Attributes:
        counts: merged over the shares; of an adaptive job, of the last circuit of its last share alone.
        estimate: the prediction for the whole job when it was placed; ``service_s`` of parallel shares is the longest.
        outcome: what an adaptive family found; of a divided job, merged over its shares.
        memory: outcome of every shot, shares one after the other.
        compiled: backend -> transpiled circuits as OpenQASM 3 text.
    """

    job_id: str
    placement: Placement
    estimate: Estimate
    measurement: Measurement
    counts: Counts
    outcome: Any = None
    memory: tuple[str, ...] | None = None
    compiled: Mapping[str, tuple[str, ...]] | None = None


@dataclass(frozen=True)
class Event:
    """One thing that happened to a job, as it is told to whoever listens. ``seq`` counts from 1 in each job."""

    job_id: str
    kind: str
    at: float
    data: Mapping[str, Any] = field(default_factory=dict)
    seq: int = 0

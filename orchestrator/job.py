"""The records of the trip: what is asked for, what was decided, what was done, what was measured.

All are frozen and go through JSON unchanged (:mod:`orchestrator.records`). Times are seconds since the epoch by the
store's clock. The unit of attempt, lease, execution and telemetry is the :class:`Assignment`: one share of one job's
shots on one backend. A placement is the set of a job's assignments.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from backends.backend import TranspileOptions
from circuits.family import Counts
from circuits.program import Program
from orchestrator.errors import InvalidJob


class JobState(StrEnum):
    """Where a job is; the last three are final."""

    SUBMITTED = "submitted"
    PLACED = "placed"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


class AssignmentState(StrEnum):
    """Where an assignment is; the last three are final."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


FINAL_JOB_STATES = frozenset({JobState.DONE, JobState.FAILED, JobState.CANCELLED})
FINAL_ASSIGNMENT_STATES = frozenset({AssignmentState.DONE, AssignmentState.FAILED, AssignmentState.CANCELLED})


@dataclass(frozen=True)
class Objective:
    """How much each thing matters; weights >= 0, not all zero. Their scales are ``orchestrator.placement.Scales``."""

    latency: float = 1.0
    energy: float = 0.0
    fidelity: float = 1.0
    price: float = 1.0

    def __post_init__(self) -> None:
        weights = (self.latency, self.energy, self.fidelity, self.price)
        if not all(math.isfinite(w) and w >= 0 for w in weights) or sum(weights) == 0:
            raise InvalidJob(f"an objective needs finite weights >= 0, not all zero; got {weights}")


@dataclass(frozen=True)
class Limits:
    """What a job must not exceed; None means no limit.

    Attributes:
        min_fidelity: backends whose estimate is lower are excluded, in [0, 1].
        deadline_s: seconds from submission to result; a job that cannot start in time fails instead of running late.
        max_cost_usd: backends whose estimated price is higher are excluded.
        timeout_s: hard limit of one assignment's execution; the process that runs it is ended.
    """

    min_fidelity: float | None = None
    deadline_s: float | None = None
    max_cost_usd: float | None = None
    timeout_s: float | None = None

    def __post_init__(self) -> None:
        _check_range("min_fidelity", self.min_fidelity, 0.0, 1.0)
        _check_range("deadline_s", self.deadline_s, 0.0, math.inf)
        _check_range("max_cost_usd", self.max_cost_usd, 0.0, math.inf)
        if self.timeout_s is not None and not 0 < self.timeout_s < math.inf:
            raise InvalidJob(f"timeout_s must be a positive number of seconds; got {self.timeout_s}")


def _check_range(name: str, value: float | None, low: float, high: float) -> None:
    if value is not None and not (math.isfinite(value) and low <= value <= high):
        raise InvalidJob(f"{name} must be a number from {low:g} to {high:g}; got {value}")


@dataclass(frozen=True)
class JobSpec:
    """Everything a user may ask for.

    Attributes:
        program: what to run.
        shots: repetitions, >= 1; an adaptive family takes them per circuit.
        policy: key in ``policies.POLICIES``.
        pin: backend -> share of the shots (they add up to 1): no policy is asked. Empty: the policy decides.
        allow: only these backends are candidates; empty means all.
        exclude: these are not.
        priority: 0 (background) to 9 (urgent); waiting raises it.
        seed: of every random draw of this job.
        memory: keep the outcome of every shot.
        return_compiled: keep the transpiled circuit, as OpenQASM 3 text.
        idempotency_key: a second submission with the same key returns the first job.
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

    def __post_init__(self) -> None:
        if isinstance(self.shots, bool) or not isinstance(self.shots, int) or self.shots < 1:
            raise InvalidJob(f"shots must be a whole number of at least 1; got {self.shots!r}")
        if not 0 <= self.priority <= 9:
            raise InvalidJob(f"priority must be from 0 (background) to 9 (urgent); got {self.priority!r}")
        if not 0 <= self.seed < 2**31:
            raise InvalidJob(f"seed must be from 0 to 2**31 - 1; got {self.seed!r}")
        if not 0 <= self.transpile.optimization_level <= 3:
            raise InvalidJob(f"optimization_level must be from 0 to 3; got {self.transpile.optimization_level!r}")
        if self.pin:
            shares = self.pin.values()
            if not all(math.isfinite(s) and s > 0 for s in shares) or abs(sum(shares) - 1) > 1e-9:
                raise InvalidJob(f"the shares of a pin must be > 0 and add up to 1; got {dict(self.pin)}")
            if len(self.pin) > self.shots:
                raise InvalidJob(f"{self.shots} shots cannot be shared by {len(self.pin)} backends")


@dataclass(frozen=True)
class Failure:
    """Why something ended without a result: errors cross a wire as this.

    Attributes:
        stage: "prepare", "place", "execute" or "measure".
        kind: class of the error where it happened, or "timeout", "worker_lost", "deadline".
        message: what was wanted, what was got, what to do.
        transient: trying again may help.
    """

    stage: str
    kind: str
    message: str
    transient: bool = False


@dataclass(frozen=True)
class Estimate:
    """What a job is expected to need on one backend, apart from waiting.

    Attributes:
        service_s: seconds that it keeps the backend busy, transpilation included.
        fidelity: relative to the ideal, in [0, 1].
        energy_j: energy of the run, joules.
        cost_usd: price of the run.
        num_observations: measurements of this kind of job on this backend behind the estimate; 0 is the prior alone.
    """

    service_s: float
    fidelity: float
    energy_j: float
    cost_usd: float
    num_observations: float = 0.0


@dataclass(frozen=True)
class Assignment:
    """One share of one job on one backend.

    Attributes:
        attempt: fencing token: raised at each claim; a write with an older one is refused.
        num_failures: attempts that failed; given-back ones do not count.
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


@dataclass(frozen=True)
class Job:
    """A job as the store knows it. ``seq`` numbers the jobs of a store in order of submission."""

    id: str
    seq: int
    spec: JobSpec
    state: JobState
    submitted_at: float
    cancel_requested: bool = False
    finished_at: float | None = None
    failure: Failure | None = None


@dataclass(frozen=True)
class Measurement:
    """What really happened, of one assignment or, merged, of one job.

    Attributes:
        wait_s: from placement to start.   prepare_s: transpilation on the worker.   run_s: the backend alone.
        service_s: from start to result: what the backend was busy with it.
        latency_s: from submission to result.
        fidelity: relative to the ideal, in [0, 1]; None where no ideal can be computed (then kind is "estimated" and
            the estimate stands in for it).
        fidelity_floor: what an ideal device would reach on average with that many shots; None where it has no meaning.
        score: the family's own figure of merit, raw.
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


@dataclass(frozen=True)
class Share:
    """One assignment as its submitter sees it."""

    backend: str
    shots: int
    state: AssignmentState
    attempts: int
    estimate: Estimate
    wait_s: float


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
        counts: merged over the shares; of an adaptive job, of its last circuit alone.
        estimate: the prediction for the whole job when it was placed; ``service_s`` of parallel shares is the longest.
        outcome: what an adaptive family found.
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

"""Deciding where jobs go: candidates and why some are excluded, the objective, the backlog, and what a policy is.

Pure. The pipeline gathers the facts, a :class:`Policy` of the floor above chooses, the store writes the choice down.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from orchestrator.job import Estimate, Failure, JobSpec, Limits, Objective

PRIORITY_STEP_S = 60.0
"""Seconds of waiting that one level of priority is worth (ours): a background job waits at most 9 minutes longer."""


@dataclass(frozen=True)
class Scales:
    """What one unit of cost is, frozen before anything is compared (house rule: 1 s, 10 J, 0.1, 1 USD)."""

    latency_s: float = 1.0
    energy_j: float = 10.0
    infidelity: float = 0.1
    price_usd: float = 1.0


def cost(
    objective: Objective, scales: Scales, *, latency_s: float, energy_j: float, fidelity: float, cost_usd: float
) -> float:
    """Cost of a job, dimensionless (ours).

    w_t latency_s / L0 + w_e energy_j / E0 + w_f (1 - fidelity) / I0 + w_p cost_usd / P0
    """
    return (
        objective.latency * latency_s / scales.latency_s
        + objective.energy * energy_j / scales.energy_j
        + objective.fidelity * (1.0 - fidelity) / scales.infidelity
        + objective.price * cost_usd / scales.price_usd
    )


def rank(*, submitted_at: float, priority: int, deadline_at: float | None) -> float:
    """Order of service: smaller is served first.

    Waiting makes old jobs small without anybody rewriting them: rank is the time of submission, moved back by one
    PRIORITY_STEP_S per level. A deadline counts as if the job had been submitted one step before it.
    """
    aged = submitted_at - priority * PRIORITY_STEP_S
    return aged if deadline_at is None else min(aged, deadline_at - PRIORITY_STEP_S)


def missed_deadline(spec: JobSpec) -> Failure:
    """Why a job ends that could not begin in time."""
    limit_s = spec.limits.deadline_s or 0.0
    message = f"deadline_s {limit_s:g} had passed before a worker was free; allow more time or more backends"
    return Failure("execute", "deadline", message, elsewhere=False)


@dataclass(frozen=True)
class Lane:
    """One worker as placement sees it: assignments on the backends it owns share its slots."""

    worker: str
    slots: int
    backends: tuple[str, ...]


@dataclass
class Backlog:
    """Seconds of work outstanding per worker. A policy adds what it places, so that a batch does not herd.

    A backend that several workers own is served by whichever is free first, so its work is booked on the least loaded.
    """

    lanes: tuple[Lane, ...]
    load_s: dict[str, float] = field(default_factory=dict)
    warm_up_s: dict[str, float] = field(default_factory=dict)
    """Backends that are cold everywhere -> seconds until the first run there can begin."""

    def __post_init__(self) -> None:
        self._owners: dict[str, list[Lane]] = {}
        for lane in self.lanes:
            for backend in lane.backends:
                self._owners.setdefault(backend, []).append(lane)

    def _owner(self, backend: str) -> Lane | None:
        owners = self._owners.get(backend, [])
        if len(owners) < 2:
            return owners[0] if owners else None
        return min(owners, key=lambda lane: self.load_s.get(lane.worker, 0.0) / lane.slots)

    def wait_s(self, backend: str) -> float:
        """Expected waiting time of an assignment placed there now, seconds."""
        lane = self._owner(backend)
        load_s = 0.0 if lane is None else self.load_s.get(lane.worker, 0.0) / lane.slots
        return load_s + self.warm_up_s.get(backend, 0.0)

    def add(self, backend: str, service_s: float) -> None:
        """Book ``service_s`` seconds of work."""
        lane = self._owner(backend)
        if lane is not None:
            cold_s = self.warm_up_s.pop(backend, 0.0)
            self.load_s[lane.worker] = self.load_s.get(lane.worker, 0.0) + cold_s + service_s

    def copy(self) -> Backlog:
        """A backlog to plan on."""
        return Backlog(self.lanes, dict(self.load_s), dict(self.warm_up_s))


@dataclass(frozen=True)
class Candidate:
    """One backend for one job: what it would need there, or why it cannot go there.

    Attributes:
        wait_s: backlog in front of it when the batch was formed, seconds.
        rejections: reasons why it is infeasible; empty means feasible.
    """

    backend: str
    prior: Estimate
    estimate: Estimate
    wait_s: float
    target_version: str
    rejections: tuple[str, ...] = ()


@dataclass(frozen=True)
class Request:
    """One job that waits for a place, with every backend as a candidate.

    Attributes:
        spec: as submitted, with the shots that wait: of a job that is placed again, those of the shares that failed.
        waited_s: seconds since it was submitted.
        num_parts: assignments that it has had before.
    """

    job_id: str
    seq: int
    spec: JobSpec
    rank: float
    waited_s: float
    candidates: tuple[Candidate, ...]
    num_parts: int = 0

    @property
    def feasible(self) -> tuple[Candidate, ...]:
        """The candidates a policy may choose, never empty when a policy sees it."""
        return tuple(candidate for candidate in self.candidates if not candidate.rejections)

    def cost(self, candidate: Candidate, scales: Scales, wait_s: float) -> float:
        """Expected cost of the job on that candidate after ``wait_s`` more seconds of waiting."""
        estimate = candidate.estimate
        return cost(
            self.spec.objective,
            scales,
            latency_s=self.waited_s + wait_s + estimate.elapsed_s,
            energy_j=estimate.energy_j,
            fidelity=estimate.fidelity,
            cost_usd=estimate.cost_usd,
        )


Choice = Mapping[str, float]
"""Backend -> share of the shots; shares are > 0 and add up to 1."""


CLASSICAL = "cpu"
"""The backend that runs no circuits, see ``backends.cpu``."""


class Policy(Protocol):
    """Decides where a batch of jobs goes. Same input, same choice: chance comes from the jobs' seeds."""

    def place(self, requests: Sequence[Request], backlog: Backlog, scales: Scales) -> list[Choice]:
        """One choice per request, in order; only feasible candidates. ``backlog`` is the policy's own copy."""
        ...


def rejections(
    spec: JobSpec,
    backend: str,
    estimate: Estimate,
    *,
    wait_s: float,
    waited_s: float,
    cannot: str | None,
    against: Iterable[str] = (),
) -> tuple[str, ...]:
    """Why this backend is no candidate for the job, all reasons at once.

    Args:
        wait_s: backlog in front of it.   waited_s: seconds since submission.
        cannot: what the backend itself says against the circuit, if anything.
        against: what is known already: an operator closed it, or the job has failed there.
    """
    found = [*ruled_out(spec, backend), *against]
    if cannot is not None:
        return (*found, cannot)  # without a circuit that fits, its estimate means nothing
    found.extend(_limited(spec.limits, estimate, wait_s, waited_s))
    return tuple(found)


def ruled_out(spec: JobSpec, backend: str) -> Iterable[str]:
    """Why the job itself leaves this backend no chance; nothing is known then of how it would fit there."""
    if spec.pin and backend not in spec.pin:
        yield f"the job is pinned to {', '.join(sorted(spec.pin))}"
    if spec.allow and backend not in spec.allow:
        yield f"the job allows only {', '.join(spec.allow)}"
    if backend in spec.exclude:
        yield "the job excludes it"
    if backend == CLASSICAL and backend not in (*spec.allow, *spec.pin):
        yield "it would answer without a circuit: a job has to allow it by name"


def _limited(limits: Limits, estimate: Estimate, wait_s: float, waited_s: float) -> Iterable[str]:
    if limits.min_fidelity is not None and estimate.fidelity < limits.min_fidelity:
        yield f"expected fidelity {estimate.fidelity:.4f} is below min_fidelity {limits.min_fidelity:g}"
    if limits.max_cost_usd is not None and estimate.cost_usd > limits.max_cost_usd:
        yield f"expected price {estimate.cost_usd:.4f} USD is above max_cost_usd {limits.max_cost_usd:g}"
    expected_s = waited_s + wait_s + estimate.elapsed_s
    if limits.deadline_s is not None and expected_s > limits.deadline_s:
        yield f"expected latency {expected_s:.2f} s is beyond deadline_s {limits.deadline_s:g}"


def split_shots(shots: int, choice: Choice) -> dict[str, int]:
    """Whole shots per backend, largest remainders first; each gets at least one if its share is > 0.

    Raises:
        ValueError: fewer shots than backends.
    """
    if shots < len(choice):
        raise ValueError(f"{shots} shots cannot be shared by {len(choice)} backends")
    exact = {backend: share * shots for backend, share in choice.items()}
    whole = {backend: max(1, int(amount)) for backend, amount in exact.items()}
    by_remainder = sorted(exact, key=lambda backend: (whole[backend] - exact[backend], backend))
    missing = shots - sum(whole.values())
    for backend in by_remainder[:missing] if missing > 0 else ():
        whole[backend] += 1
    while missing < 0:
        largest = max(whole, key=lambda backend: (whole[backend], backend))
        whole[largest] -= 1
        missing += 1
    return whole

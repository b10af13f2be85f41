"""Deciding where jobs go: candidates and why some are excluded, the objective, the backlog, and what a policy is.

Pure. The pipeline gathers the facts, a :class:`Policy` of the floor above chooses, the store writes the choice down.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from orchestrator.errors import PlacementError
from orchestrator.job import Estimate, Failure, JobSpec, Limits, Objective

PRIORITY_STEP_S = 60.0
"""Seconds of waiting that one level of priority is worth (ours).

So a job of priority 0 is overtaken only by what is submitted within 10 steps after it, 9 by priority and one by a
policy's order (:class:`Sooner`), and begins later than first come, first served would have it by the service times of
that alone: never by more than 10 minutes where such work comes no faster than it is done.
"""


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

    w_e energy_j / E0 + w_f (1 - fidelity) / I0 + w_p cost_usd / P0 + w_t latency_s / L0

    The order of the sum is part of the rule: decisions over whole batches add up the same way, to the last bit.
    """
    return (
        objective.energy * energy_j / scales.energy_j
        + objective.fidelity * (1.0 - fidelity) / scales.infidelity
        + objective.price * cost_usd / scales.price_usd
        + objective.latency * latency_s / scales.latency_s
    )


class Figures(NamedTuple):
    """What an estimate comes to for somebody of a certain caution."""

    elapsed_s: float
    fidelity: float
    energy_j: float
    cost_usd: float


def figures(estimate: Estimate, caution: float) -> Figures:
    """Each figure as far from its expected value towards the bad end of its interval as ``caution`` says (ours).

    Without an interval it is the expected value, and it is never better than that.
    """
    plain = Figures(estimate.elapsed_s, estimate.fidelity, estimate.energy_j, estimate.cost_usd)
    ends = estimate.intervals
    if ends is None or not caution:
        return plain
    return Figures(
        plain.elapsed_s + caution * max(0.0, ends.elapsed_s.high - plain.elapsed_s),
        plain.fidelity - caution * max(0.0, plain.fidelity - ends.fidelity.low),
        plain.energy_j + caution * max(0.0, ends.energy_j.high - plain.energy_j),
        plain.cost_usd + caution * max(0.0, ends.cost_usd.high - plain.cost_usd),
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


@dataclass(frozen=True)
class Queued:
    """What waits for a slot, as it matters to those that are placed beside it.

    Attributes:
        rank: its order of service.   service_s: expected.
        per_s: what a second of its waiting costs.
    """

    backend: str
    rank: float
    service_s: float
    per_s: float


@dataclass
class Backlog:
    """Seconds of work outstanding per worker. A policy adds what it places, so that a batch does not herd.

    A backend that several workers own is served by whichever is free first, so its work is booked on the least loaded.
    """

    lanes: tuple[Lane, ...]
    load_s: dict[str, float] = field(default_factory=dict)
    warm_up_s: dict[str, float] = field(default_factory=dict)
    """Backends that are cold everywhere -> seconds until the first run there can begin."""
    queue: tuple[Queued, ...] = ()
    """The most urgent of what waits, in order of service, for policies that ask; ``load_s`` has it, too."""

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

    def without(self, one: Queued) -> Backlog:
        """The backlog that there would be if this did not wait; it need not be urgent enough to stand in the queue."""
        left = self.copy()
        at = self.queue.index(one) if one in self.queue else len(self.queue)
        left.queue = self.queue[:at] + self.queue[at + 1 :]
        owners = self._owners.get(one.backend)
        if owners:
            worker = max(owners, key=lambda lane: self.load_s.get(lane.worker, 0.0) / lane.slots).worker
            left.load_s[worker] = max(0.0, left.load_s.get(worker, 0.0) - one.service_s)
        return left

    def copy(self) -> Backlog:
        """A backlog to plan on."""
        return Backlog(self.lanes, dict(self.load_s), dict(self.warm_up_s), self.queue)


@dataclass(frozen=True)
class Candidate:
    """One backend for one job: what it would need there, or why it cannot go there.

    Attributes:
        wait_s: backlog in front of it when the batch was formed, seconds.
        rejections: reasons why it is infeasible; empty means feasible.
        one_shot: the estimate of a single shot, or item, where the job may be shared: what each part pays in full.
    """

    backend: str
    prior: Estimate
    estimate: Estimate
    wait_s: float
    target_version: str
    rejections: tuple[str, ...] = ()
    one_shot: Estimate | None = None


@dataclass(frozen=True)
class Request:
    """One job that waits for a place, with every backend as a candidate.

    Attributes:
        spec: as submitted, with the shots that wait: of a job that is placed again, those of the shares that failed.
        waited_s: seconds since it was submitted.
        num_parts: assignments that it has had before.
        items: stretches of items that wait, each from its first to behind its last, if it is divided by items.
    """

    job_id: str
    seq: int
    spec: JobSpec
    rank: float
    waited_s: float
    candidates: tuple[Candidate, ...]
    num_parts: int = 0
    items: tuple[tuple[int, int], ...] = ()

    @property
    def amount(self) -> int:
        """How much of the job waits, in what it is shared by: items, or shots."""
        return sum(last - first for first, last in self.items) or self.spec.shots

    @property
    def feasible(self) -> tuple[Candidate, ...]:
        """The candidates a policy may choose, never empty when a policy sees it."""
        return tuple(candidate for candidate in self.candidates if not candidate.rejections)

    def cost(self, candidate: Candidate, scales: Scales, wait_s: float) -> float:
        """Cost of the job on that candidate after ``wait_s`` more seconds of waiting, by its caution."""
        objective = self.spec.objective
        found = figures(candidate.estimate, objective.caution)
        return cost(
            objective,
            scales,
            latency_s=self.waited_s + wait_s + found.elapsed_s,
            energy_j=found.energy_j,
            fidelity=found.fidelity,
            cost_usd=found.cost_usd,
        )


Choice = Mapping[str, float]
"""Backend -> share of the shots, or items; shares are > 0 and add up to 1."""


class Sooner(dict[str, float]):
    """A choice with a place in the queue: the job is served as if it had been submitted sooner than it was.

    Attributes:
        by_s: seconds, from 0 to one PRIORITY_STEP_S: an order among the equally urgent, which waiting outweighs.
    """

    def __init__(self, choice: Choice, by_s: float) -> None:
        super().__init__(choice)
        self.by_s = by_s


def sooner_s(choice: Choice) -> float:
    """By how much the parts of a choice go before their job's rank, seconds.

    Raises:
        PlacementError: by less than nothing, or more than a level of priority.
    """
    by_s = choice.by_s if isinstance(choice, Sooner) else 0.0
    if not 0.0 <= by_s <= PRIORITY_STEP_S:
        raise PlacementError(
            f"a policy may have a job served from 0 to {PRIORITY_STEP_S:g} s sooner than its rank says, got {by_s:g} s"
        )
    return by_s


class Instead(dict[str, float]):
    """A choice that another policy took than the one that was asked.

    Attributes:
        policy: the one that decided.   reason: why, a key in ``FALLBACKS``.
    """

    def __init__(self, choice: Choice, *, policy: str, reason: str) -> None:
        super().__init__(choice)
        self.policy = policy
        self.reason = reason


FALLBACKS = {
    "error": "it failed at the batch, and was asked for each job alone",
    "range": "a feature of the job lies outside of what it was trained on",
    "fleet": "the job may go to a backend that it was not trained with, and it has a place for each alone",
    "estimates": "an estimate is no finite number",
    "checkpoint": "its checkpoint is missing, cannot be read or is of another version",
    "slow": "it took too long over a batch before",
}
"""Why a policy did not decide as it would have."""


CLASSICAL = "cpu"
"""The backend that runs no circuits, see ``backends.cpu``."""


class Policy(Protocol):
    """Decides where a batch of jobs goes. Same input, same choice: chance comes from the jobs' seeds.

    One that draws may say with which chances, by a method of the same arguments: see :class:`Chancy`.
    """

    def place(self, requests: Sequence[Request], backlog: Backlog, scales: Scales) -> list[Choice]:
        """One choice per request, in order; only feasible candidates. ``backlog`` is the policy's own copy."""
        ...


class Reconsidering(Policy, Protocol):
    """A policy that makes use of ``Backlog.queue``, and is asked again about what it has placed and has not begun."""

    @property
    def reconsiders(self) -> bool:
        """True."""
        ...


class Chancy(Policy, Protocol):
    """A policy that draws its choices from the jobs' seeds and knows with which chances."""

    def chances(self, requests: Sequence[Request], backlog: Backlog, scales: Scales) -> list[Mapping[str, float]]:
        """For each request the chance of each backend, when it is that job's turn and those before it were placed.

        Chances add up to 1; what is not named has none. Worked out and never sampled.
        """
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
    found.extend(limited(spec.limits, figures(estimate, spec.objective.caution), wait_s, waited_s))
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


def limited(limits: Limits, expected: Figures, wait_s: float, waited_s: float) -> Iterable[str]:
    """Which limits these figures would break."""
    if limits.min_fidelity is not None and expected.fidelity < limits.min_fidelity:
        yield f"expected fidelity {expected.fidelity:.4f} is below min_fidelity {limits.min_fidelity:g}"
    if limits.max_cost_usd is not None and expected.cost_usd > limits.max_cost_usd:
        yield f"expected price {expected.cost_usd:.4f} USD is above max_cost_usd {limits.max_cost_usd:g}"
    expected_s = waited_s + wait_s + expected.elapsed_s
    if limits.deadline_s is not None and expected_s > limits.deadline_s:
        yield f"expected latency {expected_s:.2f} s is beyond deadline_s {limits.deadline_s:g}"


def split_amount(amount: int, choice: Choice) -> dict[str, int]:
    """Whole shots or items per backend, largest remainders first; each gets at least one if its share is > 0.

    Raises:
        ValueError: less of them than backends.
    """
    if amount < len(choice):
        raise ValueError(f"{amount} cannot be shared by {len(choice)} backends")
    exact = {backend: share * amount for backend, share in choice.items()}
    whole = {backend: max(1, int(part)) for backend, part in exact.items()}
    by_remainder = sorted(exact, key=lambda backend: (whole[backend] - exact[backend], backend))
    missing = amount - sum(whole.values())
    for backend in by_remainder[:missing] if missing > 0 else ():
        whole[backend] += 1
    while missing < 0:
        largest = max(whole, key=lambda backend: (whole[backend], backend))
        whole[largest] -= 1
        missing += 1
    return whole

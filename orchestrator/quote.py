"""What a job would meet on each backend, with intervals, and where it would go: nothing is submitted.

An interval holds 90 % of what is to be expected if logarithms of measured over predicted are normal: that is its form,
not yet a promise. Its width comes from the cost model's own errors on such programs there, or, as long as there are
few, leans on a prior width that was measured over the results of benchmarks; ``basis`` says which. The wait is that of
the moment and has no interval.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from backends.backend import Device
from backends.energy import ENERGY_MODELS, model_of
from orchestrator.cost_model.losses import fidelity_of, loss_of
from orchestrator.cost_model.mean import Mean
from orchestrator.cost_model.model import CostModel
from orchestrator.cost_model.spreads import Spread
from orchestrator.deciding import Scene, with_candidates
from orchestrator.defects import DEFECTS, defect
from orchestrator.errors import PlacementError, TransportError
from orchestrator.fleet import Fleet
from orchestrator.job import Job, JobSpec, JobState
from orchestrator.placement import Candidate, Choice, Policy, Request, Scales, ruled_out
from orchestrator.preparer import Known, Preparer
from orchestrator.runtime import RuntimeFailure
from orchestrator.settings import Settings
from orchestrator.shares import check_feasible
from orchestrator.store import Announcement, Store, Waiting

LEVEL = 0.9
QUANTILE = 1.6448536269514722
"""Of the normal distribution at (1 + LEVEL) / 2."""

AT_ONCE = 2
"""Quotes of one process: each may start a child and keep it busy for as long as a program may be prepared."""

PATIENCE_S = 5.0

PRIOR_LOG_TIME = 1.1
"""Standard deviation of log(measured / predicted service time) by the prior alone (ours, measured).

The median factors of the last third of the demo's jobs under its five policies, 1.79 to 2.51, as those of a normal:
log(2.07) / 0.6745 (examples/results/demo.csv).
"""

PRIOR_LOG_LOSS = 0.66
"""Root mean square of log(measured / predicted loss of fidelity) by calibration alone (ours, measured).

Over the 28 held-out circuits of examples/benchmarks/results/survival_prior.csv, with the model's offset of losses.
"""


@dataclass(frozen=True)
class Figure:
    """One expected figure.

    Attributes:
        low, high: ends of the interval.
        basis: "measured": from errors of the model's own predictions there; "prior": from the prior width;
            "known": it follows from the schedule or the kind of device, and nothing was seen that contradicts it;
            "unknown": there is none, and ``expected`` is None.
    """

    expected: float | None
    low: float | None
    high: float | None
    basis: str


UNKNOWN = Figure(None, None, None, "unknown")


@dataclass(frozen=True)
class Offer:
    """What one backend would take for the job, or why it does not come into question.

    Attributes:
        share: of the shots that would go there by the job's policy or pin.
        rejections: empty if it is feasible. Figures are None where nothing is known of how the program fits.
        wait_s: behind what is placed there.   queue_s: at the device itself; None where nothing waits there, or it does
            not count.
        latency_s: both, and what follows: its service, or an emulated device's own time where that counts.
        cost: expected cost by the job's objective.
        num_observations: of such programs there.
        energy_model, energy_kind, price_source: how energy and price are known.
    """

    backend: str
    kind: str
    share: float
    rejections: tuple[str, ...]
    wait_s: float
    num_observations: float
    energy_model: str
    energy_kind: str
    price_source: str | None
    latency_s: Figure | None = None
    service_s: Figure | None = None
    fidelity: Figure | None = None
    energy_j: Figure | None = None
    cost_usd: Figure | None = None
    cost: float | None = None
    queue_s: float | None = None


@dataclass(frozen=True)
class Quote:
    """Every backend's offer, and the choice.

    Attributes:
        choice: backend -> share of the shots; empty if none can take the job, and ``failure`` says why.
        level: of the intervals.   cursor: of the model that was asked.
        adaptive: the program chooses its circuits as it goes. Without measurements the figures are those of one.
    """

    policy: str
    choice: Choice
    failure: str
    level: float
    cursor: int
    adaptive: bool
    offers: tuple[Offer, ...]


class Quoter:
    """Works out quotes over a store. Safe to call from several threads."""

    def __init__(
        self,
        store: Store,
        preparer: Preparer,
        learn: Callable[[], CostModel],
        policies: Callable[[str], Policy],
        settings: Settings,
    ) -> None:
        """``learn`` gives the model of the moment, ``policies`` a live policy for its registered name."""
        self._store = store
        self._preparer = preparer
        self._learn = learn
        self._policies = policies
        self._settings = settings
        self._free = threading.BoundedSemaphore(AT_ONCE)

    def quote(self, spec: JobSpec, unattended: Callable[[], Sequence[Announcement]] = tuple) -> Quote:
        """What the job would meet and where it would go. Nothing is written but how its program fits.

        Args:
            unattended: asked for what would be served, should nobody serve anything.

        Raises:
            PlacementError: the program cannot be prepared.   TransportError: too many ask at the same time.
        """
        if not self._free.acquire(timeout=PATIENCE_S):
            raise TransportError(f"{AT_ONCE} quotes are being worked out at the moment; ask again")
        try:
            look = self._store.look(1, silent_s=self._settings.silent_s)
            fleet = Fleet.of(look.roll or unattended(), look.switches)
            job = Job("", 0, spec, JobState.SUBMITTED, look.now, to_place=spec.shots)
            (known,) = self._preparer.prepare([job], fleet.devices)
        finally:
            self._free.release()
        if isinstance(known, RuntimeFailure):
            raise PlacementError(known.failure.message)
        backlog = fleet.backlog(look.outstanding, look.now)
        scene = Scene(fleet, backlog, self._learn(), look.now, self._settings.times)
        return quote_of(job, known, scene, self._policies, self._settings.scales)


def quote_of(job: Job, known: Known, scene: Scene, policies: Callable[[str], Policy], scales: Scales) -> Quote:
    """What the job, which is in no store, would meet."""
    request = with_candidates(Waiting(job), known, scene)
    failure, choice = "", {}
    try:
        check_feasible(request, known[0])
        choice = _choice(request, policies, scene, scales)
    except PlacementError as error:
        failure = str(error)
    except DEFECTS as error:
        failure = defect("place", error, f"policy {request.spec.policy!r}: ").message
    offers = [_offer(one, request, known, scene, scales, choice) for one in request.candidates]
    offers.sort(key=lambda one: (-one.share, bool(one.rejections), math.inf if one.cost is None else one.cost))
    policy = "pin" if job.spec.pin else job.spec.policy
    return Quote(policy, choice, failure, LEVEL, scene.model.cursor, known[0].adaptive, tuple(offers))


def _choice(request: Request, policies: Callable[[str], Policy], scene: Scene, scales: Scales) -> dict[str, float]:
    if request.spec.pin:
        return dict(request.spec.pin)
    (choice,) = policies(request.spec.policy).place([request], scene.backlog.copy(), scales)
    return dict(choice)


def _offer(candidate: Candidate, request: Request, known: Known, scene: Scene, scales: Scales, choice: Choice) -> Offer:
    """One backend's offer; without figures where nobody knows how the program would fit."""
    name, estimate, device = candidate.backend, candidate.estimate, scene.fleet.devices[candidate.backend]
    model = model_of(device)
    offer = Offer(
        backend=name,
        kind=device.kind,
        share=choice.get(name, 0.0),
        rejections=candidate.rejections,
        wait_s=candidate.wait_s,
        num_observations=estimate.num_observations,
        energy_model=model,
        energy_kind=ENERGY_MODELS[model].kind,
        price_source=None if device.price is None else f"{device.price.source} ({device.price.date})",
    )
    fit = known[1].get(name)
    if fit is None or fit.cannot is not None or any(ruled_out(request.spec, name)):
        return offer
    spread = scene.model.spread(name, known[0].group)
    service_s = _around(estimate.service_s, spread.log_time, PRIOR_LOG_TIME)
    follows = PRIOR_LOG_TIME if device.kind == "simulator" else 0.0  # a simulator's energy and price follow its time
    device_s = None if estimate.device_s is None else _around(estimate.device_s, Mean(), 0.0)
    return replace(
        offer,
        queue_s=estimate.queue_s,
        latency_s=_behind(candidate.wait_s + (estimate.queue_s or 0.0), device_s or service_s),
        service_s=service_s,
        fidelity=_fidelity(estimate.fidelity, device, spread),
        energy_j=_around(estimate.energy_j, spread.log_energy, follows),
        cost_usd=UNKNOWN if device.price is None else _around(estimate.cost_usd, spread.log_cost, follows),
        cost=None if device.price is None else request.cost(candidate, scales, candidate.wait_s),
    )


def _around(expected: float, squares: Mean, prior: float) -> Figure:
    """An interval around a figure that is off by factors.

    Args:
        squares: of the logarithm of measured over predicted.   prior: standard deviation that is expected of it.
    """
    if expected == 0.0:
        return Figure(expected, expected, expected, "known")
    factor = math.exp(QUANTILE * math.sqrt(squares.shrunk(prior**2)))
    return Figure(expected, expected / factor, expected * factor, _basis(squares, prior))


def _basis(squares: Mean, prior: float) -> str:
    return "measured" if squares.weight else "prior" if prior else "known"


def _behind(wait_s: float, service_s: Figure) -> Figure:
    expected, low, high = (wait_s + (end or 0.0) for end in (service_s.expected, service_s.low, service_s.high))
    return Figure(expected, low, high, service_s.basis)


def _fidelity(expected: float, device: Device, spread: Spread) -> Figure:
    """An interval of factors around the loss. That of an ideal simulator is known until a measurement says else."""
    prior = 0.0 if device.calibration is None else PRIOR_LOG_LOSS
    factor = math.exp(QUANTILE * math.sqrt(spread.log_loss.shrunk(prior**2)))
    loss = loss_of(expected)
    return Figure(expected, fidelity_of(loss * factor), fidelity_of(loss / factor), _basis(spread.log_loss, prior))

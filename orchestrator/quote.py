"""What a job would meet on each backend, with intervals, and where it would go: nothing is submitted.

Intervals are those of the estimate (:mod:`orchestrator.cost_model.spreads`); ``basis`` says whether measurements or a
prior width are behind them. The wait is that of the moment and has no interval.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from backends.energy import ENERGY_MODELS, model_of
from orchestrator.cost_model.model import CostModel
from orchestrator.deciding import Scene, with_candidates
from orchestrator.defects import DEFECTS, defect
from orchestrator.errors import PlacementError, TransportError
from orchestrator.fleet import Fleet
from orchestrator.job import Interval, Job, JobSpec, JobState
from orchestrator.pairs import PairOffice
from orchestrator.placement import Candidate, Choice, Policy, Request, Scales, ruled_out
from orchestrator.preparer import Known, Preparer
from orchestrator.runtime import RuntimeFailure
from orchestrator.settings import Settings
from orchestrator.shares import check_feasible
from orchestrator.store import Announcement, Store, Waiting

LEVEL = 0.9
"""Of every interval."""

AT_ONCE = 2
"""Quotes of one process: each may start a child and keep it busy for as long as a program may be prepared."""

PATIENCE_S = 5.0


@dataclass(frozen=True)
class Figure:
    """One expected figure.

    Attributes:
        low, high: ends of the interval.
        basis: "measured": from the model's errors on what was measured there; "prior": nothing was, so from a prior
            width; "known": it follows from the schedule or the kind of device, and nothing was seen that contradicts
            it; "unknown": there is none, and ``expected`` is None.
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
            not count.   elapsed_s: all that follows, that queue included.   latency_s: waiting and all that follows.
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
    elapsed_s: Figure | None = None
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
        pairs: Callable[[Fleet], PairOffice | None],
    ) -> None:
        """Over a store.

        Args:
            learn: gives the model of the moment.   policies: a live policy for its registered name.
            pairs: where entangled pairs are asked for, as it stands.
        """
        self._store = store
        self._preparer = preparer
        self._learn = learn
        self._policies = policies
        self._settings = settings
        self._pairs = pairs
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
        scene = Scene(fleet, backlog, self._learn(), look.now, self._settings.times, pairs=self._pairs(fleet))
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
    around = estimate.intervals
    if around is None:
        return offer
    elapsed_s = _figure(estimate.elapsed_s, around.elapsed_s, around.nearness)
    return replace(
        offer,
        queue_s=estimate.queue_s,
        latency_s=_behind(candidate.wait_s, elapsed_s),
        elapsed_s=elapsed_s,
        fidelity=_figure(estimate.fidelity, around.fidelity, around.nearness),
        energy_j=_figure(estimate.energy_j, around.energy_j, around.nearness),
        cost_usd=UNKNOWN if device.price is None else _figure(estimate.cost_usd, around.cost_usd, around.nearness),
        cost=None if device.price is None else request.cost(candidate, scales, candidate.wait_s),
    )


def _figure(expected: float, around: Interval, nearness: int) -> Figure:
    basis = "known" if around.low == around.high else "measured" if nearness else "prior"
    return Figure(expected, around.low, around.high, basis)


def _behind(wait_s: float, elapsed_s: Figure) -> Figure:
    expected, low, high = (wait_s + (end or 0.0) for end in (elapsed_s.expected, elapsed_s.low, elapsed_s.high))
    return Figure(expected, low, high, elapsed_s.basis)

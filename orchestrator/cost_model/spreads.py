"""Where measurements lie around what the model says: intervals of 90 % that hold what they promise.

Split conformal prediction on normalised scores (Lei et al. 2018, paper) of the latest predictions alone, as errors
drift (Barber et al. 2023, paper; equal weights are ours). For each figure

    score = (log measured - log said) / width,    interval = said * exp(width * [5 %, 95 % quantile of the scores]).

A width is the mean |log measured - log said| (ours) of such predictions: on this backend, of this group of programs,
and by how near the nearest was that had been seen (``Intervals.nearness``). With few of them it leans on that of the
whole backend, and that on a prior width. Scores are those of one backend, whatever ran: widths make them comparable.
Losses of fidelity stand for fidelities (:mod:`orchestrator.cost_model.losses`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

from orchestrator.cost_model.losses import fidelity_of, loss_of, measured_loss
from orchestrator.cost_model.mean import Mean
from orchestrator.job import Interval, Intervals
from orchestrator.telemetry import Observation

MISSED = 0.05
"""Part of the measurements beyond each end of an interval."""

LEAN = 3.0
"""Predictions that a wider kind's width is worth against those of a narrower one (ours)."""

WINDOW = 100
"""Latest scores of a backend that count (ours)."""

LEAST_WIDTH = 0.01
"""Errors are compared with widths no smaller than this (ours): a percent is nothing."""

MOST_SCORE = 20.0
"""What one score counts as, at most (ours): an error of a hundred widths says no more than one of twenty."""

_HALF = tuple(round(math.log(10.0 / number), 4) for number in range(1, 10))
PRIOR_SCORES = (*(-score for score in _HALF), 0.0, *reversed(_HALF))
"""Scores before there are any (ours): nineteen quantiles of a Laplace distribution whose mean absolute value is 1."""

PRIOR_TIME = (1.5, 1.0, 0.7, 0.5)
"""Mean |log(measured / said time)| by nearness, before there are any (ours, measured): between what the prior alone was
off by on a quiet machine (0.7, examples/results/demo.csv) and on a crowded one (1.8 to 2.8)."""

PRIOR_LOSS = (0.53, 0.53, 0.45, 0.4)
"""The same of losses of fidelity on a device with errors: of calibration alone over the 28 held-out circuits of
examples/benchmarks/results/survival_prior.csv."""

IDEAL_LOSS = 0.12
"""The same on a simulator without errors: what finite shots leave (ours, measured)."""

NUM_FIGURES = 4
"""Elapsed time, loss of fidelity, energy, price: everything below has one of each, in this order."""

UNSEEN = (Mean(),) * NUM_FIGURES
EXACT = (1.0, 1.0)


@dataclass(frozen=True)
class Scores:
    """The latest scores of one figure on one backend, the oldest first."""

    latest: tuple[float, ...] = PRIOR_SCORES

    def add(self, score: float) -> Scores:
        """With one more."""
        return Scores((*self.latest, round(max(-MOST_SCORE, min(MOST_SCORE, score)), 4))[-WINDOW:])

    @cached_property
    def ends(self) -> tuple[float, float]:
        """Between these lies the next one with 90 %, if it is like them; what was said itself is always inside."""
        ordered, rank = sorted(self.latest), int(MISSED * (len(self.latest) + 1))
        return min(0.0, ordered[rank - 1]), max(0.0, ordered[-rank])


UNTESTED = (Scores(),) * NUM_FIGURES


class Place(NamedTuple):
    """What decides how sure an estimate is.

    Attributes:
        nearness: as in ``Intervals``.   ideal: the prior fidelity is 1.
        scheduled: energy and price are those of a device's schedule, and not of the time that is measured.
    """

    backend: str
    group: str
    nearness: int
    ideal: bool
    scheduled: bool

    @staticmethod
    def of(seen: Observation) -> Place:
        """Of an estimate that was put to the test; one without intervals knew at least whether it had seen its kind."""
        said = seen.estimate
        nearness = said.intervals.nearness if said.intervals is not None else 2 if said.num_observations else 0
        scheduled = seen.measurement.device_s is not None
        return Place(seen.backend, seen.group, nearness, seen.prior.fidelity >= 1.0, scheduled)

    @property
    def keys(self) -> tuple[str, str]:
        """Under which widths are kept, the wider kind first."""
        return f"{self.backend}|{self.nearness}", f"{self.backend}|{self.group}|{self.nearness}"

    @property
    def prior_widths(self) -> tuple[float, ...]:
        """A simulator's energy and price follow its time."""
        time = PRIOR_TIME[self.nearness]
        follows = 0.0 if self.scheduled else time
        return time, IDEAL_LOSS if self.ideal else PRIOR_LOSS[self.nearness], follows, follows


@dataclass(frozen=True)
class SpreadModel:
    """What is known of the model's own errors.

    Attributes:
        widths: "backend|nearness" and "backend|group|nearness" -> mean |log measured - log said| of each figure.
        tails: backend -> the latest scores of each figure there.
    """

    widths: Mapping[str, tuple[Mean, ...]] = field(default_factory=dict)
    tails: Mapping[str, tuple[Scores, ...]] = field(default_factory=dict)

    def fold(self, seen: Sequence[Observation]) -> SpreadModel:
        """With these observations, in order: what was said when they were placed is put to the test."""
        widths, tails = dict(self.widths), dict(self.tails)
        for one in seen:
            place, errors = Place.of(one), _errors(one)
            expected = _expected(widths, place)
            for key in place.keys:
                means = widths.get(key, UNSEEN)
                widths[key] = tuple(m if e is None else m.add(abs(e)) for m, e in zip(means, errors, strict=True))
            tails[one.backend] = tuple(
                scores if error is None else scores.add(error / max(width, LEAST_WIDTH))
                for scores, error, width in zip(tails.get(one.backend, UNTESTED), errors, expected, strict=True)
            )
        return SpreadModel(widths, tails)

    def intervals(self, place: Place, elapsed_s: float, fidelity: float, energy_j: float, cost_usd: float) -> Intervals:
        """Around these figures of an estimate."""
        factors = self._factors.get(place)
        if factors is None:
            factors = self._factors[place] = self._worked_out(place)
        elapsed, loss, energy, cost = factors
        lost = loss_of(fidelity)
        return Intervals(
            elapsed_s=_between(elapsed_s * elapsed[0], elapsed_s, elapsed_s * elapsed[1]),
            fidelity=_between(fidelity_of(lost * loss[1]), fidelity, fidelity_of(lost * loss[0])),
            energy_j=_between(energy_j * energy[0], energy_j, energy_j * energy[1]),
            cost_usd=_between(cost_usd * cost[0], cost_usd, cost_usd * cost[1]),
            nearness=place.nearness,
        )

    @cached_property
    def _factors(self) -> dict[Place, tuple[tuple[float, float], ...]]:
        """What was worked out of this model so far: a batch of jobs asks for the same again and again."""
        return {}

    def _worked_out(self, place: Place) -> tuple[tuple[float, float], ...]:
        """Factors from what is said to both ends, of each figure; of fidelity on its loss."""
        tails = self.tails.get(place.backend, UNTESTED)
        return tuple(
            (math.exp(width * scores.ends[0]), math.exp(width * scores.ends[1])) if width else EXACT
            for width, scores in zip(_expected(self.widths, place), tails, strict=True)
        )


def _expected(widths: Mapping[str, tuple[Mean, ...]], place: Place) -> tuple[float, ...]:
    """The width of each figure, from the widest kind to the narrowest."""
    found = place.prior_widths
    for key in place.keys:
        if (means := widths.get(key)) is None:
            break
        found = tuple(mean.shrunk(width, LEAN) for mean, width in zip(means, found, strict=True))
    return found


def _errors(seen: Observation) -> tuple[float | None, ...]:
    """Errors of each figure, as log measured - log said; None where nothing was measured, or it is free."""
    said, met, loss = seen.estimate, seen.measurement, measured_loss(seen)
    busy_s = met.service_s if said.device_s is None or met.device_s is None else met.device_s
    waited_s = 0.0 if said.queue_s is None or met.queue_s is None else met.queue_s
    return (
        _log_ratio(waited_s + busy_s, said.elapsed_s),
        None if loss is None else _log_ratio(loss, loss_of(said.fidelity)),
        _log_ratio(met.energy_j, said.energy_j),
        _log_ratio(met.cost_usd, said.cost_usd),
    )


def _log_ratio(measured: float, said: float) -> float | None:
    return math.log(measured / said) if measured > 0.0 and said > 0.0 else None


def _between(low: float, said: float, high: float) -> Interval:
    """To four digits: the log of decisions keeps every interval of every backend."""
    if low == high:
        return Interval(said, said)
    return Interval(min(said, float(f"{low:.4g}")), max(said, float(f"{high:.4g}")))

"""How logical errors grow with physical ones: the exponent, and where the code begins to pay."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from circuits.errors import InvalidParameter
from circuits.steane.memory import Tally

NUM_RESAMPLES = 4000


@dataclass(frozen=True)
class Scaling:
    """A power law f = a p^b through measured logical errors, with 95 % intervals.

    Attributes:
        slope: b; 2 for a code that corrects every single fault, 4 at level 2, 1 for one that does not.
        slope_interval: of it.
        crossing: p at which f = p, the pseudo-threshold if the points lie around it; None unless the slope is above 1.
        crossing_interval: of it.
    """

    slope: float
    slope_interval: tuple[float, float]
    crossing: float | None
    crossing_interval: tuple[float, float] | None


def scaling(points: Sequence[tuple[float, Tally]], seed: int = 0) -> Scaling:
    """Fit ln f = ln a + b ln p, each point weighted by its number of failures (the variance of ln f is one over it).

    Intervals: percentiles over parametric resamples, Poisson in the failures (ours).

    Args:
        points: p and what was counted there; at least two different p, each with a failure.
        seed: of the resamples.

    Raises:
        InvalidParameter: too few points, or one without a failure.
    """
    if len({p for p, _ in points}) < 2 or any(tally.failures < 1 for _, tally in points):
        raise InvalidParameter("scaling: wanted two different p or more, each with a failure; take more shots")
    x = np.log([p for p, _ in points])
    failures = np.array([tally.failures for _, tally in points], dtype=np.float64)
    rates = np.array([tally.error_per_round for _, tally in points], dtype=np.float64)
    drawn = np.random.default_rng(seed).poisson(failures, size=(NUM_RESAMPLES, len(x)))
    drawn = np.maximum(np.vstack([failures, drawn]), 0.5)
    slopes, intercepts = _fit(x, np.log(rates * drawn / failures), failures)
    slope, slope_interval = float(slopes[0]), _interval(slopes[1:])
    if slope_interval[0] <= 1.0:
        return Scaling(slope, slope_interval, None, None)
    steep = np.maximum(slopes, 1.0 + 1e-9)  # the few resamples below
    crossings = np.exp(np.minimum(intercepts / (1.0 - steep), 0.0))
    return Scaling(slope, slope_interval, float(crossings[0]), _interval(crossings[1:]))


def _interval(values: NDArray[np.float64]) -> tuple[float, float]:
    low, high = np.quantile(values, [0.025, 0.975])
    return float(low), float(high)


def _fit(
    x: NDArray[np.float64], y: NDArray[np.float64], weights: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Slope b and ln a of each row of y; x, weights: (points,), y: (resamples, points)."""
    share = weights / weights.sum()
    centred = x - x @ share
    slopes: NDArray[np.float64] = (y * share) @ centred / (share @ centred**2)
    return slopes, y @ share - slopes * (x @ share)

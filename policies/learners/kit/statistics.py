"""What few runs can say: interquartile means, stratified bootstrap, performance profiles, probability of improvement.

Source: Agarwal, Schwarzer, Castro, Courville, Bellemare, "Deep Reinforcement Learning at the Edge of the Statistical
Precipice", NeurIPS 2021 (arXiv 2108.13264), Section 4; its own code is no longer kept up. :func:`resampled` is ours:
there, slots that all policies were judged on are drawn anew together, so that what is easy for all cancels.

Scores are float64 (num_runs, num_tasks): a run is one training, a task one cell of a table.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import ArrayLike, NDArray

from circuits.errors import InvalidParameter
from circuits.parameters import short

Floats = NDArray[np.float64]

RESAMPLES = 2000
COVERAGE = 0.95
AT_ONCE = 100
"""Resamples of slots that are held in memory."""


def scores_of(values: ArrayLike) -> Floats:
    """Scores as a finite float64 (num_runs, num_tasks), at least one of each.

    Raises:
        InvalidParameter: they are no such thing.
    """
    scores = np.asarray(values, dtype=np.float64)
    if scores.ndim != 2 or not scores.size or not np.isfinite(scores).all():
        raise InvalidParameter(f"scores: wanted finite numbers of shape (runs, tasks), got {short(values)}")
    return scores


def interquartile_mean(values: ArrayLike, axis: int | None = None) -> Floats:
    """Mean of the middle half: floor(n / 4) of the smallest and as many of the largest are left out.

    IQM = mean(x_(g+1) … x_(n-g)),  g = floor(n / 4),  x_(i) sorted        [Agarwal et al. 2021, Section 4.3]

    Args:
        values: any shape.   axis: over which; None: over all.
    """
    ordered = np.sort(np.asarray(values, dtype=np.float64), axis=axis)
    num = ordered.shape[-1 if axis is None else axis]
    left = num // 4
    middle: Floats = np.take(ordered, range(left, num - left), axis=-1 if axis is None else axis)
    return np.asarray(middle.mean(axis=axis), dtype=np.float64)


def interval(resamples: Floats, coverage: float = COVERAGE) -> tuple[float, float]:
    """Percentile interval of resampled statistics."""
    low, high = np.quantile(resamples, [(1.0 - coverage) / 2.0, (1.0 + coverage) / 2.0])
    return float(low), float(high)


def stratified_bootstrap(
    values: ArrayLike,
    statistic: Callable[[Floats], ArrayLike] = interquartile_mean,
    *,
    num_resamples: int = RESAMPLES,
    seed: int = 0,
) -> tuple[float, float]:
    """Interval of a statistic of all scores: runs are drawn anew, with replacement, in each task by itself.

    Args:
        values: (num_runs, num_tasks).   statistic: of such an array.
    """
    scores = scores_of(values)
    chance = np.random.default_rng(seed)
    shape, tasks = scores.shape, np.arange(scores.shape[1])
    draws = (scores[chance.integers(shape[0], size=shape), tasks] for _ in range(num_resamples))
    return interval(np.array([np.asarray(statistic(draw)) for draw in draws], dtype=np.float64))


def performance_profile(values: ArrayLike, thresholds: ArrayLike) -> Floats:
    """Share of runs and tasks with more than each threshold.

    F(tau) = 1/M sum_m 1/N sum_n [x_nm > tau]        [Agarwal et al. 2021, eq. 4]

    Args:
        values: (num_runs, num_tasks).   thresholds: tau, (T,).

    Returns:
        (T,), falling from 1 to 0.
    """
    flat = np.sort(scores_of(values), axis=None)
    at = np.asarray(thresholds, dtype=np.float64)
    return 1.0 - np.searchsorted(flat, at, side="right") / flat.size


def probability_of_improvement(values: ArrayLike, others: ArrayLike) -> float:
    """Chance that a run of one scores more than a run of another on a task, ties counting half.

    P(X > Y) = 1/M sum_m 1/(N K) sum_nk S(x_nm, y_km),  S = 1, 1/2, 0        [Agarwal et al. 2021, Section 4.4]

    Args:
        values: (N, num_tasks).   others: (K, num_tasks).

    Raises:
        InvalidParameter: their tasks differ in number.
    """
    mine, its = scores_of(values), scores_of(others)
    if mine.shape[1] != its.shape[1]:
        raise InvalidParameter(f"scores: wanted {mine.shape[1]} tasks of both, got {its.shape[1]}")
    return float((0.5 + 0.5 * np.sign(mine[:, None] - its[None])).mean())


def resampled(
    costs: Mapping[str, Floats], *, num_resamples: int = RESAMPLES, seed: int = 0
) -> tuple[dict[str, float], dict[str, Floats]]:
    """Cost of each policy, and what it would have been on other slots and with other runs.

    A policy's cost is the interquartile mean over its runs of their mean over slots. Slots are drawn anew for all
    policies together, runs for each policy by itself, so that whatever is computed from several costs is paired.

    Args:
        costs: by policy, (num_runs, num_slots), the same slots for all.

    Returns:
        By policy: the cost, and float64 (num_resamples,).
    """
    chance = np.random.default_rng(seed)
    runs = {policy: scores_of(given) for policy, given in costs.items()}
    num_slots = next(iter(runs.values())).shape[1]
    parts: dict[str, list[Floats]] = {policy: [] for policy in runs}
    for begin in range(0, num_resamples, AT_ONCE):
        num = min(AT_ONCE, num_resamples - begin)
        weights = chance.multinomial(num_slots, np.full(num_slots, 1.0 / num_slots), size=num) / num_slots
        for policy, each in runs.items():
            means = weights @ each.T  # (num, num_runs)
            again = chance.integers(each.shape[0], size=means.shape)
            parts[policy].append(interquartile_mean(np.take_along_axis(means, again, axis=1), axis=1))
    value = {policy: float(interquartile_mean(each.mean(axis=1))) for policy, each in runs.items()}
    return value, {policy: np.concatenate(each) for policy, each in parts.items()}

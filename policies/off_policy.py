"""What another policy would have cost, estimated from a log of decisions that it did not take. Pure numpy.

The estimators of a contextual bandit, for the mean cost V of a policy π from jobs placed by a policy μ whose chances
are known (Dudík, Langford, Li, "Doubly robust policy evaluation and learning", ICML 2011; self-normalised: Swaminathan,
Joachims, NeurIPS 2015; both second-hand). With w = π(a|x) / μ(a|x) of the placement a that was logged, its cost c, and
a model q:

    inverse propensity      mean(w c)                                    unbiased, wide
    self-normalised         sum(w c) / sum(w)                            nearly unbiased, narrower
    direct                  mean over x of sum_a π(a|x) q(x, a)          as biased as the model
    doubly robust           direct + mean(w (c - q(x, a)))               unbiased whatever q is, narrow where q is good

q must not have seen c: estimates made at the decision have not. Every one of them judges π in the states in which μ's
jobs met the fleet; what π itself would do to the backlog, none can see. Intervals are percentiles of a bootstrap that
draws whole batches, since jobs of a batch share a backlog.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

NUM_RESAMPLES = 2000
DRAWS_HELD = 1_000_000
"""Numbers of draws in memory at a time, whatever the length of the log."""

FEW_BATCHES = 20
"""With fewer, a bootstrap's interval is too narrow to be relied on (ours)."""


@dataclass(frozen=True)
class Rows:
    """One row for each job, all float64 of shape (num_jobs,) but the batch, which is int64.

    Attributes:
        cost: measured.   weight: π(a|x) / μ(a|x) of where it went.
        said: q(x, a) of where it went.   said_policy: sum_a π(a|x) q(x, a).
        uncovered: chance that π would have sent it where μ never did.
        batch: jobs of one batch have the same number.
    """

    cost: Floats
    weight: Floats
    said: Floats
    said_policy: Floats
    uncovered: Floats
    batch: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.cost)


@dataclass(frozen=True)
class Value:
    """A mean and its interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class OffPolicy:
    """What a log says of a policy.

    Attributes:
        values: by the name of the estimator; the direct one alone where the others are refused.
        refused: why; empty if they are not.
        effective_jobs: (sum w)^2 / sum w^2: jobs that the weighted ones are worth.
        uncovered: share of the policy's placements that the log's never made.
        largest_weight: of any job.
    """

    num_jobs: int
    num_batches: int
    level: float
    values: Mapping[str, Value]
    refused: str
    effective_jobs: float
    uncovered: float
    largest_weight: float


def estimate(rows: Rows, *, level: float = 0.95, seed: int = 7, num_resamples: int = NUM_RESAMPLES) -> OffPolicy:
    """Every estimator with its interval.

    Args:
        rows: at least one.   level: of the intervals, in (0, 1).   seed: of the bootstrap.

    Raises:
        ValueError: there are no rows.
    """
    if not len(rows):
        raise ValueError("an estimate needs at least one job")
    uncovered = float(rows.uncovered.mean())
    refused = _refusal(rows, uncovered)
    sums = _by_batch(rows)
    drawn = _resampled(sums, num_resamples, seed)
    names = ("direct",) if refused else tuple(ESTIMATORS)
    whole = sums.sum(axis=0, keepdims=True)
    tails = [50 * (1 - level), 50 * (1 + level)]
    values = {}
    for name in names:
        with np.errstate(invalid="ignore", divide="ignore"):
            resampled = ESTIMATORS[name](drawn)
        low, high = np.nanpercentile(resampled, tails)
        values[name] = Value(float(ESTIMATORS[name](whole)[0]), float(low), float(high))
    square = float(np.square(rows.weight).sum())
    return OffPolicy(
        num_jobs=len(rows),
        num_batches=len(sums),
        level=level,
        values=values,
        refused=refused,
        effective_jobs=float(rows.weight.sum()) ** 2 / square if square else 0.0,
        uncovered=uncovered,
        largest_weight=float(rows.weight.max()),
    )


def difference(first: Floats, second: Floats, batch: NDArray[np.int64], *, level: float = 0.95, seed: int = 7) -> Value:
    """Mean of first - second over jobs, with its interval; batches are drawn whole. All of shape (num_jobs,)."""
    _, index = np.unique(batch, return_inverse=True)
    columns = (first - second, np.ones(len(first), dtype=np.float64))
    sums: Floats = np.stack([np.bincount(index, weights=one) for one in columns], axis=1).astype(np.float64)
    drawn = _resampled(sums, NUM_RESAMPLES, seed)
    low, high = np.percentile(drawn[:, 0] / drawn[:, 1], [50 * (1 - level), 50 * (1 + level)])
    return Value(float((first - second).mean()), float(low), float(high))


def _refusal(rows: Rows, uncovered: float) -> str:
    if uncovered > 0.0:
        return (
            f"{uncovered:.1%} of its placements are such as the log's policy never makes for these jobs: nothing was "
            "measured that could stand for them, so only the direct estimate is given, which is as good as the cost "
            "model; log with `random`, or another policy that leaves every backend a chance"
        )
    if not rows.weight.any():
        return "no job went where it would have sent it; only the direct estimate is given: log more jobs"
    return ""


# ── sums over batches: (num_draws, columns) -> (num_draws,) ───────────────────────────────────────────────────────────
_WEIGHTED, _WEIGHTS, _SAID, _CORRECTION, _JOBS = range(5)

ESTIMATORS = {
    "inverse_propensity": lambda sums: sums[:, _WEIGHTED] / sums[:, _JOBS],
    "self_normalised": lambda sums: sums[:, _WEIGHTED] / sums[:, _WEIGHTS],
    "direct": lambda sums: sums[:, _SAID] / sums[:, _JOBS],
    "doubly_robust": lambda sums: (sums[:, _SAID] + sums[:, _CORRECTION]) / sums[:, _JOBS],
}


def _by_batch(rows: Rows) -> Floats:
    """Of each batch what the estimators add up. Shape (num_batches, 5)."""
    _, index = np.unique(rows.batch, return_inverse=True)
    columns = (
        rows.weight * rows.cost,
        rows.weight,
        rows.said_policy,
        rows.weight * (rows.cost - rows.said),
        np.ones(len(rows)),
    )
    return np.stack([np.bincount(index, weights=column) for column in columns], axis=1)


def _resampled(sums: Floats, num_resamples: int, seed: int) -> Floats:
    """Sums over batches that were drawn with replacement, as many as there are. Shape (num_resamples, columns)."""
    num_batches = len(sums)
    chances = np.full(num_batches, 1.0 / num_batches)
    generator = np.random.default_rng(seed)
    at_once = max(1, DRAWS_HELD // num_batches)
    sizes = [min(at_once, num_resamples - start) for start in range(0, num_resamples, at_once)]
    return np.concatenate([generator.multinomial(num_batches, chances, size=size) @ sums for size in sizes])

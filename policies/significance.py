"""Whether a policy is better than another on the same worlds: what the usual analysis says, and what the design allows.

One-way analysis of variance and Tukey's honestly significant difference take every run for a sample of its policy, as
if worlds did not differ. Here the same worlds are played by all policies, and worlds differ far more than policies do:
the paired t test over worlds (blocks) is the test of that design. All but Holm's correction is scipy's.

Scores are float64 (num_blocks,) or (num_blocks, num_seeds): seeds of one block are averaged first, since they are no
samples of other blocks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from circuits.errors import InvalidParameter
from circuits.parameters import short

Floats = NDArray[np.float64]
COVERAGE = 0.95
RESAMPLES = 9_999


@dataclass(frozen=True)
class Anova:
    """One-way analysis of variance.

    Attributes:
        f: between over within.   p: of equal means.   explained: eta squared, part of the variance between groups.
    """

    f: float
    p: float
    explained: float


@dataclass(frozen=True)
class Difference:
    """Of two means, the first less the second.

    Attributes:
        mean: itself.   low, high: 95 % interval.   p: two-sided.   num_blocks: behind it.
    """

    mean: float
    low: float
    high: float
    p: float
    num_blocks: int


@dataclass(frozen=True)
class Ratio:
    """Of two means, less one: +0.25 is a quarter more.

    Attributes:
        gain: itself.   low, high: bootstrap interval of 95 %.
    """

    gain: float
    low: float
    high: float


@dataclass(frozen=True)
class Line:
    """Of least squares.

    Attributes:
        slope, intercept: itself.   slope_pm: half width of the slope's 95 % interval.   r2: part of the variance that
            it explains.   p: two-sided, of no slope.
    """

    slope: float
    intercept: float
    slope_pm: float
    r2: float
    p: float


def blocks(name: str, values: ArrayLike) -> Floats:
    """One score for each block, float64 (num_blocks,).

    Raises:
        InvalidParameter: fewer than two blocks, or not finite numbers; the message has the name.
    """
    try:
        scores = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError):
        scores = np.empty(0)
    if scores.ndim not in (1, 2) or scores.shape[0] < 2 or not scores.size or not np.isfinite(scores).all():
        raise InvalidParameter(f"{name}: wanted finite scores of at least two blocks, got {short(values)}")
    return scores if scores.ndim == 1 else scores.mean(axis=1)


def anova(groups: Mapping[str, ArrayLike]) -> Anova:
    """One-way analysis of variance of scores by policy (Fisher 1925).

    Raises:
        InvalidParameter: fewer than two groups, or scores that are none.
    """
    samples = _groups(groups)
    every = np.concatenate(samples)
    whole = float(((every - every.mean()) ** 2).sum())
    between = float(sum(each.size * (each.mean() - every.mean()) ** 2 for each in samples))
    if whole == 0.0:
        return Anova(0.0, 1.0, 0.0)
    found = stats.f_oneway(*samples) if whole > between else None
    f, p = (np.inf, 0.0) if found is None else (float(found.statistic), float(found.pvalue))
    return Anova(f, p, between / whole)


def tukey(groups: Mapping[str, ArrayLike]) -> dict[tuple[str, str], Difference]:
    """Tukey's honestly significant differences of all pairs of groups (Tukey 1949, Kramer 1956), by their names.

    Raises:
        InvalidParameter: fewer than two groups, or scores that are none.
    """
    samples, names = _groups(groups), list(groups)
    found = stats.tukey_hsd(*samples)
    within = found.confidence_interval(COVERAGE)
    return {
        (names[i], names[j]): Difference(
            float(found.statistic[i, j]),
            float(within.low[i, j]),
            float(within.high[i, j]),
            float(found.pvalue[i, j]),
            min(samples[i].size, samples[j].size),
        )
        for i in range(len(names))
        for j in range(i + 1, len(names))
    }


def paired(values: ArrayLike, others: ArrayLike) -> Difference:
    """Paired t test with the world as block (Student 1908).

    Raises:
        InvalidParameter: scores that are none, or of other blocks.
    """
    ours, theirs = _both(values, others)
    apart = ours - theirs
    if _all_same(apart):  # t is infinite or undefined
        same = float(apart[0])
        return Difference(same, same, same, 1.0 if same == 0.0 else 0.0, apart.size)
    found = stats.ttest_rel(ours, theirs)
    within = found.confidence_interval(COVERAGE)
    return Difference(float(apart.mean()), float(within.low), float(within.high), float(found.pvalue), apart.size)


def not_inferior(values: ArrayLike, others: ArrayLike, margin: float) -> float:
    """One-sided p of a mean below (1 - margin) times the other's: small p shows non-inferiority.

    Args:
        margin: relative, in [0, 1).

    Raises:
        InvalidParameter: scores that are none, or of other blocks, or a margin out of its range.
    """
    if not 0.0 <= margin < 1.0:
        raise InvalidParameter(f"margin: wanted a number in [0, 1), got {margin:g}")
    ours, theirs = _both(values, others)
    spare = ours - (1.0 - margin) * theirs
    if _all_same(spare):
        return float(spare[0] <= 0.0)
    return float(stats.ttest_1samp(spare, 0.0, alternative="greater").pvalue)


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down correction (Holm 1979): adjusted p, in the order given.

    p'_(k) = max_{j <= k} min(1, (m - j + 1) p_(j))

    Raises:
        InvalidParameter: one is not in [0, 1].
    """
    p = np.asarray(p_values, dtype=np.float64)
    if p.ndim != 1 or not ((p >= 0.0) & (p <= 1.0)).all():
        raise InvalidParameter(f"p_values: wanted numbers in [0, 1], got {short(p_values)}")
    order = np.argsort(p, kind="stable")
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(np.maximum.accumulate(p[order] * np.arange(p.size, 0, -1)), 1.0)
    return [float(each) for each in adjusted]


def ratio(values: ArrayLike, others: ArrayLike, *, seed: int = 0, num_resamples: int = RESAMPLES) -> Ratio:
    """Gain of the mean over the other's, mean(a)/mean(b) - 1, with blocks drawn anew together (percentiles).

    Raises:
        InvalidParameter: scores that are none, or of other blocks, or the other's mean is not positive.
    """
    ours, theirs = _both(values, others)
    if not theirs.mean() > 0.0:
        raise InvalidParameter(f"others: wanted scores with a positive mean, got {theirs.mean():g}")
    draws = np.random.default_rng(seed).multinomial(ours.size, np.full(ours.size, 1.0 / ours.size), num_resamples)
    below = draws @ theirs
    gains = (draws @ ours)[below > 0.0] / below[below > 0.0] - 1.0
    edge = 0.5 * (1.0 - COVERAGE)
    low, high = np.quantile(gains, (edge, 1.0 - edge))
    return Ratio(float(ours.mean() / theirs.mean() - 1.0), float(low), float(high))


def line(x: ArrayLike, y: ArrayLike) -> Line:
    """Least squares of scores ``y`` (n,) on ``x`` (n,), both float64.

    Raises:
        InvalidParameter: fewer than three points, shapes that differ, all ``x`` the same, or not finite numbers.
    """
    where, scores = blocks("x", x), blocks("y", y)
    if where.shape != scores.shape or where.size < 3 or np.ptp(where) == 0.0:
        raise InvalidParameter(
            f"x: wanted three points or more, one for each score and not all the same, got {short(x)}"
        )
    found = stats.linregress(where, scores)
    wide = float(found.stderr) * float(stats.t.ppf(0.5 + 0.5 * COVERAGE, where.size - 2))
    return Line(float(found.slope), float(found.intercept), wide, float(found.rvalue) ** 2, float(found.pvalue))


def _all_same(values: Floats) -> bool:
    """Whether what is left of the variance is rounding."""
    return float(np.ptp(values)) <= 1e-12 * float(np.abs(values).max())


def _groups(groups: Mapping[str, ArrayLike]) -> list[Floats]:
    if len(groups) < 2:
        raise InvalidParameter(f"groups: wanted at least two, got {len(groups)}")
    return [blocks(name, values) for name, values in groups.items()]


def _both(values: ArrayLike, others: ArrayLike) -> tuple[Floats, Floats]:
    ours, theirs = blocks("values", values), blocks("others", others)
    if ours.shape != theirs.shape:
        raise InvalidParameter(f"others: wanted scores of {ours.size} blocks, got {theirs.size}")
    return ours, theirs

"""How long a flow takes for so many pairs: a law, its mean and its quantiles.

The first pair needs one of every link, E[t] = E[max_e Exp(λ_e)], and 1/p tries, p = p_s^(h-1) (first prediction of the
literature; :func:`mean_first_s`). For a few pairs the number of tries N is negative binomial, and link e has to make N
less what it has in stock: P(T <= t) = Σ_N P(N) Π_e P(Gamma(N - s_e) <= λ_e t), exact while links can keep what they
make ahead of the others, and nothing grows too old (ours). What is wanted beyond that comes at the pace of the flow's
rehearsal: mean and variance are added, and the sum is taken as a gamma variable (ours).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from scipy.integrate import simpson
from scipy.special import gammainc, gammaincinv, gammaln, xlog1py

from policies.allocators.pairs.line import Hardware, Rehearsal, Route
from policies.envs.qnum.utilities import Array

GRID = 160
"""Moments at which a law is looked at for its mean and variance."""


def mean_max_exp_s(rates_hz: Sequence[float]) -> float:
    """E[max_e Exp(λ_e)] = Σ over sets S of links, not empty, of (-1)^(|S|+1)/λ_S, λ_S their sum."""
    return sum(
        (-1.0) ** (size + 1) / sum(chosen)
        for size in range(1, len(rates_hz) + 1)
        for chosen in combinations(rates_hz, size)
    )


def mean_first_s(route: Route, hardware: Hardware, stock: Sequence[int]) -> float:
    """Mean seconds to one pair: of links without stock the latest, over the chance that all swaps work.

    A try that fails is taken to begin again with nothing, so that this is a little too long where links keep more.
    """
    missing = [rate for rate, pairs in zip(route.rates_hz, stock, strict=True) if pairs == 0]
    success = hardware.swap_success**route.num_swaps
    first = mean_max_exp_s(missing) if missing else 0.0
    return first + (1.0 / success - 1.0) * mean_max_exp_s(route.rates_hz)


@dataclass(frozen=True)
class Law:
    """When n pairs of a flow are there.

    Attributes:
        tries: N, ascending.   chances: of each.   float64 (tries,)
        rates_hz: λ_e.   stock: s_e.   float64 (links,)
    """

    tries: Array
    chances: Array
    rates_hz: Array
    stock: Array

    def chance(self, t_s: Array) -> Array:
        """P(T <= t).   float64, as t_s."""
        to_make = self.tries[:, None] - self.stock  # (tries, links)
        each = gammainc(np.maximum(to_make, 1.0), t_s[:, None, None] * self.rates_hz)
        found: Array = np.where(to_make > 0.0, each, 1.0).prod(axis=2) @ self.chances
        return found

    def longest_s(self) -> float:
        """A moment by which all is there, but for one case in many thousands."""
        to_make = np.maximum(self.tries[-1] - self.stock, 0.0)
        return float(np.max((to_make + 6.0 * np.sqrt(to_make) + 8.0) / self.rates_hz))

    def quantile(self, chance: float) -> float:
        """Least t at which P(T <= t) is at least that."""
        low, high = 0.0, self.longest_s()
        if float(self.chance(np.zeros(1))[0]) >= chance:
            return 0.0
        for _ in range(5):  # sixteen parts a turn: a millionth of the width
            grid = np.linspace(low, high, 17)
            above = int(np.argmax(self.chance(grid) >= chance))
            low, high = float(grid[max(0, above - 1)]), float(grid[above])
        return high

    def moments(self) -> tuple[float, float]:
        """Mean and variance, from ∫ P(T > t) dt and ∫ 2 t P(T > t) dt by Simpson's rule; s and s²."""
        t_s = np.linspace(0.0, self.longest_s(), GRID + 1)
        later = 1.0 - self.chance(t_s)
        mean_s = float(simpson(later, x=t_s))
        return mean_s, max(0.0, float(simpson(2.0 * t_s * later, x=t_s)) - mean_s * mean_s)


def law(route: Route, hardware: Hardware, pairs: int, stock: Sequence[int], good: float = 1.0) -> Law:
    """Of so many pairs, few enough to be kept.

    Args:
        good: share of the pairs that are good enough.
    """
    success = max(1e-4, good * hardware.swap_success**route.num_swaps)
    most = int(np.ceil(pairs / success + 6.0 * np.sqrt(pairs * (1.0 - success)) / success)) + 1
    tries = np.arange(pairs, max(most, pairs + 1) if success < 1.0 else pairs + 1, dtype=np.float64)
    log_chances = gammaln(tries) - gammaln(pairs) - gammaln(tries - pairs + 1.0)
    log_chances += pairs * np.log(success) + xlog1py(tries - pairs, -success)
    chances = np.exp(log_chances)
    return Law(tries, chances / chances.sum(), np.array(route.rates_hz), np.array(stock, dtype=np.float64))


@dataclass(frozen=True)
class Ready:
    """Seconds until pairs are there.

    Attributes:
        before: chance that they are there within the deadline; 1 without one.
    """

    p50_s: float
    p90_s: float
    before: float


NEVER = Ready(1e18, 1e18, 0.0)


def ready(
    route: Route,
    hardware: Hardware,
    rehearsal: Rehearsal,
    pairs: int,
    stock: Sequence[int],
    *,
    good: float = 1.0,
    deadline_s: float | None = None,
) -> Ready:
    """Median, ninth decile, and the chance to be in time.

    Args:
        pairs: wanted, those of others in front among them.   stock: pairs that each link has.   good: share of the
            pairs that are good enough.   deadline_s: None for none.
    """
    if good <= 0.0 or rehearsal.rate_hz <= 0.0:
        return NEVER
    exact = law(route, hardware, min(pairs, hardware.memories), stock, good)
    more = pairs - hardware.memories
    if more <= 0:
        before = 1.0 if deadline_s is None else float(exact.chance(np.array([deadline_s]))[0])
        return Ready(exact.quantile(0.5), exact.quantile(0.9), before)
    mean_s, variance_s2 = exact.moments()
    rate_hz, dispersion = good * rehearsal.rate_hz, good * rehearsal.dispersion + 1.0 - good
    mean_s += more / rate_hz
    shape = mean_s * mean_s / (variance_s2 + more * dispersion / rate_hz**2)
    p50_s, p90_s = (mean_s * float(gammaincinv(shape, chance)) / shape for chance in (0.5, 0.9))
    before = 1.0 if deadline_s is None else float(gammainc(shape, shape * deadline_s / mean_s))
    return Ready(p50_s, p90_s, before)

"""With which chance each of several uncertain costs is the least, worked out by quadrature.

A cost is ``known + own exp(sigma z)`` with z from a standard normal, independent of the others' (ours: see
:mod:`policies.bandit`). Cost i is the least with the integral of its density times the chances that all others are
more,

    P_i = ∫ f_i(x) Π_{j != i} S_j(x) dx,

taken by Gauss and Legendre over intervals that are short for every one of them.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_ndtr

Array = NDArray[np.float64]

REACH, STEP = 8.0, 0.25
"""The integral goes so many standard deviations far, in intervals no longer than such steps."""

CERTAIN = 1e-9
"""Below this a standard deviation counts as none: its steps would be lost in rounding."""

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(6)


def chances_of_least(known: Array, own: Array, sigma: Array) -> Array:
    """The chance of each to be the least; among certain ones that are equal, the first.

    Args:
        known, own, sigma: of each cost, own and sigma >= 0.   float64 (num_costs,)

    Returns:
        Chances that add up to 1.   float64 (num_costs,)
    """
    chances = np.zeros(len(known))
    certain = (sigma < CERTAIN) | (own <= 0.0)
    costs = np.where(certain, known + own, np.inf)
    most = float(costs.min())  # of what costs at least this much nothing is the least
    spread = np.where(certain, 0.0, REACH * sigma)
    ceiling = float((known + own * np.exp(spread)).min())
    live = np.flatnonzero(~certain & (known + own * np.exp(-spread) < ceiling))
    if len(live):
        chances[live] = _integrated(known[live], own[live], sigma[live], most)
    if np.isfinite(most):
        x = np.array([most])
        more = log_ndtr(-_deviations(x, known[live], own[live], sigma[live])).sum()
        chances[int(costs.argmin())] = np.exp(more)
    return np.asarray(chances / chances.sum())


def _integrated(known: Array, own: Array, sigma: Array, most: float) -> Array:
    """The integral above for each, up to ``most``."""
    steps = np.arange(-REACH, REACH + STEP, STEP)
    ends = known[:, None] + own[:, None] * np.exp(sigma[:, None] * steps)
    ends = np.unique(np.minimum(ends, most))
    middle, half = (ends[1:] + ends[:-1]) / 2.0, (ends[1:] - ends[:-1]) / 2.0
    x = (middle[:, None] + half[:, None] * _NODES).ravel()
    weights = (half[:, None] * _WEIGHTS).ravel()
    deviations = _deviations(x, known, own, sigma)
    more = log_ndtr(-deviations)
    others = more.sum(axis=0) - more
    possible = deviations > -2.0 * REACH
    beyond = np.where(possible, x - known[:, None], 1.0)
    log_density = -0.5 * deviations**2 - np.log(np.sqrt(2.0 * np.pi) * sigma)[:, None] - np.log(beyond)
    return np.asarray(np.where(possible, np.exp(log_density + others), 0.0) @ weights)


def _deviations(x: Array, known: Array, own: Array, sigma: Array) -> Array:
    """By how many standard deviations each factor is beyond expectation where the cost is x, (num_costs, num_x)."""
    with np.errstate(divide="ignore"):
        factor = np.log(np.maximum(x - known[:, None], 0.0) / own[:, None])
    return np.asarray(factor / sigma[:, None])

"""Static baselines: what one gets without weighing rate against quality link by link.

All are ours; the paper's are unknown. Quality is the same on all links (``werner=None`` scans for the best, which needs
a central planner and is more than a network would know), or drawn where all is drawn.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from circuits.errors import InvalidParameter
from policies.allocators.allocation import Allocation
from policies.allocators.qprimaldual.laws import START_W
from policies.envs.qnum.network import Network, number, whole
from policies.envs.qnum.problem import shortfall, utility
from policies.envs.qnum.utilities import Array

Fill = Callable[[Network, Array], Array]

_SCANNED = 1.0 - np.geomspace(1e-5, 0.6, 60)
_GOLDEN = 0.5 * (math.sqrt(5.0) - 1.0)


def max_min_fair(network: Network, *, werner: float | None = None, **_: Any) -> Allocation:
    """The same quality everywhere, rates as even as can be (Bertsekas and Gallager's filling; weights do not count)."""
    return _at_fixed_quality(network, werner, progressive_filling)


def max_min_fair_fixed(network: Network, **_: Any) -> Allocation:
    """Max-min fair where every link is at the paper's start, w = 0.967."""
    return _at_fixed_quality(network, START_W, progressive_filling)


def proportional_fair(network: Network, *, werner: float | None = None, **_: Any) -> Allocation:
    """The same quality everywhere, rates of the greatest Σ ω log R (Kelly)."""
    return _at_fixed_quality(network, werner, proportional_rates)


def greedy(network: Network, *, werner: float = START_W, **_: Any) -> Allocation:
    """First come, first served on the given routes: each flow takes half of what is left, so that none goes without."""
    left = network.d_hz * (1.0 - number("werner", werner, 0.0, 1.0))
    rates = np.zeros(network.num_flows)
    for place, flow in enumerate(network.flows):
        route = list(flow.route)
        rates[place] = 0.5 * left[route].min()
        left[route] -= rates[place]
    return Allocation(rates, _uniform(network, werner))


def random_feasible(network: Network, *, seed: int = 1, draws: int = 100, **_: Any) -> Allocation:
    """The best of some random allocations: a quality for each link, its rate split at random (Dirichlet)."""
    numbers = np.random.default_rng(whole("seed", seed, 0, 2**63 - 1))
    found = [_drawn(network, numbers) for _ in range(whole("draws", draws, 1, 10**6))]
    return max(found, key=lambda each: _worth(network, each))


def _drawn(network: Network, draws: np.random.Generator) -> Allocation:
    werner = 1.0 - draws.uniform(0.0, 0.3, network.num_links) / np.mean(network.hops)
    made, starts = network.d_hz * (1.0 - werner), network.incidence.indptr
    shares = draws.exponential(size=network.incidence.nnz)
    links = np.repeat(np.arange(network.num_links), np.diff(starts))
    offers = made[links] * shares / np.bincount(links, shares, network.num_links)[links]
    rates = np.full(network.num_flows, np.inf)
    np.minimum.at(rates, network.incidence.indices, offers)
    return Allocation(rates, np.where(network.used, werner, 1.0 - 1e-9))


def _uniform(network: Network, w: float) -> Array:
    return np.full(network.num_links, w)


def _worth(network: Network, allocation: Allocation) -> float:
    """Utility; minus infinity where minimum quality is missed."""
    if shortfall(network, allocation.werner) > 0.0:
        return -math.inf
    return utility(network, allocation.rates_hz, allocation.werner)


def _at_fixed_quality(network: Network, werner: float | None, fill: Fill) -> Allocation:
    """Rates at one quality, or at the best: capacities are proportional, so rates are found once and scaled."""
    whole_rates = fill(network, network.d_hz)

    def at(w: float) -> Allocation:
        return Allocation(whole_rates * (1.0 - w), _uniform(network, w))

    if werner is not None:
        return at(number("werner", werner, 0.0, 1.0))
    worths = [_worth(network, at(float(w))) for w in _SCANNED]
    best = int(np.argmax(worths))
    if worths[best] == -math.inf:
        raise InvalidParameter("werner: wanted one quality at which every flow is worth something, found none")
    low, high = float(_SCANNED[min(best + 1, len(_SCANNED) - 1)]), float(_SCANNED[max(best - 1, 0)])
    while high - low > 1e-9:
        left, right = high - _GOLDEN * (high - low), low + _GOLDEN * (high - low)
        low, high = (low, right) if _worth(network, at(left)) > _worth(network, at(right)) else (left, high)
    return at(0.5 * (low + high))


def progressive_filling(network: Network, capacities_hz: Array) -> Array:
    """Max-min fair rates: all grow together; who meets a full link stops.   float64 (N,)."""
    rates = np.zeros(network.num_flows)
    growing = np.ones(network.num_flows, dtype=bool)
    left = capacities_hz.astype(np.float64).copy()
    while growing.any():
        crowd = network.incidence @ growing.astype(np.float64)
        step = float(np.min(left[crowd > 0] / crowd[crowd > 0]))
        rates[growing] += step
        left -= step * crowd
        full = (crowd > 0) & (left <= 1e-12 * capacities_hz)
        growing &= (network.routes @ full.astype(np.float64)) == 0
    return rates


def proportional_rates(network: Network, capacities_hz: Array) -> Array:
    """Rates of the greatest Σ ω log R within capacities, by an interior-point method on the dual.   float64 (N,).

    The dual, min Σ c λ - Σ ω log Λ, is solved by a barrier Newton method; the last step scales rates to fit.
    """
    used = np.flatnonzero(network.used)
    crossing = network.incidence[used]
    capacity = capacities_hz[used]
    prices = (crossing @ (network.weights / network.hops)) / capacity
    barrier = float(network.weights.mean())
    while True:
        for _ in range(50):
            path = crossing.T @ prices
            gradient = capacity - crossing @ (network.weights / path) - barrier / prices
            curvature = ((crossing * (network.weights / path**2)) @ crossing.T).toarray()
            step = np.linalg.solve(curvature + np.diag(barrier / prices**2), -gradient)
            shrink = float(np.max(-step / prices, initial=0.0))
            prices = prices + min(1.0, 0.95 / shrink if shrink > 0.0 else 1.0) * step
            if np.abs(step / prices).max() < 1e-8:
                break
        if barrier < 1e-9 * float(network.weights.mean()):
            break
        barrier *= 0.1
    rates = network.weights / (crossing.T @ prices)
    over = np.maximum((crossing @ rates) / capacity, 1.0)
    share = np.ones(network.num_links)
    share[used] = 1.0 / over
    fitting: Array = rates * np.minimum.reduceat(share[network.routes.indices], network.routes.indptr[:-1])
    return fitting

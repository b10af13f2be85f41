"""What an allocation is worth, and how far it is from what is possible.

Metrics are ours: the gap per unit of weight Δ = (U* - U)/Σω in nats, and G = exp(-Δ), the weighted geometric mean of
how much of R f(W) each flow gets.
"""

from __future__ import annotations

import numpy as np

from policies.envs.qnum.network import Network
from policies.envs.qnum.utilities import Array, rate_worth


def end_to_end(network: Network, werner: Array) -> Array:
    """W of each flow, the product along its route.

    Args:
        werner: w of each link, > 0.   float64 (L,)
    """
    ends: Array = np.exp(network.routes @ np.log(werner))
    return ends


def loads_hz(network: Network, rates_hz: Array) -> Array:
    """Pairs per second that flows ask of each link.   float64 (L,)."""
    loads: Array = network.incidence @ rates_hz
    return loads


def capacities_hz(network: Network, werner: Array) -> Array:
    """Pairs per second that each link makes, d (1 - w) (second-hand).   float64 (L,)."""
    made: Array = network.d_hz * (1.0 - werner)
    return made


def utilities(network: Network, rates_hz: Array, ends: Array) -> Array:
    """Each flow's utility ω (worth of R + θ log f(W)); minus infinity for what is worth nothing.

    Args:
        rates_hz: R of each flow.   ends: W of each flow, end to end.   float64 (N,) each
    """
    with np.errstate(divide="ignore"):
        worth = network.weights * rate_worth(rates_hz, network.alpha)
    return worth + network.quality_weights * network.by_utility("log_quality", ends)


def utility(network: Network, rates_hz: Array, werner: Array) -> float:
    """Σ U of rates and links' Werner parameters, feasible or not."""
    return float(utilities(network, rates_hz, end_to_end(network, werner)).sum())


def feasible_rates_hz(network: Network, rates_hz: Array, werner: Array) -> Array:
    """Rates scaled down where a link of the route is asked for more than it makes.   float64 (N,)."""
    loads, made = loads_hz(network, rates_hz), capacities_hz(network, werner)
    share = np.minimum(1.0, made / np.maximum(loads, 1e-300))
    routes = network.routes
    scaled: Array = rates_hz * np.minimum.reduceat(share[routes.indices], routes.indptr[:-1])
    return scaled


def shortfall(network: Network, werner: Array) -> float:
    """By how much the worst flow misses its minimum quality, in log W; 0 if none does."""
    missed = network.log_w_min - network.routes @ np.log(werner)
    return max(0.0, float(missed.max()))


def gap(network: Network, best: float, utility: float) -> float:
    """Δ, in nats per unit of weight; 0 at the optimum."""
    return (best - utility) / float(network.weights.sum())

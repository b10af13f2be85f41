"""The central optimum: the reference for everything else, with its certificate.

Ours; see :mod:`policies.allocators.newton` for the mathematics. What comes back is certified by :func:`kkt_residual`,
which knows nothing of how it was found: rates, Werner parameters and prices satisfy the conditions of Karush, Kuhn and
Tucker (second-hand for the paper's eqs 4 to 6), and as the problem is concave in log-rates, that is the optimum.

With ``coherence_s`` it is the decoherence-aware optimum (ours): W of a flow then counts waiting and latency. It is the
optimum if log f is concave in log W, or where no flow comes out so good that it is not (``proven``).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.optimize import brentq

from circuits.errors import InvalidParameter
from policies.allocators.allocation import Allocation
from policies.allocators.newton import Model, Point, climb, point, prices
from policies.envs.qnum.network import Network, number
from policies.envs.qnum.utilities import UTILITIES, Array

_MOST_ROUNDS = 20_000
CERTIFIED = 1e-6
"""Largest KKT residual that proves anything."""


@dataclass(frozen=True)
class Optimum:
    """The best allocation, and how well that is known.

    Attributes:
        allocation: rates, Werner parameters, prices.
        utility: U*, in nats.
        ends: end-to-end Werner parameters, decoherence included.   float64 (N,)
        slack_hz: head-room d (1 - w) - Σ R of each link.   float64 (L,)
        kkt_residual: largest relative violation of the conditions of optimality.
        proven: whether they hold to :data:`CERTIFIED` and suffice.
        num_steps: of Newton.
    """

    allocation: Allocation
    utility: float
    ends: Array
    slack_hz: Array
    kkt_residual: float
    proven: bool
    num_steps: int


def allocate(network: Network, *, coherence_s: float = math.inf, **_: Any) -> Allocation:
    """The optimum as an allocator answers it."""
    return optimum(network, coherence_s).allocation


def optimum(network: Network, coherence_s: float = math.inf) -> Optimum:
    """The optimum of a network.

    Args:
        coherence_s: T_c of the memories; infinite for the paper's problem.

    Raises:
        InvalidParameter: no rates, however small, give every flow its minimum quality, which is proven.
    """
    if coherence_s != math.inf:
        number("coherence_s", coherence_s, 0.0, 1e12, above=True)
    model = Model(network, coherence_s)
    found = climb(model, _start(model))
    at = found.at
    slack = np.zeros(network.num_links)
    slack[model.held] = at.slack_hz
    allocation = Allocation(at.rates_hz, at.werner, prices(at, found.mu), found.mu)
    residual = kkt_residual(network, allocation, coherence_s)
    suffices = model.decay_hz == 0.0 or bool((at.losses >= _concave_from(network)).all())
    proven = residual <= CERTIFIED and suffices
    return Optimum(allocation, at.utility, at.ends, slack, residual, proven, found.num_steps)


def kkt_residual(network: Network, allocation: Allocation, coherence_s: float = math.inf) -> float:
    """Largest violation of the optimality conditions, each relative to its own size.

    Of rates, ω/R^α = Σ λ; of qualities, d w λ = Σ (ω θ a + μ); of head-room, λ = Σ_later (ω θ a + μ) g/(s (s + g)); of
    capacity and minimum quality, and of the slack of each against its price.

    Args:
        allocation: with prices and quality prices.   coherence_s: as in :func:`optimum`.
    """
    price, mu = allocation.prices, allocation.quality_prices
    if price is None or mu is None:
        raise InvalidParameter("allocation: wanted one with prices and quality_prices, got one without")
    model = Model(network, coherence_s)
    rates, werner, used, held, g = allocation.rates_hz, allocation.werner, network.used, model.held, model.decay_hz
    slack = network.d_hz * (1.0 - werner) - network.incidence @ rates
    head = np.maximum(slack[held], 1e-300)
    losses = model.travel - network.routes @ np.log(werner) + model.later @ np.log1p(g / head)
    marginal = network.quality_weights * network.by_utility("elasticity", np.exp(-losses)) + mu
    wanted = network.weights / rates**network.alpha
    worth, waiting = network.incidence @ marginal, model.later.T @ marginal
    tight = np.setdiff1d(np.flatnonzero(used), held)
    asked = np.isfinite(network.log_w_min)
    missed = (losses + network.log_w_min)[asked] / -network.log_w_min[asked]
    violations = (
        (network.routes @ price - wanted) / wanted,
        ((network.d_hz * werner * price - worth)[used]) / worth[used],
        (head * (head + g) * price[held] - waiting * g) / (waiting * g),
        slack[tight] / network.d_hz[tight],
        -np.minimum(slack, 0.0) / network.d_hz,
        np.maximum(missed, 0.0),
        np.maximum(-missed, 0.0) * mu[asked] / marginal[asked],
        np.minimum(price, 0.0),
        np.minimum(mu, 0.0),
    )
    return max(float(np.abs(each).max(initial=0.0)) for each in violations)


def _concave_from(network: Network) -> Array:
    """T from which on log f equals its least concave majorant; an optimum beyond is the majorant's, too.

    log f(e^-T) is convex at first and then concave for ``skf`` and ``de``: the majorant is the tangent from T = 0.
    """
    touch = {name: 0.0 if UTILITIES[name].concave else _tangent(name) for name, _ in network.kinds}
    return np.array([touch[flow.utility] for flow in network.flows])


def _tangent(name: str) -> float:
    kind = UTILITIES[name]

    def above(loss: float) -> float:
        """Value of the tangent at T = 0."""
        w = np.array([math.exp(-loss)])
        return float((kind.log_quality(w) + loss * kind.elasticity(w))[0])

    return float(brentq(above, 1e-6, 0.95 * -math.log(kind.least_w)))


def _start(model: Model) -> Array:
    """Logarithms of small rates, and of head-room, at which every flow is worth something.   float64 (N + H,)."""
    net = model.network
    slack = _feasible_slack(model)
    fair = np.minimum.reduceat((net.d_hz / np.maximum(net.num_sharing, 1))[net.routes.indices], net.routes.indptr[:-1])
    rates = fair * model.limits / (2.0 * net.hops)
    for _ in range(200):
        x: Array = np.log(np.concatenate((rates, slack)))
        at = point(model, x)
        if at is not None and _comfortable(at):
            return x
        rates = 0.5 * rates
    raise InvalidParameter(
        "network: wanted flows that are worth something at rates above 1e-60 of the links', got none"
    )


def _comfortable(at: Point) -> bool:
    """Not so close to worthless that the first step is wasted; waiting alone may not allow it."""
    spare = at.model.limits - at.losses
    return bool((spare > 0.3 * at.model.limits).all()) or bool((at.rates_hz < 1e-6 * at.model.network.d_hz.min()).all())


def _feasible_slack(model: Model) -> Array:
    """Head-room of held links with which, at rates near 0, every flow is good enough; or the proof that none is.

    For any weights p of the flows, Σ p_r T_r at the head-room that is best for p bounds from below what any head-room
    gives. p is moved towards the flows that fare worst until all fare well, or until the bound says that they cannot.

    Raises:
        InvalidParameter: none is, with flow and bound.
    """
    net, g, held = model.network, model.decay_hz, model.held
    if held.size == 0:
        return np.zeros(0)
    limits = np.minimum(model.limits, -net.log_w_min)
    d_hz, crossing = net.d_hz[held], net.incidence[held]
    p = np.full(net.num_flows, 1.0 / net.num_flows)
    for turn in range(_MOST_ROUNDS):
        all_p, later_p = crossing @ p, model.later.T @ p
        both = g * (all_p + later_p)
        slack: Array = 2.0 * later_p * g * d_hz / (both + np.sqrt(both * both + 4.0 * all_p * later_p * g * d_hz))
        werner = np.ones(net.num_links)
        werner[held] = 1.0 - slack / d_hz
        losses = model.travel - net.routes @ np.log(werner) + model.later @ np.log1p(g / slack)
        over = losses / limits - 1.0
        if (over < -1e-6).all():
            return slack
        if p @ (losses - limits) >= 0.0:
            worst = int(np.argmax(p * limits))
            raise InvalidParameter(
                f"flows[{worst}].w_min: infeasible with memories of {model.coherence_s:g} s: at rate 0 and the best "
                f"head-room it reaches W = {math.exp(-losses[worst]):.4f} and wants more than "
                f"{math.exp(-limits[worst]):.4f}"
            )
        p = p * np.exp(np.clip(over, -1.0, 1.0) * 4.0 / (1.0 + turn) ** 0.5)
        p = np.maximum(p / p.sum(), 1e-12)
    raise InvalidParameter(
        f"coherence_s: {model.coherence_s:g} s is at the edge of what these flows need; neither found feasible nor "
        "proven infeasible"
    )

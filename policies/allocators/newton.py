"""Truncated Newton in log-rates: the mathematics of the optimum, without a matrix ever formed.

Ours, by the substitution of geometric programming. At the optimum every used link is loaded to its capacity, so that
w_l = 1 - ρ_l with ρ_l = Σ_{r: l ∈ r} R_r/d_l, and what quality a flow loses is T_r = -log W_r = Σ_l -log(1 - ρ_l). That
is a series of posynomials in R, so log T_r is convex in x = log R; with log f(exp(-e^s)) concave and falling in s, the
problem is concave in x and minimum quality T_r <= -K_r convex: every local optimum is the optimum.

With memories that decohere, pairs wait in the queue of every hop but the first (an M/M/1 queue of an open Jackson
network, ours), which costs log(1 + g/s_l) with head-room s_l = d_l (1 - w_l) - Σ R and g = 2/T_c. Then ζ = log s joins
x. T_r is convex in both; log T_r need not be.

Minimum quality is kept by an augmented Lagrangian, Newton systems are solved by preconditioned conjugate gradients.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve
from scipy.sparse import csr_array, diags_array

from policies.envs.qnum.network import Network
from policies.envs.qnum.utilities import Array, rate_worth

Linear = Callable[[Array], Array]

MOST_STEPS = 200
_MOST_SOLVES = 500
_KEPT = 1e-11
"""Of K: to how much of it minimum quality is kept, since missing it would raise the utility."""

_GROWTH, _STIFFEST = 10.0, 1e3
_STIFFNESS = 100.0
"""Of the augmented Lagrangian, over weight and squared K: its multipliers come closer by about so much a round."""


@dataclass(frozen=True)
class Model:
    """A network as the optimiser sees it.

    Attributes:
        network: what is allocated.   coherence_s: of the memories, T_c; infinite for ideal ones.
    """

    network: Network
    coherence_s: float = np.inf

    @property
    def decay_hz(self) -> float:
        """g, at which a waiting pair decays; 0 with ideal memories."""
        return 2.0 / self.coherence_s

    @cached_property
    def travel(self) -> Array:
        """Loss of log W by latency alone, g Σ τ.   float64 (N,)."""
        loss: Array = self.decay_hz * (self.network.routes @ self.network.latency_s)
        return loss

    @cached_property
    def held(self) -> NDArray[np.int64]:
        """Numbers of the links in front of which pairs wait in memory.   int64 (H,)."""
        if self.decay_hz == 0.0:
            return np.array([], dtype=np.int64)
        routes = self.network.routes
        return np.unique(np.delete(routes.indices, routes.indptr[:-1])).astype(np.int64)

    @cached_property
    def later(self) -> csr_array:
        """1 where a flow crosses a held link that is not its first.   csr float64 (N, H)."""
        routes = self.network.routes
        if self.held.size == 0:
            return csr_array((self.network.num_flows, 0))
        columns = np.searchsorted(self.held, np.delete(routes.indices, routes.indptr[:-1]))
        starts = routes.indptr - np.arange(self.network.num_flows + 1)
        return csr_array((np.ones(columns.size), columns, starts), shape=(self.network.num_flows, self.held.size))

    @cached_property
    def limits(self) -> Array:
        """T below which a flow is worth something.   float64 (N,)."""
        return -np.log(self.network.least_w)


@dataclass(frozen=True)
class Point:
    """Rates, head-room, and all that the Newton system needs of them.

    Attributes:
        rates_hz: R.   float64 (N,)          slack_hz: s of held links.   float64 (H,)
        werner: w.   float64 (L,)            losses: T.   float64 (N,)
    """

    model: Model
    rates_hz: Array
    slack_hz: Array
    werner: Array
    losses: Array

    @cached_property
    def ends(self) -> Array:
        """W of each flow.   float64 (N,)."""
        return np.exp(-self.losses)

    @cached_property
    def utility(self) -> float:
        """Σ U."""
        net = self.model.network
        worth = net.weights * rate_worth(self.rates_hz, net.alpha)
        return float((worth + net.quality_weights * net.by_utility("log_quality", self.ends)).sum())


def point(model: Model, x: Array) -> Point | None:
    """The point of log-rates and logarithms of head-room, or None where a flow is worth nothing.

    Args:
        x: float64 (N + H,).
    """
    net = model.network
    with np.errstate(over="ignore"):  # a step too far, which no link bears
        rates, slack = np.exp(x[: net.num_flows]), np.exp(x[net.num_flows :])
    busy = net.incidence @ rates
    busy[model.held] += slack
    werner = 1.0 - busy / net.d_hz
    if not (werner > 0.0).all():
        return None
    losses = model.travel - net.routes @ np.log(werner) + model.later @ np.log1p(model.decay_hz / slack)
    return Point(model, rates, slack, werner, losses) if (losses < model.limits).all() else None


@dataclass(frozen=True)
class Multipliers:
    """Of minimum quality: μ, and the stiffness κ of the augmented Lagrangian.   float64 (N,) each."""

    mu: Array
    stiffness: Array

    def shortfall(self, at: Point) -> Array:
        """T + K, above 0 where a flow misses its minimum."""
        missed: Array = at.losses + at.model.network.log_w_min
        return missed

    def renewed(self, at: Point) -> Array:
        """μ as the augmented Lagrangian has it here."""
        forward: Array = np.maximum(self.mu + self.stiffness * np.maximum(self.shortfall(at), -1e300), 0.0)
        return forward

    def merit(self, at: Point) -> float:
        """Utility less what missing the minimum costs."""
        mu = self.renewed(at)
        return at.utility - float(((mu - self.mu) * (mu + self.mu) / (2.0 * self.stiffness)).sum())


def prices(at: Point, mu: Array) -> Array:
    """λ_l = Σ_{r: l ∈ r} (ω θ a_r + μ_r)/(d_l w_l), what a pair per second of capacity is worth.   float64 (L,)."""
    net = at.model.network
    marginal = net.quality_weights * net.by_utility("elasticity", at.ends) + mu
    price: Array = (net.incidence @ marginal) / (net.d_hz * at.werner)
    return price


def _newton_step(at: Point, multipliers: Multipliers) -> tuple[Array, Array]:
    """Gradient of the merit and the direction that Newton's system gives.   float64 (N + H,) each."""
    model, net = at.model, at.model.network
    rates, slack, held, g = at.rates_hz, at.slack_hz, model.held, model.decay_hz
    mu = multipliers.renewed(at)
    marginal = net.quality_weights * net.by_utility("elasticity", at.ends) + mu
    shares = 1.0 / (net.d_hz * at.werner)
    crowd = net.incidence @ marginal
    price, waiting = crowd * shares, model.later.T @ marginal
    pull = net.weights * np.exp((1.0 - net.alpha) * np.log(rates))
    push = rates * (net.routes @ price)
    leave = g / (slack + g)
    gradient = np.concatenate((pull - push, waiting * leave - slack * price[held]))

    bend = multipliers.stiffness * (mu > 0.0) - net.quality_weights * net.by_utility("elasticity_slope", at.ends)
    own = np.concatenate(((net.alpha - 1.0) * pull + push, slack * price[held] + waiting * leave * slack / (slack + g)))
    curve = crowd * shares * shares

    def times(v: Array) -> Array:
        """Minus the Hessian, times a vector."""
        p, q = v[: net.num_flows], v[net.num_flows :]
        moved = net.incidence @ (rates * p)
        moved[held] += slack * q
        turned = bend * (net.routes @ (shares * moved) - model.later @ (leave * q))
        links = curve * moved + shares * (net.incidence @ turned)
        others = (rates * (net.routes @ links), slack * links[held] - leave * (model.later.T @ turned))
        product: Array = own * v + np.concatenate(others)
        return product

    diagonal = own + np.concatenate((rates * rates * (net.routes @ curve), slack * slack * curve[held]))
    undo = _preconditioner(
        diagonal, _rows(at, np.flatnonzero(mu).astype(np.int64), shares, leave), multipliers.stiffness[mu > 0.0]
    )
    size = float(np.linalg.norm(gradient))
    return gradient, _conjugate_gradients(times, gradient, undo, min(1e-2, 1e-2 * size) * size)


def _rows(at: Point, flows: NDArray[np.int64], shares: Array, leave: Array) -> Array:
    """Derivatives of T of some flows by x and ζ.   float64 (len(flows), N + H)."""
    model, net = at.model, at.model.network
    reached = net.routes[flows] @ diags_array(shares)
    by_rates = reached @ net.incidence @ diags_array(at.rates_hz)
    by_slack = reached[:, model.held] @ diags_array(at.slack_hz) - model.later[flows] @ diags_array(leave)
    return np.hstack((by_rates.toarray(), by_slack.toarray()))


def _preconditioner(diagonal: Array, rows: Array, stiffness: Array) -> Linear:
    """The inverse of diag + Σ κ row rowᵀ, by Woodbury's identity: minimum quality is too stiff for a diagonal."""
    if not len(rows):
        return lambda v: v / diagonal
    scaled = rows / diagonal
    inner = cho_factor(scaled @ rows.T + np.diag(1.0 / stiffness))
    return lambda v: v / diagonal - scaled.T @ cho_solve(inner, scaled @ v)


def _conjugate_gradients(times: Linear, right: Array, undo: Linear, tolerance: float) -> Array:
    """Solve to a residual of ``tolerance``; stops where the matrix turns out not to be positive."""
    solved, residual = np.zeros_like(right), right.copy()
    scaled = undo(residual)
    way, old = scaled, float(residual @ scaled)
    for _ in range(_MOST_SOLVES):
        turned = times(way)
        bent = float(way @ turned)
        if bent <= 0.0:
            return solved if solved.any() else scaled
        step = old / bent
        solved += step * way
        residual -= step * turned
        if np.linalg.norm(residual) <= tolerance:
            break
        scaled = undo(residual)
        new = float(residual @ scaled)
        way, old = scaled + (new / old) * way, new
    return solved


@dataclass(frozen=True)
class Found:
    """Where Newton ended: the point, μ of minimum quality, and the number of steps."""

    at: Point
    mu: Array
    num_steps: int


def climb(model: Model, x: Array, tolerance: float = 1e-8) -> Found:
    """The optimum from a feasible start.

    Args:
        x: logarithms of rates and head-room at which every flow is worth something.   float64 (N + H,)
        tolerance: relative, of stationarity.
    """
    net = model.network
    asked = np.isfinite(net.log_w_min)
    squared = np.where(asked, net.log_w_min, -1.0) ** 2
    stiffness = np.where(asked, _STIFFNESS * (net.weights + net.quality_weights) / squared, 1e-300)
    multipliers = Multipliers(np.zeros(net.num_flows), stiffness)
    at = point(model, x)
    assert at is not None, "the start is worth nothing"
    scale = np.concatenate((net.weights, np.ones(model.held.size)))
    for step in range(1, MOST_STEPS + 1):
        gradient, direction = _newton_step(at, multipliers)
        steep = float(np.max(np.abs(gradient) / scale))
        missed = _missed(multipliers, at)
        if steep <= tolerance and missed <= _KEPT:
            return Found(at, multipliers.renewed(at), step)
        if steep <= max(0.1 * missed, tolerance):
            multipliers = Multipliers(
                multipliers.renewed(at), np.minimum(_GROWTH * multipliers.stiffness, _STIFFEST * stiffness)
            )
            continue
        x, at = _line_search(model, multipliers, x, at, direction, float(gradient @ direction))
    return Found(at, multipliers.renewed(at), MOST_STEPS)


def _missed(multipliers: Multipliers, at: Point) -> float:
    """How far μ and T + K are from their conditions, relative to K; 0 without minimum quality."""
    asked = np.isfinite(at.model.network.log_w_min)
    if not asked.any():
        return 0.0
    moved = np.abs(multipliers.renewed(at) - multipliers.mu)[asked] / multipliers.stiffness[asked]
    return float((moved / -at.model.network.log_w_min[asked]).max())


def _line_search(
    model: Model, multipliers: Multipliers, x: Array, at: Point, direction: Array, slope: float
) -> tuple[Array, Point]:
    """The first of steps 1, 1/2, 1/4 … that stays where flows are worth something and gains enough."""
    before, share = multipliers.merit(at), 1.0
    for _ in range(60):
        there = point(model, x + share * direction)
        if there is not None and multipliers.merit(there) >= before + 1e-4 * share * slope - 1e-13 * abs(before):
            return x + share * direction, there
        share *= 0.5
    return x, at

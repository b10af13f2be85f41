"""Whether QPrimalDual settles: linearised at the optimum, in continuous and in discrete time, and with delay.

Continuous time (second-hand for the paper): λ' = k_λ (Σ R - d (1 - w)) with R at its marginal utility, w' = k_w (-d λ
+ Σ (ω θ a + μ)/w), μ' = k_μ (K - Σ log w), projected. For concave utilities :func:`lyapunov` falls along every
trajectory, the usual argument of Kelly, Maulloo and Tan and of Low and Lapsley (related work; the paper's own proof is
not at hand). For others, stability is local and conditional: :func:`jacobian` has eigenvalues on the left for some
gains and not for others. The paper's condition is not known to us; what is reported are the eigenvalues themselves.

Discrete time is that of :mod:`policies.allocators.qprimaldual.fluid`, linearised by differences.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from policies.allocators.optimum import Optimum
from policies.allocators.qprimaldual import laws
from policies.allocators.qprimaldual.fluid import Fluid, State
from policies.allocators.qprimaldual.laws import Gains
from policies.envs.qnum.network import Network
from policies.envs.qnum.utilities import Array

_SETTLED = 1e-12
_WATCHED = 300


@dataclass(frozen=True)
class Rates:
    """Gains of the continuous-time controllers, k_λ and k_w of each link and k_μ of each flow; constant in time."""

    price: Array
    werner: Array
    quality: Array


@dataclass(frozen=True)
class Report:
    """What is known about stability at the optimum.

    Attributes:
        curvature: largest eigenvalue of H, the second derivative of utility by w; below 0 the local proof holds.
        abscissa: largest real part of the continuous Jacobian's eigenvalues, per iteration; stable below 0.
        radius: largest modulus of the discrete one's; stable below 1.
        delay_margin: most iterations of delay each way at which gains that are not slowed still settle; None if none.
        eigenvalues: of the continuous Jacobian.   complex128 (n,)
    """

    curvature: float
    abscissa: float
    radius: float
    delay_margin: int | None
    eigenvalues: NDArray[np.complex128]


def report(network: Network, best: Optimum, gains: Gains, most_delay: int = 8) -> Report:
    """Eigenvalues at the optimum and the delay margin.

    Args:
        best: the optimum with ideal memories.   most_delay: where the search for the margin ends.
    """
    eigenvalues = np.linalg.eigvals(jacobian(network, best, rates_at(network, best, gains))).astype(np.complex128)
    used = network.used
    curvature = float(np.linalg.eigvalsh(utility_curvature(network, best)[np.ix_(used, used)]).max())
    fluid = Fluid(network, gains)
    radius = float(np.abs(np.linalg.eigvals(discrete_jacobian(fluid, rest(fluid, best)))).max())
    return Report(curvature, float(eigenvalues.real.max()), radius, _delay_margin(fluid, best, most_delay), eigenvalues)


def utility_curvature(network: Network, best: Optimum) -> Array:
    """H = d²(Σ U)/dw² - Σ μ/w².   float64 (L, L)."""
    at = best.allocation
    assert at.quality_prices is not None
    weight = network.quality_weights
    bent = weight * network.by_utility("elasticity_slope", best.ends)
    marginal = weight * network.by_utility("elasticity", best.ends) + at.quality_prices
    crossing = network.incidence.toarray() / at.werner[:, None]
    bends: Array = (crossing * bent) @ crossing.T - np.diag((network.incidence @ marginal) / at.werner**2)
    return bends


def rates_at(network: Network, best: Optimum, gains: Gains) -> Rates:
    """Gains of the discrete controllers at the optimum, per iteration."""
    at = best.allocation
    if not gains.scale_free:
        links = np.ones(network.num_links)
        return Rates(gains.price * links, gains.werner * links, gains.quality * np.ones(network.num_flows))
    fluid = Fluid(network, gains)
    sharing = np.maximum(network.num_sharing, 1).astype(np.float64)
    made = network.d_hz * (1.0 - at.werner)
    declared = laws.declared_stiffness(at.rates_hz, network.weights, network.alpha, network.num_hops)
    stiffness = laws.price_stiffness(network.incidence @ declared, np.maximum(made, 1e-9), sharing)
    flows = rest(fluid, best)
    sums = (network.incidence @ (flows.quality + flows.seen), network.incidence @ flows.bend)
    here = (np.zeros(network.num_links), stiffness, network.d_hz)
    held = network.incidence @ laws.in_force(flows.seen)
    in_the_end = gains.quality / (1.0 - gains.momentum)
    room = 1.0 / (network.routes @ laws.crowding(stiffness, held, network.d_hz, at.werner))
    return Rates(gains.price / stiffness, laws.werner_gain(sums, here, at.werner, gains), in_the_end * room)


def jacobian(network: Network, best: Optimum, rates: Rates) -> Array:
    """Of (w, λ, μ), over used links and flows whose minimum quality binds.   float64 (2 L' + N', 2 L' + N')."""
    at = best.allocation
    assert at.quality_prices is not None
    used, held = np.flatnonzero(network.used), np.flatnonzero(at.quality_prices > 1e-9 * network.weights)
    crossing = network.incidence.toarray()[used]
    answer = at.rates_hz ** (1.0 + network.alpha) / (network.alpha * network.weights)
    by_price, by_w = (crossing * answer) @ crossing.T, np.diag(network.d_hz[used])
    quality = crossing[:, held] / at.werner[used][:, None]
    k_w, k_l, k_q = rates.werner[used][:, None], rates.price[used][:, None], rates.quality[held][:, None]
    curvature = utility_curvature(network, best)[np.ix_(used, used)]
    nothing = np.zeros((used.size, held.size))
    return np.block(
        [
            [k_w * curvature, -k_w * by_w, k_w * quality],
            [k_l * by_w, -k_l * by_price, nothing],
            [-k_q * quality.T, nothing.T, np.zeros((held.size, held.size))],
        ]
    )


def field(network: Network, rates: Rates, w: Array, prices: Array, mu: Array) -> tuple[Array, Array, Array]:
    """Time derivatives of w, λ and μ, with λ and μ kept at 0 or above.   float64 (L,), (L,) and (N,)."""
    demanded = (network.weights / np.maximum(network.routes @ prices, 1e-300)) ** (1.0 / network.alpha)
    log_w = network.routes @ np.log(w)
    marginal = network.quality_weights * network.by_utility("elasticity", np.exp(log_w)) + mu
    excess = network.incidence @ demanded - network.d_hz * (1.0 - w)
    by_w = rates.werner * ((network.incidence @ marginal) / w - network.d_hz * prices)
    missed = np.where(np.isfinite(network.log_w_min), network.log_w_min - log_w, 0.0)
    by_price = np.where((prices > 0.0) | (excess > 0.0), rates.price * excess, 0.0)
    return by_w, by_price, np.where((mu > 0.0) | (missed > 0.0), rates.quality * missed, 0.0)


def lyapunov(network: Network, best: Optimum, rates: Rates, w: Array, prices: Array, mu: Array) -> float:
    """V = Σ (w - w*)²/2 k_w + Σ (λ - λ*)²/2 k_λ + Σ (μ - μ*)²/2 k_μ, over used links."""
    at = best.allocation
    assert at.prices is not None
    assert at.quality_prices is not None
    used = network.used
    parts = (
        ((w - at.werner)[used], rates.werner[used]),
        ((prices - at.prices)[used], rates.price[used]),
        (mu - at.quality_prices, rates.quality),
    )
    return float(sum((0.5 * moved * moved / gain).sum() for moved, gain in parts))


def rest(fluid: Fluid, best: Optimum) -> State:
    """The state in which all controllers are at the optimum."""
    net, at = fluid.network, best.allocation
    assert at.prices is not None
    assert at.quality_prices is not None
    quality = net.quality_weights * net.by_utility("elasticity", best.ends)
    werner = np.clip(at.werner, laws.LEAST_W, laws.MOST_W)
    state = State(
        at.rates_hz, at.quality_prices, at.quality_prices, quality, at.quality_prices, quality, at.prices, werner
    )
    return replace(state, bend=next(fluid.states(state)).bend)


def _packed(state: State) -> Array:
    return np.concatenate([getattr(state, name) for name in State.__dataclass_fields__])


def _unpacked(values: Array, like: State) -> State:
    sizes = np.cumsum([getattr(like, name).size for name in State.__dataclass_fields__])
    return State(*np.split(values, sizes[:-1]))


def discrete_jacobian(fluid: Fluid, at: State) -> Array:
    """Of one iteration, by central differences, each value relative to its size at rest.   float64 (n, n).

    What does not move is left out: values that rest at 0, and links that nobody uses.
    """
    x = _packed(at)
    moving = np.flatnonzero(_moving(fluid, x))
    columns = []
    for place in moving:
        step = 1e-6 * x[place]
        ends = []
        for sign in (1.0, -1.0):
            moved = x.copy()
            moved[place] += sign * step
            ends.append(_packed(next(fluid.states(_unpacked(moved, at)))))
        columns.append((ends[0] - ends[1])[moving] / (2e-6 * x[moving]))
    return np.array(columns).T


def _moving(fluid: Fluid, x: Array) -> NDArray[np.bool_]:
    used = fluid.network.used
    kept = np.concatenate((np.ones(x.size - 2 * used.size, dtype=bool), used, used))
    moving: NDArray[np.bool_] = kept & (np.abs(x) > _SETTLED)
    return moving


def _delay_margin(fluid: Fluid, best: Optimum, most: int) -> int | None:
    for delay in range(most + 1):
        if not _settles(replace(fluid, delay=delay), best):
            return delay - 1 if delay else None
    return most


def _settles(fluid: Fluid, best: Optimum) -> bool:
    """Whether a small disturbance is smaller in the end; gains are those of no delay."""
    at = rest(fluid, best)
    gains = fluid.gains
    x = _packed(at)
    draws = np.random.default_rng(0).standard_normal(x.size)
    state = _unpacked(x * (1.0 + 1e-6 * draws), at)
    there = deque([state] * (fluid.delay + 1), maxlen=fluid.delay + 1)
    back: deque[tuple[Array, ...]] = deque(maxlen=fluid.delay + 1)
    scale = np.where(_moving(fluid, x), np.abs(x), np.inf)
    sizes = []
    for _ in range(_WATCHED * (1 + fluid.delay)):
        state = fluid.advance(state, there, back, gains)
        sizes.append(float(np.abs((_packed(state) - x) / scale).max()))
    half = len(sizes) // 2
    return max(sizes[half:]) < 0.9 * max(sizes[:half]) and sizes[-1] < 1e-4

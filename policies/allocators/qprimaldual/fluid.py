"""QPrimalDual as a fluid: all controllers at once, as arrays, one round of messages an iteration.

Gives the same numbers, bit for bit, as the controllers of :mod:`policies.allocators.qprimaldual.controllers`. Messages
may take several iterations each way; a link's own price and quality know each other at once.

Variant ``approx`` (the idea is the paper's, the formula ours): a link takes w_l^h for a flow's W, so that no quality
needs to be reported back. It settles where that would be true, near the optimum.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from circuits.errors import InvalidParameter
from policies.allocators.allocation import Allocation
from policies.allocators.qprimaldual import laws
from policies.allocators.qprimaldual.laws import SCALE_FREE, START_W, TRANSCRIBED, Gains
from policies.envs.qnum.network import Network, number, whole
from policies.envs.qnum.problem import end_to_end, feasible_rates_hz, shortfall, utilities
from policies.envs.qnum.utilities import UTILITIES, Array

GAINS: dict[str, Gains] = {"scale_free": SCALE_FREE, "plain": laws.PLAIN, "transcribed": TRANSCRIBED}
"""By the names that commands know."""

VARIANTS = ("exact", "approx")


@dataclass(frozen=True)
class State:
    """Of all controllers.

    Attributes:
        rates_hz: R.   mu: μ as integrated.   before: the μ before.   quality: ω θ a as declared.   seen: μ as declared.
            bend: H of each flow.   float64 (N,) each
        prices: λ.   werner: w.   float64 (L,) each
    """

    rates_hz: Array
    mu: Array
    before: Array
    quality: Array
    seen: Array
    bend: Array
    prices: Array
    werner: Array

    def allocation(self) -> Allocation:
        """As an allocator answers it; rates may not be feasible yet."""
        return Allocation(self.rates_hz, self.werner, self.prices, self.mu)


@dataclass(frozen=True)
class Run:
    """A fluid run.

    Attributes:
        gaps: |U* - U|/Σω of rates made feasible, after each iteration; infinite where a flow is worth nothing.
        shortfalls: of minimum quality, in log W.   state: at the end.
    """

    gaps: Array
    shortfalls: Array
    state: State

    def iterations_to(self, tolerance: float) -> int | None:
        """Iterations after which the gap is below for good; None if it is not at the end."""
        above = np.flatnonzero(~(self.gaps < tolerance))
        if above.size and above[-1] == self.gaps.size - 1:
            return None
        return int(above[-1]) + 2 if above.size else 1


@dataclass(frozen=True)
class Fluid:
    """QPrimalDual on a network.

    Attributes:
        network: what is allocated.   gains: of the controllers, before they are slowed for the delay.
        delay: iterations that a message takes, each way.   variant: "exact" or "approx".
    """

    network: Network
    gains: Gains = SCALE_FREE
    delay: int = 0
    variant: str = "exact"

    def __post_init__(self) -> None:
        whole("delay", self.delay, 0, 10_000)
        if self.variant not in VARIANTS:
            raise InvalidParameter(f"variant: wanted one of {', '.join(VARIANTS)}, got {self.variant!r}")

    def start(self, w: float = START_W) -> State:
        """Every link at the same Werner parameter, prices and rates to match.

        Args:
            w: in (0.05, 1).
        """
        net = self.network
        number("w0", w, laws.LEAST_W, laws.MOST_W)
        werner = np.where(net.used, w, laws.MOST_W)
        prices = laws.first_price(net.incidence @ (net.weights / net.num_hops), werner, net.d_hz)
        nothing = np.zeros(net.num_flows)
        rates = laws.demand(net.routes @ prices, net.weights, net.alpha, 1e-9 * net.most_hz, net.most_hz)
        marginal = net.quality_weights * np.minimum(self._elasticity(net.routes @ np.log(werner)), 5.0)
        bend = marginal * (1.0 + net.num_hops * marginal / net.quality_weights)
        return State(rates, nothing, nothing, marginal, nothing, bend, prices, werner)

    def states(self, start: State) -> Iterator[State]:
        """One state after another, without end."""
        gains = self.gains.slowed(self.delay)
        there: deque[State] = deque([start] * (self.delay + 1), maxlen=self.delay + 1)
        back: deque[tuple[Array, ...]] = deque(maxlen=self.delay + 1)
        state = start
        while True:
            state = self.advance(state, there, back, gains)
            yield state

    def advance(self, state: State, there: deque[State], back: deque[tuple[Array, ...]], gains: Gains) -> State:
        """One iteration; ``there`` and ``back`` hold the messages under way, the oldest first."""
        net, w, n = self.network, state.werner, np.maximum(self.network.num_sharing, 1).astype(np.float64)
        heard = there[0]
        made = net.d_hz * (1.0 - w)
        declared = laws.declared_stiffness(heard.rates_hz, net.weights, net.alpha, net.num_hops)
        excess = net.incidence @ heard.rates_hz - made
        stiffness = laws.price_stiffness(net.incidence @ declared, made, n)
        prices, seen_price = laws.new_price(state.prices, excess, stiffness, gains)
        crowding = laws.crowding(stiffness, n, net.d_hz, w)
        pushing = laws.crowding(stiffness, net.incidence @ laws.in_force(heard.seen), net.d_hz, w)
        back.append(tuple(net.routes @ each for each in (prices, np.log(w), crowding, pushing)))
        flows = self._sources(state, back[0], gains)
        there.append(flows)
        sums = self._declared(there[0], w)
        gain = laws.werner_gain(sums, (excess, stiffness, net.d_hz), w, gains)
        werner = laws.new_werner(w, seen_price, sums[0], net.d_hz, gain)
        new = replace(flows, prices=prices, werner=np.where(net.used, werner, w))
        there[-1] = new
        return new

    def _sources(self, state: State, heard: tuple[Array, ...], gains: Gains) -> State:
        net = self.network
        path_price, log_w, crowding, pushing = heard
        room, room_to_push = 1.0 / crowding, 1.0 / pushing
        rates = laws.demand(path_price, net.weights, net.alpha, 1e-9 * net.most_hz, net.most_hz)
        mu, seen = laws.new_quality_price(state.mu, state.before, net.log_w_min - log_w, room_to_push, gains)
        quality, bend = laws.new_marginal(state.quality, self._elasticity(log_w), net.quality_weights, room, gains)
        bend = laws.declared_bend(quality + seen, bend, seen, (net.num_hops, room_to_push), gains)
        return replace(state, rates_hz=rates, mu=mu, before=state.mu, quality=quality, seen=seen, bend=bend)

    def _elasticity(self, log_w: Array) -> Array:
        return self.network.by_utility("elasticity", np.exp(log_w))

    def _declared(self, flows: State, w: Array) -> tuple[Array, Array]:
        """S and H of each link.   float64 (L,) each."""
        net = self.network
        if self.variant == "exact":
            return net.incidence @ (flows.quality + flows.seen), net.incidence @ flows.bend
        marginal, bend = _assumed(net, w)
        return marginal + net.incidence @ flows.seen, bend + net.incidence @ (flows.bend - flows.quality)


def _assumed(net: Network, w: Array) -> tuple[Array, Array]:
    """Σ ω θ a and its bend, with w_l^h for the W of each flow.   float64 (L,) each."""
    flows, starts = net.incidence.indices, net.incidence.indptr
    links = np.repeat(np.arange(net.num_links), np.diff(starts))
    hops, weights = net.num_hops[flows], net.quality_weights[flows]
    names = np.array([flow.utility for flow in net.flows])[flows]
    assumed = w[links] ** hops
    elastic = np.empty(flows.size)
    for name, _ in net.kinds:
        elastic[names == name] = UTILITIES[name].elasticity(assumed[names == name])
    capped = np.minimum(elastic, 1.0 / laws._DEAD_STEP)
    marginal: Array = np.bincount(links, weights * capped, net.num_links).astype(np.float64)
    bend = np.bincount(links, weights * hops * capped * capped, net.num_links).astype(np.float64)
    return marginal, marginal + bend


def follow(
    fluid: Fluid,
    best: float,
    *,
    w0: float = START_W,
    most: int = 4000,
    until: float = 0.0,
    told: Callable[[int, float], object] | None = None,
) -> Run:
    """Run and measure the gap after every iteration.

    Args:
        best: U*.   w0: every link's Werner parameter at the start.   most: iterations.
        until: stop once the gap has been below it for 50 iterations.   told: called with iteration and gap.
    """
    net = fluid.network
    scale = float(net.weights.sum())
    gaps: list[float] = []
    missed: list[float] = []
    quiet = 0
    for count, state in enumerate(fluid.states(fluid.start(w0)), 1):
        rates = feasible_rates_hz(net, state.rates_hz, state.werner)
        gaps.append(abs(best - float(utilities(net, rates, end_to_end(net, state.werner)).sum())) / scale)
        missed.append(shortfall(net, state.werner))
        quiet = quiet + 1 if gaps[-1] < until else 0
        if told:
            told(count, gaps[-1])
        if count >= most or quiet >= 50:
            break
    return Run(np.array(gaps), np.array(missed), state)


def allocate(network: Network, *, iterations: int = 1000, gains: str = "scale_free", **_: Any) -> Allocation:
    """What QPrimalDual has come to after so many iterations, with rates scaled down to what links make."""
    fluid = Fluid(network, gains_named(gains))
    states = fluid.states(fluid.start())
    state = next(states)
    for _turn in range(whole("iterations", iterations, 1, 10**7) - 1):
        state = next(states)
    return replace(state.allocation(), rates_hz=feasible_rates_hz(network, state.rates_hz, state.werner))


def gains_named(name: str) -> Gains:
    """A set of gains.

    Raises:
        InvalidParameter: no such set.
    """
    if name not in GAINS:
        raise InvalidParameter(f"gains: wanted one of {', '.join(GAINS)}, got {name!r}")
    return GAINS[name]

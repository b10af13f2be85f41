"""QPrimalDual's controllers, each an object that holds its own state and sees only the messages that reach it.

A source holds rate, μ and what it declares; a link's price and its Werner parameter are two controllers that sit
together. What travels is :class:`Declared`, forward along the route, and :class:`Collected`, added up on the way back.
Where controllers sit is the paper's idea; what a message holds is ours: four numbers and a bit forward, four back.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from policies.allocators.qprimaldual import laws
from policies.allocators.qprimaldual.fluid import State
from policies.allocators.qprimaldual.laws import SCALE_FREE, Gains
from policies.envs.qnum.network import Flow, Network
from policies.envs.qnum.utilities import Array


def _one(value: float) -> Array:
    """A number as the arrays of one element that the laws take, so that they round as they do for many."""
    return np.array([value], dtype=np.float64)


@dataclass(frozen=True)
class Declared:
    """What a source says to the links of its route.   float64 (1,) each.

    Attributes:
        rate_hz: R.   stiffness: h |dR/dΛ|.   marginal: ω θ a + μ.   bend: of the marginal utility.
        in_force: 1 if its minimum quality pushes, else 0.
    """

    rate_hz: Array
    stiffness: Array
    marginal: Array
    bend: Array
    in_force: Array


@dataclass(frozen=True)
class Collected:
    """What an acknowledgement has added up over the route.   float64 (1,) each.

    Attributes:
        price: Σ λ.   log_w: Σ log w.   crowding: Σ n P/(d w)².
        pushing: the same, with the flows whose minimum is in force for n.
    """

    price: Array = field(default_factory=lambda: _one(0.0))
    log_w: Array = field(default_factory=lambda: _one(0.0))
    crowding: Array = field(default_factory=lambda: _one(0.0))
    pushing: Array = field(default_factory=lambda: _one(0.0))


@dataclass
class Quality:
    """Multiplier of a flow's minimum quality, eq. (16)."""

    log_w_min: Array
    gains: Gains
    mu: Array = field(default_factory=lambda: _one(0.0))
    before: Array = field(default_factory=lambda: _one(0.0))
    seen: Array = field(default_factory=lambda: _one(0.0))

    def update(self, log_w: Array, room: Array) -> None:
        """From what the route says of itself."""
        mu, self.seen = laws.new_quality_price(self.mu, self.before, self.log_w_min - log_w, room, self.gains)
        self.mu, self.before = mu, self.mu


@dataclass
class Source:
    """A flow's source: rate by eq. (15), and what it declares of its utility."""

    flow: Flow
    most_hz: Array
    gains: Gains
    quality: Quality
    rate_hz: Array
    marginal: Array
    bend: Array

    def hears(self, ack: Collected) -> None:
        """An acknowledgement arrives."""
        flow, room, room_to_push = self.flow, 1.0 / ack.crowding, 1.0 / ack.pushing
        self.rate_hz = laws.demand(ack.price, _one(flow.weight), _one(flow.alpha), 1e-9 * self.most_hz, self.most_hz)
        self.quality.update(ack.log_w, room_to_push)
        elastic = laws.elasticity(flow.utility, ack.log_w)
        weight = _one(flow.weight * flow.theta)
        self.marginal, bend = laws.new_marginal(self.marginal, elastic, weight, room, self.gains)
        seen = self.quality.seen
        self.bend = laws.declared_bend(
            self.marginal + seen, bend, seen, (_one(len(flow.route)), room_to_push), self.gains
        )

    def says(self) -> Declared:
        """What it puts in the next message."""
        flow = self.flow
        stiffness = laws.declared_stiffness(self.rate_hz, _one(flow.weight), _one(flow.alpha), _one(len(flow.route)))
        seen = self.quality.seen
        return Declared(self.rate_hz, stiffness, self.marginal + seen, self.bend, laws.in_force(seen))


@dataclass
class LinkPrice:
    """A link's price, eq. (14)."""

    gains: Gains
    price: Array
    seen: Array = field(default_factory=lambda: _one(0.0))

    def update(self, excess: Array, stiffness: Array) -> None:
        """From how much more is asked for than made."""
        self.price, self.seen = laws.new_price(self.price, excess, stiffness, self.gains)


@dataclass
class LinkWerner:
    """A link's Werner parameter, eq. (17)."""

    gains: Gains
    d_hz: Array
    w: Array

    def update(self, price: Array, sums: tuple[Array, Array], at: tuple[Array, Array]) -> None:
        """Move.

        Args:
            price: as it sees it.   sums: of marginal utilities and bends.   at: excess, P.
        """
        gain = laws.werner_gain(sums, (*at, self.d_hz), self.w, self.gains)
        self.w = laws.new_werner(self.w, price, sums[0], self.d_hz, gain)


@dataclass
class LinkNode:
    """Where the two controllers of a link sit, with what its flows declared last."""

    price: LinkPrice
    werner: LinkWerner
    heard: dict[int, Declared] = field(default_factory=dict)
    crowding: Array = field(default_factory=lambda: _one(0.0))
    pushing: Array = field(default_factory=lambda: _one(0.0))
    excess: Array = field(default_factory=lambda: _one(0.0))
    stiffness: Array = field(default_factory=lambda: _one(0.0))

    def _sum(self, name: str) -> Array:
        total = _one(0.0)
        for flow in sorted(self.heard):
            total = total + getattr(self.heard[flow], name)
        return total

    def reprice(self) -> None:
        """Eq. (14), before anything is acknowledged."""
        w, d_hz = self.werner.w, self.werner.d_hz
        made, count = d_hz * (1.0 - w), _one(len(self.heard))
        self.excess = self._sum("rate_hz") - made
        self.stiffness = laws.price_stiffness(self._sum("stiffness"), made, count)
        self.price.update(self.excess, self.stiffness)
        self.crowding = laws.crowding(self.stiffness, count, d_hz, w)
        self.pushing = laws.crowding(self.stiffness, self._sum("in_force"), d_hz, w)

    def stamps(self, ack: Collected) -> Collected:
        """Add what this link says to an acknowledgement that passes."""
        return Collected(
            ack.price + self.price.price,
            ack.log_w + np.log(self.werner.w),
            ack.crowding + self.crowding,
            ack.pushing + self.pushing,
        )

    def requality(self) -> None:
        """Eq. (17), with what flows have declared since."""
        sums = (self._sum("marginal"), self._sum("bend"))
        self.werner.update(self.price.seen, sums, (self.excess, self.stiffness))


class Controllers:
    """All controllers of a network, and the messages between them, one round an iteration."""

    def __init__(self, network: Network, start: State, gains: Gains = SCALE_FREE) -> None:
        """From a state of :meth:`policies.allocators.qprimaldual.fluid.Fluid.start`."""
        self.network = network
        most = [min(network.links[link].d_hz for link in flow.route) for flow in network.flows]
        self.sources = [
            Source(
                flow,
                _one(most[place]),
                gains,
                Quality(_one(network.log_w_min[place]), gains),
                _one(start.rates_hz[place]),
                _one(start.quality[place]),
                _one(start.bend[place]),
            )
            for place, flow in enumerate(network.flows)
        ]
        self.links = [
            LinkNode(LinkPrice(gains, _one(price)), LinkWerner(gains, _one(link.d_hz), _one(w)))
            for link, price, w in zip(network.links, start.prices, start.werner, strict=True)
        ]
        self._declare()

    def _declare(self) -> None:
        for place, source in enumerate(self.sources):
            message = source.says()
            for link in source.flow.route:
                self.links[link].heard[place] = message

    def iterate(self) -> None:
        """One round: prices, acknowledgements, sources, declarations, qualities."""
        busy = [node for node in self.links if node.heard]
        for node in busy:
            node.reprice()
        for source in self.sources:
            ack = Collected()
            for link in source.flow.route:
                ack = self.links[link].stamps(ack)
            source.hears(ack)
        self._declare()
        for node in busy:
            node.requality()

    def state(self) -> State:
        """What all of them hold, as arrays."""

        def of(name: str) -> Array:
            return np.concatenate([getattr(source, name) for source in self.sources])

        return State(
            of("rate_hz"),
            np.concatenate([source.quality.mu for source in self.sources]),
            np.concatenate([source.quality.before for source in self.sources]),
            of("marginal"),
            np.concatenate([source.quality.seen for source in self.sources]),
            of("bend"),
            np.concatenate([node.price.price for node in self.links]),
            np.concatenate([node.werner.w for node in self.links]),
        )

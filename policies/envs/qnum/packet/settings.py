"""What a run of the packet network is given: physics, the law of its controllers, and what changes on the way.

The sequential network with q-datagrams and ACKs is the paper's (its abstract). How a link, a queue and a loss work is
related work's (the public QTCP simulator) where :class:`Physics` says so and ours elsewhere. The names -approx, -DA and
-PI are the paper's (second-hand); their formulas, and every constant of :class:`Law`, are ours.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from circuits.errors import InvalidParameter
from circuits.parameters import integer, real, short, validate
from policies.envs.qnum.network import Network, number

CAUSES = ("swap", "overflow", "cutoff", "failure", "classical")
"""Why a pair is lost."""

LINK_DOWN, LINK_UP, FLOW_OFF, FLOW_ON = range(4)
CHANGES = ("link_down", "link_up", "leave", "join")
"""What may change during a run."""


@dataclass(frozen=True)
class Physics:
    """Memories, messages and losses.

    Attributes:
        coherence_s: of one memory; infinite for an ideal one. Werner parameters of stored pairs fall as
            exp(-2 t/coherence), as both ends decay (related work: QTCP's simulator).
        latency_factor: times light over the fibre.
        swap_success, swap_werner: probability of a swap, and what it does to the Werner parameter (1: perfect).
        datagram_loss, ack_loss: of a q-datagram on each hop, and of an ACK on its way.
        storage: requests that a link's queue holds; the oldest is dropped for a new one (related work: QTCP).
        cutoff: pairs below this Werner parameter are discarded at a swap; 0 for none.
        ack_decoherence: whether pairs are judged when the ACK arrives instead of at delivery (related work: QTCP).
    """

    coherence_s: float = math.inf
    latency_factor: float = real(1.0, low=0.0, high=1e6)
    swap_success: float = real(1.0, low=1e-6, high=1.0)
    swap_werner: float = real(1.0, low=1e-6, high=1.0)
    datagram_loss: float = real(0.0, low=0.0, high=0.999)
    ack_loss: float = real(0.0, low=0.0, high=0.999)
    storage: int = integer(1_000_000, low=1, high=1_000_000_000)
    cutoff: float = real(0.0, low=0.0, high=0.999)
    ack_decoherence: bool = False

    def __post_init__(self) -> None:
        validate(self)
        if not isinstance(self.coherence_s, int | float) or not self.coherence_s > 0.0:
            raise InvalidParameter(f"coherence_s: wanted more than 0 seconds (inf for ideal), got {self.coherence_s!r}")

    @property
    def decay_hz(self) -> float:
        """2 Γ, at which a stored pair's Werner parameter falls."""
        return 2.0 / self.coherence_s


class Law(NamedTuple):
    """What controllers do; numbers only, so that the compiled kernel takes it as it is.

    Attributes:
        frozen: 1 for rates and Werner parameters that stay as given (open loop).
        window: 1 for sources with a window and links that mark (AIMD); 0 for prices.
        measured: 1 if a link counts arrivals, 0 if it adds up the rates that headers declare.
        aware: 1 if a link leaves the head-room that decoherence asks for, and stamps the quality left after waiting.
        local: 1 if a link takes w^hops for a flow's end-to-end quality, so that headers need not carry it.
        period_s: between two updates of a controller.   price_gain_hz, werner_gain_hz, quality_gain_hz: speeds.
        damping: κ_p of the stamped price λ + κ_p (y - c + head-room)/P; 0 to stamp λ itself.
        least_room: head-room kept in any case, a share of the capacity.
        queue_gain_hz, queue_ref: pairs per second asked for per waiting request beyond queue_ref.
        queue_slack: where head-room is kept, queues may have as many times their expected length before that.
        most_elastic: cap on elasticities; without it a rate whose quality is lost collapses. It must lie above those of
            the optimum; where w^hops is taken for a quality, lower, as a bottleneck alone then looks worthless.
        least_rate_hz, least_capacity_hz: rates never fall below, so that news keep coming.
        mark_gain, mark_memory: a and b of the marking probability p += a (q - ref) - b (q_old - ref).
    """

    frozen: int = 0
    window: int = 0
    measured: int = 0
    aware: int = 0
    local: int = 0
    period_s: float = 0.02
    price_gain_hz: float = 1.0
    werner_gain_hz: float = 0.5
    quality_gain_hz: float = 0.5
    damping: float = 0.5
    least_room: float = 0.03
    queue_gain_hz: float = 0.0
    queue_ref: float = 0.0
    queue_slack: float = 0.0
    most_elastic: float = 12.0
    least_rate_hz: float = 1.0
    least_capacity_hz: float = 1.0
    mark_gain: float = 0.0
    mark_memory: float = 0.0


DA = Law(
    aware=1,
    price_gain_hz=2.0,
    damping=1.0,
    queue_gain_hz=2.0,
    queue_ref=10.0,
    queue_slack=2.5,
    most_elastic=50.0,
)
VARIANTS: dict[str, Law] = {
    "base": Law(measured=1, damping=0.0, least_room=0.0),
    "approx": Law(measured=1, damping=0.0, least_room=0.0, local=1),
    "pi": Law(least_room=0.0, price_gain_hz=2.0, damping=1.0, queue_gain_hz=20.0),
    "da": DA,
    "da-approx": DA._replace(local=1, most_elastic=12.0),
    "open": Law(frozen=1),
    "aimd": Law(frozen=1, window=1, queue_ref=5.0, mark_gain=1e-3, mark_memory=9.8e-4),
}
"""By the name that a command takes."""


@dataclass(frozen=True)
class Change:
    """Something that happens to the network: a link fails or comes back, a flow joins or leaves."""

    at_s: float
    what: str
    who: int


@dataclass(frozen=True)
class Run:
    """All that determines a run, bit for bit.

    Attributes:
        network, physics, law: what, where and how.
        duration_s: simulated.   bin_s: of the record.   seed: of its draws.
        rates_hz: at which sources begin (or stay, if the law is frozen); None for a hundredth of the route's best.
        werner: of the links, likewise; None for 0.967 (second-hand: the paper's start).   float64 (L,)
        changes: in any order; a flow whose first change is to join is absent until then.
    """

    network: Network
    physics: Physics
    law: Law
    duration_s: float
    seed: int
    bin_s: float = 1.0
    rates_hz: NDArray[np.float64] | None = None
    werner: NDArray[np.float64] | None = None
    changes: tuple[Change, ...] = ()

    def __post_init__(self) -> None:
        for name, value, most in (("duration_s", self.duration_s, 1e6), ("bin_s", self.bin_s, 1e6)):
            if not isinstance(value, int | float) or not 0.0 < value <= most:
                raise InvalidParameter(f"{name}: wanted a number in (0, {most:g}], got {short(value)}")
        sizes = {"link": self.network.num_links, "flow": self.network.num_flows}
        for place, change in enumerate(self.changes):
            if change.what not in CHANGES:
                raise InvalidParameter(f"changes[{place}].what: wanted one of {', '.join(CHANGES)}, got {change.what}")
            number(f"changes[{place}].at_s", change.at_s, 0.0, 1e6)
            kind = "link" if change.what.startswith("link") else "flow"
            if not 0 <= change.who < sizes[kind]:
                raise InvalidParameter(f"changes[{place}].who: wanted a {kind} below {sizes[kind]}, got {change.who}")

    @property
    def num_bins(self) -> int:
        """Rows of the record."""
        return max(1, math.ceil(self.duration_s / self.bin_s - 1e-9))

    def start_rates(self) -> NDArray[np.float64]:
        """At which sources begin; float64 (N,)."""
        if self.rates_hz is not None:
            return np.asarray(self.rates_hz, dtype=np.float64)
        return np.maximum(self.law.least_rate_hz, 0.01 * self.network.most_hz)

    def start_werner(self) -> NDArray[np.float64]:
        """Of the links; float64 (L,)."""
        if self.werner is not None:
            return np.asarray(self.werner, dtype=np.float64)
        return np.full(self.network.num_links, 0.967)

    def events(self) -> list[tuple[float, int, int]]:
        """What is bound to happen, in order: (time, change, who), flows that are there from the start first."""
        ordered = sorted(self.changes, key=lambda change: change.at_s)
        first: dict[int, str] = {}
        for change in ordered:
            if change.what in ("join", "leave"):
                first.setdefault(change.who, change.what)
        there = [(0.0, FLOW_ON, flow) for flow in range(self.network.num_flows) if first.get(flow) != "join"]
        return there + [(change.at_s, CHANGES.index(change.what), change.who) for change in ordered]


def latencies(network: Network, physics: Physics) -> Sequence[float]:
    """Of each link, with the factor."""
    return [link.latency_s * physics.latency_factor for link in network.links]

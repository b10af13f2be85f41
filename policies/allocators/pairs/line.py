"""A flow's own share of its route, making pairs end to end: what a table of rates comes to, event by event.

Each link makes Werner pairs at the rate that the flow has there, in exponential gaps, and keeps so many; the newest
replaces the oldest, and none is kept beyond the cutoff. When somebody waits and every link has a pair, the freshest are
swapped: with success p_s at each node, else they are gone. What comes out has w = Π w_e exp(-age_e/T) · w_g^(h-1).
Ours; links, swaps and decay are the usual ones, and this flow is alone on its share.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np

from circuits.parameters import integer, real, validate

DRAWN = 128
"""Gaps that are drawn at a time."""

WINDOW = 50
"""Pairs over which a rehearsal looks at how evenly they come."""


@dataclass(frozen=True)
class Hardware:
    """What links and nodes do, the same everywhere (ours, the spec's usual figures)."""

    memories: int = integer(4, low=1, high=10_000, doc="pairs that a link keeps for a flow")
    coherence_s: float = real(10.0, low=1e-6, high=1e9, doc="T of a stored pair, w exp(-t/T)")
    cutoff_s: float = real(5.0, low=1e-6, high=1e9, doc="age at which a stored pair is thrown away")
    swap_success: float = real(0.9, low=1e-3, high=1.0, doc="of one swap")
    swap_visibility: float = real(0.995, low=0.0, high=1.0, doc="Werner parameter that one swap leaves")

    def __post_init__(self) -> None:
        validate(self)


@dataclass(frozen=True)
class Route:
    """What a flow has of each link on its way.

    Attributes:
        rates_hz: pairs per second that are made for it.   werner: of a fresh one.   One number a link.
        price: sum of the links' prices.   length_km: of all of it.
    """

    rates_hz: tuple[float, ...]
    werner: tuple[float, ...]
    price: float = 0.0
    length_km: float = 0.0

    @property
    def num_swaps(self) -> int:
        """Nodes on the way."""
        return len(self.rates_hz) - 1


@dataclass
class Line:
    """The links of one flow at one moment.

    Attributes:
        stock: of each link, moments at which its pairs were made, the oldest first.
    """

    route: Route
    hardware: Hardware
    rng: np.random.Generator
    now_s: float = 0.0
    stock: list[deque[float]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.stock = [deque(maxlen=self.hardware.memories) for _ in self.route.rates_hz]
        self._gaps_s: list[list[float]] = [[] for _ in self.route.rates_hz]
        self._next_s = [self._gap_s(link) for link in range(len(self.route.rates_hz))]

    def _gap_s(self, link: int) -> float:
        """Until the next pair of a link; drawn many at a time, since one costs as much."""
        gaps = self._gaps_s[link]
        if not gaps:
            gaps.extend(self.rng.exponential(1.0 / self.route.rates_hz[link], DRAWN).tolist())
        return gaps.pop()

    def live(self) -> list[int]:
        """Pairs that each link has now."""
        for pairs in self.stock:
            while pairs and pairs[0] <= self.now_s - self.hardware.cutoff_s:
                pairs.popleft()
        return [len(pairs) for pairs in self.stock]

    def next_pair(self, until_s: float) -> tuple[float, float] | None:
        """On to the next pair, and its moment and fidelity; to that moment, and None, if it comes no sooner."""
        while True:
            while all(self.live()):
                if (pair := self._swap()) is not None:
                    return pair
            if not self._make(until_s):
                return None

    def rest(self, until_s: float) -> None:
        """On to that moment, with nobody waiting: links fill their memories."""
        while self._make(until_s):
            pass

    def _make(self, until_s: float) -> bool:
        """On to the next pair of a link; to that moment, and False, if it comes no sooner."""
        moment_s = min(self._next_s)
        if moment_s > until_s:
            self.now_s = max(self.now_s, until_s)
            return False
        link = self._next_s.index(moment_s)
        self.now_s = moment_s
        self.stock[link].append(moment_s)
        self._next_s[link] += self._gap_s(link)
        return True

    def in_stock(self) -> list[float]:
        """Fidelities of the pairs that could be swapped now, if all swaps worked; the freshest first."""
        number = min(self.live())
        ages = [np.array(pairs)[::-1][:number] - self.now_s for pairs in self.stock]
        aged = [
            fresh * np.exp(age / self.hardware.coherence_s) for fresh, age in zip(self.route.werner, ages, strict=True)
        ]
        w = self.hardware.swap_visibility**self.route.num_swaps * np.prod(aged, axis=0)
        return [float(one) for one in 0.25 + 0.75 * w]

    def _swap(self) -> tuple[float, float] | None:
        known, num_swaps = self.hardware, self.route.num_swaps
        w = known.swap_visibility**num_swaps
        for fresh, pairs in zip(self.route.werner, self.stock, strict=True):
            w *= fresh * math.exp((pairs.pop() - self.now_s) / known.coherence_s)
        if num_swaps and self.rng.random() >= known.swap_success**num_swaps:
            return None
        return self.now_s, 0.25 + 0.75 * w


def line(route: Route, hardware: Hardware, seed: int) -> Line:
    """With a stream of random numbers of its own, and nothing in stock."""
    return Line(route, hardware, np.random.default_rng(seed))


@dataclass(frozen=True)
class Rehearsal:
    """What a flow does in the long run, when somebody always waits.

    Attributes:
        rate_hz: pairs per second, end to end.   dispersion: variance of the pairs in a window over their mean.
        fidelities: of single pairs, ascending.   float64 (pairs,)
    """

    rate_hz: float
    dispersion: float
    fidelities: tuple[float, ...]


@lru_cache(maxsize=1024)
def rehearse(route: Route, hardware: Hardware, pairs: int = 10_000, seed: int = 1) -> Rehearsal:
    """Play the flow by itself, with chance of its own; nothing is learned from what others were delivered.

    The rate is off by some 1 %, the dispersion by some 10 %.
    """
    made = line(route, hardware, seed)
    until_s = 20.0 * pairs / min(route.rates_hz)
    came: list[tuple[float, float]] = []
    while len(came) < pairs and (pair := made.next_pair(until_s)) is not None:
        came.append(pair)
    moments = np.array([moment for moment, _ in came])
    fidelities = np.sort([fidelity for _, fidelity in came])
    if moments.size <= 2 * WINDOW:
        return Rehearsal(moments.size / made.now_s, 1.0, tuple(fidelities.tolist()) or (0.25,))
    windows_s = moments[WINDOW:] - moments[:-WINDOW]
    dispersion = float(WINDOW * windows_s.var() / windows_s.mean() ** 2)
    return Rehearsal(
        moments.size / float(moments[-1]), dispersion, tuple(fidelities[:: max(1, pairs // 1000)].tolist())
    )

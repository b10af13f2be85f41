"""A network, its links with the rate-quality trade-off, and flows on fixed routes: what there is to allocate.

Problem (second-hand for the paper, its eqs 4 to 6): maximise Σ_r U_r(R_r, W_r) with W_r = Π w_l over the route, subject
to Σ_{r: l ∈ r} R_r <= d_l (1 - w_l) on every link and Σ_{l ∈ r} log w_l >= log(w_min) for every flow. Weights, minimum
rates of none, and the fields ``alpha`` and ``theta`` are ours.

What is built is checked: a message names the field (``flows[3].route: wanted …, got …``).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from circuits.errors import InvalidParameter
from circuits.parameters import short
from policies.envs.qnum.utilities import UTILITIES, Array
from policies.envs.qnum.werner import latency_s

MOST = 1_000_000
"""Of nodes, links and flows."""

MOST_W_MIN = 0.9999
"""Largest minimum quality (ours): certified to 1e-7; at 1 - 1e-6 the residual is some 1e-5."""

D_HZ, WEIGHTS, THETAS = (1e-6, 1e15), (1e-9, 1e9), (1e-9, 100.0)
"""Least and most of d, ω and θ (ours): beyond, products of them leave what float64 holds."""


@dataclass(frozen=True)
class Link:
    """A fibre between two nodes.

    Attributes:
        ends: its nodes.
        d_hz: pairs per second at w -> 0; at Werner parameter w it makes d (1 - w).
        length_km: of the fibre; gives the latency of messages along it.
    """

    ends: tuple[int, int]
    d_hz: float
    length_km: float = 0.0

    @property
    def latency_s(self) -> float:
        """Of light, one way."""
        return latency_s(self.length_km)


@dataclass(frozen=True)
class Flow:
    """Who wants pairs between two nodes, along one route.

    Attributes:
        route: numbers of the links in the order in which they are crossed.
        utility: name in :data:`policies.envs.qnum.utilities.UTILITIES`.
        weight: ω, of this flow's utility.
        w_min: least end-to-end Werner parameter, 0 for none; the paper's K is its logarithm (second-hand).
        source: node where the route begins; None to read it off the links (the first end, if there is but one link).
        alpha: of the rate's worth, 1 for log R (ours).
        theta: exponent of the quality, log R + θ log f (ours).
    """

    route: tuple[int, ...]
    utility: str
    weight: float = 1.0
    w_min: float = 0.0
    source: int | None = None
    alpha: float = 1.0
    theta: float = 1.0


@dataclass(frozen=True)
class Network:
    """Nodes 0 … num_nodes - 1, links and flows by number; arrays are worked out once.

    Raises:
        InvalidParameter: something cannot be; the message names the field.
    """

    num_nodes: int
    links: tuple[Link, ...]
    flows: tuple[Flow, ...]
    name: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "links", tuple(self.links))
        object.__setattr__(self, "flows", tuple(self.flows))
        whole("num_nodes", self.num_nodes, 2, MOST)
        for name, items in (("links", self.links), ("flows", self.flows)):
            if not 1 <= len(items) <= MOST:
                raise InvalidParameter(f"{name}: wanted 1 to {MOST} of them, got {len(items)}")
        for number, link in enumerate(self.links):
            _check_link(f"links[{number}]", link, self.num_nodes)
        for number, flow in enumerate(self.flows):
            _check_flow(f"flows[{number}]", flow, self)

    @property
    def num_links(self) -> int:
        """L."""
        return len(self.links)

    @property
    def num_flows(self) -> int:
        """N."""
        return len(self.flows)

    @cached_property
    def paths(self) -> tuple[tuple[int, ...], ...]:
        """Nodes of each flow's route, from source to destination."""
        return tuple(walk(f"flows[{number}]", flow, self.links) for number, flow in enumerate(self.flows))

    @cached_property
    def routes(self) -> csr_array:
        """1 where a flow crosses a link; each row lists links in the route's order.   csr float64 (N, L)."""
        sizes = np.concatenate(([0], np.cumsum(self.hops)))
        columns = np.fromiter((link for flow in self.flows for link in flow.route), dtype=np.int64)
        return csr_array((np.ones(columns.size), columns, sizes), shape=(self.num_flows, self.num_links))

    @cached_property
    def incidence(self) -> csr_array:
        """1 where a flow crosses a link; each row lists flows by number.   csr float64 (L, N)."""
        return self.routes.T.tocsr()

    @cached_property
    def hops(self) -> NDArray[np.int64]:
        """Links of each route.   int64 (N,)."""
        return np.array([len(flow.route) for flow in self.flows], dtype=np.int64)

    @cached_property
    def num_hops(self) -> Array:
        """The same as numbers to reckon with.   float64 (N,)."""
        return self.hops.astype(np.float64)

    @cached_property
    def num_sharing(self) -> NDArray[np.int64]:
        """Flows on each link.   int64 (L,)."""
        counts: NDArray[np.int64] = np.diff(self.incidence.indptr).astype(np.int64)
        return counts

    @cached_property
    def used(self) -> NDArray[np.bool_]:
        """Links that some flow crosses.   bool (L,)."""
        return self.num_sharing > 0

    @cached_property
    def d_hz(self) -> Array:
        """Pairs per second at w -> 0.   float64 (L,)."""
        return np.array([link.d_hz for link in self.links])

    @cached_property
    def most_hz(self) -> Array:
        """Rate above which the weakest link of a flow's route makes nothing of any quality.   float64 (N,)."""
        most: Array = np.minimum.reduceat(self.d_hz[self.routes.indices], self.routes.indptr[:-1])
        return most

    @cached_property
    def latency_s(self) -> Array:
        """Of light along each link, one way.   float64 (L,)."""
        return np.array([link.latency_s for link in self.links])

    @cached_property
    def weights(self) -> Array:
        """ω of each flow.   float64 (N,)."""
        return np.array([flow.weight for flow in self.flows])

    @cached_property
    def alpha(self) -> Array:
        """Of each flow's rate.   float64 (N,)."""
        return np.array([flow.alpha for flow in self.flows])

    @cached_property
    def quality_weights(self) -> Array:
        """ω θ of each flow, which weigh log f.   float64 (N,)."""
        return np.array([flow.weight * flow.theta for flow in self.flows])

    @cached_property
    def log_w_min(self) -> Array:
        """K of each flow, minus infinity for none.   float64 (N,)."""
        return np.array([math.log(flow.w_min) if flow.w_min > 0.0 else -math.inf for flow in self.flows])

    @cached_property
    def kinds(self) -> tuple[tuple[str, NDArray[np.int64]], ...]:
        """Utilities in use, with the numbers of the flows that have them."""
        names = np.array([flow.utility for flow in self.flows])
        return tuple((str(name), np.flatnonzero(names == name)) for name in np.unique(names))

    def by_utility(self, method: str, w: Array) -> Array:
        """``log_quality``, ``elasticity`` or ``elasticity_slope`` of each flow at its own W.   float64 (N,)."""
        values = np.empty(self.num_flows)
        for name, flows in self.kinds:
            values[flows] = getattr(UTILITIES[name], method)(w[flows])
        return values

    @cached_property
    def least_w(self) -> Array:
        """End-to-end Werner parameter above which each flow is worth something.   float64 (N,)."""
        return np.array([UTILITIES[flow.utility].least_w for flow in self.flows])


def number(name: str, value: Any, low: float, high: float, *, above: bool = False) -> float:
    """A finite number in [low, high], or in (low, high] if ``above``.

    Raises:
        InvalidParameter: it is none; the message names it.
    """
    real = isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)
    vast = isinstance(value, int) and value.bit_length() > 1000
    if not real or vast or not low <= value <= high or (above and value == low):
        raise InvalidParameter(
            f"{name}: wanted a finite number in {'(' if above else '['}{low:g}, {high:g}], got {short(value)}"
        )
    return float(value)


def whole(name: str, value: Any, low: int, high: int) -> int:
    """An integer in [low, high].

    Raises:
        InvalidParameter: it is none; the message names it.
    """
    if not isinstance(value, int | np.integer) or isinstance(value, bool) or not low <= value <= high:
        raise InvalidParameter(f"{name}: wanted an integer in [{low}, {high}], got {short(value)}")
    return int(value)


def _check_link(name: str, link: Link, num_nodes: int) -> None:
    if not isinstance(link.ends, Sequence) or len(link.ends) != 2 or link.ends[0] == link.ends[1]:
        raise InvalidParameter(f"{name}.ends: wanted two different nodes, got {short(link.ends)}")
    for node in link.ends:
        whole(f"{name}.ends", node, 0, num_nodes - 1)
    number(f"{name}.d_hz", link.d_hz, *D_HZ)
    number(f"{name}.length_km", link.length_km, 0.0, 1e6)


def _check_flow(name: str, flow: Flow, network: Network) -> None:
    if flow.utility not in UTILITIES:
        raise InvalidParameter(f"{name}.utility: wanted one of {', '.join(UTILITIES)}, got {short(flow.utility)}")
    number(f"{name}.weight", flow.weight, *WEIGHTS)
    number(f"{name}.alpha", flow.alpha, 1.0, 10.0)
    number(f"{name}.theta", flow.theta, *THETAS)
    if number(f"{name}.w_min", flow.w_min, 0.0, math.inf) >= 1.0:
        raise InvalidParameter(
            f"{name}.w_min: wanted less than 1, got {short(flow.w_min)}: infeasible, as links make perfect pairs at "
            "rate 0 alone"
        )
    if flow.w_min > MOST_W_MIN:
        raise InvalidParameter(
            f"{name}.w_min: wanted at most {MOST_W_MIN} (K, its logarithm, at most {math.log(MOST_W_MIN):.4g}), got "
            f"{short(flow.w_min)}: beyond, no optimum can be certified in float64"
        )
    if not isinstance(flow.route, Sequence) or not 1 <= len(flow.route) <= network.num_links:
        raise InvalidParameter(f"{name}.route: wanted 1 to {network.num_links} links, got {short(flow.route)}")
    for link in flow.route:
        whole(f"{name}.route", link, 0, network.num_links - 1)
    walk(name, flow, network.links)


def walk(name: str, flow: Flow, links: Sequence[Link]) -> tuple[int, ...]:
    """Nodes along a flow's route.

    Args:
        name: what messages call the flow.

    Raises:
        InvalidParameter: the links do not follow one another, do not begin at the source, or cross a node twice.
    """
    first = links[flow.route[0]].ends
    start = flow.source
    if start is None:
        start = first[0]
        if len(flow.route) > 1 and first[0] in links[flow.route[1]].ends:
            start = first[1]
    nodes = [start]
    for number in flow.route:
        ends = links[number].ends
        if nodes[-1] not in ends:
            raise InvalidParameter(
                f"{name}.route: wanted links that follow one another from node {short(start)}; link {number} joins "
                f"{ends[0]} and {ends[1]}, and the route is at {short(nodes[-1])}"
            )
        nodes.append(ends[0] if nodes[-1] == ends[1] else ends[1])
    if len(set(nodes)) < len(nodes):
        raise InvalidParameter(f"{name}.route: wanted each node crossed once, got nodes {short(nodes)}")
    return tuple(nodes)

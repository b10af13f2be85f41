"""The fluid optimum of a network that makes, keeps and swaps pairs: a bound on what any policy can deliver.

maximise Σ_p v_p Σ_k y_pk  over flows y and spent generation z, all >= 0, with

    Σ_k y_pk <= d_p                                         pairs that are asked for
    Σ_{pk: e in pk} o_pk y_pk <= η_e (z_ue + z_ve)          pairs of a link
    Σ_{pk: i inside pk} o_pk y_pk <= c_i                    swaps of a node
    Σ_e z_ie <= g_i                                         pairs that a node makes,     o_pk = ps^-(h_pk - 1)

Ours; the textbook's multi-commodity flow (Ahuja, Magnanti and Orlin 1993, chapter 17) with generation split. Every
delivery over h links succeeds with probability ps^(h-1) and uses up all its pairs and swap tokens if not, so that in
the mean o of each are gone for one that is delivered. Losses by age, memory, fidelity and luck only take away, and what
is optimal is concave in what is given: the bound holds for the mean of every policy, also of one that knows the future.

What is returned as a bound comes from weak duality and does not trust the solver: any prices π of links and ν of swaps
give Σ_p d_p max(0, v_p - cheapest path) + Σ_i c_i ν_i + Σ_i g_i max_e η_e π_e. The cheapest of *all* paths is found by
Bellman and Ford's recursion over hops, which also generates the columns that are missing.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linprog
from scipy.sparse import block_array, coo_array, csr_array
from scipy.sparse.csgraph import dijkstra

from circuits.errors import InvalidParameter
from policies.envs.entanglement.demand import draw
from policies.envs.entanglement.episode import Episode
from policies.envs.entanglement.setting import EntanglementSetting
from policies.envs.entanglement.topology import Reals, Topology, Wholes

CLOSED = 1e-7
"""Relative distance between what is reached and what is proven at which no more paths are looked for (ours)."""
SERVED = 0.9
"""Part that the fluid optimum serves of a load of one (ours)."""
_MOST_ROUNDS = 60
_ROOT = 1e-7
"""Relative, of the load."""


@dataclass(frozen=True, eq=False)
class Asked:
    """What is asked for, by commodity: pairs between two nodes.

    Attributes:
        source, target: nodes, int64 (P,).   demand_hz: d, pairs a second, float64 (P,).
        worth: v of one pair, float64 (P,); 1/n where n pairs make one request.
    """

    source: Wholes
    target: Wholes
    demand_hz: Reals
    worth: Reals

    @classmethod
    def of(cls, source: Wholes, target: Wholes, demand_hz: Reals, worth: Reals | float = 1.0) -> Asked:
        """Checked.

        Raises:
            InvalidParameter: shapes differ, ends are equal, or a number is negative or none; the message says which.
        """
        demand, worths = np.asarray(demand_hz, float), np.broadcast_to(np.asarray(worth, float), np.shape(demand_hz))
        if not source.shape == target.shape == demand.shape or source.ndim != 1:
            raise InvalidParameter(f"demand_hz: wanted shape {source.shape}, one for each pair, got {demand.shape}")
        if (source == target).any():
            raise InvalidParameter(f"target: wanted another node than the source, got {source[source == target][0]}")
        for name, values in (("demand_hz", demand), ("worth", worths)):
            bad = values[~(np.isfinite(values) & (values >= 0.0))]
            if bad.size:
                raise InvalidParameter(f"{name}: wanted finite numbers of at least 0, got {bad[0]:g}")
        return cls(source, target, demand, worths)


@dataclass(frozen=True, eq=False)
class Columns:
    """Paths that the LP may use, C of them.

    Attributes:
        pair: commodity of each, int64 (C,).   paths: nodes of each, source first.
    """

    pair: Wholes
    paths: tuple[tuple[int, ...], ...]

    @classmethod
    def of(cls, nodes: NDArray[np.int32]) -> Columns:
        """Padded candidates, int32 (P, K, H + 1), -1 where there is no more; pair by pair, in their order."""
        found = [(pair, tuple(path[path >= 0].tolist())) for pair, paths in enumerate(nodes) for path in paths]
        kept = [(pair, path) for pair, path in found if len(path) > 1]
        return cls(np.array([pair for pair, _ in kept], dtype=np.int64), tuple(path for _, path in kept))

    def with_more(self, pairs: Sequence[int], paths: Sequence[tuple[int, ...]]) -> Columns:
        """These, and those of the others that are not among them."""
        known = set(zip(self.pair.tolist(), self.paths, strict=True))
        new = [each for each in zip(pairs, paths, strict=True) if each not in known]
        numbers = np.array([pair for pair, _ in new], dtype=np.int64)
        return Columns(np.concatenate((self.pair, numbers)), (*self.paths, *(path for _, path in new)))


@dataclass(frozen=True, eq=False)
class Fluid:
    """The optimum and its proof.

    Attributes:
        value: Σ v y that is reached.   bound: what is proven that cannot be exceeded, over all paths, or over
            ``columns`` alone where no others were to be found.
        columns: paths.   flow_hz: y, pairs delivered a second along each, float64 (C,).
        spent_hz: z, aligned with a topology's ``incident``, float64 (2 E,).
        price: π of a pair of each link, float64 (E,).   swap_price: ν, float64 (N,).
        demand_price: worth of one more pair asked for, float64 (P,).
        solve_s: wall time in the solver.   rounds: times that it was called.
    """

    value: float
    bound: float
    columns: Columns
    flow_hz: Reals
    spent_hz: Reals
    price: Reals
    swap_price: Reals
    demand_price: Reals
    solve_s: float
    rounds: int

    @property
    def served_hz(self) -> Reals:
        """Pairs a second that each commodity gets, float64 (P,)."""
        return np.bincount(self.columns.pair, self.flow_hz, self.demand_price.size).astype(np.float64)

    def shares(self, topology: Topology) -> Reals:
        """Generation as shares, float64 (2 E,); what a node need not spend goes where it spends, else to all alike."""
        spent = self.spent_hz + 1e-9 * topology.uniform_shares()
        shares: Reals = spent / np.add.reduceat(spent, topology.first[:-1])[topology.owner]
        return shares


def fluid(
    topology: Topology,
    asked: Asked,
    swap_success: float,
    columns: Columns | None = None,
    *,
    every_path: bool = True,
    extra_swaps_hz: Reals | float = 0.0,
) -> Fluid:
    """The fluid optimum with its certificate.

    Args:
        swap_success: ps, in (0, 1].   columns: paths to begin with; none: those of fewest hops.
        every_path: whether paths are added until none would help; if not, ``columns`` are all there is.
        extra_swaps_hz: on top of each node's, for tokens that are there at the start.

    Raises:
        InvalidParameter: a number is out of its range, or no column is given where they are all there is.
    """
    if not 0.0 < swap_success <= 1.0:
        raise InvalidParameter(f"swap_success: wanted a number in (0, 1], got {swap_success:g}")
    swaps_hz = topology.swap_hz + extra_swaps_hz
    if columns is None or not columns.paths:
        if not every_path:
            raise InvalidParameter("columns: wanted at least one path, got none")
        hops = cheapest(topology, asked, swap_success, np.ones(topology.num_links), np.zeros(topology.num_nodes))
        columns = Columns(np.arange(asked.demand_hz.size), hops[1])
    found = _solved(topology, asked, swap_success, swaps_hz, columns)
    while every_path and found.rounds < _MOST_ROUNDS:
        cost, paths = cheapest(topology, asked, swap_success, found.price, found.swap_price)
        found = replace(found, bound=min(found.bound, _dual(topology, asked, swaps_hz, found, cost)))
        better = np.flatnonzero(cost < asked.worth - found.demand_price - 1e-10)
        more = found.columns.with_more(better.tolist(), [paths[pair] for pair in better])
        if found.bound - found.value <= CLOSED * found.bound or len(more.paths) == len(found.columns.paths):
            break
        again = _solved(topology, asked, swap_success, swaps_hz, more)
        bound, solve_s = min(found.bound, again.bound), found.solve_s + again.solve_s
        found = replace(again, bound=bound, solve_s=solve_s, rounds=found.rounds + 1)
    if every_path:
        return found
    cost = np.full(asked.demand_hz.size, np.inf)
    np.minimum.at(cost, columns.pair, _costs(topology, columns, swap_success, found.price, found.swap_price))
    return replace(found, bound=_dual(topology, asked, swaps_hz, found, cost))


def load_unit_hz(
    topology: Topology,
    asked: Asked,
    swap_success: float,
    columns: Columns | None = None,
    *,
    every_path: bool = True,
    served: float = SERVED,
) -> float:
    """Offered requests a second of load 1: of which the fluid optimum serves the part ``served``.

    Demand is taken as R w with w the demand of one request; worth of what is served is concave in R, so that Newton's
    method, from where its tangent has turned, ends at the root after a few steps.

    Args:
        asked: for one request a second, so that Σ v d = 1.

    Raises:
        InvalidParameter: nothing is asked for, or ``served`` is not in (0, 1).
    """
    total = float(asked.worth @ asked.demand_hz)
    if not total > 0.0:
        raise InvalidParameter(f"demand_hz: wanted a positive sum, got {total:g}")
    if not 0.0 < served < 1.0:
        raise InvalidParameter(f"served: wanted a number in (0, 1), got {served:g}")
    rate = 0.01 * float(topology.generation_hz.sum()) + 1e-9
    for _ in range(100):
        now = replace(asked, demand_hz=rate * asked.demand_hz)
        found = fluid(topology, now, swap_success, columns, every_path=every_path)
        columns = found.columns
        slope = float(found.demand_price @ asked.demand_hz)
        before, rate = (
            rate,
            2.0 * rate if slope >= served * total else (found.value - rate * slope) / (served * total - slope),
        )
        if abs(rate - before) <= _ROOT * rate:
            return rate
    raise InvalidParameter(
        f"demand_hz: wanted one whose load can be found, Newton stands at {rate:g} requests a second"
    )


def cheapest(
    topology: Topology, asked: Asked, swap_success: float, price: Reals, swap_price: Reals
) -> tuple[Reals, tuple[tuple[int, ...], ...]]:
    """Least o_h (Σ π + Σ ν) from source to target over all paths, float64 (P,), and the nodes of one that has it.

    D_h[v] = min(D_{h-1}[v], min_u D_{h-1}[u] + ν_u + π_uv) for all sources at once. As o_h grows with h, a source is
    done once o_h times what Dijkstra's algorithm finds over any number of hops is no less than its targets cost.
    """
    sources, row = np.unique(asked.source, return_inverse=True)
    owner, some = topology.owner, np.diff(topology.first) > 0
    tail = topology.ends[topology.incident].sum(axis=1) - owner
    link_price, leaving = price[topology.incident], swap_price[tail]
    least = _least(topology, sources, tail, link_price + leaving)[row, asked.target] - swap_price[asked.source]
    reached = np.full((sources.size, topology.num_nodes), np.inf)
    reached[np.arange(sources.size), sources] = 0.0
    cost, hops = np.full(row.size, np.inf), np.zeros(row.size, dtype=np.int64)
    came: list[NDArray[np.int32]] = []
    overhead = 1.0
    for hop in range(1, topology.num_nodes):
        live = np.unique(row[np.isfinite(least) & (overhead * least * (1.0 + 1e-12) < cost)])
        before = reached[live]
        through = before[:, tail] + link_price + leaving * (tail != sources[live, None])
        best = np.full_like(before, np.inf)
        best[:, some] = np.minimum.reduceat(through, topology.first[:-1][some], axis=1)
        closer = best < before
        if not closer.any():
            break
        where = np.full(reached.shape, -1, dtype=np.int32)
        rows, arcs = np.nonzero((through == best[:, owner]) & closer[:, owner])
        where[live[rows], owner[arcs]] = tail[arcs]
        came.append(where)
        reached[live] = np.where(closer, best, before)
        total = overhead * reached[row, asked.target]
        hops[total < cost] = hop
        cost = np.minimum(cost, total)
        overhead /= swap_success
    if not np.isfinite(cost).all():
        lost = int(np.flatnonzero(~np.isfinite(cost))[0])
        raise InvalidParameter(f"target: wanted a node that {asked.source[lost]} reaches, got {asked.target[lost]}")
    return cost, tuple(
        _walked(came, *each) for each in zip(row.tolist(), asked.target.tolist(), hops.tolist(), strict=True)
    )


def _least(topology: Topology, sources: Wholes, tail: Wholes, step: Reals) -> Reals:
    """Cheapest way to each node over any number of hops, where every node that is left is paid for, (S, N)."""
    arcs = (np.maximum(step, 1e-300), (tail, topology.owner))  # a weight of 0 would be no arc
    graph = csr_array(arcs, shape=(topology.num_nodes, topology.num_nodes))
    return np.asarray(dijkstra(graph, indices=sources))


def _walked(came: Sequence[NDArray[np.int32]], row: int, target: int, hops: int) -> tuple[int, ...]:
    path = [target]
    for where in reversed(came[:hops]):
        before = int(where[row, path[-1]])
        if before >= 0:
            path.append(before)
    return tuple(reversed(path))


def _loads(topology: Topology, columns: Columns, swap_success: float) -> tuple[csr_array, csr_array]:
    """What o a column has where it crosses a link, csr (E, C), or swaps at a node, csr (N, C)."""
    number = {(one, other): link for link, (one, other) in enumerate(topology.ends.tolist())}
    hops = np.array([len(path) - 1 for path in columns.paths])
    overhead = swap_success ** (1.0 - hops)
    links = [number[min(step), max(step)] for path in columns.paths for step in pairwise(path)]
    inner = [node for path in columns.paths for node in path[1:-1]]
    size = len(columns.paths)
    at_links, at_nodes = np.repeat(np.arange(size), hops), np.repeat(np.arange(size), hops - 1)
    return (
        coo_array((overhead[at_links], (links, at_links)), shape=(topology.num_links, size)).tocsr(),
        coo_array((overhead[at_nodes], (inner, at_nodes)), shape=(topology.num_nodes, size)).tocsr(),
    )


def _costs(topology: Topology, columns: Columns, swap_success: float, price: Reals, swap_price: Reals) -> Reals:
    on_links, on_nodes = _loads(topology, columns, swap_success)
    costs: Reals = on_links.T @ price + on_nodes.T @ swap_price
    return costs


def _solved(topology: Topology, asked: Asked, swap_success: float, swaps_hz: Reals, columns: Columns) -> Fluid:
    """The LP over some columns; its bound is not known yet."""
    on_links, on_nodes = _loads(topology, columns, swap_success)
    size, shares = len(columns.paths), topology.incident.size
    num_pairs, num_links, num_nodes = asked.demand_hz.size, topology.num_links, topology.num_nodes
    on_pairs = csr_array((np.ones(size), (columns.pair, np.arange(size))), shape=(num_pairs, size))
    every = np.arange(shares)
    made = csr_array((-topology.transmission[topology.incident], (topology.incident, every)), shape=(num_links, shares))
    spent = csr_array((np.ones(shares), (topology.owner, every)), shape=(num_nodes, shares))
    rows = block_array([[on_pairs, None], [on_links, made], [on_nodes, None], [None, spent]], format="csr")
    limits = np.concatenate((asked.demand_hz, np.zeros(num_links), swaps_hz, topology.generation_hz))
    begun = time.perf_counter()
    answer = linprog(
        -np.concatenate((asked.worth[columns.pair], np.zeros(shares))), A_ub=rows, b_ub=limits, method="highs"
    )
    solve_s = time.perf_counter() - begun
    if answer.status != 0:
        raise InvalidParameter(f"network: wanted numbers that the LP solver can handle, it says: {answer.message}")
    prices = np.maximum(-answer.ineqlin.marginals, 0.0)
    at = np.cumsum([num_pairs, num_links, num_nodes])
    flow, spent_hz = np.split(np.maximum(answer.x, 0.0), [size])
    demand_price, price, swap_price, _ = np.split(prices, at)
    return Fluid(-answer.fun, np.inf, columns, flow, spent_hz, price, swap_price, demand_price, solve_s, 1)


def _dual(topology: Topology, asked: Asked, swaps_hz: Reals, found: Fluid, cost: Reals) -> float:
    """Σ d max(0, v - cheapest) + Σ c ν + Σ g max η π: a bound whatever the prices."""
    dearest = np.zeros(topology.num_nodes)
    np.maximum.at(dearest, topology.owner, (topology.transmission * found.price)[topology.incident])
    unserved = asked.demand_hz @ np.maximum(asked.worth - cost, 0.0)
    return float(unserved + swaps_hz @ found.swap_price + topology.generation_hz @ dearest)


def most_delivered(episode: Episode) -> float:
    """How many requests can be served in the mean over the luck of links and swaps, by any policy.

    Of those that came and whose time is over within the episode: the fluid optimum for them, taken together over the
    episode, with the swap tokens that are there at the start. Ages, deadlines, memories, fidelity and faults are left
    out: they only make it less.
    """
    setting, topology, demand, requests = episode.setting, episode.topology, episode.demand, episode.requests
    over = requests.deadline_slot <= setting.num_slots
    if not over.any():
        return 0.0
    both = np.stack((requests.pair[over], requests.num_pairs[over]))
    (pair, wanted), counts = np.unique(both, axis=1, return_counts=True)
    span_s = setting.num_slots * setting.slot_s
    asked = Asked.of(demand.source[pair], demand.target[pair], counts * wanted / span_s, 1.0 / wanted)
    extra = np.maximum(1.0, topology.swap_hz) / span_s
    columns = Columns.of(episode.paths.nodes[pair])
    return fluid(topology, asked, setting.swap_success, columns, extra_swaps_hz=extra).bound * span_s


def load_unit_of(setting: EntanglementSetting, topology: Topology) -> float:
    """Offered requests a second of load 1 for the demand that a setting's seed draws; batch jobs are not counted."""
    demand = draw(setting.but(duration_s=setting.slot_s), topology)[0]
    return load_unit_hz(topology, Asked.of(demand.source, demand.target, demand.weight), setting.swap_success)

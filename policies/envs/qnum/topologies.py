"""Networks to try things on: dumbbells, NSFNET, random geometric ones; flows between random nodes, on shortest routes.

NSFNET is the usual one of 14 nodes and 21 links (public table). Its lengths give no entanglement without repeaters of
another kind, so kilometres are divided by 100 (ours; the paper's scaling is not known). Lengths and flows of the
dumbbell are ours, too. Everything drawn is drawn from a seed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import dijkstra, minimum_spanning_tree

from circuits.errors import InvalidParameter
from policies.envs.qnum.network import MOST, Flow, Link, Network, number, whole
from policies.envs.qnum.utilities import UTILITIES
from policies.envs.qnum.werner import single_click_hz

MIXED = "mixed"
"""Instead of a utility's name: each flow draws one."""

_NSFNET_KM = (
    *((0, 1, 1100), (0, 2, 1600), (0, 7, 2800), (1, 2, 600), (1, 3, 1000), (2, 5, 2000), (3, 4, 600)),
    *((3, 10, 2400), (4, 5, 1100), (4, 6, 800), (5, 9, 1200), (5, 12, 2000), (6, 7, 700), (7, 8, 700)),
    *((8, 9, 900), (8, 11, 500), (8, 13, 500), (10, 11, 800), (10, 13, 800), (11, 12, 300), (12, 13, 300)),
)


@dataclass(frozen=True)
class Topology:
    """Nodes and links, before anybody wants anything of them."""

    name: str
    num_nodes: int
    links: tuple[Link, ...]


def fibre(a: int, b: int, length_km: float) -> Link:
    """A link with the hardware of :func:`policies.envs.qnum.werner.single_click_hz`."""
    return Link((a, b), single_click_hz(length_km), length_km)


def dumbbell(
    num_pairs: int, utility: str = "neg", *, access_km: Sequence[float] = (15.0,), trunk_km: float = 15.0
) -> Network:
    """Sources 0 … n-1 reach sinks n … 2n-1 over one trunk, from router 2n to router 2n+1: three hops a flow.

    Args:
        access_km: of the sources' links, in turn; sinks have them in reverse order.
    """
    whole("num_pairs", num_pairs, 1, MOST // 4)
    lengths = [access_km[pair % len(access_km)] for pair in range(num_pairs)]
    left, right = 2 * num_pairs, 2 * num_pairs + 1
    links = (
        *(fibre(pair, left, lengths[pair]) for pair in range(num_pairs)),
        fibre(left, right, trunk_km),
        *(fibre(right, num_pairs + pair, lengths[-1 - pair]) for pair in range(num_pairs)),
    )
    flows = tuple(Flow((pair, num_pairs, num_pairs + 1 + pair), utility) for pair in range(num_pairs))
    return Network(2 * num_pairs + 2, links, flows, f"dumbbell{num_pairs}_{utility}")


def nsfnet(divide_by: float = 100.0) -> Topology:
    """NSFNET with 14 nodes and 21 links.

    Args:
        divide_by: of the real kilometres (ours).
    """
    number("divide_by", divide_by, 0.01, 1e6)
    return Topology("nsfnet", 14, tuple(fibre(a, b, km / divide_by) for a, b, km in _NSFNET_KM))


def random_geometric(num_nodes: int, num_links: int, seed: int, *, mean_km: float = 12.0) -> Topology:
    """Random points in a square, joined by their spanning tree and then by the shortest links there are.

    Args:
        num_links: at least num_nodes - 1, at most all pairs of near neighbours.   mean_km: mean length of a link.
    """
    from scipy.spatial import cKDTree

    whole("num_nodes", num_nodes, 2, MOST)
    whole("num_links", num_links, num_nodes - 1, min(MOST, num_nodes * (num_nodes - 1) // 2))
    points = np.random.default_rng(seed).random((num_nodes, 2))
    near = min(num_nodes - 1, 8 + 4 * num_links // num_nodes)
    lengths, others = cKDTree(points).query(points, k=near + 1)
    pairs = {
        (min(a, b), max(a, b)): length
        for a, (row, line) in enumerate(zip(others.tolist(), lengths.tolist(), strict=True))
        for b, length in zip(row[1:], line[1:], strict=True)
    }
    ends = np.array(list(pairs))
    tree = minimum_spanning_tree(csr_array((list(pairs.values()), ends.T), shape=(num_nodes, num_nodes))).tocoo()
    kept = {(min(a, b), max(a, b)) for a, b in zip(tree.row.tolist(), tree.col.tolist(), strict=True)}
    if len(kept) < num_nodes - 1 or len(pairs) < num_links:
        raise InvalidParameter(f"num_links: wanted a number with which seed {seed} is connected, got {num_links}")
    shortest = sorted((pair for pair in pairs if pair not in kept), key=lambda pair: (pairs[pair], pair))
    chosen = sorted([*kept, *shortest[: num_links - len(kept)]])
    scale = mean_km / float(np.mean([pairs[pair] for pair in chosen]))
    links = tuple(fibre(a, b, pairs[a, b] * scale) for a, b in chosen)
    return Topology(f"geometric{num_nodes}", num_nodes, links)


def with_flows(
    topology: Topology,
    num_flows: int,
    utility: str,
    seed: int,
    *,
    weights: tuple[float, float] = (1.0, 1.0),
    w_min: float = 0.0,
) -> Network:
    """Flows between random pairs of different nodes, each on its shortest route by length.

    Args:
        utility: a name, or "mixed" for one drawn for each flow.   weights: drawn uniformly between these.
        w_min: least end-to-end Werner parameter of every other flow, 0 for none.

    Raises:
        InvalidParameter: no such utility, or nodes that no route joins.
    """
    if utility != MIXED and utility not in UTILITIES:
        raise InvalidParameter(f"utility: wanted one of {', '.join(UTILITIES)}, {MIXED}, got {utility!r}")
    whole("flows", num_flows, 1, MOST)
    draws = np.random.default_rng(seed)
    sources = draws.integers(topology.num_nodes, size=num_flows)
    sinks = (sources + draws.integers(1, topology.num_nodes, size=num_flows)) % topology.num_nodes
    names = draws.choice(list(UTILITIES), size=num_flows) if utility == MIXED else np.full(num_flows, utility)
    omega = draws.uniform(*weights, size=num_flows) if weights[0] < weights[1] else np.full(num_flows, weights[0])
    routes = shortest_routes(topology, list(zip(sources.tolist(), sinks.tolist(), strict=True)))
    flows = tuple(
        Flow(route, str(name), float(weight), w_min if place % 2 == 0 else 0.0, source)
        for place, (route, name, weight, source) in enumerate(zip(routes, names, omega, sources.tolist(), strict=True))
    )
    return Network(topology.num_nodes, topology.links, flows, f"{topology.name}_{num_flows}_{utility}")


def shortest_routes(topology: Topology, pairs: Sequence[tuple[int, int]]) -> list[tuple[int, ...]]:
    """Links of the shortest route of each pair of nodes.

    Raises:
        InvalidParameter: no route joins a pair.
    """
    numbers: dict[tuple[int, int], int] = {}
    for place, link in enumerate(topology.links):
        for way in (link.ends, link.ends[::-1]):
            if way not in numbers or topology.links[numbers[way]].length_km > link.length_km:
                numbers[way] = place
    ways = np.array(list(numbers))
    lengths = np.array([max(topology.links[place].length_km, 1e-9) for place in numbers.values()])
    graph = csr_array((lengths, ways.T), shape=(topology.num_nodes, topology.num_nodes))
    starts = sorted({source for source, _ in pairs})
    before = dijkstra(graph, indices=starts, return_predecessors=True)[1]
    rows = {source: before[place] for place, source in enumerate(starts)}
    return [_traced(rows[source], source, sink, numbers) for source, sink in pairs]


def _traced(before: np.ndarray, source: int, sink: int, numbers: dict[tuple[int, int], int]) -> tuple[int, ...]:
    route: list[int] = []
    while sink != source:
        previous = int(before[sink])
        if previous < 0:
            raise InvalidParameter(f"topology: wanted a route from {source} to {sink}, got none: it is disconnected")
        route.append(numbers[previous, sink])
        sink = previous
    return tuple(reversed(route))

"""Candidate paths: the K loopless paths of a pair with the fewest hops, of equal ones the shortest.

Found by best-first search with exact distances to the target, so that hardly anything is looked at that is not on one
of the paths. What is not here: paths that know what nodes can do; that is for policies.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.sparse.csgraph import dijkstra

from circuits.errors import InvalidParameter
from policies.envs.entanglement.topology import Topology, Wholes

KM_PER_HOP = 1e5
"""What a kilometre counts beside a hop: fewer hops come first."""
DETOUR, LOOKS = 4, 2000
"""Hops that a candidate may have more than the shortest path, and beginnings of paths that are looked at for a pair:
some pairs have no other paths, and proving it would take exponential time."""


@dataclass(frozen=True, eq=False)
class Paths:
    """Candidates of P pairs, K each, of at most H hops; what there is none of is -1.

    Attributes:
        links: int32 (P, K, H).   nodes: source first, target last, int32 (P, K, H + 1).   hops: int32 (P, K), 0: none.
    """

    links: NDArray[np.int32]
    nodes: NDArray[np.int32]
    hops: NDArray[np.int32]


def candidates(topology: Topology, source: Wholes, target: Wholes, num_paths: int, most_hops: int) -> Paths:
    """Paths of pairs, in their order.

    Args:
        source, target: nodes of each pair, int64 (P,).

    Raises:
        InvalidParameter: no path of at most ``most_hops`` joins a pair.
    """
    weights = 1.0 + topology.length_km / KM_PER_HOP
    graph, neighbours = topology.graph(weights), _neighbours(topology, weights)
    found: list[list[tuple[int, ...]]] = [[] for _ in range(source.size)]
    for end in np.unique(target).tolist():
        ahead = dijkstra(graph, indices=end)
        for pair in np.flatnonzero(target == end).tolist():
            found[pair] = _fewest(neighbours, ahead, int(source[pair]), end, num_paths, most_hops)
            if not found[pair]:
                raise InvalidParameter(
                    f"demand: wanted a path of at most {most_hops} hops from {source[pair]} to {end}, got none"
                )
    return _padded(topology, found, num_paths)


def _neighbours(topology: Topology, weights: NDArray[np.float64]) -> list[list[tuple[int, float]]]:
    found: list[list[tuple[int, float]]] = [[] for _ in range(topology.num_nodes)]
    for (one, other), weight in zip(topology.ends.tolist(), weights.tolist(), strict=True):
        found[one].append((other, weight))
        found[other].append((one, weight))
    return found


def _fewest(
    neighbours: list[list[tuple[int, float]]],
    ahead: NDArray[np.float64],
    source: int,
    target: int,
    num_paths: int,
    most_hops: int,
) -> list[tuple[int, ...]]:
    """Nodes of the best paths, best first."""
    found: list[tuple[int, ...]] = []
    most = min(most_hops, float(ahead[source]) + DETOUR) + 1.0
    waiting: list[tuple[float, float, tuple[int, ...]]] = [(float(ahead[source]), 0.0, (source,))]
    looks = 0
    while waiting and len(found) < num_paths and looks < LOOKS:
        _, gone, path = heapq.heappop(waiting)
        looks += 1
        if path[-1] == target:
            found.append(path)
        else:
            for node, weight in neighbours[path[-1]]:
                whole = gone + weight + float(ahead[node])
                if node not in path and whole < most:
                    heapq.heappush(waiting, (whole, gone + weight, (*path, node)))
    return found


def _padded(topology: Topology, found: list[list[tuple[int, ...]]], num_paths: int) -> Paths:
    most = max((len(path) - 1 for paths in found for path in paths), default=1)
    number = {(one, other): link for link, (one, other) in enumerate(topology.ends.tolist())}
    links = np.full((len(found), num_paths, most), -1, dtype=np.int32)
    nodes = np.full((len(found), num_paths, most + 1), -1, dtype=np.int32)
    hops = np.zeros((len(found), num_paths), dtype=np.int32)
    for pair, paths in enumerate(found):
        for place, path in enumerate(paths):
            hops[pair, place] = len(path) - 1
            nodes[pair, place, : len(path)] = path
            links[pair, place, : len(path) - 1] = list(_links(path, number))
    return Paths(links, nodes, hops)


def _links(path: tuple[int, ...], number: dict[tuple[int, int], int]) -> Iterable[int]:
    return (number[min(step), max(step)] for step in pairwise(path))

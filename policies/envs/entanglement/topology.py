"""Networks of nodes and fibres: random meshes drawn from a seed, or a user's own.

Uniform positions in a square of side 300 km sqrt(N/100), mean degree about 6, fibre of 0.2 dB/km, F of a fresh pair
U(0.96, 0.99): ours. Pairs made at a node U(0, 10) a second and swaps U(0, 5) a second: the paper's (section 5). What a
node makes is counted in heralded pairs at zero distance; fibre of length L lets 10^(-0.02 L) of them through.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components, minimum_spanning_tree
from scipy.spatial import Delaunay, cKDTree

from circuits.errors import InvalidParameter
from circuits.parameters import short
from policies.envs.entanglement.setting import KINDS
from policies.envs.qnum.werner import ATTENUATION_DB_KM

Reals = NDArray[np.float64]
Wholes = NDArray[np.int64]

SIDE_KM, MEAN_DEGREE, NEAR = 300.0, 6.0, 20
"""Side of the square for 100 nodes; links of a node; neighbours to which links of er, waxman and chords go (ours)."""
MOST_PAIRS_HZ, MOST_SWAPS_HZ = 10.0, 5.0
"""Of a node (paper, section 5)."""
FRESH = (0.96, 0.99)
"""Fidelity of a pair as it is made (ours)."""


@dataclass(frozen=True, eq=False)
class Topology:
    """N nodes and E links; **shares are one float64 vector (2 E,) aligned with** ``incident``.

    Attributes:
        x_km, y_km: float64 (N,).   generation_hz, swap_hz: what a node can make and swap, float64 (N,).
        ends: nodes of each link, the smaller first, int64 (E, 2).   length_km, fidelity: of each link, float64 (E,);
            fidelity is that of a fresh pair.
    """

    x_km: Reals
    y_km: Reals
    generation_hz: Reals
    swap_hz: Reals
    ends: Wholes
    length_km: Reals
    fidelity: Reals

    def __post_init__(self) -> None:
        num_nodes, num_links = self.x_km.size, self.length_km.size
        for name in ("x_km", "y_km", "generation_hz", "swap_hz"):
            _check(name, getattr(self, name), num_nodes, -1e9 if name.endswith("km") else 0.0, 1e9)
        _check("length_km", self.length_km, num_links, 0.0, 1e6)
        _check("fidelity", self.fidelity, num_links, 0.25, 1.0)
        ends = self.ends
        if ends.shape != (num_links, 2) or num_links == 0:
            raise InvalidParameter(f"ends: wanted shape ({max(num_links, 1)}, 2), got {ends.shape}")
        if not ((ends[:, 0] < ends[:, 1]) & (ends[:, 0] >= 0) & (ends[:, 1] < num_nodes)).all():
            raise InvalidParameter(f"ends: wanted two nodes below {num_nodes}, the smaller first, got another")
        if np.unique(ends, axis=0).shape[0] != num_links:
            raise InvalidParameter("ends: wanted one link between two nodes, got two")
        object.__setattr__(self, "_derived", _derive(self))

    @property
    def num_nodes(self) -> int:
        """N."""
        return self.x_km.size

    @property
    def num_links(self) -> int:
        """E."""
        return self.length_km.size

    @property
    def transmission(self) -> Reals:
        """Part of a node's pairs that comes through, eta = 10^(-0.02 L), float64 (E,)."""
        return np.asarray(10.0 ** (-ATTENUATION_DB_KM * self.length_km / 10.0))

    @property
    def first(self) -> Wholes:
        """Where a node's links begin in ``incident``, int64 (N + 1,)."""
        return self._derived[0]  # type: ignore[attr-defined, no-any-return]

    @property
    def incident(self) -> Wholes:
        """Links of the first node, of the second, …, each in order of their numbers; int64 (2 E,)."""
        return self._derived[1]  # type: ignore[attr-defined, no-any-return]

    @property
    def place(self) -> Wholes:
        """Where the shares of a link's two ends are, int64 (E, 2): ``incident[place[e, 0]] == e``."""
        return self._derived[2]  # type: ignore[attr-defined, no-any-return]

    @property
    def owner(self) -> Wholes:
        """Node of each share, int64 (2 E,)."""
        return np.repeat(np.arange(self.num_nodes), np.diff(self.first))

    def uniform_shares(self) -> Reals:
        """What makes no difference between links: 1/degree, float64 (2 E,)."""
        return np.asarray(1.0 / np.diff(self.first)[self.owner])

    def link_rates(self, shares: Reals) -> Reals:
        """Pairs a second that links make, eta (x_u g_u + x_v g_v), float64 (E,)."""
        made = self.generation_hz[self.ends] * shares[self.place]
        return np.asarray(self.transmission * (made[:, 0] + made[:, 1]))

    def graph(self, weights: Reals | None = None) -> Any:
        """Symmetric scipy matrix (N, N); weights default to 1."""
        values = np.ones(self.num_links) if weights is None else weights
        both = np.concatenate((self.ends, self.ends[:, ::-1]))
        return csr_array((np.concatenate((values, values)), both.T), shape=(self.num_nodes, self.num_nodes))

    def document(self) -> dict[str, list[Any]]:
        """Nested lists by field, for files."""
        return {item.name: getattr(self, item.name).tolist() for item in fields(self)}

    @classmethod
    def read(cls, document: dict[str, Any]) -> Topology:
        """From :meth:`document`.

        Raises:
            InvalidParameter: a field is missing, unknown, or holds what it may not; the message names it.
        """
        known = {item.name for item in fields(cls)}
        for name in [*sorted(known - set(document)), *(key for key in document if key not in known)]:
            fault = "no" if name in known else "an unknown"
            raise InvalidParameter(f"topology: wanted {', '.join(sorted(known))}, got {fault} {short(name)}")
        found: dict[str, Any] = {}
        for name, value in document.items():
            try:
                found[name] = np.array(value, dtype=np.int64 if name == "ends" else np.float64)
            except (TypeError, ValueError, OverflowError):
                raise InvalidParameter(f"topology.{name}: wanted a list of numbers, got {short(value)}") from None
        return cls(**found)

    @classmethod
    def generate(cls, kind: str, num_nodes: int, seed: int) -> Topology:
        """A connected random mesh; a pure function of its arguments.

        Args:
            kind: "rgg" joins nodes within a radius, "er" near nodes at random, "waxman" nearer ones more often.

        Raises:
            InvalidParameter: no such kind, or fewer than two nodes.
        """
        if kind not in KINDS:
            raise InvalidParameter(f"kind: wanted one of {', '.join(KINDS)}, got {short(kind)}")
        if num_nodes < 2:
            raise InvalidParameter(f"num_nodes: wanted at least 2, got {num_nodes}")
        where, how, what = (np.random.default_rng(each) for each in np.random.SeedSequence((71, seed)).spawn(3))
        side_km = SIDE_KM * np.sqrt(num_nodes / 100.0)
        points = where.uniform(0.0, side_km, (num_nodes, 2))
        ends = _joined(points, _DRAWN[kind](points, side_km, how))
        length_km = np.linalg.norm(points[ends[:, 0]] - points[ends[:, 1]], axis=1)
        return cls(
            x_km=points[:, 0].copy(),
            y_km=points[:, 1].copy(),
            generation_hz=what.uniform(0.0, MOST_PAIRS_HZ, num_nodes),
            swap_hz=what.uniform(0.0, MOST_SWAPS_HZ, num_nodes),
            ends=ends,
            length_km=length_km,
            fidelity=np.asarray(what.uniform(*FRESH, ends.shape[0])),
        )


def _check(name: str, values: NDArray[Any], size: int, low: float, high: float) -> None:
    if values.shape != (size,):
        raise InvalidParameter(f"{name}: wanted shape ({size},), got {values.shape}")
    fits = (values >= low) & (values <= high)
    if not fits.all():
        raise InvalidParameter(f"{name}: wanted numbers in [{low:g}, {high:g}], got {values[~fits][0]:g}")


def _derive(topology: Topology) -> tuple[Wholes, Wholes, Wholes]:
    """First, incident and place."""
    num_links, flat = topology.num_links, topology.ends.T.reshape(-1)
    links = np.tile(np.arange(num_links), 2)
    order = np.lexsort((links, flat))
    first = np.concatenate(([0], np.cumsum(np.bincount(flat, minlength=topology.num_nodes))))
    place = np.empty(2 * num_links, dtype=np.int64)
    place[order] = np.arange(2 * num_links)
    return first, links[order], np.ascontiguousarray(place.reshape(2, num_links).T)


def _unique(pairs: Wholes) -> Wholes:
    found: Wholes = np.unique(np.sort(pairs.astype(np.int64), axis=1), axis=0)
    return found


def _near(points: Reals) -> tuple[Wholes, Reals]:
    """Each node with its nearest ones, and how far these are."""
    most = min(NEAR, len(points) - 1)
    others = np.atleast_2d(cKDTree(points).query(points, k=most + 1)[1])[:, 1:]
    pairs = _unique(np.stack((np.repeat(np.arange(len(points)), most), others.reshape(-1)), axis=1))
    return pairs, np.linalg.norm(points[pairs[:, 0]] - points[pairs[:, 1]], axis=1)


def _geometric(points: Reals, side_km: float, chance: np.random.Generator) -> Wholes:
    """All within a radius, and a chord between near nodes for every 20 nodes."""
    radius_km = side_km * np.sqrt(MEAN_DEGREE / (np.pi * max(len(points) - 1, 1)))
    found = cKDTree(points).query_pairs(radius_km, output_type="ndarray").reshape(-1, 2)
    near = _near(points)[0]
    chords = near[chance.choice(len(near), size=min(len(near), len(points) // 20), replace=False)]
    return _unique(np.concatenate((found, chords)))


def _random(points: Reals, _: float, chance: np.random.Generator) -> Wholes:
    """Each pair of near nodes with the same probability."""
    pairs = _near(points)[0]
    return pairs.compress(chance.random(len(pairs)) < MEAN_DEGREE * len(points) / (2.0 * len(pairs)), axis=0)


def _waxman(points: Reals, _: float, chance: np.random.Generator) -> Wholes:
    """Pairs of near nodes with a probability that falls as exp(-length/(0.1 side of 100 nodes))."""
    pairs, length_km = _near(points)
    weight = np.exp(-length_km / (0.1 * SIDE_KM))
    return pairs.compress(chance.random(len(pairs)) < weight * MEAN_DEGREE * len(points) / (2.0 * weight.sum()), axis=0)


_DRAWN: dict[str, Callable[[Reals, float, np.random.Generator], Wholes]] = {
    "rgg": _geometric,
    "er": _random,
    "waxman": _waxman,
}


def _joined(points: Reals, pairs: Wholes) -> Wholes:
    """With the shortest bridges between parts that are not connected: those of a minimum spanning tree (Kruskal)."""
    size = len(points)
    possible = _unique(np.concatenate((_all_near(points), pairs)))
    length = np.linalg.norm(points[possible[:, 0]] - points[possible[:, 1]], axis=1) + 1e-9
    taken = np.isin(possible @ [size, 1], pairs @ [size, 1])
    graph = csr_array((np.where(taken, 1e-12 * length, length), possible.T), shape=(size, size))
    tree = np.stack(minimum_spanning_tree(graph).tocoo().coords, axis=1)
    found = _unique(np.concatenate((pairs, tree)))
    part = connected_components(csr_array((np.ones(len(pairs)), pairs.T), shape=(size, size)), directed=False)[1]
    bridge = part[found[:, 0]] != part[found[:, 1]]
    kept = bridge | np.isin(found @ [size, 1], pairs @ [size, 1])
    return found.compress(kept, axis=0)


def _all_near(points: Reals) -> Wholes:
    """Pairs among which the shortest spanning tree is: all of few points, Delaunay's edges of many."""
    if len(points) < 10:
        return np.stack(np.triu_indices(len(points), 1), axis=1)
    corners = Delaunay(points).simplices
    return _unique(np.concatenate([corners[:, [0, 1]], corners[:, [1, 2]], corners[:, [0, 2]]]))

"""Tables of rates by name: evenly shared links, a linear program, QPrimalDual.

Each takes a network of :mod:`policies.envs.qnum.network` whose flows join QPUs: node 3 is the QPU called "3".
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.optimize import linprog
from scipy.sparse import csr_array, identity, vstack

from circuits.errors import InvalidParameter
from policies.allocators.allocation import Allocation
from policies.allocators.baselines import progressive_filling
from policies.allocators.pairs.line import Hardware, Route
from policies.allocators.pairs.table import PairTable
from policies.allocators.qprimaldual import fluid as primal_dual
from policies.allocators.qprimaldual.laws import START_W
from policies.envs.qnum.network import Network, number
from policies.envs.qnum.utilities import Array

HEADROOM = 0.9
"""Part of what an allocation gives that a flow counts on: at all of it, queues have no mean (ours)."""


def static(network: Network, *, werner: float = START_W, hardware: Hardware | None = None, seed: int = 0) -> PairTable:
    """Every link at one quality, what it makes shared evenly by the flows that cross it."""
    werners = np.full(network.num_links, number("werner", werner, 0.0, 1.0))
    each = network.d_hz * (1.0 - werners) / np.maximum(network.num_sharing, 1)
    rates = [tuple(each[list(flow.route)].tolist()) for flow in network.flows]
    return _table("static", network, rates, Allocation(np.zeros(network.num_flows), werners), hardware, seed)


def fluid(network: Network, *, werner: float = START_W, hardware: Hardware | None = None, seed: int = 0) -> PairTable:
    """Every link at one quality, the most pairs in all that leave each flow half of its max-min fair rate.

    Raises:
        InvalidParameter: the program has no solution.
    """
    werners = np.full(network.num_links, number("werner", werner, 0.0, 1.0))
    made = network.d_hz * (1.0 - werners)
    least = 0.5 * progressive_filling(network, made)
    found = linprog(
        -np.ones(network.num_flows),
        A_ub=vstack([csr_array(network.incidence), -identity(network.num_flows, format="csr")]),
        b_ub=np.concatenate((made, -least)),
        bounds=(0.0, None),
        method="highs",
    )
    if found.x is None:
        raise InvalidParameter(f"network: wanted rates within what links make, found none: {found.message}")
    # what a link makes beyond the flows' rates is shared among them in proportion: nothing is left unused
    load = network.incidence @ found.x
    spare = np.divide(made, load, out=np.ones_like(made), where=load > 0.0)
    rates = [
        tuple((found.x[place] * np.maximum(1.0, spare[list(flow.route)])).tolist())
        for place, flow in enumerate(network.flows)
    ]
    prices = -np.asarray(found.ineqlin.marginals)[: network.num_links]
    return _table("fluid", network, rates, Allocation(found.x, werners, prices), hardware, seed)


def qprimaldual(network: Network, *, hardware: Hardware | None = None, seed: int = 0) -> PairTable:
    """Rates, Werner parameters and prices that QPrimalDual has come to; each flow has its rate on every link."""
    found = primal_dual.allocate(network)
    rates = [
        (HEADROOM * float(rate),) * len(flow.route) for rate, flow in zip(found.rates_hz, network.flows, strict=True)
    ]
    return _table("qprimaldual", network, rates, found, hardware, seed)


def _table(
    name: str,
    network: Network,
    rates: Sequence[tuple[float, ...]],
    found: Allocation,
    hardware: Hardware | None,
    seed: int,
) -> PairTable:
    prices: Array = np.zeros(network.num_links) if found.prices is None else found.prices
    routes: dict[tuple[str, str], Route] = {}
    for flow, path, mine in zip(network.flows, network.paths, rates, strict=True):
        one, other = sorted((str(path[0]), str(path[-1])))
        if (one, other) in routes:
            raise InvalidParameter(f"flows: wanted one between each two QPUs, got a second between {one} and {other}")
        links = list(flow.route)
        routes[one, other] = Route(
            mine,
            tuple(found.werner[links].tolist()),
            float(prices[links].sum()),
            sum(network.links[link].length_km for link in links),
        )
    return PairTable(name, routes, hardware, seed=seed)

"""Controllers of rates: how a pair's requests are split over its paths, from what pairs usually ask for.

They decide for requests that are still to come, at the pace of demand and not of requests: traffic engineering by the
fluid LP, and QPrimalDual (Panigrahy et al. 2025, second-hand), whose rates and prices are mapped to splits and shares.
All of the mapping is ours.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from policies.allocators.central import Decide, Decision, Known
from policies.allocators.fluid_lp import Asked, Columns, fluid
from policies.allocators.qprimaldual.fluid import Fluid, State
from policies.envs.entanglement.play import Run
from policies.envs.entanglement.topology import Reals, Wholes
from policies.envs.qnum.network import Flow, Link, Network
from policies.envs.qnum.werner import werner

MEMORY_S = 120.0
"""Time constant of the estimate of what pairs ask for (ours): a period of the demand's recurring windows."""
ITERATIONS = 50
"""Of QPrimalDual between two decisions; it goes on where it was (ours)."""
FLOOR = 0.02
"""Of a node's generation, spread evenly, so that prices can call a link back (ours)."""
GRAIN, FIRST_GRAIN = 0.1, 0.5
"""What each pair counts for beside what it has asked, in means of all; before anybody has asked anything (ours)."""
LEAST_SWAPS_HZ, LEAST_RATE_HZ = 0.1, 1e-3
"""Below which a repeater carries no flow, and the least that a link is taken to make (ours): QNUM has no repeaters."""

_NOBODY = np.zeros(0, dtype=np.int64)


def usual_hz(run: Run, slot: int) -> Reals:
    """Pairs a second that each pair has asked for until a slot, float64 (P,): a fading mean, with a grain for each.

    Args:
        slot: nothing later is looked at.
    """
    plan, size = run.plan, run.plan.links.shape[0]
    before = int(np.searchsorted(plan.arrival, slot))
    age_s = (slot - plan.arrival[:before]) * plan.slot_s
    asked = np.bincount(plan.pair[:before], plan.num_pairs[:before] * np.exp(-age_s / MEMORY_S), size)
    span_s = MEMORY_S * -np.expm1(-max(slot, 1) * plan.slot_s / MEMORY_S)
    grain = max(float(asked.sum()), 1.0) / size
    return np.asarray((asked + (GRAIN if before else FIRST_GRAIN) * grain) / span_s)


def engineered(run: Run) -> Decide:
    """Traffic engineering: split ratios and generation of the fluid optimum over the candidates."""
    episode = run.episode
    demand, paths = episode.demand, episode.paths
    columns = Columns.of(paths.nodes)
    place = np.flatnonzero(paths.hops.reshape(-1) > 0)

    def decide(known: Known) -> Decision:
        asked = Asked.of(demand.source, demand.target, usual_hz(run, known.slot))
        found = fluid(episode.topology, asked, run.plan.swap_success, columns, every_path=False)
        flow = np.zeros(paths.hops.size)
        flow[place] = found.flow_hz
        return Decision(_NOBODY, _NOBODY, found.shares(episode.topology), _ratios(flow.reshape(paths.hops.shape)))

    return decide


def _ratios(flow: Reals) -> Reals:
    """Parts of one, float64 (P, K); the first candidate where nothing flows."""
    flow = np.maximum(flow, 0.0)
    flow[flow.sum(axis=1) <= 0.0, 0] = 1.0
    return np.asarray(flow / flow.sum(axis=1, keepdims=True))


@dataclass(frozen=True, eq=False)
class _Market:
    """Flows of QPrimalDual: one for each candidate that its repeaters can carry.

    Attributes:
        pair, path: whose, int64 (F,).   flows: with weights of one.
    """

    pair: Wholes
    path: Wholes
    flows: tuple[Flow, ...]

    @classmethod
    def of(cls, run: Run) -> _Market:
        """Candidates as flows."""
        plan, paths = run.plan, run.episode.paths
        weakest = np.full(paths.hops.shape, np.inf)
        for hop in range(1, paths.nodes.shape[2]):
            inside = paths.hops > hop
            weakest = np.where(inside, np.minimum(weakest, plan.swap_hz[paths.nodes[..., hop]]), weakest)
        carried = (paths.hops > 0) & (weakest >= LEAST_SWAPS_HZ)
        carried[:, 0] |= ~carried.any(axis=1)
        pair, path = np.nonzero(carried)
        flows = tuple(
            Flow(
                tuple(int(link) for link in paths.links[p, k, : paths.hops[p, k]]),
                "neg",
                source=int(paths.nodes[p, k, 0]),
            )
            for p, k in zip(pair.tolist(), path.tolist(), strict=True)
        )
        return cls(pair, path, flows)


def primal_dual(run: Run) -> Decide:
    """QPrimalDual on the candidates: a link makes what its shares give it at the quality of a fresh pair.

    d = rate/(1 - w_fresh). A pair's requests are split as its flows' rates. Generation follows what it earns,
    x ~ x η λ (1 - w), the proportional response of a market (Wu and Zhang 2007).
    """
    topology, market = run.episode.topology, _Market.of(run)
    room = 1.0 - werner(topology.fidelity)
    num_paths = np.bincount(market.pair, minlength=run.plan.links.shape[0])
    shares = [topology.uniform_shares()]
    states: list[State] = []

    def decide(known: Known) -> Decision:
        rates = np.maximum(topology.link_rates(shares[-1]), LEAST_RATE_HZ)
        links = tuple(
            Link((int(a), int(b)), float(d))
            for (a, b), d in zip(topology.ends.tolist(), rates / np.maximum(room, 1e-6), strict=True)
        )
        weight = usual_hz(run, known.slot) / num_paths
        weight = np.maximum(weight / weight.mean(), 1e-6)
        flows = tuple(replace(flow, weight=float(weight[p])) for flow, p in zip(market.flows, market.pair, strict=True))
        model = Fluid(Network(topology.num_nodes, links, flows))
        follow = model.states(states.pop() if states else model.start())
        for _ in range(ITERATIONS):
            now = next(follow)
        states.append(now)
        earned = topology.transmission * now.prices * (1.0 - now.werner) / room
        parts = shares[-1] * earned[topology.incident]
        total = np.add.reduceat(parts, topology.first[:-1])[topology.owner]
        parts = np.where(total > 0.0, parts / np.where(total > 0.0, total, 1.0), topology.uniform_shares())
        shares[-1] = (1.0 - FLOOR) * parts + FLOOR * topology.uniform_shares()
        flow_hz = np.zeros(run.plan.hops.shape)
        flow_hz[market.pair, market.path] = now.rates_hz
        return Decision(_NOBODY, _NOBODY, shares[-1], _ratios(flow_hz))

    return decide

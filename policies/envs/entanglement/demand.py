"""Who asks for pairs, and when: a synthetic demand that changes over time, and announced batch jobs.

No public record of quantum requests is known (the paper names none), so that this is a generator, ours: pairs of Zipf
popular nodes 2 to 5 hops apart, Pareto weights, a slow wave whose phase is a region's, windows that recur, and bursts.
``policies.envs.entanglement.traces`` reads a user's own requests instead.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.sparse.csgraph import dijkstra

from circuits.errors import InvalidParameter
from policies.envs.entanglement.setting import EntanglementSetting
from policies.envs.entanglement.topology import Reals, Topology, Wholes

FIDELITIES = (0.55, 0.65, 0.75)
"""That requests ask for, equally often."""
NEAREST, FARTHEST = 2, 5
"""Hops between source and target, where there are such nodes."""
ZIPF, RANKS = 0.5, 100
"""Popularity of the r-th of 100 nodes, r^-ZIPF; a larger network has as many such lists as it needs."""
PARETO = 2.5
WAVE, WAVE_S = 0.5, 600.0
"""Amplitude and period of the slow wave; four regions (quadrants) are a quarter apart."""
RECUR_S, LEAST_DUTY, MOST_DUTY = 120.0, 0.15, 0.35
BURST, BURST_PART, BURST_ON_S, BURST_OFF_S = 10.0, 0.3, 8.0, 72.0
"""A burst multiplies by 10 the part of the demand that knows bursts."""
JITTER_S = 0.5
"""Largest difference between a batch job's announced and true time."""
BLOCK = 512
"""Slots that are drawn at once."""


@dataclass(frozen=True, eq=False)
class Jobs:
    """Announced batch jobs in order of their announcement; int64 (J,) each.

    Attributes:
        known_slot: when it is announced.   due_slot: when it is said to come.   pair, num_pairs: what it wants.
        request: its row among the requests, the first of them where it has one for each pair.
    """

    known_slot: Wholes
    due_slot: Wholes
    pair: Wholes
    num_pairs: Wholes
    request: Wholes


@dataclass(frozen=True, eq=False)
class Demand:
    """P source-target pairs and what they ask for.

    Attributes:
        source, target: int64 (P,).   weight: part of all requests that are the pair's, float64 (P,), sum 1.
        region: quadrant of the source, int64 (P,).   duty, offset_s: of the recurring window, float64 (P,).
        bursts: whether a burst is on, bool (S, P).   jobs: announced ones.   setting: rate, slots, predictability.
        begin_slot: what the clock of waves and windows says in the first slot.   steady: whether rates stay as they are
            in the mean, since nothing else is known of them.
    """

    setting: EntanglementSetting
    source: Wholes
    target: Wholes
    weight: Reals
    region: Wholes
    duty: Reals
    offset_s: Reals
    bursts: NDArray[np.bool_]
    jobs: Jobs
    begin_slot: int = 0
    steady: bool = False

    @property
    def num_pairs(self) -> int:
        """P."""
        return self.source.size

    def rates_hz(self, slots: Wholes) -> Reals:
        """The true rate of requests of each pair in each slot, without batch jobs, float64 (slots, P).

        lambda = R w wave [(1 - k) + k recurring] [(1 - b) + b burst], each factor of mean one.
        """
        setting, slots = self.setting, np.asarray(slots)
        if self.steady:
            return np.tile(setting.offered_hz * self.weight, (slots.size, 1))
        time_s = (self.begin_slot + slots[:, None] + 0.5) * setting.slot_s
        wave = 1.0 + WAVE * np.sin(2.0 * np.pi * (time_s / WAVE_S + self.region / 4.0))
        inside = ((time_s + self.offset_s) % RECUR_S) / RECUR_S < self.duty
        recurring = 1.0 - setting.predictability + setting.predictability * inside / self.duty
        burst = 1.0 - BURST_PART + BURST_PART * BURST * self.bursts[slots]
        return np.asarray(setting.offered_hz * self.weight * wave * recurring * burst)


@dataclass(frozen=True, eq=False)
class Requests:
    """R requests in order of arrival.

    Attributes:
        arrival_slot: at whose beginning a request is there, int64 (R,).   pair: of the demand, int64 (R,).
        num_pairs: entangled pairs wanted, int64 (R,).   min_fidelity: float64 (R,).
        deadline_slot: at whose beginning it is over, int64 (R,).
    """

    arrival_slot: Wholes
    pair: Wholes
    num_pairs: Wholes
    min_fidelity: Reals
    deadline_slot: Wholes

    @property
    def num(self) -> int:
        """R."""
        return self.pair.size


def draw(setting: EntanglementSetting, topology: Topology) -> tuple[Demand, Requests]:
    """Demand and requests of an episode; a pure function of setting and topology.

    Raises:
        InvalidParameter: no two nodes are connected.
    """
    chances = [np.random.default_rng(each) for each in np.random.SeedSequence((72, setting.demand_seed)).spawn(5)]
    source, target = _who(topology, setting.num_demands, chances[0])
    size, num_slots = source.size, setting.num_slots
    heavy = 1.0 + chances[1].pareto(PARETO, size)
    middle = np.array([np.median(topology.x_km), np.median(topology.y_km)])
    demand = Demand(
        setting,
        source,
        target,
        heavy / heavy.sum(),
        (topology.x_km[source] > middle[0]) + 2 * (topology.y_km[source] > middle[1]).astype(np.int64),
        chances[1].uniform(LEAST_DUTY, MOST_DUTY, size),
        chances[1].uniform(0.0, RECUR_S, size),
        _bursts(num_slots, size, setting.slot_s, chances[2]),
        _jobs(setting, heavy / heavy.sum(), chances[4]),
    )
    return arrivals(setting, demand, chances[3])


def asking(
    setting: EntanglementSetting, topology: Topology, source: Wholes, target: Wholes, weight: Reals | None = None
) -> Demand:
    """Pairs that ask for what a user's own requests say: nothing is known of their rates but the weights.

    Raises:
        InvalidParameter: there is no such node, or a pair is one node.
    """
    for name, nodes in (("source", source), ("target", target)):
        if nodes.size == 0 or not ((nodes >= 0) & (nodes < topology.num_nodes)).all():
            raise InvalidParameter(f"pairs.{name}: wanted nodes in [0, {topology.num_nodes}), got others or none")
    if (source == target).any():
        raise InvalidParameter(f"pairs.target: wanted another node than the source, got {target[source == target][0]}")
    size, none = source.size, np.zeros(0, dtype=np.int64)
    weight = np.full(size, 1.0 / size) if weight is None else weight
    region, zeros, bursts = np.zeros(size, dtype=np.int64), np.zeros(size), np.zeros((0, size), dtype=bool)
    return Demand(setting, source, target, weight, region, zeros, zeros, bursts, Jobs(*[none] * 5), steady=True)


def _who(topology: Topology, wanted: int, chance: np.random.Generator) -> tuple[Wholes, Wholes]:
    """Different source-target pairs between popular nodes that are a few hops apart."""
    size = topology.num_nodes
    popularity = np.empty(size)
    popularity[chance.permutation(size)] = (1.0 + np.arange(size) % RANKS) ** -ZIPF
    graph, found = topology.graph(), list[tuple[int, int]]()
    for nearest in (NEAREST, 1):  # a network may be too small for two hops
        reach: dict[int, list[int]] = {}
        open_sources = popularity.copy()
        while len(found) < wanted and open_sources.sum() > 0.0:
            node = int(chance.choice(size, p=open_sources / open_sources.sum()))
            if node not in reach:
                hops = dijkstra(graph, indices=node, unweighted=True, limit=FARTHEST + 0.5)
                near = np.flatnonzero((hops >= nearest) & (hops <= FARTHEST))
                keys = chance.exponential(size=near.size) / popularity[near]  # the order of draws without replacement
                reach[node] = near[np.argsort(-keys)].tolist()
            if reach[node]:
                found.append((node, reach[node].pop()))
            else:
                open_sources[node] = 0.0
        if found:
            break
    if not found:
        raise InvalidParameter("demand: wanted at least two connected nodes, got none")
    pairs = np.array(found, dtype=np.int64)
    return pairs[:, 0].copy(), pairs[:, 1].copy()


def _bursts(num_slots: int, size: int, slot_s: float, chance: np.random.Generator) -> NDArray[np.bool_]:
    """On for 8 s and off for 72 s in the mean, each memoryless (MMPP)."""
    on = np.zeros((num_slots, size), dtype=bool)
    span_s = num_slots * slot_s
    now_s, state = np.zeros(size), chance.random(size) < BURST_ON_S / (BURST_ON_S + BURST_OFF_S)
    while (now_s < span_s).any():
        until_s = now_s + chance.exponential(np.where(state, BURST_ON_S, BURST_OFF_S))
        for pair in np.flatnonzero(state & (now_s < span_s)).tolist():
            on[round(now_s[pair] / slot_s) : round(until_s[pair] / slot_s), pair] = True
        now_s, state = until_s, ~state
    return on


def _jobs(setting: EntanglementSetting, weight: Reals, chance: np.random.Generator) -> Jobs:
    """Batch jobs, their rows among the requests still unknown."""
    num = int(chance.poisson(setting.job_hz * setting.duration_s))
    due_s = np.sort(chance.uniform(0.0, setting.duration_s, num))
    due = np.minimum((due_s / setting.slot_s).astype(np.int64), setting.num_slots - 1)
    known = np.maximum(0, ((due_s - setting.job_lead_s) / setting.slot_s).astype(np.int64))
    wanted = np.full(num, setting.job_pairs, dtype=np.int64)
    return Jobs(known, due, chance.choice(weight.size, num, p=weight), wanted, np.full(num, -1, dtype=np.int64))


def arrivals(setting: EntanglementSetting, demand: Demand, chance: np.random.Generator) -> tuple[Demand, Requests]:
    """Poisson requests at the demand's rates, and its batch jobs, in order of arrival."""
    slots, pairs = [], []
    for begin in range(0, setting.num_slots, BLOCK):
        block = np.arange(begin, min(begin + BLOCK, setting.num_slots))
        counts = chance.poisson(demand.rates_hz(block) * setting.slot_s)
        where, who = np.nonzero(counts)
        times = counts[where, who]
        slots.append(np.repeat(block[where], times))
        pairs.append(np.repeat(who, times))
    jobs = demand.jobs
    late = np.rint(chance.uniform(-JITTER_S, JITTER_S, jobs.pair.size) / setting.slot_s).astype(np.int64)
    parts = jobs.num_pairs if setting.job_form == "each" else np.ones_like(jobs.num_pairs)
    slots.append(np.repeat(np.clip(jobs.due_slot + late, jobs.known_slot, setting.num_slots - 1), parts))
    pairs.append(np.repeat(jobs.pair, parts))
    arrival, pair = np.concatenate(slots), np.concatenate(pairs)
    first = arrival.size - int(parts.sum())
    wanted = np.ones(arrival.size, dtype=np.int64)
    wanted[first:] = np.repeat(jobs.num_pairs // parts, parts)
    order = np.argsort(arrival, kind="stable")
    rank = np.empty_like(order)
    rank[order] = np.arange(order.size)
    rows = rank[first + np.cumsum(parts) - parts]
    fidelity = np.array(FIDELITIES)[chance.integers(len(FIDELITIES), size=order.size)]
    fidelity[rank[first:]] = np.repeat(fidelity[rows], parts)  # a job's pairs are as good as each other
    arrival = arrival[order]
    requests = Requests(arrival, pair[order], wanted[order], fidelity, arrival + setting.slots(setting.deadline_s))
    return replace(demand, jobs=replace(jobs, request=rows)), requests

"""Are quotes of pairs calibrated? What allocators promise against what then comes, request by request.

Requests for 1 to 100 pairs arrive at random at flows of four networks, at 60 % of what flows can do in the long run:
some find pairs in stock and others a queue. Three are networks of flows; the fourth is Entanglement-v1 with a hundred
nodes, whose other users ask for pairs as well: trials are of what these asked before. Each request is quoted, reserved,
served by the simulated links, and fed back.
Wanted: 90 % of the waits within the quoted p90, give or take 5 points, and fidelities quoted within 0.01. Quotes that
find all in stock (p90 = 0) are counted by themselves. A quote's time is that of the processor. Intervals are over
seeds, by bootstrap.

    python examples/benchmarks/pair_quotes.py --requests 150 --seeds 1 2 3
    python examples/benchmarks/pair_quotes.py --allocators local dpem --out pair_quotes_network
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from evidence import results

from orchestrator.entanglement import Delivered, Lease, PairDemand, PairQuote
from policies.allocators.pairs import load
from policies.allocators.pairs.desk import Desk
from policies.allocators.pairs.line import Hardware, Route
from policies.allocators.pairs.network import PairNetwork
from policies.allocators.pairs.networks import dpem_rule
from policies.allocators.pairs.table import PairTable
from policies.envs.entanglement.setting import EntanglementSetting
from policies.envs.entanglement.state import LOCALS, local
from policies.envs.qnum import topologies
from policies.envs.qnum.network import Network

LOAD = 0.6
SIZES = (1, 1, 2, 3, 5, 8, 20, 50, 100)
COLUMNS = (
    *("world", "allocator", "num_quotes", "in_stock", "inside_p90", "inside_p90_low", "inside_p90_high", "inside_p50"),
    *("fidelity_bias", "fidelity_bias_low", "fidelity_bias_high", "below_p10", "promised_in_time", "in_time"),
    *("quote_cpu_ms_median", "quote_cpu_ms_p99"),
)


@dataclass(frozen=True)
class Met:
    """One request: what was quoted and what came."""

    quote: PairQuote
    waited_s: float
    fidelities: tuple[float, ...]
    in_time: bool
    promised: float
    quote_s: float


def slow_links(seed: int) -> PairTable:
    """Routes of one to six links of half a pair to five pairs a second: the scale of long fibres, where pairs age."""
    draws = np.random.default_rng(300 + seed)
    routes = {}
    for hops in range(1, 7):
        rates = tuple(draws.uniform(0.5, 5.0, hops).tolist())
        werner = tuple(draws.uniform(0.947, 0.987, hops).tolist())
        routes[f"a{hops}", f"b{hops}"] = Route(rates, werner)
    return PairTable("static", routes, Hardware(), seed=seed)


def nsfnet() -> Network:
    """Eight flows, each between two QPUs that no other joins."""
    network = topologies.with_flows(topologies.nsfnet(), 20, "skf", 300)
    paths = zip(network.flows, network.paths, strict=True)
    alone = {frozenset((path[0], path[-1])): flow for flow, path in paths}
    return replace(network, flows=tuple(alone.values())[:8])


def served(network: Callable[[], Network], name: str) -> Callable[[int], Desk[Any]]:
    """A registered allocator on a network whose memories forget in half a second."""
    hardware = Hardware(coherence_s=0.5, cutoff_s=0.25)
    return lambda seed: load(name, network(), seed=seed, hardware=hardware)  # type: ignore[return-value]


def among_others(name: str) -> Callable[[int], PairNetwork]:
    """Six flows between nodes that are users of Entanglement-v1 themselves, on a network of its own for each seed."""

    def build(seed: int) -> PairNetwork:
        from policies.allocators.dpem.deployment import deploy

        world = deploy(EntanglementSetting(duration_s=3000.0, offered_hz=4.0), 300 + seed, history_s=0.0, windows=2)
        past, now = world.episode(0, seed), world.episode(1, seed)
        ends = [tuple(sorted(map(str, each))) for each in zip(now.demand.source, now.demand.target, strict=True)]
        flows = {each: pair for pair, each in reversed(list(enumerate(ends)))}  # the first of each two QPUs
        first = dict(sorted(flows.items(), key=lambda item: item[1])[:6])
        rule = local(name) if name in LOCALS else dpem_rule(now)
        return PairNetwork(name, now, rule, first, past=past)

    return build


WORLDS: dict[tuple[str, str], Callable[[int], Desk[Any]]] = {
    ("slow links, 1 to 6 hops", "static"): slow_links,
    **{
        (world, name): served(network, name)
        for world, network in (
            ("dumbbell, 3 flows", lambda: topologies.dumbbell(3)),
            ("nsfnet, 8 flows", nsfnet),
        )
        for name in ("static", "fluid", "qprimaldual", "local", "dpem")
    },
    **{("100 nodes and their users, 6 flows", name): among_others(name) for name in ("local", "dpem")},
}


def play(table: Desk[Any], requests: int, seed: int) -> list[Met]:
    """Requests come, are served, and are told of."""
    draws = np.random.default_rng(seed)
    offers = sorted(table.provisioned().items())
    rate_hz = LOAD / float(np.mean(SIZES)) * np.array([offer.rate_hz for _, offer in offers])
    open_: list[tuple[Lease, PairQuote, float, float, float]] = []
    met: list[Met] = []
    moment_s = 0.0
    for number in range(requests):
        moment_s += float(draws.exponential(1.0 / rate_hz.sum()))
        (src, dst), _ = offers[int(draws.choice(len(offers), p=rate_hz / rate_hz.sum()))]
        table.advance(moment_s)
        demand = PairDemand(str(number), src, dst, int(draws.choice(SIZES)))
        begun = time.thread_time()
        (quote,) = table.quote([demand])
        quote_s = time.thread_time() - begun
        deadline_s = quote.ready_p50_s * float(draws.uniform(0.5, 1.5))
        (dated,) = table.quote([PairDemand("dated", src, dst, demand.num_pairs, deadline_s=deadline_s)])
        lease = table.reserve(quote.quote_id)
        open_.append((lease, quote, deadline_s, dated.deliver_probability, quote_s))
        open_ = settled(table, open_, met)
    while open_:
        moment_s += 1.0 / float(rate_hz.sum())
        table.advance(moment_s)
        open_ = settled(table, open_, met)
    return met


def settled(
    table: Desk[Any], open_: Sequence[tuple[Lease, PairQuote, float, float, float]], met: list[Met]
) -> list[tuple[Lease, PairQuote, float, float, float]]:
    """Leases that still wait; the others go to ``met``."""
    left = []
    for entry in open_:
        lease, quote, deadline_s, promised, quote_s = entry
        pairs = table.poll(lease)
        if len(pairs) < lease.demand.num_pairs:
            left.append(entry)
            continue
        waited_s = pairs[-1].ready_s - lease.granted_s
        fidelities = tuple(pair.fidelity for pair in pairs)
        table.feedback(lease, Delivered(lease.lease_id, len(pairs), waited_s, float(np.mean(fidelities)), True))
        table.release(lease)
        met.append(Met(quote, waited_s, fidelities, waited_s <= deadline_s, promised, quote_s))
    return left


def interval(by_seed: Sequence[Sequence[float]]) -> tuple[float, float, float]:
    """Mean over all, and a bootstrap interval of 95 %: seeds first, then what is within."""
    draws = np.random.default_rng(0)
    sets = [np.array(each) for each in by_seed if len(each)]
    means = []
    for _ in range(500):
        chosen = [sets[index] for index in draws.integers(0, len(sets), len(sets))]
        means.append(np.concatenate([draws.choice(each, each.size) for each in chosen]).mean())
    low, high = np.quantile(means, [0.025, 0.975])
    return float(np.concatenate(sets).mean()), float(low), float(high)


def summary(by_seed: Sequence[Sequence[Met]]) -> list[object]:
    """A row of the table."""
    every = [met for mine in by_seed for met in mine]
    waits = [[met for met in mine if met.quote.ready_p90_s > 0.0] for mine in by_seed]
    inside = interval([[met.waited_s <= met.quote.ready_p90_s for met in mine] for mine in waits])
    halves = [met.waited_s <= met.quote.ready_p50_s for mine in waits for met in mine]
    bias = interval([[float(np.mean(met.fidelities)) - met.quote.fidelity_mean for met in mine] for mine in by_seed])
    below = np.concatenate([np.array(met.fidelities) < met.quote.fidelity_p10 for met in every])
    quote_ms = 1e3 * np.array([met.quote_s for met in every])
    in_stock = 1.0 - sum(map(len, waits)) / len(every)
    dated = [met for mine in waits for met in mine if met.quote.ready_p50_s > 0.0]
    figures = (
        *(in_stock, *inside, np.mean(halves), *bias, below.mean()),
        *(np.mean([met.promised for met in dated]), np.mean([met.in_time for met in dated])),
        *(np.median(quote_ms), np.quantile(quote_ms, 0.99)),
    )
    return [len(every), *(f"{figure:.4f}" for figure in figures)]


def main() -> None:
    """All worlds, one after the other; each row is on the screen as soon as it is known."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=150, help="of each seed")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--allocators", nargs="+", help="these alone; all if left out")
    parser.add_argument("--out", default="pair_quotes", help="name of the file of results")
    asked = parser.parse_args()
    with results(asked.out, COLUMNS, seeds=" ".join(map(str, asked.seeds))) as table:
        print("  ".join(COLUMNS))
        for (world, name), build in WORLDS.items():
            if asked.allocators and name not in asked.allocators:
                continue
            row = [world, name, *summary([play(build(seed), asked.requests, seed) for seed in asked.seeds])]
            table.writerow(row)
            print("  ".join(map(str, row)), flush=True)


if __name__ == "__main__":
    main()

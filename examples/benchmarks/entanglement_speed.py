"""Slots per second of the entanglement network, by size and policy.

    python examples/benchmarks/entanglement_speed.py

Writes ``results/entanglement_speed.csv``: the compiled loop at 100, 1 000 and 10 000 nodes under a load of the same
density, the plain reference at 100, and what building an episode costs. Figures are slots per second of processor time,
median of the repeats; what is compiled is compiled before the clock starts. The nets have random weights: their size is
what costs; ``dpem`` is the agent that comes along. "forecasts, GRU" are those of all pairs for the slots of an episode,
on top of what an agent takes that looks at them; ``build_s`` is one step of the forecaster's training there.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from evidence import results
from rich.progress import Progress

from policies.allocators.dpem import forecast
from policies.allocators.dpem.deployment import deploy
from policies.allocators.pairs.networks import dpem_rule
from policies.envs.entanglement import reference
from policies.envs.entanglement import state as st
from policies.envs.entanglement.episode import Episode, build
from policies.envs.entanglement.metrics import metrics
from policies.envs.entanglement.play import Run, advance, begin, play
from policies.envs.entanglement.setting import EntanglementSetting

DURATION_S = {100: 600.0, 1000: 120.0, 10_000: 24.0}
HISTORY_S, MOST_FORECAST = 600.0, 1000
"""That a forecaster has seen, and nodes of the largest network for which one is timed."""

DENSITY_HZ = 0.0664
"""Requests a second and node."""


def net(num_features: int, hidden: tuple[int, int]) -> st.Head:
    """Random weights."""
    chance = np.random.default_rng(1)
    return st.head_of(*(chance.normal(0.0, 0.3, each.shape) for each in st.head(num_features, hidden)[:6]))


def rules() -> dict[str, st.Rule]:
    """What is timed."""
    nets = {"path 8": (8, 0), "path 32-32": (32, 32)}
    learned = {
        f"net, {name}": st.rule(st.SCORING, st.S_LOCAL, greedy=False, path_head=net(14, hidden))
        for name, hidden in nets.items()
    }
    both = st.rule(
        st.SCORING, st.S_LEARNED, greedy=False, noise=0.1, path_head=net(14, (32, 32)), share_head=net(9, (8, 0))
    )
    pulls = st.rule(st.SCORING, st.S_PULL, path_head=net(14, (32, 32)))
    of_nets = {**learned, "net, path 32-32 and share 8": both, "net, path 32-32 and pulls": pulls}
    return {**{name: st.local(name) for name in st.LOCALS}, **of_nets}


def timed(runs: Sequence[Run]) -> list[float]:
    """Slots per second of processor time of each."""
    found = []
    for run in runs:
        begun = time.process_time()
        advance(run, run.num_slots)
        found.append(run.num_slots / (time.process_time() - begun))
    return found


def episode(num_nodes: int, **changes: Any) -> Episode:
    """Of a size, all at the same density of requests."""
    setting = EntanglementSetting(num_nodes=num_nodes, topology_seed=1, demand_seed=1, physics_seed=1, **changes)
    return build(setting.but(offered_hz=DENSITY_HZ * num_nodes, duration_s=DURATION_S[num_nodes]))


def forecasts(num_nodes: int, repeats: int) -> tuple[list[float], float]:
    """Slots per second of processor time for which a GRU forecasts all pairs, and seconds of a step of its training."""
    torch.set_num_threads(1)
    setting = EntanglementSetting(num_nodes=num_nodes, topology_seed=1, demand_seed=1, physics_seed=1)
    setting = setting.but(offered_hz=DENSITY_HZ * num_nodes, duration_s=DURATION_S[num_nodes])
    config = forecast.Config(steps=3)
    counts = deploy(setting, 1, history_s=HISTORY_S).counts(config.bin_s)
    model = forecast.new_forecaster(config, counts, 1)
    found = []
    for _ in range(repeats):
        begun = time.process_time()
        model.rates_hz(counts)
        found.append(counts.shape[1] * config.bin_s / setting.slot_s / (time.process_time() - begun))
    begun = time.process_time()
    forecast.fit(model, counts, 1)
    return found, (time.process_time() - begun) / config.steps


def main() -> None:
    """Measure and write."""
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--repeats", type=int, default=3)
    words.add_argument("--sizes", type=int, nargs="*", default=list(DURATION_S), choices=list(DURATION_S))
    said = words.parse_args()
    columns = ["nodes", "links", "policy", "share_s", "record", "slots_per_s", "least", "most", "delivery", "build_s"]
    with (
        results("entanglement_speed", columns, seeds="1", packages=("numpy", "numba", "scipy")) as table,
        Progress() as bar,
    ):
        play(episode(100), st.local("local"))  # compiles
        task = bar.add_task("sizes, policies", total=len(said.sizes) * (len(rules()) + 3) + 1)
        for size in said.sizes:
            begun = time.process_time()
            whole = episode(size)
            build_s, links = time.process_time() - begun, whole.topology.num_links
            cases: list[tuple[str, Episode, st.Rule, int]] = [(name, whole, rule, 0) for name, rule in rules().items()]
            slow = episode(size, share_s=1.0)
            cases += [("dpem", whole, dpem_rule(whole), 0)]
            cases += [("local", slow, st.local("local"), 0), ("local", slow, st.local("local"), 1)]
            for name, given, rule, record in cases:
                runs = [begin(given, rule, record=record) for _ in range(said.repeats)]
                speeds, share_s = timed(runs), given.setting.share_s
                figures = [f"{each:.4g}" for each in (np.median(speeds), min(speeds), max(speeds))]
                delivery = metrics(runs[0]).delivery
                table.writerow([size, links, name, share_s, record, *figures, f"{delivery:.4g}", f"{build_s:.3g}"])
                bar.advance(task)
            if size > MOST_FORECAST:
                continue
            speeds, step_s = forecasts(size, said.repeats)
            figures = [f"{each:.4g}" for each in (np.median(speeds), min(speeds), max(speeds))]
            table.writerow([size, links, "forecasts, GRU", "", "", *figures, "", f"{step_s:.3g}"])
        short, begun = build(episode(100).setting.but(duration_s=20.0)), time.process_time()
        reference.simulate(short, st.local("local"))
        speed = f"{short.setting.num_slots / (time.process_time() - begun):.4g}"
        table.writerow([100, short.topology.num_links, "local, reference", 0.2, 0, speed, speed, speed, "", ""])
        bar.advance(task)


if __name__ == "__main__":
    main()

"""What each part of DPEM earns over a centre with old news, on networks that nobody trained on.

The agents of five trainings, each with one part left out, in the protocol's middle cell (load 0.8):

    T="python -m policies.allocators.dpem train --set width=32 --set forecast=none --world duration_s=300"
    for S in 0 1 2 3 4; do
        # pulls, then the path head on top of them: these are the agents
        $T --seed $S --topologies 0:24 --epochs 40 --set shares=pulls --set training=evolved --set paths=hand \
           --out runs/pulls/$S
        $T --seed $S --topologies 0:6 --epochs 30 --set shares=pulls --set beta=0.5 --from runs/pulls/$S \
           --out runs/final/$S
        # both heads by PPO
        $T --seed $S --topologies 0:6 --epochs 30 --set beta=0.5 --out runs/dpem/$S
        # the hand rule's constants alone
        $T --seed $S --topologies 0:24 --epochs 15 --set shares=pulls --set training=evolved --set paths=hand \
           --set searched=constants --out runs/tuned/$S
    done
    python examples/benchmarks/dpem_gain.py [--seeds 0:5] [--topologies 100:120] [--runs runs]

A variant whose agents are not there is left out. ``hand_paths`` are the pulls with the hand rule for paths,
``hand_shares`` the path head of ``ppo_shares`` with the hand rule for shares, ``stale`` has news of remote links that
are 1 s old at the mean distance to the centre; in ``hybrid_pulls`` a centre tells paths every 5 s, in
``fresh_hybrid_pulls`` in every slot, and the nodes split by pulls. Gains are ratios of means less one, agents averaged
within a network; intervals by drawing networks anew, p by the paired t test. It may be interrupted and run again;
writes ``results/dpem_gain.csv`` (runs) and ``results/dpem_gain_summary.csv``.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from dpem_rows import PACKAGES, measured
from evidence import results

from policies.allocators.central import control
from policies.allocators.contenders import contender
from policies.allocators.dpem.commands import seeds_of
from policies.allocators.dpem.episodes import rule_of
from policies.allocators.dpem.grid import Cell, world
from policies.allocators.dpem.learner import read_run
from policies.envs.entanglement.metrics import metrics
from policies.envs.entanglement.play import play
from policies.learners.kit.checkpoint import exists, load
from policies.significance import paired, ratio

DURATION_S = 600.0
MIDDLE = Cell()
FRESH = replace(MIDDLE, period_s=0.2)
AGENTS: dict[str, tuple[str, dict[str, Any], Cell]] = {
    "dpem": ("final", {}, MIDDLE),
    "hand_paths": ("pulls", {}, MIDDLE),
    "hand_shares": ("dpem", {"shares": "hand"}, MIDDLE),
    "ppo_shares": ("dpem", {}, MIDDLE),
    "tuned_hand": ("tuned", {}, MIDDLE),
    "federated": ("federated", {}, MIDDLE),
    "stale": ("final", {}, replace(MIDDLE, delay_s=1.0)),
    "hybrid_pulls": ("pulls", {}, MIDDLE),
    "fresh_hybrid_pulls": ("pulls", {}, FRESH),
}
"""Variants by name: folder of the agents, what of their configuration is changed, cell."""
OTHERS = {
    "local": ("local", MIDDLE),
    "shortest": ("shortest", MIDDLE),
    "central_full": ("central_full", MIDDLE),
    "central_fresh": ("central_full", FRESH),
    "central_hybrid": ("central_hybrid", MIDDLE),
}
KEYS = ("variant", "seed", "topology", "physics")
SHOWN = ("delivery", "contention_literal", "contention_blocked", "latency_mean_s")


def judged(runs: Path, variant: str, seed: int, topology: int, physics: int) -> Iterator[list[Any]]:
    """One episode."""
    if variant in OTHERS:
        name, cell = OTHERS[variant]
        episode = world(replace(cell, period_s=MIDDLE.period_s), topology, physics, DURATION_S)
        run, _ = contender(name).play(episode, cell.delay_s, cell.period_s, 1)
    else:
        folder, changed, cell = AGENTS[variant]
        agent: Any = load(runs / folder / str(seed), read_run).actor()
        agent.config = replace(agent.config, **changed)
        episode = world(replace(cell, period_s=MIDDLE.period_s), topology, physics, DURATION_S)
        if variant.endswith("hybrid_pulls"):
            pull = agent.pull.detach().numpy()
            run = control(episode, "central_hybrid", period_s=cell.period_s, pull=pull).run
        else:
            run = play(episode, rule_of(agent, None))
    found = metrics(run)
    yield [getattr(found, name) for name in SHOWN]


def summary(rows: list[dict[str, str]], variants: list[str], seeds: str) -> None:
    """Gains over the centre and the hand rule, written and printed."""
    networks = sorted({int(row["topology"]) for row in rows})

    def of(variant: str, column: str) -> list[float]:
        found: dict[int, list[float]] = {each: [] for each in networks}
        for row in rows:
            if row["variant"] == variant:
                found[int(row["topology"])].append(float(row[column]))
        return [sum(each) / len(each) for each in found.values()]

    columns = ("variant", "against", "metric", "mean", "gain", "low", "high", "p")
    with results("dpem_gain_summary", columns, seeds=seeds, packages=PACKAGES) as table:
        for variant in variants:
            for against in ("local", "central_full", "dpem", "hand_shares"):
                if against not in variants or against == variant:
                    continue
                for metric in SHOWN[:3]:
                    mine, its = of(variant, metric), of(against, metric)
                    gain, p = ratio(mine, its), paired(mine, its).p
                    numbers = (sum(mine) / len(mine), gain.gain, gain.low, gain.high, p)
                    table.writerow([variant, against, metric, *(f"{each:.4g}" for each in numbers)])
                    print(f"{variant:15} over {against:13} {metric:19} {numbers[0]:.4f} {gain.gain:+.2%}"
                          f" [{gain.low:+.2%}, {gain.high:+.2%}] p {p:.1e}", flush=True)  # fmt: skip


def main() -> None:
    """Measure what is not measured yet."""
    asked = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    asked.add_argument("--seeds", default="0:5")
    asked.add_argument("--topologies", default="100:120")
    asked.add_argument("--runs", type=Path, default=Path("runs"))
    words = asked.parse_args()
    torch.set_num_threads(1)
    there = [
        (name, seed)
        for name, (folder, *_) in AGENTS.items()
        for seed in seeds_of(words.seeds, "seeds")
        if exists(words.runs / folder / str(seed))
    ]
    todo = [
        (*case, topology, physics)
        for topology in seeds_of(words.topologies)
        for physics in (0, 1)
        for case in (*((name, 0) for name in OTHERS), *there)
    ]
    seeds = f"training {words.seeds}, topologies {words.topologies}, physics 0 and 1"
    rows = measured(
        "dpem_gain", (*KEYS, *SHOWN), 4, todo, lambda *case: judged(words.runs, *case), seeds=seeds, runs=words.runs
    )
    summary(rows, [*OTHERS, *dict(there)], seeds)


if __name__ == "__main__":
    main()

"""What privacy costs: delivery against epsilon, for two sizes of policy and networks of 100 and 1 000 nodes.

    python examples/benchmarks/dpem_privacy.py [--seeds 0:5] [--sigmas 0,1,2.5,5,10,20,50,100] [--widths 8,32]
        [--nodes 100] [--rounds 40] [--topology 50] [--eval 10] [--runs runs/dpem_privacy]

Every node of one network takes part in every round: 3 local steps, clip 0.1, server momentum 0.7; the path head alone
is learned (201 or 1 569 weights), as the share head has few. It begins with random weights, not as the hand rule, so
that there is something to be lost. Judged in episodes of the same network that were not trained in. Epsilon at
delta = 1e-5 is exact (Gaussian differential privacy). May be interrupted and run again; ``results/dpem_privacy.csv``.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterator
from pathlib import Path

import torch
from dpem_rows import measured
from dpem_trained import after, mean

from policies.allocators.dpem import forecast as forecasts
from policies.allocators.dpem.commands import seeds_of
from policies.allocators.dpem.federation import Federation, round_bytes
from policies.allocators.dpem.learner import Config, Run
from policies.allocators.dpem.privacy import gaussian_epsilon, gaussian_mu
from policies.envs.entanglement.setting import EntanglementSetting

DELTA = 1e-5
HZ_PER_NODE = 0.0664
COLUMNS = (
    *("nodes", "width", "sigma", "seed", "rounds", "topology", "episodes", "weights", "epsilon", "delivery"),
    *("contention_blocked", "bytes", "local", "shortest"),
)


def trained(
    nodes: int, width: int, sigma: float, seed: int, rounds: int, topology: int, episodes: int
) -> Iterator[tuple[int, float, float, float, int, float, float]]:
    """One training, and what it is worth."""
    config = Config(shares="hand", forecast="none", history_s=0.0, training="federated", width=width, begin="random")
    setting = EntanglementSetting(num_nodes=nodes, duration_s=300.0, offered_hz=HZ_PER_NODE * nodes)
    run = Run(config, Federation(sigma=sigma), forecasts.Config(), setting, (topology,), seed)
    agent, found = after(run, rounds, episodes)
    size = agent.path_shape.num_weights
    epsilon = gaussian_epsilon(gaussian_mu(sigma, rounds), DELTA) if sigma else math.inf
    sent = rounds * round_bytes(size, nodes)
    delivery = {name: mean(its, "delivery") for name, its in found.items()}
    blocked = mean(found["dpem"], "contention_blocked")
    yield size, epsilon, delivery["dpem"], blocked, sent, delivery["local"], delivery["shortest"]


def main() -> None:
    """Measure what is not measured yet."""
    asked = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name, value in (("seeds", "0:5"), ("sigmas", "0,1,2.5,5,10,20,50,100"), ("widths", "8,32"), ("nodes", "100")):
        asked.add_argument(f"--{name}", default=value)
    for name, number in (("rounds", 40), ("topology", 50), ("eval", 10)):
        asked.add_argument(f"--{name}", type=int, default=number)
    asked.add_argument("--runs", type=Path, default=Path("runs/dpem_privacy"))
    words = asked.parse_args()
    torch.set_num_threads(1)
    todo = [
        (int(nodes), int(width), float(sigma), seed, words.rounds, words.topology, words.eval)
        for nodes in words.nodes.split(",")
        for width in words.widths.split(",")
        for sigma in words.sigmas.split(",")
        for seed in seeds_of(words.seeds, "seeds")
    ]
    seeds = f"training {words.seeds}, topology {words.topology}"
    for row in measured("dpem_privacy", COLUMNS, 7, todo, trained, seeds=seeds, runs=words.runs):
        told = " ".join(f"{name} {row[name]}" for name in ("nodes", "weights", "sigma", "epsilon", "seed", "delivery"))
        print(f"{told} (local {row['local']}, shortest {row['shortest']})")


if __name__ == "__main__":
    main()

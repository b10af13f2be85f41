"""What each part of DPEM earns: every part switched off by itself, on the same networks and episodes.

    python examples/benchmarks/dpem_ablations.py [--seeds 0:5] [--topologies 50,51,52] [--rounds 40] [--eval 10]
        [--runs runs/dpem_ablations]

``dpem`` has both heads, the recurrent forecast, federated averaging and noise (epsilon 6 at delta 1e-5 after 40
rounds); each other row leaves one part out, or puts the hand rule in its place. Judged in later episodes of the network
that was trained on, beside the hand rule and the shortest path in the same episodes. It may be interrupted and run
again; writes ``results/dpem_ablations.csv``.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from dpem_rows import measured
from dpem_trained import after, mean

from policies.allocators.dpem import forecast as forecasts
from policies.allocators.dpem.commands import seeds_of
from policies.allocators.dpem.federation import Federation
from policies.allocators.dpem.learner import Config, Run
from policies.envs.entanglement.setting import EntanglementSetting

SIGMA = 5.0
VARIANTS: dict[str, dict[str, Any]] = {
    "dpem": {},
    "no_forecast": {"forecast": "none"},
    "seasonal_forecast": {"forecast": "seasonal_naive"},
    "true_forecast": {"forecast": "truth"},
    "no_privacy": {"sigma": 0.0},
    "no_federation": {"training": "alone", "sigma": 0.0},
    "pooled_data": {"training": "central", "sigma": 0.0},
    "hand_shares": {"shares": "hand"},
    "hand_paths": {"paths": "hand"},
    "poisoned": {"poisoned": 0.2},
    "poisoned_trimmed": {"poisoned": 0.2, "trimmed": 0.2},
}
"""By name, what is different; fields of the agent's or of the federation's configuration."""
COLUMNS = (
    *("variant", "topology", "seed", "rounds", "episodes", "delivery", "contention_literal", "contention_blocked"),
    *("local", "local_contention_literal", "shortest"),
)


def judged(variant: str, topology: int, seed: int, rounds: int, episodes: int) -> Iterator[tuple[float, ...]]:
    """One training of one variant."""
    asked: dict[str, Any] = {"training": "federated", "sigma": SIGMA, **VARIANTS[variant]}
    federal = {name: asked.pop(name) for name in ("sigma", "poisoned", "trimmed") if name in asked}
    setting, forecaster = EntanglementSetting(duration_s=300.0), forecasts.Config(steps=100, pieces=4)
    _, found = after(
        Run(Config(**asked), Federation(**federal), forecaster, setting, (topology,), seed), rounds, episodes
    )
    mine, its = found["dpem"], found["local"]
    yield (
        *(mean(mine, name) for name in ("delivery", "contention_literal", "contention_blocked")),
        *(mean(its, name) for name in ("delivery", "contention_literal")),
        mean(found["shortest"], "delivery"),
    )


def main() -> None:
    """Measure what is not measured yet."""
    asked = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    asked.add_argument("--seeds", default="0:5")
    asked.add_argument("--topologies", default="50,51,52")
    asked.add_argument("--variants", default=",".join(VARIANTS))
    asked.add_argument("--rounds", type=int, default=40)
    asked.add_argument("--eval", type=int, default=10)
    asked.add_argument("--runs", type=Path, default=Path("runs/dpem_ablations"))
    words = asked.parse_args()
    torch.set_num_threads(1)
    names = words.variants.split(",")
    todo = [
        (name, topology, seed, words.rounds, words.eval)
        for seed in seeds_of(words.seeds, "seeds")
        for topology in seeds_of(words.topologies)
        for name in names
    ]
    seeds = f"training {words.seeds}, topologies {words.topologies}"
    rows = measured("dpem_ablations", COLUMNS, 5, todo, judged, seeds=seeds, runs=words.runs)
    for name in names:
        found = [row for row in rows if row["variant"] == name]
        gain = sum(float(row["delivery"]) / float(row["local"]) - 1.0 for row in found) / len(found)
        print(f"{name:18} {gain:+.2%} of the hand rule's delivery, {len(found)} trainings")


if __name__ == "__main__":
    main()

"""What federation, privacy, forecasts and defences do to what DPEM's agents learn: one part changed at a time.

    python examples/benchmarks/dpem_ablations.py [--seeds 0:5] [--topologies 50,51,52] [--rounds 40] [--eval 10]
        [--runs runs/dpem_ablations]

Shares follow the shipped agent's pulls, which were found in simulation on other networks; the path head begins as the
hand rule and learns on one network. In ``dpem`` it does so by federated averaging with noise (epsilon 6 at delta 1e-5
after 40 rounds); each other row changes one thing. Judged in later episodes of the same network, which nobody learned
from, beside the hand rule and the shortest path there. What shares, paths and locality earn on networks that nobody
trained on is ``dpem_gain.py``. It may be interrupted and run again; writes ``results/dpem_ablations.csv`` (trainings)
and ``results/dpem_ablations_summary.csv``: gains over the hand rule and over ``dpem``, means over networks of means
over trainings, with 95 % intervals over training seeds.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from statistics import fmean
from typing import Any

import torch
from dpem_rows import PACKAGES, measured
from dpem_trained import after, mean
from evidence import results

from policies.allocators.dpem import forecast as forecasts
from policies.allocators.dpem.commands import seeds_of
from policies.allocators.dpem.federation import Federation
from policies.allocators.dpem.learner import Config, Run, read_run
from policies.allocators.pairs.networks import CHECKPOINTS
from policies.envs.entanglement.setting import EntanglementSetting
from policies.learners.kit.checkpoint import load
from workers.compare.standings import Mean
from workers.compare.standings import mean as interval

SIGMA = 5.0
VARIANTS: dict[str, dict[str, Any]] = {
    "dpem": {},
    "no_privacy": {"sigma": 0.0},
    "no_federation": {"training": "alone", "sigma": 0.0},
    "pooled_data": {"training": "central", "sigma": 0.0},
    "not_learned": {"paths": "hand", "training": "central", "sigma": 0.0},
    "hand_shares": {"shares": "hand"},
    "gru_forecast": {"forecast": "gru"},
    "true_forecast": {"forecast": "truth"},
    "poisoned": {"poisoned": 0.2},
    "poisoned_trimmed": {"poisoned": 0.2, "trimmed": 0.2},
}
"""By name, what is different; fields of the agent's or of the federation's configuration."""
OFFERED_HZ, BETA = 6.64, 0.5
"""Load 0.8, and the cost of a blocked probe: those of the shipped agent's training."""
SUMMARY = ("variant", "against", "figure", "trainings", "gain", "low", "high")
COLUMNS = (
    *("variant", "topology", "seed", "rounds", "episodes", "delivery", "contention_literal", "contention_blocked"),
    *("local", "local_contention_literal", "shortest"),
)


@cache
def _pull() -> torch.Tensor:
    """Weights by which the shipped agent shares."""
    (folder,) = CHECKPOINTS.iterdir()
    return load(folder, read_run).weights["pull"]


def judged(variant: str, topology: int, seed: int, rounds: int, episodes: int) -> Iterator[tuple[float, ...]]:
    """One training of one variant."""
    asked: dict[str, Any] = {"training": "federated", "sigma": SIGMA, **VARIANTS[variant]}
    federal = {name: asked.pop(name) for name in ("sigma", "poisoned", "trimmed") if name in asked}
    config = Config(**{"shares": "pulls", "forecast": "none", "beta": BETA, **asked})
    setting, forecaster = EntanglementSetting(duration_s=300.0, offered_hz=OFFERED_HZ), forecasts.Config(steps=100)
    run = Run(config, Federation(**federal), forecaster, setting, (topology,), seed)
    _, found = after(run, rounds, episodes, _pull() if config.shares == "pulls" else None)
    mine, its = found["dpem"], found["local"]
    yield (
        *(mean(mine, name) for name in ("delivery", "contention_literal", "contention_blocked")),
        *(mean(its, name) for name in ("delivery", "contention_literal")),
        mean(found["shortest"], "delivery"),
    )


def gains(rows: list[dict[str, str]], variant: str, figure: str, against: dict[tuple[str, str], float]) -> Mean:
    """Of a figure over another's, by topology and seed; means over networks, with an interval over seeds."""
    found = {
        (row["topology"], row["seed"]): float(row[figure]) / against[row["topology"], row["seed"]] - 1.0
        for row in rows
        if row["variant"] == variant and (row["topology"], row["seed"]) in against
    }
    seeds = sorted({seed for _, seed in found})
    return interval([fmean(gain for (_, other), gain in found.items() if other == seed) for seed in seeds])


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
        for topology in seeds_of(words.topologies)
        for seed in seeds_of(words.seeds, "seeds")
        for name in names
    ]
    seeds = f"training {words.seeds}, topologies {words.topologies}"
    rows = measured("dpem_ablations", COLUMNS, 5, todo, judged, seeds=seeds, runs=words.runs)
    with results("dpem_ablations_summary", SUMMARY, seeds=seeds, packages=PACKAGES) as table:
        for name in names:
            for figure, its in (("delivery", "local"), ("contention_literal", "local_contention_literal")):
                hand = {(row["topology"], row["seed"]): float(row[its]) for row in rows if row["variant"] == name}
                dpem = {(row["topology"], row["seed"]): float(row[figure]) for row in rows if row["variant"] == "dpem"}
                for other, against in (("local", hand), ("dpem", dpem)):
                    if against and hand and other != name:
                        gain = gains(rows, name, figure, against)
                        table.writerow([name, other, figure, len(hand), *map(_said, (gain.value, gain.low, gain.high))])
                        print(f"{name:16} {figure:18} over {other:6} {gain.value:+.2%}")


def _said(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"


if __name__ == "__main__":
    main()

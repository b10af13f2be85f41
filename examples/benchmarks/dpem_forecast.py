"""Forecasts of requests: R2 on the true rate, a recurrent network beside what is simpler, in three kinds of demand.

    python examples/benchmarks/dpem_forecast.py [--topologies 20,21,22] [--steps 300] [--runs runs/dpem_forecast]

A history of 1800 s to learn from, 600 s after it to be judged in, bins of a second, 1 to 10 s ahead; ``gru_federated``
is the same network with weights averaged over nodes and without noise. It may be interrupted and run again. Writes
``results/dpem_forecast.csv``; seconds are with whatever else the machine did.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from pathlib import Path

import torch
from dpem_rows import measured

from policies.allocators.dpem.commands import seeds_of
from policies.allocators.dpem.deployment import deploy, trained_forecaster
from policies.allocators.dpem.federation import Federation
from policies.allocators.dpem.forecast import SIMPLE, Config, r_squared
from policies.envs.entanglement.setting import EntanglementSetting

HISTORY_S = 1800.0
COLUMNS = ("predictability", "topology", "steps", "forecast", "r2", "train_s")
FEDERATION = Federation(clip=1.0, local_rate=5.0)


def judged(predictability: float, topology: int, steps: int) -> Iterator[tuple[str, float, float]]:
    """R2 of every forecast on one network."""
    setting = EntanglementSetting(duration_s=600.0, predictability=predictability)
    deployment = deploy(setting, topology, history_s=HISTORY_S)
    config = Config(steps=steps)
    counts, rates = deployment.counts(config.bin_s), deployment.rates_hz(config.bin_s)
    begin = round(HISTORY_S / config.bin_s)
    for name, rule in SIMPLE.items():
        yield name, r_squared(rule(counts, config.bin_s, config.horizon), rates, begin), 0.0
    for name, federation in (("gru", None), ("gru_federated", FEDERATION)):
        begun_s = time.perf_counter()
        model = trained_forecaster(deployment, config, topology, federation=federation)
        train_s = time.perf_counter() - begun_s
        yield name, r_squared(model.rates_hz(counts), rates, begin), train_s


def main() -> None:
    """Measure what is not measured yet."""
    asked = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    asked.add_argument("--topologies", default="20,21,22")
    asked.add_argument("--predictability", default="0,0.6,0.95")
    asked.add_argument("--steps", type=int, default=300)
    asked.add_argument("--runs", type=Path, default=Path("runs/dpem_forecast"))
    words = asked.parse_args()
    torch.set_num_threads(1)
    parts = [float(each) for each in words.predictability.split(",")]
    todo = [(part, seed, words.steps) for part in parts for seed in seeds_of(words.topologies)]
    rows = measured("dpem_forecast", COLUMNS, 3, todo, judged, seeds=f"topologies {words.topologies}", runs=words.runs)
    for part in sorted({row["predictability"] for row in rows}):
        for name in (*SIMPLE, "gru", "gru_federated"):
            found = [float(row["r2"]) for row in rows if (row["predictability"], row["forecast"]) == (part, name)]
            print(f"k {part:>4}  {name:15} R2 {sum(found) / len(found):.3f} over {len(found)} networks")


if __name__ == "__main__":
    main()

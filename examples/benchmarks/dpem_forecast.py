"""Forecasts of requests: R2 on the true rate, a recurrent network beside what is simpler, in three kinds of demand.

    python examples/benchmarks/dpem_forecast.py [--topologies 20,21,22] [--steps 300] [--sigmas 5,20]
        [--runs runs/dpem_forecast]

A history of 1800 s to learn from, 600 s after it to be judged in, bins of a second, 1 to 10 s ahead; ``gru_federated``
is the same network with weights averaged over nodes, without noise or with that of each sigma; its epsilon is at delta
1e-5. ``nll`` is the Poisson likelihood's, less what no forecast changes, for each pair and bin. It may be interrupted
and run again. Writes ``results/dpem_forecast.csv``; seconds are with whatever else the machine did.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import torch
from dpem_rows import measured

from policies.allocators.dpem.commands import seeds_of
from policies.allocators.dpem.deployment import deploy, trained_forecaster
from policies.allocators.dpem.federation import Federation
from policies.allocators.dpem.forecast import FEDERATED, SIMPLE, Config, poisson_nll, r_squared
from policies.allocators.dpem.privacy import together
from policies.envs.entanglement.setting import EntanglementSetting

HISTORY_S = 1800.0
COLUMNS = ("predictability", "topology", "steps", "forecast", "r2", "nll", "epsilon", "train_s")
DELTA = 1e-5


def judged(
    sigmas: tuple[float, ...], predictability: float, topology: int, steps: int
) -> Iterator[tuple[str, float, float, float, float]]:
    """Every forecast on one network: R2, likelihood, epsilon and seconds of training."""
    setting = EntanglementSetting(duration_s=600.0, predictability=predictability)
    deployment = deploy(setting, topology, history_s=HISTORY_S)
    config = Config(steps=steps)
    counts, rates = deployment.counts(config.bin_s), deployment.rates_hz(config.bin_s)
    begin = round(HISTORY_S / config.bin_s)

    def good(made: Any) -> tuple[float, float]:
        return r_squared(made, rates, begin), poisson_nll(made, counts, config.bin_s, begin)

    for name, rule in SIMPLE.items():
        yield name, *good(rule(counts, config.bin_s, config.horizon)), 0.0, 0.0
    for name, sigma in (("gru", None), *((named(each), each) for each in sigmas)):
        federation = None if sigma is None else Federation(**FEDERATED, sigma=sigma)
        begun_s = time.perf_counter()
        model = trained_forecaster(deployment, config, topology, federation=federation)
        train_s = time.perf_counter() - begun_s
        yield name, *good(model.rates_hz(counts)), together([(sigma or 0.0, steps, 1.0)], DELTA), train_s


def named(sigma: float) -> str:
    """A row of the table."""
    return "gru_federated" + (f"_sigma_{sigma:g}" if sigma else "")


def main() -> None:
    """Measure what is not measured yet."""
    asked = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    asked.add_argument("--topologies", default="20,21,22")
    asked.add_argument("--predictability", default="0,0.6,0.95")
    asked.add_argument("--steps", type=int, default=300)
    asked.add_argument("--runs", type=Path, default=Path("runs/dpem_forecast"))
    asked.add_argument("--sigmas", default="5,20", help="of federated training with privacy, beside that without")
    words = asked.parse_args()
    sigmas = (0.0, *(float(each) for each in words.sigmas.split(",") if each))
    torch.set_num_threads(1)
    parts = [float(each) for each in words.predictability.split(",")]
    todo = [(part, seed, words.steps) for part in parts for seed in seeds_of(words.topologies)]
    measure = partial(judged, sigmas)
    rows = measured("dpem_forecast", COLUMNS, 3, todo, measure, seeds=f"topologies {words.topologies}", runs=words.runs)
    for part in sorted({row["predictability"] for row in rows}):
        for name in (*SIMPLE, "gru", *map(named, sigmas)):
            found = [row for row in rows if (row["predictability"], row["forecast"]) == (part, name)]
            r2, nll = (sum(float(row[key]) for row in found) / len(found) for key in ("r2", "nll"))
            print(f"k {part:>4}  {name:24} R2 {r2:.3f}  NLL {nll:.4f}  over {len(found)} networks")


if __name__ == "__main__":
    main()

"""How much a QCN's policies save against the random one, over the constants that the paper does not give.

    python examples/benchmarks/qcn_sensitivity.py

Processors of edge nodes and the cloud relative to the mobile's, their energy relative to the mobile's, the rates of
uplinks, and five weights of delay and energy; everything else as in the constants "cited". The proven optimum, the
greedy rule, and sending everything to the best edge node. Writes ``results/qcn_sensitivity.csv`` and ``.md``. Ctrl-C
loses nothing that is written: rows come as they are found, and a run goes on where the file ends.
"""

from __future__ import annotations

import argparse
import csv
import sys
from dataclasses import replace
from itertools import product

import numpy as np
import torch
from evidence import RESULTS, results

from policies.envs.qcn.batch import settle
from policies.envs.qcn.instance import WEIGHTS
from policies.envs.qcn.model import MODES, Model
from policies.envs.qcn.optimum import optima
from policies.envs.qcn.world import Setting, World
from policies.learners.kit.statistics import interval, resampled

CITED = MODES["cited"]
_SPEED = (CITED.edge_flops / CITED.local_flops, CITED.cloud_flops / CITED.local_flops)
_ENERGY = (
    CITED.edge_j_per_flop / CITED.local_j_per_flop,
    CITED.cloud_j_per_flop / CITED.local_j_per_flop,
)
SPEEDS = ((5, 20), (10, 50), (10, 100), (25, 250), _SPEED)
"""Edge and cloud over mobile."""
ENERGIES = ((0.25, 0.1), (0.075, 0.035), _ENERGY)
"""Joules a flop, edge and cloud over mobile."""
UPLINKS = ((10e6, 50e6), (30e6, 150e6))
"""bit/s."""
SEED = 1_000_000
NUM_SLOTS = 100
CLAIMED = 0.8
PLAYING = ("optimum", "greedy", "best_edge")
NAME = "qcn_sensitivity"
KEYS = (
    *("edge_speed", "cloud_speed", "edge_energy", "cloud_energy"),
    *("uplink_low_mbps", "uplink_high_mbps", "delay_weight", "energy_weight"),
)
FIGURES = tuple(f"{name}{end}" for name in PLAYING for end in ("_below_random", "_low", "_high"))
COLUMNS = (*KEYS, *FIGURES)


def model_of(speeds: tuple[float, float], energies: tuple[float, float], uplink: tuple[float, float]) -> Model:
    """The cited constants with these ratios."""
    return replace(
        CITED,
        edge_flops=CITED.local_flops * speeds[0],
        cloud_flops=CITED.local_flops * speeds[1],
        edge_j_per_flop=CITED.local_j_per_flop * energies[0],
        cloud_j_per_flop=CITED.local_j_per_flop * energies[1],
        uplink_low_bps=uplink[0],
        uplink_high_bps=uplink[1],
    )


def saved(model: Model, weights: tuple[float, float], num_slots: int) -> list[float]:
    """Of each policy, the share of the random policy's cost that it saves, with its 95 % interval over slots."""
    setting = Setting(delay_weight=weights[0], energy_weight=weights[1], model=model)
    world = World(setting, num_slots, SEED, dtype=torch.float64)
    costs = {"optimum": np.array([one.total for one in optima(model, world.slots)])}
    for name in ("random", *PLAYING[1:]):
        action = World.rules[name](world, torch.Generator().manual_seed(SEED))
        costs[name] = settle(model, world.slots, action).cost.sum(-1).numpy()
    value, draws = resampled({name: each[None] for name, each in costs.items()})
    figures: list[float] = []
    for name in PLAYING:
        figures += [1.0 - value[name] / value["random"], *interval(1.0 - draws[name] / draws["random"])]
    return figures


def done() -> dict[tuple[str, ...], list[str]]:
    """Rows that a run before this one has left."""
    path = RESULTS / f"{NAME}.csv"
    if not path.exists():
        return {}
    with path.open(newline="") as file:
        rows = list(csv.reader(line for line in file if not line.startswith("#")))
    if not rows or tuple(rows[0]) != COLUMNS:
        return {}
    return {tuple(row[: len(KEYS)]): row for row in rows[1:] if len(row) == len(COLUMNS)}


def table(rows: list[list[str]], num_slots: int) -> None:
    """One line for each set of constants, one column for each pair of weights; bold where the claim holds."""
    heads = " | ".join(f"{delay:g}, {energy:g}" for delay, energy in WEIGHTS)
    lines = [
        "# What is saved against the random policy, over constants", "",
        f"`python {' '.join(sys.argv)}`", "",
        f"{num_slots} kept-out slots from seed {SEED}. Optimum / greedy / everything to the best edge node; bold: at",
        f"least {CLAIMED:.0%}, which the paper claims for its policy. Speed and energy: edge / cloud over mobile.", "",
        f"| speed | energy | uplink, Mbit/s | {heads} |", f"|---|---|---|{'---|' * len(WEIGHTS)}",
    ]  # fmt: skip
    held: dict[tuple[str, ...], list[str]] = {}
    for row in rows:
        values = map(float, row[len(KEYS) :: 3])
        marked = (f"**{value:.0%}**" if value >= CLAIMED else f"{value:.0%}" for value in values)
        held.setdefault(tuple(row[:6]), []).append(" / ".join(marked))
    for key, cells in held.items():
        speed, energy, uplink = (" / ".join(key[at : at + 2]) for at in (0, 2, 4))
        lines.append(f"| {speed} | {energy} | {uplink.replace(' / ', '–')} | {' | '.join(cells)} |")
    best = [[float(row[len(KEYS)]) for row in rows if row[6:8] == [f"{d:.4g}", f"{e:.4g}"]] for d, e in WEIGHTS]
    reached = [f"{sum(one >= CLAIMED for one in each)} of {len(each)}" for each in best]
    lines.append(f"| optimum reaches {CLAIMED:.0%} | | | {' | '.join(reached)} |")
    (RESULTS / f"{NAME}.md").write_text("\n".join(lines) + "\n", encoding="utf-8")


def main() -> None:
    """Compute, write."""
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--slots", type=int, default=NUM_SLOTS)
    said = words.parse_args()
    torch.set_num_threads(1)
    before, rows = done(), []
    asked = list(product(UPLINKS, ENERGIES, SPEEDS, WEIGHTS))
    with results(NAME, COLUMNS, seeds=f"slots: {SEED}", packages=("torch", "numpy", "scipy")) as file:
        for number, (uplink, energies, speeds, weights) in enumerate(asked, start=1):
            mbps = [one / 1e6 for one in uplink]
            key = tuple(f"{one:.4g}" for one in (*speeds, *energies, *mbps, *weights))
            if key not in before:
                figures = saved(model_of(speeds, energies, uplink), weights, said.slots)
                before[key] = [*key, *(f"{one:.4f}" for one in figures)]
            rows.append(before[key])
            file.writerow(rows[-1])
            print(f"{number}/{len(asked)}  {', '.join(key)}: {', '.join(rows[-1][len(KEYS) :: 3])}", flush=True)
    table(rows, said.slots)


if __name__ == "__main__":
    main()

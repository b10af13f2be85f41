"""Learned policies of QCN-v1: trained once a seed for all weights, and how their costs fell, as in the paper's Fig. 3.

    python examples/benchmarks/qcn_learners.py [--learners going,agreeing] [--seeds 1,2,…,10] [--runs runs/qcn]
    python examples/benchmarks/qcn_costs.py --learned going=runs/qcn/going agreeing=runs/qcn/agreeing

10 users, 5 edge nodes, 1 cloud, weights drawn anew for every slot. ``going`` acts by its own observation alone;
``agreeing`` talks first. After every epoch the policy is asked, without exploration, on the same 400 tuning slots with
each of the five pairs of weights (seed 500001; settings were chosen on it, too), beside rules and the proven optimum.
Writes ``results/qcn_learners`` as ``.csv`` and ``.png``. The second command compares them on kept-out slots.

Each epoch leaves a checkpoint: it may be interrupted, and run again with more seeds. Learned on one thread; wall time
is with whatever else the machine did.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from evidence import RESULTS, results

from policies.envs.contest import OPTIMUM, Cell, costs, learned, rule
from policies.envs.qcn.instance import WEIGHTS
from policies.envs.qcn.world import Setting
from policies.envs.render import title
from policies.learners.kit import checkpoint
from policies.learners.kit.statistics import interquartile_mean
from policies.pictures import TONES, picture, plain_log

TUNING, NUM_SLOTS = 500_001, 400
REFERENCES = ("random", "best_edge", "selfish", "greedy", OPTIMUM)
STYLES = (":", (0, (1, 3)), "--", "-.", "-")
COLUMNS = "learner,seed,epoch,slots,cpu_s,wall_s,delay_weight,energy_weight,cost,above_optimum"
Weights = tuple[float, float]
Trained = Mapping[str, Sequence[checkpoint.Checkpoint]]


def cell(pair: Weights) -> Cell:
    """Tuning slots with these weights."""
    return Cell("QCN-v1", Setting(delay_weight=pair[0], energy_weight=pair[1]), (TUNING,), NUM_SLOTS)


def figure_of(pair: Weights) -> str:
    """What a curve calls the cost with these weights."""
    return "cost_{:g}_{:g}".format(*pair)


def trained(name: str, seed: int, epochs: int | None, root: Path) -> checkpoint.Checkpoint:
    """A training, from its checkpoint on."""
    kind = checkpoint.learner_type(name)
    config = kind.config_type() if epochs is None else kind.config_type(epochs=epochs)
    run = checkpoint.Run(name, "QCN-v1", seed, config, Setting(weights="drawn"))
    before = checkpoint.load(root) if checkpoint.exists(root) else None
    learner = before.learner() if before else run.begin()
    curve, times_s = (list(before.curve), list(before.times_s)) if before else ([], [])
    while len(curve) < config.epochs:
        wall_s, cpu_s = time.monotonic(), time.process_time()
        progress = learner.epoch()
        wall_s, cpu_s = time.monotonic() - wall_s, time.process_time() - cpu_s
        asked = {figure_of(pair): float(costs(cell(pair), learned(learner.actor())).mean()) for pair in WEIGHTS}
        spent_s = cpu_s + (curve[-1].figures["cpu_s"] if curve else 0.0)
        curve.append(replace(progress, figures={**progress.figures, **asked, "cpu_s": spent_s}))
        times_s.append(wall_s + (times_s[-1] if times_s else 0.0))
        checkpoint.save(root, run, learner, curve, times_s)
    return checkpoint.load(root)


def write(every: Trained, best: Mapping[Weights, float]) -> None:
    """All curves."""
    seeds = f"of training: in the rows; tuning slots: {TUNING}"
    with results("qcn_learners", COLUMNS.split(","), seeds=seeds, packages=("torch", "numpy")) as table:
        for name, runs in every.items():
            for found in runs:
                for now, wall_s in zip(found.curve, found.times_s, strict=True):
                    head = (name, found.run.seed, now.epoch, now.slots, f"{now.figures['cpu_s']:.2f}", f"{wall_s:.2f}")
                    for pair in WEIGHTS:
                        cost = now.figures[figure_of(pair)]
                        table.writerow([*head, *pair, f"{cost:.5g}", f"{cost / best[pair] - 1.0:.5f}"])


def draw(every: Trained, beside: Mapping[Weights, Mapping[str, float]]) -> None:
    """Costs over slots of training: middle half and range over seeds; rules and optimum as lines."""
    with picture(RESULTS / "qcn_learners.png", 1, len(WEIGHTS), (19.0, 4.2)) as (drawn, axes):
        for axis, pair in zip(axes[0], WEIGHTS, strict=True):
            for (name, runs), tone in zip(every.items(), TONES, strict=False):
                epochs = min(len(found.curve) for found in runs)
                slots = [now.slots for now in runs[0].curve[:epochs]]
                curve = np.array([[now.figures[figure_of(pair)] for now in one.curve[:epochs]] for one in runs])
                axis.plot(slots, interquartile_mean(curve, axis=0), color=tone, label=f"{name}, {len(runs)} seeds")
                axis.fill_between(slots, curve.min(0), curve.max(0), color=tone, alpha=0.2, linewidth=0)
            for (name, mean), style in zip(beside[pair].items(), STYLES, strict=True):
                axis.axhline(mean, color="#555555", linestyle=style, linewidth=1.1, label=name)
            plain_log(axis, "x", "y")
            axis.set_xlabel("slots of training")
            axis.set_title(title(cell(pair)), fontsize=10)
        axes[0][0].set_ylabel("mean cost of a slot, without exploration")
        drawn.legend(*axes[0][0].get_legend_handles_labels(), frameon=False, loc="outside right upper")


def main() -> None:
    """Train what is missing, write, draw."""
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--learners", default="going,agreeing")
    words.add_argument("--seeds", default=",".join(map(str, range(1, 11))))
    words.add_argument("--epochs", type=int, help="the learner's default if not said")
    words.add_argument("--runs", type=Path, default=Path("runs/qcn"))
    words.add_argument("--only-train", action="store_true", help="neither rules nor pictures")
    said = words.parse_args()
    torch.set_num_threads(1)
    names, seeds = said.learners.split(","), list(map(int, said.seeds.split(",")))
    every: dict[str, list[checkpoint.Checkpoint]] = {name: [] for name in names}
    for seed in seeds:
        for name in names:
            every[name].append(trained(name, seed, said.epochs, said.runs / name / str(seed)))
            last = every[name][-1].curve[-1]
            told = "  ".join(f"{last.figures[figure_of(pair)]:.3f}" for pair in WEIGHTS)
            print(f"{name}, seed {seed}: {told}; {last.figures['cpu_s']:.0f} s of processor time", flush=True)
    if said.only_train:
        return
    beside = {
        pair: {name: float(costs(cell(pair), rule(cell(pair), name)).mean()) for name in REFERENCES} for pair in WEIGHTS
    }
    write(every, {pair: means[OPTIMUM] for pair, means in beside.items()})
    draw(every, beside)


if __name__ == "__main__":
    main()

"""What the benchmarks of MEQC's learners share: runs that are kept one by one, slots to judge by, summaries.

Slots that learners are judged by come from seeds of at least 1 000 000 and are the same for all; the ones they train on
come from the seeds of the runs, which are smaller.
"""

from __future__ import annotations

import csv
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from evidence import RESULTS
from rich.progress import Progress

from policies.envs.meqc.baselines import BASELINES
from policies.envs.meqc.batch import Slots, settle
from policies.envs.meqc.observation import observe
from policies.envs.meqc.optimum import optimum
from policies.envs.meqc.world import Setting, World
from policies.learners.learner import Actor

KEPT_OUT_SEED = 1_000_000
KEPT_OUT = 2000
EPOCHS_A_POINT = 5
"""Epochs whose mean is one point of a curve."""

COLUMNS = (
    *("variant", "seed", "epochs", "slots", "weights", "wall_s", "process_s"),
    *("cost", "cost_half", "explored", "above_optimum", "below_local", "commit", "curve"),
)


@dataclass(frozen=True)
class Plan:
    """One run: its name, learner, and what differs from the defaults."""

    variant: str
    learner: Any
    config: Mapping[str, Any]
    setting: Mapping[str, Any]
    epochs: int


@cache
def kept_out(users: int = 10, servers: int = 10) -> Slots:
    """Slots that nobody trains on, float32."""
    return World(Setting(users=users, servers=servers), KEPT_OUT, KEPT_OUT_SEED).slots


@cache
def references() -> dict[str, float]:
    """Mean system cost of the optimum and of the rules that need no training, on the slots kept out."""
    model, slots = Setting().model, kept_out()
    found = {"optimum": float(np.mean([optimum(model, one).total for one in slots.unstacked()]))}
    for name, rule in BASELINES.items():
        action = rule(model, slots, torch.Generator().manual_seed(KEPT_OUT_SEED))
        found[name] = float(settle(model, slots, action).cost.sum(-1).mean())
    return found


def judged(actor: Actor) -> float:
    """Mean system cost of what it most likely does, on the slots kept out."""
    slots = kept_out()
    return float(settle(Setting().model, slots, actor.act(observe(slots))).cost.sum(-1).mean())


def train(plan: Plan, seed: int, bar: Progress) -> dict[str, object]:
    """A whole run, as a row."""
    learner = plan.learner(plan.learner.config_type(**plan.config), Setting(**plan.setting), seed)
    task = bar.add_task(f"{plan.variant}, seed {seed}", total=plan.epochs)
    began, spent = time.perf_counter(), time.process_time()
    costs: list[float] = []
    half = float("nan")
    for number in range(plan.epochs):
        costs.append(learner.epoch().cost)
        bar.update(task, advance=1, description=f"{plan.variant}, seed {seed}: cost {costs[-1]:.0f}")
        if 2 * (number + 1) == plan.epochs:
            half = judged(learner.actor())
    wall_s, process_s = time.perf_counter() - began, time.process_time() - spent
    bar.remove_task(task)
    cost, known = judged(learner.actor()), references()
    points = [np.mean(costs[start : start + EPOCHS_A_POINT]) for start in range(0, plan.epochs, EPOCHS_A_POINT)]
    return {
        "variant": plan.variant,
        "seed": seed,
        "epochs": plan.epochs,
        "slots": plan.epochs * learner.config.steps,
        "weights": sum(each.numel() for each in learner.actor().parameters()),
        "wall_s": f"{wall_s:.1f}",
        "process_s": f"{process_s:.1f}",
        "cost": f"{cost:.2f}",
        "cost_half": f"{half:.2f}",
        "explored": f"{np.mean(costs[-10:]):.2f}",
        "above_optimum": f"{cost / known['optimum'] - 1:.4f}",
        "below_local": f"{1 - cost / known['local']:.4f}",
        "commit": commit(),
        "curve": " ".join(f"{point:.0f}" for point in points),
    }


@cache
def commit() -> str:
    """Of this working tree, when it was first asked."""
    asked = subprocess.run(["git", "describe", "--always", "--dirty"], capture_output=True, text=True, check=False)
    return asked.stdout.strip() or "unknown"


def done(file: Path) -> list[dict[str, str]]:
    """Runs that are kept."""
    if not file.exists():
        return []
    with file.open(newline="") as lines:
        return list(csv.DictReader(line for line in lines if not line.startswith("#")))


def train_all(file: str, plans: Iterable[tuple[Plan, int]]) -> list[dict[str, str]]:
    """All runs that ``results/file.csv`` does not have yet; each is written when it ends, so that one may interrupt.

    Returns:
        All runs of the file.
    """
    torch.set_num_threads(1)
    path = RESULTS / f"{file}.csv"
    commit()  # of the code that runs, whatever is committed meanwhile
    kept = {(row["variant"], int(row["seed"]), int(row["epochs"])) for row in done(path)}
    missing = [(plan, seed) for plan, seed in plans if (plan.variant, seed, plan.epochs) not in kept]
    if not path.exists():
        path.write_text(",".join(COLUMNS) + "\n")
    with Progress(transient=True, disable=not sys.stdout.isatty()) as bar:
        for plan, seed in missing:
            row = train(plan, seed, bar)
            with path.open("a", newline="") as lines:
                csv.DictWriter(lines, COLUMNS, lineterminator="\n").writerow(row)
            print(*(f"{name} {row[name]}" for name in COLUMNS[:-2]), flush=True)
    return done(path)


def interval(values: Sequence[float], seed: int = 0) -> tuple[float, float, float]:
    """Mean, and the 2.5 and 97.5 percentiles of its bootstrap over runs; of one run, the run itself thrice."""
    chance = np.random.default_rng(seed)
    array = np.asarray(values)
    means = chance.choice(array, size=(10_000, len(array))).mean(1)
    low, high = np.percentile(means, [2.5, 97.5])
    return float(array.mean()), float(low), float(high)


def epochs_to(curve: str, share: float = 0.9) -> int:
    """Epochs until so much of the way from the first point of a curve to the mean of its last five is behind."""
    points = np.array([float(point) for point in curve.split()])
    start, end = points[0], points[-5:].mean()
    return int(np.argmax(points <= start + share * (end - start)) + 1) * EPOCHS_A_POINT

"""Learned policies of MEQC-v1 beside rules and the optimum, on slots that no training has seen.

    python examples/benchmarks/meqc_learners.py [--seeds 1,2,3] [--learners scoring,bidding,mappo,dagger]
        [--mode calibrated] [--quick] [--runs runs/meqc]

Every learner is trained once a seed, at U = E = 10 with weights drawn anew for each slot, and the one policy that comes
of it is asked at all sizes and weights. Rows are cells: a policy, a seed, a size and a pair of weights, over the same
slots for everybody (world seed 1000000 + U; training seeds are below 1000000, and what was tuned was tuned on seed
500000). The reference is the exact optimum at U = 10; above, a certified lower bound on it, less than 0.15 % below at
U = 20 and 30, so that distances are overstated by at most so much; in `physical` the best that a descent knows.
Intervals are of the ratio of means over slots, 95 %. A second table holds the curves, on slots of the tuning seed.

Cells that are in the table already are not done again, and each epoch leaves a checkpoint: it may be interrupted, and
run again with more seeds; meqc_costs.py and meqc_figures.py take the checkpoints by --learned. Learned on one thread;
`train_s` is wall time with whatever else the machine did.
"""

from __future__ import annotations

import argparse
import csv
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from evidence import RESULTS, results

from policies.envs.contract import Action, Observation
from policies.envs.meqc.baselines import BASELINES
from policies.envs.meqc.batch import Slots, settle
from policies.envs.meqc.draw import draw_slots
from policies.envs.meqc.model import MODES, Model
from policies.envs.meqc.observation import observe
from policies.envs.meqc.optimum import assignment, optimum, prices
from policies.envs.meqc.world import Setting
from policies.learners.kit import checkpoint

WEIGHTS = ((1.0, 0.0), (0.8, 0.2), (0.5, 0.5), (0.2, 0.8))
SIZES = {10: 2000, 20: 2000, 30: 2000, 100: 100}
TRAIN_SIZE = 10
REWARD = {"mappo": "difference"}
RULES = ("local", "random_offload", "random_partition", "best_channel", "quantum_blind", "greedy", "selfish", "bidding")
SLOWEST_AT = {"greedy": 20}
"""The largest size at which a rule is asked."""
HELD_OUT, TUNING = 1_000_000, 500_000
SEED_OF_RULES = 0
MOST_PAIRS = 200_000
COLUMNS = [
    "mode",
    "policy",
    "learned",
    "seed",
    "users",
    "delay_weight",
    "energy_weight",
    "slots",
    "cost",
    "reference",
    "reference_cost",
    "above_percent",
    "above_low",
    "above_high",
    "normalised",
    "train_slots",
    "train_s",
]
CURVE = ["mode", "policy", "seed", "epoch", "train_slots", "train_s", "above_percent"]
Row = dict[str, Any]
Reference = tuple[Slots, np.ndarray]
ABOVE = "above_percent"


def table(name: str, folder: Path) -> list[Row]:
    """Rows of an earlier run."""
    path = folder / f"{name}.csv"
    if not path.exists():
        return []
    with path.open() as file:
        return list(csv.DictReader(line for line in file if not line.startswith("#")))


def write(name: str, columns: list[str], rows: list[Row], folder: Path) -> None:
    """All rows, so that what there is is whole after every cell."""
    seeds = "training seeds in the rows; slots of seed 1000000 + users; tuned on seed 500000"
    with results(name, columns, seeds=seeds, folder=folder, packages=("torch", "numpy", "scipy")) as sheet:
        sheet.writerows([row[column] for column in columns] for row in rows)


def slots_at(users: int, weights: tuple[float, float], count: int, seed: int) -> Slots:
    """The slots of a cell, in double precision."""
    shape = (count, users, users)
    return draw_slots(torch.Generator().manual_seed(seed), shape, weights, torch.float64)


def parts(slots: Slots) -> list[Slots]:
    """Slots in pieces that fit into memory."""
    each = max(1, MOST_PAIRS // (slots.shape[1] * slots.shape[2]))
    pieces = range(0, slots.shape[0], each)
    return [slots.at(slice(at, at + each)) for at in pieces]


def reference(model: Model, slots: Slots) -> tuple[str, np.ndarray]:
    """What costs are measured by, and its kind."""
    every = slots.unstacked()
    if not model.is_linear:
        return "best known", np.array([optimum(model, one).total for one in every])
    if slots.shape[1] <= TRAIN_SIZE:
        return "optimum", np.array([optimum(model, one).total for one in every])
    return "lower bound", np.array([assignment(prices(model, one))[1] for one in every])


def cost_of(policy: Any, model: Model, slots: Slots) -> np.ndarray:
    """Cost of each slot under a rule or an actor."""
    chance, costs = torch.Generator().manual_seed(SEED_OF_RULES), []
    for piece in parts(slots):
        if callable(getattr(policy, "act", None)):
            seen = observe(piece)
            action = policy.act(Observation(seen.user.float(), seen.pair.float()))
            action = Action(action.servers, action.shares.double())
        else:
            action = policy(model, piece, chance)
        costs.append(settle(model, piece, action).cost.sum(-1))
    return torch.cat(costs).numpy()


def above(cost: np.ndarray, best: np.ndarray) -> tuple[float, float, float]:
    """Percent above the reference, with the interval of a ratio of paired means."""
    ratio = cost.mean() / best.mean()
    half = 1.96 * np.std(cost - ratio * best, ddof=1) / np.sqrt(len(cost)) / best.mean()
    return tuple(100.0 * (ratio - 1.0 + each) for each in (0.0, -half, half))


class Cells:
    """The slots of every size and pair of weights, with their references; worked out once, when asked for."""

    def __init__(self, model: Model, sizes: dict[int, int]) -> None:
        self.model, self.sizes, self._known = model, sizes, {}

    def of(self, users: int, weights: tuple[float, float]) -> tuple[Slots, str, np.ndarray, np.ndarray]:
        """Slots, kind of the reference, the reference, and costs of staying local."""
        if (users, weights) not in self._known:
            slots = slots_at(users, weights, self.sizes[users], HELD_OUT + users)
            kind, best = reference(self.model, slots)
            self._known[users, weights] = slots, kind, best, cost_of(BASELINES["local"], self.model, slots)
        return self._known[users, weights]

    def rows(self, head: Row, policy: Any, largest: int = 10**9) -> list[Row]:
        """A policy in every cell."""
        found = []
        for users in (each for each in self.sizes if each <= largest):
            for weights in WEIGHTS:
                slots, kind, best, home = self.of(users, weights)
                cost = cost_of(policy, self.model, slots)
                percent, low, high = above(cost, best)
                score = (home.mean() - cost.mean()) / (home.mean() - best.mean())
                values = (users, *weights, len(cost), f"{cost.mean():.4f}", kind, f"{best.mean():.4f}")
                figures = (f"{percent:.3f}", f"{low:.3f}", f"{high:.3f}", f"{score:.4f}")
                found.append(head | dict(zip(COLUMNS[4:15], (*values, *figures), strict=True)))
        return found


def trained(name: str, seed: int, model: Model, quick: bool, tuning: Reference, runs: Path) -> tuple[Any, list[Row]]:
    """An actor and its curve; from the checkpoint of an earlier run if there is one."""
    learner_type = checkpoint.learner_type(name)
    config = learner_type.config_type()
    if quick:
        config = replace(config, epochs=2, **({"labelled": 64} if name == "dagger" else {}))
    elif not model.is_linear:
        config = replace(config, slots=32, epochs=25)
    setting = Setting(TRAIN_SIZE, TRAIN_SIZE, weights="drawn", reward=REWARD.get(name, "global"), model=model)
    run = checkpoint.Run(name, "MEQC-v1", seed, config, setting)
    root = runs / f"{name}-{model.mode}-{seed}"
    begun = checkpoint.load(root) if checkpoint.exists(root) else None
    learner = run.begin() if begun is None else begun.learner()
    progress, times_s, above_percent = [], [], []
    if begun is not None:
        progress, times_s = list(begun.curve), list(begun.times_s)
        above_percent = [one.figures[ABOVE] for one in progress]
    while len(progress) < config.epochs:
        began = time.perf_counter()
        now = learner.epoch()
        times_s.append((times_s[-1] if times_s else 0.0) + time.perf_counter() - began)
        above_percent.append(above(cost_of(learner.actor(), model, tuning[0]), tuning[1])[0])
        progress.append(replace(now, figures={**now.figures, ABOVE: above_percent[-1]}))
        checkpoint.save(root, run, learner, progress, times_s)
        told = f"{name} seed {seed}: epoch {now.epoch} of {config.epochs}, {above_percent[-1]:.2f} % above"
        print(f"\r{told}", end="", flush=True)
    print()
    curve = [
        (model.mode, name, seed, one.epoch, one.slots, f"{wall_s:.2f}", f"{percent:.3f}")
        for one, wall_s, percent in zip(progress, times_s, above_percent, strict=True)
    ]
    return learner.actor(), [dict(zip(CURVE, row, strict=True)) for row in curve]


def main() -> None:
    """Do what the table lacks."""
    asked = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    asked.add_argument("--seeds", default="1,2,3")
    asked.add_argument("--learners", default="scoring,bidding,mappo,dagger", help="empty: only rules")
    asked.add_argument("--mode", default="calibrated", choices=list(MODES))
    asked.add_argument("--quick", action="store_true", help="a minute, into a folder of its own")
    asked.add_argument("--folder", type=Path, default=RESULTS)
    asked.add_argument("--runs", type=Path, default=Path("runs") / "meqc", help="folder of the checkpoints")
    args = asked.parse_args()
    torch.set_num_threads(1)
    model, folder = MODES[args.mode], args.folder / "quick" if args.quick else args.folder
    sizes = {10: 16, 20: 4} if args.quick else SIZES if model.is_linear else {10: 200}
    cells = Cells(model, sizes)
    rows, curves = table("meqc_learners", folder), table("meqc_learners_curves", folder)
    done = {(row["mode"], row["policy"], row["learned"], str(row["seed"])) for row in rows}
    for name in RULES:
        head = {"mode": args.mode, "policy": name, "learned": "no", "seed": "", "train_slots": "", "train_s": ""}
        if (args.mode, name, "no", "") not in done:
            rows += cells.rows(head, BASELINES[name], SLOWEST_AT.get(name, 10**9))
            print(f"{name}: done", flush=True)
            write("meqc_learners", COLUMNS, rows, folder)
    slots = slots_at(TRAIN_SIZE, (0.5, 0.5), 16 if args.quick else 400 if model.is_linear else 100, TUNING)
    tuning = slots, reference(model, slots)[1]
    for seed in args.seeds.split(","):
        for name in filter(None, args.learners.split(",")):
            if (args.mode, name, "yes", seed) in done:
                continue
            runs = args.runs / "quick" if args.quick else args.runs
            actor, curve = trained(name, int(seed), model, args.quick, tuning, runs)
            head = {"mode": args.mode, "policy": name, "learned": "yes", "seed": int(seed)}
            rows += cells.rows(head | {key: curve[-1][key] for key in ("train_slots", "train_s")}, actor)
            curves += curve
            write("meqc_learners", COLUMNS, rows, folder)
            write("meqc_learners_curves", CURVE, curves, folder)


if __name__ == "__main__":
    main()

"""Every learner in every world that it plays: samples, parameters, time per decision, time of training, final cost.

    python examples/benchmarks/learners_table.py [--worlds MEQC-v1:3x2,MEQC-v1:10x10] [--learners ppo,dqn,ddpg,pdqn]
        [--seeds 1,2,3] [--slots 30000] [--again] [--quick] [--runs runs/zoo]

A table like the QCN paper's Table II, measured. A world is its name and ``USERSxSERVERS``. Each learner trains on as
many slots as the others (its schedule is stretched to them), with its own defaults and ``difference`` rewards (central
agents are paid minus the cost of all), and is asked on the same kept-out slots (seed 1000000) beside rules and, where
it is known, the optimum. ``slots_within`` is after how many slots of training the cost on tuning slots (seed 500000)
stays within 5 % of the last one. Decisions are timed for all users of a slot, in batches of 1 and of 128 slots, CPU
time, the least of 30 repetitions; --again measures nothing but these. Learned on one thread; wall time is with whatever
else the machine did.

Rows that are in the table already are not done again, and trainings go on from their checkpoints: an interrupted run is
taken up where it was.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from evidence import RESULTS, results
from meqc_learners import table
from rich.console import Console
from rich.table import Table

from circuits.errors import InvalidParameter
from circuits.parameters import construct, domains
from policies.envs import load
from policies.envs.contest import OPTIMUM, Cell, costs, learned, rule
from policies.envs.meqc.baselines import BASELINES
from policies.learners.kit import checkpoint

NAME = "learners_table"
COLUMNS = (
    *("world", "users", "servers", "policy", "seed", "parameters", "train_slots", "slots_within"),
    *("train_cpu_s", "train_wall_s", "cost", "cost_low", "cost_high", "us_batch_1", "us_batch_128"),
)
ENTRIES: dict[str, tuple[str, dict[str, Any]]] = {
    **{name: (name, {}) for name in ("ppo", "dqn", "ddpg", "pdqn", "vqc_q", "vqc_pg", "quantum_rl", "hmadrl", "mappo")},
    "vqc_q/tanh": ("vqc_q", {"network": "tanh"}),
    "vqc_pg/tanh": ("vqc_pg", {"network": "tanh"}),
}
"""Learners and configs by what rows call them; hmadrl is the paper's, which runs on networks of its own agents."""
TUNING, KEPT_OUT = 500_000, 1_000_000
TUNING_SLOTS, WITHIN = 512, 0.05
REPETITIONS = 30
Row = dict[str, Any]


@dataclass(frozen=True)
class Scale:
    """How much is trained and asked: slots of each."""

    train: int
    kept_out: int


def world_of(word: str) -> tuple[str, Any]:
    """Name and setting of a world on the command line."""
    name, _, size = word.partition(":")
    users, _, servers = (size or "10x10").partition("x")
    asked = {"users": int(users), "servers": int(servers), "reward": "difference"}
    return name, construct(load(name).setting_type, asked)


def interval(cost: np.ndarray) -> Row:
    """Mean and its 95 % interval over slots, by the normal distribution."""
    mean, half = float(cost.mean()), 1.96 * float(cost.std(ddof=1)) / len(cost) ** 0.5
    return {"cost": f"{mean:.5g}", "cost_low": f"{mean - half:.5g}", "cost_high": f"{mean + half:.5g}"}


def run_of(entry: str, env: str, setting: Any, seed: int, num_slots: int) -> tuple[checkpoint.Run, int]:
    """What is trained, and for how many epochs, so that it sees so many slots and its schedule ends with them."""
    name, changed = ENTRIES[entry]
    kind = checkpoint.learner_type(name)
    config = construct(kind.config_type, changed)
    once = kind(config, setting, seed).epoch().slots
    epochs = -(-num_slots // once)
    if "epochs" in domains(kind.config_type):
        config = replace(config, epochs=epochs)
    return checkpoint.Run(name, env, seed, config, setting), epochs


def trained(run: checkpoint.Run, epochs: int, root: Path) -> checkpoint.Checkpoint:
    """A training, from its checkpoint on; figures of epochs have the cost on tuning slots and the CPU time so far."""
    before = checkpoint.load(root) if checkpoint.exists(root) else None
    learner = before.learner() if before else run.begin()
    curve, times = (list(before.curve), list(before.times_s)) if before else ([], [])
    asked = Cell(run.env, run.setting, (TUNING,), TUNING_SLOTS)
    while len(curve) < epochs:
        wall, cpu = time.monotonic(), time.process_time()
        progress = learner.epoch()
        wall, cpu = time.monotonic() - wall, time.process_time() - cpu
        tuning = float(costs(asked, learned(learner.actor())).mean())
        spent = curve[-1].figures["cpu_s"] if curve else 0.0
        curve.append(replace(progress, figures={**progress.figures, "tuning_cost": tuning, "cpu_s": spent + cpu}))
        times.append((times[-1] if times else 0.0) + wall)
        checkpoint.save(root, run, learner, curve, times)
    return checkpoint.load(root)


def within(found: checkpoint.Checkpoint) -> int:
    """Slots of training from which on the cost on tuning slots stays within 5 % of the last."""
    last = found.curve[-1].figures["tuning_cost"]
    slots = found.curve[-1].slots
    for progress in reversed(found.curve):
        if abs(progress.figures["tuning_cost"] - last) > WITHIN * last:
            break
        slots = progress.slots
    return slots


def decision_us(actor: Any, env: str, setting: Any, batch: int) -> str:
    """CPU time a slot, all users, the least of some repetitions."""
    seen = load(env)(setting, batch, TUNING).observe()
    spent = []
    for _ in range(REPETITIONS):
        begin = time.process_time()
        actor.act(seen)
        spent.append(time.process_time() - begin)
    return f"{1e6 * min(spent) / batch:.3g}"


def decisions(actor: Any, env: str, setting: Any) -> Row:
    """Both batches."""
    return {f"us_batch_{batch}": decision_us(actor, env, setting, batch) for batch in (1, 128)}


def learned_row(found: checkpoint.Checkpoint, scale: Scale) -> Row:
    """What a training came to."""
    run, last, actor = found.run, found.curve[-1], found.actor()
    weights = sum(each.numel() for each in actor.state_dict().values())
    cost = costs(Cell(run.env, run.setting, (KEPT_OUT,), scale.kept_out), learned(actor))
    spent = {"train_cpu_s": f"{last.figures['cpu_s']:.1f}", "train_wall_s": f"{found.times_s[-1]:.1f}"}
    counts = {"parameters": weights, "train_slots": last.slots, "slots_within": within(found)}
    return {**counts, **spent, **interval(cost), **decisions(actor, run.env, run.setting)}


def rule_rows(env: str, setting: Any, scale: Scale) -> dict[str, Row]:
    """What rules and the optimum cost on the kept-out slots."""
    cell, found = Cell(env, setting, (KEPT_OUT,), scale.kept_out), {}
    for name in (*getattr(load(env), "rules", BASELINES), OPTIMUM):
        try:
            found[name] = interval(costs(cell, rule(cell, name)))
        except InvalidParameter as error:  # no optimum of a world whose slots hang together
            Console(stderr=True).print(f"{env}: {error}")
    return found


def write(rows: list[Row], folder: Path) -> None:
    """All rows, so that what there is is whole after every cell."""
    seeds = f"training seeds in the rows; tuning slots {TUNING}; kept-out slots {KEPT_OUT}"
    with results(NAME, COLUMNS, seeds=seeds, folder=folder, packages=("torch", "numpy")) as sheet:
        sheet.writerows([row.get(column, "") for column in COLUMNS] for row in rows)


def show(rows: list[Row]) -> None:
    """On the terminal."""
    shown = Table(*COLUMNS)
    for row in rows:
        shown.add_row(*(str(row.get(column, "")) for column in COLUMNS))
    Console(width=200).print(shown)


def head(env: str, setting: Any, policy: str, seed: object) -> Row:
    """Which row it is, in words, as they are read back."""
    return {
        key: str(value)
        for key, value in zip(COLUMNS[:5], (env, setting.users, setting.servers, policy, seed), strict=True)
    }


def main() -> None:
    """Train what is missing, ask, write, show."""
    parse = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parse.add_argument("--worlds", default="MEQC-v1:3x2,MEQC-v1:10x10")
    parse.add_argument("--learners", default="ppo,dqn,ddpg,pdqn,vqc_q,vqc_q/tanh,vqc_pg,vqc_pg/tanh,quantum_rl")
    parse.add_argument("--seeds", default="1")
    parse.add_argument("--slots", type=int, default=30_000)
    parse.add_argument("--runs", type=Path, default=Path("runs/zoo"))
    parse.add_argument("--again", action="store_true", help="only time decisions again, from the checkpoints")
    parse.add_argument("--quick", action="store_true", help="2000 slots, nothing written to results/")
    asked = parse.parse_args()
    torch.set_num_threads(1)
    scale = Scale(2000, 200) if asked.quick else Scale(asked.slots, 2000)
    folder = asked.runs / "quick" if asked.quick else RESULTS
    rows = table(NAME, folder)
    known = {tuple(row[key] for key in COLUMNS[:5]): row for row in rows}
    for env, setting in map(world_of, asked.worlds.split(",")):
        if tuple(head(env, setting, "local", "").values()) not in known and not asked.again:
            rows += [head(env, setting, name, "") | row for name, row in rule_rows(env, setting, scale).items()]
            write(rows, folder)
        for seed in map(int, asked.seeds.split(",")):
            for entry in asked.learners.split(","):
                cell(rows, known, scale, asked, (env, setting, entry, seed))
                write(rows, folder)
    show(rows)


def cell(
    rows: list[Row], known: dict[tuple[str, ...], Row], scale: Scale, asked: Any, which: tuple[str, Any, str, int]
) -> None:
    """One learner, world and seed: trained and asked if it is not in the table, timed again if that is wanted."""
    env, setting, entry, seed = which
    first = head(env, setting, entry, seed)
    root = asked.runs / f"{env}-{setting.users}x{setting.servers}-{entry.replace('/', '-')}-{seed}-{scale.train}"
    row = known.get(tuple(first.values()))
    if row and asked.again:
        row |= decisions(checkpoint.load(root).actor(), env, setting)
    elif (
        not row and not asked.again and env in getattr(checkpoint.learner_type(ENTRIES[entry][0]), "envs", ("MEQC-v1",))
    ):
        try:
            run, epochs = run_of(entry, env, setting, seed, scale.train)
        except InvalidParameter as error:  # more joint actions than one agent can tell apart
            Console(stderr=True).print(f"{entry} in {env}: {error}")
            return
        rows.append(first | learned_row(trained(run, epochs, root), scale))
        Console(stderr=True).print(rows[-1])


if __name__ == "__main__":
    main()

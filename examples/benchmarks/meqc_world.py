"""How many slots of the MEQC world a second: thousands side by side, one at a time, and by the reference.

    python examples/benchmarks/meqc_world.py [--quick]
    python examples/benchmarks/meqc_world.py --peers peers/bin/python     # see meqc_world_peer.py

A slot is drawn, observed and paid (rewards "own"), with actions that were drawn before; ten users, ten servers. Times
are processor time of one thread: a slot does not get dearer because somebody else uses the machine. "reference" draws
with NumPy and prices in plain Python. "Gymnasium" is one world behind :class:`CentralWorld`; the peer steps that very
environment in Stable-Baselines3's vectorised form, and trains PPO on it.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from typing import Annotated

import numpy as np
import torch
import typer
from evidence import rates, results
from rich.console import Console
from rich.progress import track
from rich.table import Table

from policies.envs import load
from policies.envs.contract import Action
from policies.envs.meqc.cost import evaluate
from policies.envs.meqc.instance import draw
from policies.envs.meqc.model import Model
from policies.envs.parallel_env import CentralWorld

COLUMNS = "world form worlds slots_per_s_median slots_per_s_low slots_per_s_high runs target met"
USERS = SERVERS = 10
WANTED = 200_000.0
PEER = Path(__file__).with_name("meqc_world_peer.py")

Measured = tuple[str, str, int, list[float]]
Case = tuple[str, str, int, Callable[[], int]]
"""World, form, worlds, and a run that says how many slots it played."""


def batched(name: str, num_worlds: int, num_slots: int) -> Callable[[], int]:
    """Slots of many worlds at once."""
    kind = load(name)
    world = kind(kind.setting_type(users=USERS, servers=SERVERS, reward="own"), num_worlds, seed=1)
    chance = torch.Generator().manual_seed(2)
    shape = (num_worlds, USERS)
    action = Action(
        torch.randint(SERVERS, shape, generator=chance), torch.rand(shape, generator=chance).mul(3).clamp(0, 1)
    )

    def run() -> int:
        for _ in range(num_slots):
            world.observe()
            world.step(action)
        return num_worlds * num_slots

    return run


def reference(num_slots: int) -> Callable[[], int]:
    """One slot after the other, in plain Python."""
    generator, model = np.random.default_rng(1), Model()
    servers, shares = generator.integers(SERVERS, size=USERS).tolist(), generator.random(USERS).tolist()

    def run() -> int:
        for _ in range(num_slots):
            evaluate(model, draw(generator, USERS, SERVERS), servers, shares)
        return num_slots

    return run


def gymnasium(name: str, num_slots: int) -> Callable[[], int]:
    """One world behind Gymnasium's interface."""
    setting = load(name).setting_type(users=USERS, servers=SERVERS)
    env = CentralWorld(name, setting, max_slots=100)
    env.reset(seed=1)
    env.action_space.seed(1)
    action = env.action_space.sample()

    def run() -> int:
        for _ in range(num_slots):
            *_, terminated, truncated, _ = env.step(action)
            if terminated or truncated:
                env.reset()
        return num_slots

    return run


def cases(quick: bool) -> Iterator[Case]:
    """What is measured."""
    less = 10 if quick else 1
    for name in ("MEQC-v1", "MEQC-v2"):
        for num_worlds, num_slots in ((1, 1000), (256, 200), (4096, 20)):
            yield name, "batched", num_worlds, batched(name, num_worlds, max(2, num_slots // less))
        yield name, "Gymnasium", 1, gymnasium(name, 500 // less)
    yield "MEQC-v1", "reference", 1, reference(300 // less)


def of_peer(interpreter: str | None, quick: bool) -> Iterator[Measured]:
    """What Stable-Baselines3 comes to, if there is an interpreter that has it."""
    if interpreter is None:
        return
    command = [interpreter, PEER.as_posix(), *(["--quick"] if quick else [])]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    for form, each in json.loads(done.stdout).items():
        yield "MEQC-v1", form, 1, each


def main(
    quick: bool = False,
    peers: Annotated[str | None, typer.Option(help="a Python interpreter that has Stable-Baselines3")] = None,
) -> None:
    """Measure, write, show."""
    torch.set_num_threads(1)
    console, repeats = Console(), 3 if quick else 9
    measured: list[Measured] = [
        (name, form, num, rates(run, repeats))
        for name, form, num, run in track(
            list(cases(quick)), "worlds", console=console, disable=not sys.stdout.isatty()
        )
    ]
    measured += of_peer(peers, quick)
    table = Table("world", "form", "worlds", "slots/s", "low", "high")
    rows = []
    for name, form, num, each in measured:
        target = WANTED if (form, num) == ("batched", 4096) else None
        met = "" if target is None else str(median(each) >= target).lower()
        figures = [f"{value:.0f}" for value in (median(each), min(each), max(each))]
        rows.append([name, form, num, *figures, len(each), "" if target is None else f"{target:.0f}", met])
        table.add_row(name, form, str(num), *figures)
    console.print(table)
    if not quick:
        with results("meqc_world", COLUMNS.split(), seeds="worlds 1", packages=("torch", "numpy", "gymnasium")) as file:
            file.writerows(rows)


if __name__ == "__main__":
    typer.run(main)

"""Sample efficiency of DQN in MEQC-v2 with and without synthetic transitions (SynthER).

    python examples/benchmarks/synthesiser.py [--seeds 5] [--quick]

The world has few users and servers, and users are paid by their own costs. All learners are ``dqn`` and take the same
number of steps for each slot played; they differ in where batches come from: the buffer alone, or half of it from a
diffusion model trained again on the buffer before every epoch (``augment``). Costs are of greedy play on kept-out
episodes. "half the buffer again" draws the other half from a copy of the buffer with noise of a tenth of a deviation:
what any smoothing would do.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
import typer
from evidence import results
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track
from rich.table import Table
from torch import Tensor

from policies.envs.contest import Cell, costs, learned
from policies.envs.contract import Observation, Rule
from policies.envs.meqc.sequential import SequentialSetting
from policies.learners.dqn import DQN, Config
from policies.learners.kit.recording import rule_of
from policies.learners.kit.statistics import interval, resampled
from policies.train import KEPT_OUT

SETTING = SequentialSetting(users=4, servers=3, episode_slots=32, reward="own")
CONFIG = Config(worlds=4, steps=32, updates=16, batch=32, epochs=4, levels=1, exploration=1.0, discount=0.95)
EPOCHS, NUM_KEPT = (1, 2, 4), 64
"""Epochs of 128 slots after which play is compared, and episodes that it is compared on."""
COLUMNS = "arm slots runs cost cost_low cost_high below_local_percent error train_cpu_s"
Floats = NDArray[np.float64]


class Blurred(DQN):
    """Makes up experience by a tenth of a deviation of noise on what was seen."""

    def _synthesise(self) -> float:
        made = self._augmenting.made
        drawn = self._replay.draw(made.capacity, self._chance)
        agent = torch.randint(self.setting.users, (made.capacity,), generator=self._chance)
        rows = torch.arange(made.capacity)

        def of(values: Tensor) -> Tensor:
            return values[rows, agent].unsqueeze(1)

        def blurred(values: Tensor) -> Tensor:
            noise = torch.randn(of(values).shape, generator=self._chance)
            return of(values) + 0.1 * values.std((0, 1)) * noise

        seen, after = (Observation(blurred(each.user), blurred(each.pair)) for each in (drawn.seen, drawn.after))
        way, share, reward = (of(each) for each in (drawn.way, drawn.share, drawn.reward))
        made.add(drawn._replace(seen=seen, after=after, way=way, share=share, reward=reward))
        return 0.0


ARMS: dict[str, tuple[type[DQN], float]] = {
    "real": (DQN, 0.0),
    "half the buffer again": (Blurred, 0.5),
    "half synthetic": (DQN, 0.5),
}


@dataclass(frozen=True)
class Played:
    """By epochs: costs of kept-out episodes, error of the diffusion model; seconds of CPU in all."""

    costs: dict[int, Floats]
    errors: dict[int, float]
    cpu_s: float


def costs_of(rule: Rule) -> Floats:
    """Mean system cost of a slot in each kept-out episode."""
    slots = costs(Cell("MEQC-v2", SETTING, (KEPT_OUT,), NUM_KEPT * SETTING.episode_slots), rule)
    return np.asarray(slots.reshape(SETTING.episode_slots, NUM_KEPT).mean(axis=0), dtype=np.float64)


def run(arm: str, seed: int, at: tuple[int, ...]) -> Played:
    """One training."""
    kind, augment = ARMS[arm]
    learner, cpu_s = kind(replace(CONFIG, augment=augment), SETTING, seed), 0.0
    found: dict[int, Floats] = {}
    errors: dict[int, float] = {}
    for epoch in range(1, at[-1] + 1):
        begun_s = time.process_time()
        progress = learner.epoch()
        cpu_s += time.process_time() - begun_s
        errors |= {epoch: progress.figures["synthesis_error"]} if "synthesis_error" in progress.figures else {}
        if epoch in at:
            found[epoch] = costs_of(learned(learner.actor()))
    return Played(found, errors, cpu_s)


def rows(runs: dict[str, list[Played]], at: tuple[int, ...]) -> Iterator[list[object]]:
    """A row an arm and number of slots, and of rules that learn nothing."""
    known = {word: costs_of(rule_of(SETTING, word))[None] for word in ("random", "local", "selfish")}
    for epoch in at:
        playing = {arm: np.stack([each.costs[epoch] for each in mine]) for arm, mine in runs.items()} | known
        value, again = resampled(playing)
        for name, each in playing.items():
            if name in known and epoch < at[-1]:
                continue
            mine = runs.get(name, [])
            errors = [one.errors[epoch] for one in mine if epoch in one.errors and name == "half synthetic"]
            said = [value[name], *interval(again[name]), 100.0 * (1.0 - value[name] / value["local"])]
            spent = f"{np.mean([one.cpu_s for one in mine]):.1f}" if mine else ""
            error = f"{np.mean(errors):.3g}" if errors else ""
            slots = epoch * CONFIG.worlds * SETTING.episode_slots if mine else 0
            yield [name, slots, len(each), *(f"{one:.4g}" for one in said), error, spent]


def main(seeds: int = 5, quick: bool = False) -> None:
    """Play, learn, write, show."""
    torch.set_num_threads(1)
    console = Console()
    at = EPOCHS[:2] if quick else EPOCHS
    todo = [(seed, arm) for seed in range(1, (1 if quick else seeds) + 1) for arm in ARMS]
    runs: dict[str, list[Played]] = {arm: [] for arm in ARMS}
    for seed, arm in track(todo, "runs", console=console):
        runs[arm].append(run(arm, seed, at))
    found = list(rows(runs, at))
    table = Table(*COLUMNS.split())
    for row in found:
        table.add_row(*map(str, row))
    console.print(table)
    if not quick:
        said = f"training 1 to {seeds}, play {KEPT_OUT}, {NUM_KEPT} episodes"
        with results("synthesiser", COLUMNS.split(), seeds=said, packages=("torch", "numpy")) as file:
            file.writerows(found)


if __name__ == "__main__":
    typer.run(main)

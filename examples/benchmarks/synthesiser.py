"""Sample efficiency of a small off-policy learner in MEQC-v2 with and without synthetic transitions (SynthER).

    python examples/benchmarks/synthesiser.py [--seeds 5] [--quick]

The learner is the smallest of its kind: one Q-network for all users of their own observation, double Q-learning with a
target network, an epsilon that falls. The world has few users and servers, and users are paid by their own costs. All
take the same number of steps for each slot played; they differ in where minibatches come from: the buffer alone, or
half of it from a diffusion model trained again on the buffer as it grows. Costs are of greedy play on kept-out
episodes. "half the buffer again" draws the other half from a copy of the buffer with noise of a tenth of a deviation:
what any smoothing would do.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass

import numpy as np
import torch
import typer
from evidence import results
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track
from rich.table import Table
from torch import Tensor, nn

from policies.envs.contract import Action
from policies.envs.meqc.sequential import SequentialSetting, SequentialWorld
from policies.learners.kit.draws import seeded
from policies.learners.kit.recording import rule_of
from policies.learners.kit.statistics import interval, resampled
from policies.learners.kit.synthesiser import Synthesiser, Transitions, batch_of, joined
from policies.train import KEPT_OUT

SETTING = SequentialSetting(users=4, servers=3, episode_slots=32, reward="own")
ARMS = ("real", "half the buffer again", "half synthetic")
AUGMENT = 0.5
AT = (128, 256, 512)
"""Slots played, at which play is compared; the diffusion model is trained anew at each but the last."""
NUM_WORLDS, STEPS_A_SLOT, BATCH = 4, 4, 128
DISCOUNT, WIDTH, STEP_SIZE, TARGET_RATE = 0.95, 64, 1e-3, 0.01
NUM_SYNTHETIC, DIFFUSION_STEPS, NUM_KEPT = 8192, 400, 64
COLUMNS = "arm slots runs cost cost_low cost_high below_local_percent error train_cpu_s"
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Played:
    """By slots played: costs of kept-out episodes, error of the diffusion model; seconds of CPU in all."""

    costs: dict[int, Floats]
    errors: dict[int, float]
    cpu_s: float


def num_choices() -> int:
    """Home, each server without its QPU, each with it."""
    return 1 + 2 * SETTING.servers


def action_of(choice: Tensor) -> Action:
    """What choices, int64 (B, U), come to."""
    at = (choice - 1).clamp(min=0)
    return Action(at % SETTING.servers, (choice == 0).double(), choice > SETTING.servers)


def network(num_seen: int) -> nn.Sequential:
    """Values of all choices."""
    layers = (nn.Linear(num_seen, WIDTH), nn.ReLU(), nn.Linear(WIDTH, WIDTH), nn.ReLU())
    return nn.Sequential(*layers, nn.Linear(WIDTH, num_choices()))


def greedy_costs(values: nn.Module) -> Floats:
    """Mean system cost of a slot in each kept-out episode."""
    return costs_of(lambda world, _: action_of(values(world.observe().flat().float()).argmax(-1)))


def costs_of(rule: object) -> Floats:
    """The same of a rule."""
    assert callable(rule)
    world, chance = SequentialWorld(SETTING, NUM_KEPT, KEPT_OUT, dtype=torch.float64), torch.Generator().manual_seed(1)
    total = torch.zeros(NUM_KEPT, dtype=torch.float64)
    for _ in range(SETTING.episode_slots):
        with torch.no_grad():
            total += world.step(rule(world, chance)).outcome.cost.sum(-1)
    return np.asarray((total / SETTING.episode_slots).numpy(), dtype=np.float64)


def blurred(real: Transitions, chance: torch.Generator) -> Transitions:
    """The buffer with a tenth of a deviation of noise on what was seen."""
    width = 0.1 * real.seen.std(0)
    seen, after = (each + width * torch.randn(each.shape, generator=chance) for each in (real.seen, real.next))
    return Transitions(seen, real.action, real.reward, after, real.last)


def learned(arm: str, seed: int, at: tuple[int, ...]) -> Played:
    """One run."""
    begun_s = time.process_time()
    chance = torch.Generator().manual_seed(seed)
    world = SequentialWorld(SETTING, NUM_WORLDS, seed)
    num_seen = world.observe().flat().shape[-1]
    values = seeded(seed, lambda: network(num_seen))
    target, optimiser = deepcopy(values), torch.optim.Adam(values.parameters(), lr=STEP_SIZE)
    model = seeded(seed, lambda: Synthesiser(num_seen, num_choices()))
    parts: list[Transitions] = []
    synthetic: Transitions | None = None
    costs, errors = {}, {}
    for slots in range(NUM_WORLDS, at[-1] + 1, NUM_WORLDS):
        parts.append(transition(world, values, max(0.1, 1.0 - 1.5 * slots / at[-1]), chance))
        real = joined(parts)
        if slots >= at[0] // 2:
            for _ in range(NUM_WORLDS * STEPS_A_SLOT):
                update(values, target, optimiser, batch_of(real, synthetic, AUGMENT, BATCH, chance))
        if slots in at:
            costs[slots] = greedy_costs(values)
            if arm == "half synthetic" and slots < at[-1]:
                errors[slots] = model.learn(real, DIFFUSION_STEPS, chance)
                synthetic = model.draw(NUM_SYNTHETIC, chance)
            elif arm == "half the buffer again":
                synthetic = blurred(real, chance)
    return Played(costs, errors, time.process_time() - begun_s)


def transition(world: SequentialWorld, values: nn.Module, epsilon: float, chance: torch.Generator) -> Transitions:
    """One slot of all users of all worlds."""
    seen = world.observe().flat()
    with torch.no_grad():
        best = values(seen).argmax(-1)
    drawn = torch.randint(num_choices(), best.shape, generator=chance)
    choice = torch.where(torch.rand(best.shape, generator=chance) < epsilon, drawn, best)
    action = action_of(choice)
    step = world.step(Action(action.servers, action.shares.float(), action.asks))
    last = torch.full(best.shape, float(step.terminated))
    reward = torch.asinh(step.reward / 30.0)  # a task costs about 30 at home; few cost a hundred times as much
    found = (seen, choice, reward, world.observe().flat(), last)
    return Transitions(*(each.flatten(0, 1) for each in found))


def update(values: nn.Module, target: nn.Module, optimiser: torch.optim.Optimizer, batch: Transitions) -> None:
    """Double Q-learning (van Hasselt, Guez and Silver, AAAI 2016)."""
    with torch.no_grad():
        best = values(batch.next).argmax(-1, keepdim=True)
        ahead = target(batch.next).gather(-1, best).squeeze(-1)
        wanted = batch.reward + DISCOUNT * (1.0 - batch.last) * ahead
    found = values(batch.seen).gather(-1, batch.action.unsqueeze(-1)).squeeze(-1)
    loss = nn.functional.smooth_l1_loss(found, wanted)
    optimiser.zero_grad()
    loss.backward()
    optimiser.step()
    with torch.no_grad():
        for mine, its in zip(target.parameters(), values.parameters(), strict=True):
            mine.lerp_(its, TARGET_RATE)


def rows(runs: dict[str, list[Played]], at: tuple[int, ...]) -> Iterator[list[object]]:
    """A row an arm and number of slots, and of rules that learn nothing."""
    known = {word: costs_of(rule_of(SETTING, word))[None] for word in ("random", "local", "selfish")}
    for slots in at:
        costs = {arm: np.stack([run.costs[slots] for run in each]) for arm, each in runs.items()} | known
        value, again = resampled(costs)
        for name, each in costs.items():
            if name in known and slots < at[-1]:
                continue
            mine = runs.get(name, [])
            errors = [run.errors[slots] for run in mine if slots in run.errors]
            said = [value[name], *interval(again[name]), 100.0 * (1.0 - value[name] / value["local"])]
            spent = f"{np.mean([run.cpu_s for run in mine]):.1f}" if mine else ""
            error = f"{np.mean(errors):.3g}" if errors else ""
            yield [name, slots if mine else 0, len(each), *(f"{one:.4g}" for one in said), error, spent]


def main(seeds: int = 5, quick: bool = False) -> None:
    """Play, learn, write, show."""
    torch.set_num_threads(1)
    console = Console()
    at = (16, 32) if quick else AT
    todo = [(seed, arm) for seed in range(1, (1 if quick else seeds) + 1) for arm in ARMS]
    runs: dict[str, list[Played]] = {arm: [] for arm in ARMS}
    for seed, arm in track(todo, "runs", console=console):
        runs[arm].append(learned(arm, seed, at))
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

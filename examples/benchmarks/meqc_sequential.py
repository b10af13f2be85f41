"""What looking ahead gains in MEQC-v2: the best prices over myopic play, and the bound that no play is below.

    python examples/benchmarks/meqc_sequential.py [--quick]
    python examples/benchmarks/meqc_sequential.py --learned own=runs/own --learned talking=runs/talking [--elsewhere 1]

Prices (of a held QPU, of a joule) are chosen on tuning seeds for each setting and kind of play, and all plays are then
compared on the same kept-out episodes. "central" knows everything of a slot, the hidden quality included; "local" is
what users can do with their own observation. "bound" is the linear relaxation of the whole episode's program, known in
advance; it is worked out for the first episodes alone, and compared with play on those. What a learner is measured by
is the gain of its own row's prices: 0 is myopic play, 1 the best prices.

With ``--learned`` checkpoints play beside the prices of the first table, on the same episodes: policies that act by
their own observation are measured by "local", those that talk first by "central". All were trained in the first
setting, the others they have not seen. Train them with, for seeds 1 to 5,

    python -m policies.train prices --env MEQC-v2 --epochs 10 --seed 1 --out runs/own/seed1
    python -m policies.train prices --env MEQC-v2 --epochs 10 --seed 1 --set memory=shared --set rounds=3 --out …

Intervals are of 95 %; those of learned policies and of their part of the gain draw episodes and runs anew.
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Annotated

import numpy as np
import torch
import typer
from evidence import RESULTS, results
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track
from rich.table import Table

from circuits.errors import InvalidParameter
from policies.envs.contest import Entrant, entrants
from policies.envs.contest import learned as player_of
from policies.envs.meqc.hindsight import hindsight
from policies.envs.meqc.pricing import MYOPIC, PLAYS, Prices, best_prices, episode_costs
from policies.envs.meqc.sequential import SequentialSetting, SequentialWorld

COLUMNS = (
    "users servers delay_weight play hold_price energy_price cost cost_low cost_high "
    "below_myopic_percent below_low below_high above_bound_percent episodes"
)
TUNING, KEPT = range(2), range(1_000_000, 1_000_008)
NUM_WORLDS, NUM_BOUNDS = 64, 16
SETTINGS = (
    SequentialSetting(),
    SequentialSetting(delay_weight=0.8, energy_weight=0.2),
    SequentialSetting(delay_weight=0.2, energy_weight=0.8),
    SequentialSetting(users=20, servers=20),
    SequentialSetting(users=20, servers=6),
)


@dataclass(frozen=True)
class Scale:
    """How much is played."""

    tuning: range
    kept: range
    num_worlds: int
    num_bounds: int


def interval(values: NDArray[np.float64]) -> tuple[float, float, float]:
    """Mean, and its 95 % interval by the normal distribution (hundreds of independent episodes)."""
    mean, half = float(values.mean()), 1.96 * float(values.std(ddof=1)) / len(values) ** 0.5
    return mean, mean - half, mean + half


def rows(setting: SequentialSetting, scale: Scale) -> Iterator[list[object]]:
    """Myopic play and the best prices, for each kind of play."""
    known = hindsight(setting, scale.kept[0], scale.num_worlds, first=scale.num_bounds)
    bounds = np.array([each.cost for each in known])
    for play in PLAYS:
        best, _ = best_prices(setting, play, scale.tuning, scale.num_worlds)
        myopic = episode_costs(setting, play, MYOPIC, scale.kept, scale.num_worlds)
        for prices in (MYOPIC, best):
            costs = episode_costs(setting, play, prices, scale.kept, scale.num_worlds)
            yield [*row(setting, play, prices), *said(costs, myopic, bounds), len(costs)]


def row(setting: SequentialSetting, play: str, prices: Prices) -> list[object]:
    """Who plays where."""
    return [setting.users, setting.servers, setting.delay_weight, play, prices.hold, prices.energy]


def said(costs: NDArray[np.float64], myopic: NDArray[np.float64], bounds: NDArray[np.float64]) -> list[str]:
    """The figures of a play; by how much it is below myopic play is paired by episode."""
    gains = [100.0 * each / myopic.mean() for each in interval(myopic - costs)]
    above = 100.0 * (costs[: len(bounds)].mean() / bounds.mean() - 1.0)
    return [f"{each:.4g}" for each in (*interval(costs), *gains, above)]


NARROWEST = 180
"""Columns of the terminal that the table of learned policies needs."""

LEARNED_COLUMNS = (
    "users servers delay_weight policy reference myopic_cost priced_cost runs cost cost_low cost_high best_run "
    "worst_run gain_part gain_low gain_high gain_worst_run episodes"
)


def reference_prices(setting: SequentialSetting, play: str) -> Prices:
    """The best prices of the first table.

    Raises:
        InvalidParameter: they are not in it.
    """
    with (RESULTS / "meqc_sequential.csv").open(encoding="utf-8") as file:
        table = list(csv.DictReader(line for line in file if not line.startswith("#")))
    wanted = [str(each) for each in row(setting, play, MYOPIC)[:4]]
    found = [one for one in table if [one[name] for name in COLUMNS.split()[:4]] == wanted]
    if not found:
        raise InvalidParameter("meqc_sequential.csv: wanted prices of this setting; run without --learned first")
    return Prices(float(found[-1]["hold_price"]), float(found[-1]["energy_price"]))


def learned_costs(setting: SequentialSetting, entrant: Entrant, seeds: Iterable[int]) -> NDArray[np.float64]:
    """Mean system cost of a slot, (runs, episodes)."""
    runs = []
    for run in entrant.runs:
        player, means = player_of(run.actor()), []
        for seed in seeds:
            world = SequentialWorld(setting, NUM_WORLDS, seed, dtype=torch.float64)
            chance = torch.Generator().manual_seed(seed)
            steps = [world.step(player(world, chance)) for _ in range(setting.episode_slots)]
            means.append(torch.stack([step.outcome.cost.sum(-1) for step in steps]).mean(0))
        runs.append(torch.cat(means).numpy())
    return np.stack(runs)


def learned_rows(setting: SequentialSetting, playing: list[Entrant], seeds: range) -> Iterator[list[object]]:
    """Learned policies beside the prices that they are measured by."""
    played: dict[str, list[NDArray[np.float64]]] = {}
    for entrant in playing:
        reference = "central" if entrant.runs[0].run.config.rounds else "local"
        if reference not in played:
            both = (MYOPIC, reference_prices(setting, reference))
            played[reference] = [episode_costs(setting, reference, prices, seeds, NUM_WORLDS) for prices in both]
        myopic, priced = played[reference]
        costs = learned_costs(setting, entrant, seeds)
        chance = np.random.default_rng(0)
        drawn = []
        for _ in range(2000):
            runs, episodes = (chance.integers(num, size=num) for num in costs.shape)
            some = costs[runs][:, episodes].mean()
            drawn.append((some, (myopic[episodes].mean() - some) / (myopic[episodes] - priced[episodes]).mean()))
        low, high = np.quantile(drawn, [0.025, 0.975], axis=0)
        each = costs.mean(1)
        part, worst = ((myopic.mean() - value) / (myopic.mean() - priced.mean()) for value in (each.mean(), each.max()))
        figures = (each.mean(), low[0], high[0], each.min(), each.max(), part, low[1], high[1], worst)
        who = [setting.users, setting.servers, setting.delay_weight, entrant.name, reference]
        means = [f"{one.mean():.5g}" for one in (myopic, priced)]
        yield [*who, *means, len(costs), *(f"{one:.5g}" for one in figures), costs.shape[1]]


def compare(console: Console, folders: list[str], elsewhere: int, *, quick: bool) -> None:
    """Learned policies in every setting; written after each."""
    playing, found = entrants(folders), []
    shown = Table(*(name for name in LEARNED_COLUMNS.split() if name not in ("best_run", "worst_run", "episodes")))
    for setting in SETTINGS[:1] if quick else SETTINGS:
        seeds = KEPT[:1] if quick else KEPT if setting == SETTINGS[0] else KEPT[:elsewhere]
        for one in learned_rows(setting, playing, seeds):
            found.append(one)
            shown.add_row(*(str(value) for value in (*one[:11], *one[13:-1])))
            console.print(*one[:4], "done")
        if quick:
            continue
        with results(
            "meqc_sequential_learned",
            LEARNED_COLUMNS.split(),
            seeds=f"training {', '.join(str(run.run.seed) for run in playing[0].runs)}, plays from {KEPT[0]} on",
            packages=("torch", "numpy"),
        ) as file:
            file.writerows(found)
    console.print(shown)


def main(
    quick: bool = False,
    learned: Annotated[list[str] | None, typer.Option(help="[NAME=]FOLDER of checkpoints that play")] = None,
    elsewhere: Annotated[int, typer.Option(help="seeds played in settings that no policy was trained in", min=1)] = 8,
) -> None:
    """Tune, play, write, show."""
    torch.set_num_threads(1)
    console = Console()
    if learned:
        console = console if console.width >= NARROWEST else Console(width=NARROWEST)
        compare(console, learned, elsewhere, quick=quick)
        return
    scale = Scale(TUNING, KEPT, NUM_WORLDS, NUM_BOUNDS) if not quick else Scale(range(1), range(10**6, 10**6 + 1), 8, 4)
    chosen = SETTINGS[:1] if quick else SETTINGS
    found = [
        each
        for setting in track(chosen, "settings", console=console, disable=not sys.stdout.isatty())
        for each in rows(setting, scale)
    ]
    table = Table("U, E", "delay", "play", "prices", "cost", "below myopic", "above bound")
    for users, servers, delay, play, hold, energy, *figures, _ in found:
        cost, low, high, gain, least, most, above = figures
        saved = f"{gain} % [{least}, {most}]"
        table.add_row(
            f"{users}, {servers}",
            f"{delay}",
            str(play),
            f"{hold}, {energy}",
            f"{cost} [{low}, {high}]",
            saved,
            f"{above} %",
        )
    console.print(table)
    if not quick:
        seeds = f"prices {TUNING[0]} to {TUNING[-1]}, plays {KEPT[0]} to {KEPT[-1]}, {NUM_WORLDS} episodes of each"
        with results("meqc_sequential", COLUMNS.split(), seeds=seeds, packages=("torch", "numpy", "scipy")) as file:
            file.writerows(found)


if __name__ == "__main__":
    typer.run(main)

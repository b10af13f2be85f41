"""What looking ahead gains in MEQC-v2: the best prices over myopic play, and the bound that no play is below.

    python examples/benchmarks/meqc_sequential.py [--quick]

Prices (of a held QPU, of a joule) are chosen on tuning seeds for each setting and kind of play, and all plays are then
compared on the same kept-out episodes. "central" knows everything of a slot, the hidden quality included; "local" is
what users can do with their own observation. "bound" is the linear relaxation of the whole episode's program, known in
advance; it is worked out for the first episodes alone, and compared with play on those. What a learner is measured by
is the gain of its own row's prices: 0 is myopic play, 1 the best prices.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
import typer
from evidence import results
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track
from rich.table import Table

from policies.envs.meqc.hindsight import hindsight
from policies.envs.meqc.pricing import MYOPIC, PLAYS, Prices, best_prices, episode_costs
from policies.envs.meqc.sequential import SequentialSetting

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


def main(quick: bool = False) -> None:
    """Tune, play, write, show."""
    torch.set_num_threads(1)
    console = Console()
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

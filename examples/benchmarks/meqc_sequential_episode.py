"""One episode of MEQC-v2 as a learned policy plays it: who holds which QPU, batteries, choices, and its prices.

    python examples/benchmarks/meqc_sequential_episode.py runs/talking/seed1 [--seed 1000000] [--out FILE.png]

Prices are in units, what a task costs at home on average under the weights; what is not on the axis or in the legend
is as at the beginning: all QPUs free and believed to be as in the long run, as many of each level.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, cast

import torch
import typer
from evidence import RESULTS
from torch import Tensor

from policies.envs.contract import Observation
from policies.envs.meqc.model import LEVELS
from policies.envs.meqc.sequential import SequentialWorld
from policies.learners.kit.checkpoint import load
from policies.learners.kit.pricer import Pricer
from policies.pictures import TONES, picture

WAYS = ("local", "processor", "QPU")


@dataclass(frozen=True)
class Episode:
    """T slots: ``held`` (T, E), ``battery_j`` (T, U), ``ways`` (T, 3), how many users did what."""

    held: Tensor
    battery_j: Tensor
    ways: Tensor


def played(world: SequentialWorld, actor: Pricer) -> Episode:
    """The first world's episode."""
    held, battery, ways = [], [], []
    for _ in range(world.setting.episode_slots):
        seen = world.observe()
        action = actor.act(Observation(seen.user.float(), seen.pair.float()), ask=world.answers)
        battery.append(world.charge_j[0].clone())
        held.append(world.held[0].clone())
        on_qpu = world.step(action).outcome.on_qpu[0]
        local = action.shares[0] > 0.5
        ways.append(torch.stack([local.sum(), (~local & ~on_qpu).sum(), on_qpu.sum()]))
    return Episode(*(torch.stack(each) for each in (held, battery, ways)))


def prices(actor: Pricer, battery: float, level: int, time_left: Tensor) -> tuple[Tensor, Tensor]:
    """Of a slot of a QPU of some level and of a joule, by the time left, (N,) each."""
    setting = actor.setting
    ones = torch.ones_like(time_left)
    user = torch.stack([battery * ones, time_left, torch.asinh(battery / time_left - 1.0), ones], dim=-1)
    later = (torch.minimum(time_left * setting.episode_slots, torch.tensor(setting.hold_slots)) - 1.0).clamp(min=0.0)
    levels = [float(level == each) * ones for each in LEVELS]
    pair = torch.stack([*levels, later / setting.hold_slots, ones / 3.0, 0.0 * ones], dim=-1)
    return actor.hold_price(pair, user), actor.energy_price(user)


def draw(episode: Episode, actor: Pricer, path: Path) -> None:
    """Four panels."""
    slots = range(len(episode.held))
    left = torch.linspace(0.05, 1.0, 96)
    with picture(path, 2, 2, (12.0, 7.0)) as (_, axes), torch.no_grad():
        (qpus, ways), (batteries, worth) = axes
        qpus.imshow(episode.held.T > 0, aspect="auto", cmap="Blues", vmax=1.6, interpolation="nearest")
        qpus.set(title="QPUs held", xlabel="slot", ylabel="server")
        bottom = torch.zeros(len(slots), dtype=torch.float64)
        for number, name in enumerate(WAYS):
            ways.bar(slots, episode.ways[:, number], 1.0, bottom=bottom, label=name, color=TONES[number])
            bottom += episode.ways[:, number]
        ways.set(title="What users did", xlabel="slot", ylabel="users", ylim=(0, actor.setting.users))
        batteries.plot(slots, episode.battery_j, color=TONES[0], alpha=0.5)
        batteries.set(title="Batteries", xlabel="slot", ylabel="J left of each user")
        gone = (1.0 - left) * actor.setting.episode_slots
        for number, battery in enumerate((0.1, 0.4, 0.7, 1.0)):
            worth.plot(
                gone, prices(actor, battery, 1, left)[1], color=TONES[number], label=f"1 J, battery {battery:.0%}"
            )
        for number, level in enumerate(LEVELS):
            hold = prices(actor, 1.0, level, left)[0]
            worth.plot(gone, hold, "--", color=TONES[5 + number], label=f"1 slot of a QPU, level {level}")
        worth.set(title="Learned prices", xlabel="slot", ylabel="units")
        for axis in (ways, worth):
            axis.legend(fontsize=8, frameon=False, loc="upper left", bbox_to_anchor=(1.0, 1.0))


def main(
    folder: Annotated[Path, typer.Argument(help="checkpoint of the learner prices")],
    seed: Annotated[int, typer.Option(help="of the episode")] = 1_000_000,
    out: Annotated[Path, typer.Option(help="picture")] = RESULTS / "meqc_sequential_episode.png",
) -> None:
    """Play and draw."""
    torch.set_num_threads(1)
    actor = cast(Pricer, load(folder).actor())
    draw(played(SequentialWorld(actor.setting, 1, seed, dtype=torch.float64), actor), actor, out)
    typer.echo(out)


if __name__ == "__main__":
    typer.run(main)

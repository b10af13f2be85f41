"""Play by prices in ``MEQC-v2``: what a held QPU and a joule of battery are worth, and the bound that no play beats.

Source: ours. A task that holds a QPU keeps it from later ones, and a joule spent is missing later: the multipliers of
those two constraints in the problem over the whole episode are prices. Play that adds them to the costs of the slot and
is greedy otherwise is the usual index rule (Bertsimas and Nino-Mora, Mathematics of Operations Research 21, 1996, for
the idea; second-hand). Prices of 0 are myopic play. What learners are measured by is how much of the gain of the best
prices over myopic play they reach.

``central`` play knows everything of the slot, the hidden quality included, and assigns QPUs exactly; ``local`` play is
what users can do with their own observation, and takes every QPU to be as good as the average.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from policies.envs.contract import Action
from policies.envs.meqc.baselines import priced
from policies.envs.meqc.batch import local
from policies.envs.meqc.optimum import matching
from policies.envs.meqc.sequential import SequentialSetting, SequentialWorld, affordable


@dataclass(frozen=True)
class Prices:
    """Added to the costs of a slot.

    Attributes:
        hold: for each slot after this one in which a QPU stays held, in cost.
        energy: for each joule out of a battery, in cost per joule.
    """

    hold: float = 0.0
    energy: float = 0.0


MYOPIC = Prices()


@dataclass(frozen=True)
class _Ways:
    """Costs of a task with prices added: ``own`` (B, U), with what the battery pays for; ``cpu``, ``qpu`` (B, U, E)."""

    own: Tensor
    share: Tensor
    cpu: Tensor
    qpu: Tensor


def _ways(world: SequentialWorld, prices: Prices, *, knows_quality: bool) -> _Ways:
    setting = world.setting
    slots = world.slots if knows_quality else replace(world.slots, error_ratio=None)
    known = priced(setting.model, slots)
    own_j = local(setting.model, slots)[1]
    share = affordable(world.charge_j, own_j)
    cheapest = known.cpu.amin(-1)
    own = share * (known.local + prices.energy * own_j) + (1.0 - share) * cheapest
    held = min(setting.hold_slots - 1, setting.episode_slots - 1 - world.slot)
    qpu = torch.where(known.takes, known.qpu + prices.hold * held, float("inf"))
    return _Ways(own, share, known.cpu, qpu)


def central(world: SequentialWorld, prices: Prices = MYOPIC) -> Action:
    """The assignment of least priced cost in each world: QPUs to users, the rest at home or on the best processor."""
    ways = _ways(world, prices, knows_quality=True)
    otherwise = torch.minimum(ways.own, ways.cpu.amin(-1))
    gain = (otherwise.unsqueeze(-1) - ways.qpu).clamp(min=0.0).double().cpu().numpy()
    holder = torch.tensor(np.stack([matching(each) for each in gain]), device=ways.own.device)
    asks = holder >= 0
    servers = torch.where(asks, holder, ways.cpu.argmin(-1))
    stays = ~asks & (ways.own <= ways.cpu.amin(-1))
    return Action(servers, torch.where(stays, ways.share, 0.0), asks)


def selfish(world: SequentialWorld, prices: Prices = MYOPIC) -> Action:
    """Everybody takes its own cheapest way at these prices, from its own observation; servers admit who gains most."""
    ways = _ways(world, prices, knows_quality=False)
    qpu, at = ways.qpu.min(-1)
    cpu, processor = ways.cpu.min(-1)
    asks = (qpu < cpu) & (qpu < ways.own)
    stays = ~asks & (ways.own <= cpu)
    return Action(torch.where(asks, at, processor), torch.where(stays, ways.share, 0.0), asks)


PLAYS = {"central": central, "local": selfish}
"""By what they know."""


def episode_costs(
    setting: SequentialSetting, play: str, prices: Prices, seeds: Iterable[int], num_worlds: int
) -> NDArray[np.float64]:
    """Mean system cost of a slot in each of ``num_worlds`` episodes of every seed."""
    means = []
    for seed in seeds:
        world = SequentialWorld(setting, num_worlds, seed, dtype=torch.float64)
        total = torch.zeros(num_worlds, dtype=torch.float64)
        for _ in range(setting.episode_slots):
            total += world.step(PLAYS[play](world, prices)).outcome.cost.sum(-1)
        means.append(total / setting.episode_slots)
    return np.asarray(torch.cat(means).numpy(), dtype=np.float64)


def best_prices(
    setting: SequentialSetting, play: str, seeds: Iterable[int], num_worlds: int, rounds: int = 2
) -> tuple[Prices, list[tuple[Prices, float]]]:
    """The prices of least cost on tuning seeds: a grid in one, then in the other, some rounds.

    Returns:
        The prices, and everything that was tried with its mean cost of a slot.
    """
    tried: dict[Prices, float] = {}
    kept = tuple(seeds)

    def cost(prices: Prices) -> float:
        if prices not in tried:
            tried[prices] = float(episode_costs(setting, play, prices, kept, num_worlds).mean())
        return tried[prices]

    best = MYOPIC
    for _ in range(rounds):
        best = min((replace(best, hold=hold) for hold in GRID), key=cost)
        best = min((replace(best, energy=energy) for energy in GRID), key=cost)
    return best, list(tried.items())


GRID = (0.0, 0.25, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0, 16.0, 24.0)
"""Prices that are tried."""

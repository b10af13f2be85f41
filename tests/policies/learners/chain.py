"""A world of one lesson: who pays now is paid later. It is registered while a test runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import torch

from circuits.parameters import integer, validate
from policies.envs.contract import Action, Observation, Step


@dataclass(frozen=True)
class ChainSetting:
    """Of the chain.

    Attributes:
        episode_slots: after more than one, who has gone to place 1 has paid less in all.
    """

    users: int = integer(2, low=1, high=100)
    servers: int = integer(2, low=2, high=2)
    episode_slots: int = integer(1, low=1, high=100)

    def __post_init__(self) -> None:
        validate(self)


@dataclass(frozen=True)
class Paid:
    """Of each user."""

    cost: torch.Tensor


class Chain:
    """A slot costs 12 at home, 11 at place 0 and 13 at place 1, each for its share; 4 less once place 1 was paid.

    With one slot place 0 is best, with more it is place 1 first.
    """

    setting_type: ClassVar[type[Any]] = ChainSetting
    num_features: ClassVar[tuple[int, int]] = (2, 1)
    may_decline: ClassVar[bool] = False

    def __init__(self, setting: ChainSetting, num_worlds: int = 1, seed: int = 0, **_: Any) -> None:
        self.setting, self.num_worlds = setting, num_worlds
        self.paid = torch.zeros(num_worlds, setting.users)
        self.slot = 0

    def observe(self) -> Observation:
        """Whether one has paid, and how much of the episode is over; of places, which they are."""
        over = torch.full_like(self.paid, self.slot / self.setting.episode_slots)
        pair = torch.tensor([0.0, 1.0]).expand(*self.paid.shape, 2).unsqueeze(-1)
        return Observation(torch.stack([self.paid, over], dim=-1), pair)

    def step(self, action: Action) -> Step:
        """Pay."""
        there = torch.tensor([1.0, 3.0])[action.servers]
        cost = 10.0 + action.shares * 2.0 + (1.0 - action.shares) * there - 4.0 * self.paid
        self.paid = torch.maximum(self.paid, ((action.servers == 1) & (action.shares < 0.5)).float())
        self.slot += 1
        ends = self.slot == self.setting.episode_slots
        if ends:
            self.paid, self.slot = torch.zeros_like(self.paid), 0
        return Step(-cost, Paid(cost), ends)


def mean_cost(actor: Any, setting: ChainSetting) -> float:
    """Of a user in a slot, over an episode."""
    world = Chain(setting, 8)
    return float(
        torch.stack(
            [world.step(actor.act(world.observe())).outcome.cost.mean() for _ in range(setting.episode_slots)]
        ).mean()
    )

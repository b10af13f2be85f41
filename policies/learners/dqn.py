"""DQN: the value of every way and of a few shares, learned from what was met; each agent by its own observation.

Source: Mnih et al., "Human-level control through deep reinforcement learning", Nature 518, 2015; what comes next is
chosen by one network and judged by its target: van Hasselt, Guez and Silver, "Deep reinforcement learning with double
Q-learning", AAAI 2016. Ours: the network, which is of any size and shared by all agents; shares of 0, 1/n, … of n
levels; squared errors, where the paper clips them: costs have heavy tails, and their mean is what counts. See
:mod:`policies.learners.kit.off_policy`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn.functional import mse_loss

from circuits.parameters import integer
from policies.envs.contract import Action, Observation
from policies.learners.kit.off_policy import Chooser, OffPolicy, OffPolicyConfig
from policies.learners.kit.replay import Met
from policies.learners.kit.sets import PlaceNetwork
from policies.learners.kit.ways import action_of, joined, kind_of, num_requests


@dataclass(frozen=True)
class Config(OffPolicyConfig):
    """How to train; and how many shares there are to choose from."""

    levels: int = integer(3, low=1, high=1000, doc="shares that can be kept by those who go: 0, 1/n, … (n-1)/n")


class Valuer(Chooser):
    """Values all ways; the largest value is the best, and shares are those of the ways."""

    def best(self, seen: Observation) -> tuple[Tensor, Tensor]:
        way = self(seen).argmax(-1)
        return way, torch.zeros_like(way, dtype=seen.user.dtype)


class LevelActor(Valuer):
    """Values of staying, and of every place with every request and share."""

    def __init__(self, num_features: tuple[int, int], width: int, requests: int, levels: int) -> None:
        super().__init__(requests)
        self.levels = levels
        self.values = PlaceNetwork(num_features, width, 1, requests * levels)

    def forward(self, seen: Observation) -> Tensor:
        """(B, U, 1 + E K)."""
        return joined(*self.values(seen))

    def num_ways(self, seen: Observation) -> int:
        return int(1 + seen.pair.shape[-2] * self.requests * self.levels)

    def action(self, seen: Observation, way: Tensor, share: Tensor) -> Action:
        num_kinds = self.requests * self.levels
        kept = (kind_of(way, num_kinds) // self.requests).to(share.dtype) / self.levels
        return action_of(way, kept, self.requests, num_kinds)


class DQN(OffPolicy):
    """Trains a :class:`LevelActor`."""

    config_type: ClassVar[type[OffPolicyConfig]] = Config

    def _built(self) -> nn.ModuleDict:
        config, requests = self.config, num_requests(self.setting)
        return nn.ModuleDict({"act": LevelActor(self._world.num_features, config.width, requests, config.levels)})

    def _value(self, after: Observation) -> Tensor:
        best = self._networks["act"](after).argmax(-1, keepdim=True)
        value: Tensor = self._targets["act"](after).gather(-1, best).squeeze(-1)
        return value

    def _loss(self, met: Met, aim: Tensor) -> Tensor:
        value = self._networks["act"](met.seen).gather(-1, met.way.unsqueeze(-1)).squeeze(-1)
        loss: Tensor = mse_loss(value, aim)
        return loss

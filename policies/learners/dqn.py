"""DQN: the value of every way and of a few shares, learned from what was met; each agent by its own observation.

Source: Mnih et al., "Human-level control through deep reinforcement learning", Nature 518, 2015; what comes next is
chosen by one network and judged by its target: van Hasselt, Guez and Silver, "Deep reinforcement learning with double
Q-learning", AAAI 2016. Ours: the network, which is of any size and shared by all agents; shares of 0, 1/n, … of n
levels; squared errors, where the paper clips them: costs have heavy tails, and their mean is what counts. See
:mod:`policies.learners.kit.off_policy`. With ``augment`` a part of every batch is experience that was never made
(:mod:`policies.learners.kit.augmenting`), drawn by a diffusion model that learns on before every epoch but the first.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn.functional import mse_loss

from circuits.parameters import integer, real
from policies.envs.contract import Action, Observation
from policies.learners.kit.augmenting import Augmenting, beside
from policies.learners.kit.draws import seeded
from policies.learners.kit.off_policy import Chooser, OffPolicy, OffPolicyConfig
from policies.learners.kit.replay import Met
from policies.learners.kit.sets import PlaceNetwork
from policies.learners.kit.ways import action_of, joined, kind_of, num_requests
from policies.learners.learner import Progress


@dataclass(frozen=True)
class Config(OffPolicyConfig):
    """How to train; and how many shares there are to choose from.

    Attributes:
        augment: the part of a batch that is synthetic.   synthetic: transitions that are drawn before an epoch.
        synthesis_steps: of the model, before an epoch.
    """

    levels: int = integer(3, low=1, high=1000, doc="shares that can be kept by those who go: 0, 1/n, … (n-1)/n")
    augment: float = real(0.0, low=0.0, high=1.0, doc="part of a batch that a diffusion model makes up")
    synthetic: int = integer(8192, low=1, high=100_000_000, doc="transitions that it draws before an epoch")
    synthesis_steps: int = integer(400, low=1, high=1_000_000, doc="steps for which it learns before an epoch")


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


class DoubleQ(OffPolicy):
    """Trains a :class:`Valuer`."""

    def _value(self, after: Observation) -> Tensor:
        best = self._networks["act"](after).argmax(-1, keepdim=True)
        value: Tensor = self._targets["act"](after).gather(-1, best).squeeze(-1)
        return value

    def _loss(self, met: Met, aim: Tensor) -> Tensor:
        value = self._networks["act"](met.seen).gather(-1, met.way.unsqueeze(-1)).squeeze(-1)
        loss: Tensor = mse_loss(value, aim)
        return loss


class DQN(DoubleQ):
    """Trains a :class:`LevelActor`."""

    config_type: ClassVar[type[OffPolicyConfig]] = Config

    def __init__(self, config: Config, setting: Any, seed: int) -> None:
        super().__init__(config, setting, seed)
        if config.augment:
            num_ways = 1 + setting.servers * num_requests(setting) * config.levels
            size = (setting.servers, self._world.num_features, num_ways, config.synthetic)
            self._augmenting = seeded(seed, lambda: Augmenting(*size, alone=self._length == 1))
            self._modules["augmenting"] = self._augmenting

    def _built(self) -> nn.ModuleDict:
        config, requests = self.config, num_requests(self.setting)
        return nn.ModuleDict({"act": LevelActor(self._world.num_features, config.width, requests, config.levels)})

    def epoch(self) -> Progress:
        """Play and learn, from what was made up of earlier epochs, too."""
        if not self.config.augment or not len(self._replay):
            return super().epoch()
        error = self._synthesise()
        progress = super().epoch()
        return replace(progress, figures={**progress.figures, "synthesis_error": error})

    def _synthesise(self) -> float:
        """Make up experience; error of the model."""
        return self._augmenting.refresh(self._replay, self.config.synthesis_steps, self._chance)

    def _drawn(self) -> Met:
        num = round(self.config.augment * self.config.batch)
        if not num or not len(self._augmenting.made):
            return super()._drawn()
        made = self._augmenting.made.draw(num * self.setting.users, self._chance)
        return beside(self._replay.draw(self.config.batch - num, self._chance), made)

"""Behaviour cloning: do what was done in the log, or in the best part of it.

Source: the baselines "BC" and "%BC" of Chen et al., "Decision Transformer", NeurIPS 2021, Section 5; ``best = 0.1``
clones the tenth of the episodes with the highest returns. Network and features are ours
(:mod:`policies.learners.kit.sight`), and all offline learners have them alike, so that they differ by method alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from circuits.parameters import integer
from policies.envs.contract import Action
from policies.learners.kit.offline import Logged, Offline, OfflineConfig, Recalling
from policies.learners.kit.scorer import chosen
from policies.learners.kit.sight import Choices, Chooser, Sight, disagreement


@dataclass(frozen=True)
class BcConfig(OfflineConfig):
    """As for all that learn from logs; windows are single slots."""

    batch: int = integer(512, low=1, high=1_000_000, doc="users' slots of a step")


class Cloner(Recalling):
    """Chooses from what is seen now; there is nothing to remember."""

    window = 1

    def __init__(self, config: BcConfig, setting: Any) -> None:
        super().__init__(setting)
        self.sight = Sight(setting, config.width)
        self.chooser = Chooser(setting, config.width, config.width)

    def fit(self, logged: Logged) -> None:
        """Scales of the features."""
        self.sight.fit(logged.user, logged.pair)

    def forward(self, user: Tensor, pair: Tensor) -> Choices:
        """Of features (…, F) and (…, E, G)."""
        choices: Choices = self.chooser(*self.sight(user, pair))
        return choices

    def loss(self, logged: Logged, chance: torch.Generator) -> dict[str, Tensor]:
        """Disagreement with what was done, and how often it is the likeliest choice."""
        choices = self(logged.user, logged.pair)
        agreement = (choices.logits.argmax(-1) == logged.choice).float().mean()
        return {"loss": disagreement(choices, logged.choice, logged.shares).mean(), "agreement": agreement}

    def acted(self, user: Tensor, pair: Tensor, chance: torch.Generator | None) -> Action:
        """The likeliest choice, or one drawn."""
        choices = self(user, pair)
        action: Action = self.chooser.action(choices, chosen(choices.logits, chance))
        return action


class Bc(Offline):
    """Trains a :class:`Cloner`."""

    config_type = BcConfig
    network = Cloner

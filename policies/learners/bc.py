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
from policies.learners.kit.offline import Imitator, Logged, Offline, OfflineConfig
from policies.learners.kit.scorer import chosen
from policies.learners.kit.sight import Choices, Chooser


@dataclass(frozen=True)
class BcConfig(OfflineConfig):
    """As for all that learn from logs; windows are single slots."""

    batch: int = integer(512, low=1, high=1_000_000, doc="users' slots of a step")


class Cloner(Imitator):
    """Chooses from what is seen now; there is nothing to remember."""

    window = 1

    def __init__(self, config: BcConfig, setting: Any) -> None:
        super().__init__(config, setting)
        self.chooser = Chooser(setting, config.width, config.width)

    def forward(self, logged: Logged) -> Choices:
        """What would be done in every slot of windows (M, 1, …)."""
        choices: Choices = self.chooser(*self.sight(logged.user, logged.pair))
        return choices

    def acted(self, user: Tensor, pair: Tensor, chance: torch.Generator | None) -> Action:
        """The likeliest choice, or one drawn."""
        choices = self.chooser(*self.sight(user, pair))
        action: Action = self.chooser.action(choices, chosen(choices.logits, chance))
        return action


class Bc(Offline):
    """Trains a :class:`Cloner`."""

    config_type = BcConfig
    network = Cloner

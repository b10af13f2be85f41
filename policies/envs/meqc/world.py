"""``MEQC-v1``: thousands of the paper's worlds side by side, slot by slot, in torch.

Source: MEQC, Section IV.A. Slots are independent, as the paper draws them: nothing that is done changes what comes, so
that an episode is as long as one likes to call it. The same world behind PettingZoo's interface, one at a time, is
:mod:`policies.envs.meqc.parallel_env`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from circuits.errors import InvalidParameter
from circuits.parameters import choice, integer, real, validate
from policies.envs.meqc.batch import Action, Outcome, Slots, settle
from policies.envs.meqc.draw import draw_slots
from policies.envs.meqc.model import Model
from policies.envs.meqc.moves import repeated
from policies.envs.meqc.observation import Observation, observe


@dataclass(frozen=True)
class Setting:
    """Of a world.

    Attributes:
        users: U.   servers: E.
        delay_weight, energy_weight: lambda^D, lambda^E of every user.
        weights: "fixed", or "drawn": each slot has its own, lambda^E = 1 - lambda^D (ours).
        reward: "global": minus the cost of all, for everybody [MEQC, IV.A.3]; "own": minus one's own cost (ours);
            "difference": by how much less all pay than if one had stayed local (ours).
        model: how the paper is read.
    """

    users: int = integer(10, low=1, high=100_000, doc="mobile users")
    servers: int = integer(10, low=1, high=100_000, doc="edge servers")
    delay_weight: float = real(0.5, low=0.0, high=1.0, doc="weight of delay")
    energy_weight: float = real(0.5, low=0.0, high=1.0, doc="weight of energy")
    weights: str = choice("fixed", "fixed", "drawn", doc="one pair of weights, or another in every slot")
    reward: str = choice("global", "global", "own", "difference", doc="what agents are paid")
    model: Model = field(default_factory=Model)

    def __post_init__(self) -> None:
        validate(self)
        if self.weights == "fixed" and self.delay_weight + self.energy_weight == 0.0:
            raise InvalidParameter("delay_weight, energy_weight: wanted one of them above 0, got 0 and 0")


@dataclass(frozen=True)
class Step:
    """What came of an action: ``reward`` (B, U), and costs behind it."""

    reward: Tensor
    outcome: Outcome


class World:
    """B worlds at once; the same seed gives the same slots, whatever is done in them."""

    def __init__(
        self,
        setting: Setting,
        num_worlds: int = 1,
        seed: int = 0,
        *,
        dtype: torch.dtype = torch.float32,
        device: Any = "cpu",
    ) -> None:
        self.setting, self.num_worlds, self.dtype = setting, num_worlds, dtype
        self._chance = torch.Generator(device=device).manual_seed(seed)
        self.slots = self._drawn()

    def _drawn(self) -> Slots:
        setting = self.setting
        fixed = None if setting.weights == "drawn" else (setting.delay_weight, setting.energy_weight)
        return draw_slots(self._chance, (self.num_worlds, setting.users, setting.servers), fixed, self.dtype)

    def observe(self) -> Observation:
        """What the agents see now."""
        return observe(self.slots)

    def step(self, action: Action) -> Step:
        """Take an action and draw the next slots."""
        outcome = settle(self.setting.model, self.slots, action)
        reward = rewards(self.setting, self.slots, action, outcome)
        self.slots = self._drawn()
        return Step(reward, outcome)


def rewards(setting: Setting, slots: Slots, action: Action, outcome: Outcome) -> Tensor:
    """What each agent is paid, (B, U); see :class:`Setting`."""
    if setting.reward == "own":
        return -outcome.cost
    total = outcome.cost.sum(-1, keepdim=True)
    if setting.reward == "global":
        return -total.expand_as(outcome.cost)
    num_slots, num_users, _ = slots.shape
    others, kept = (each.repeat_interleave(num_users, 0) for each in (action.servers, action.shares))
    away = torch.eye(num_users, dtype=torch.bool, device=kept.device).repeat(num_slots, 1)  # in row u, u stays local
    without = settle(setting.model, repeated(slots, num_users), Action(others, torch.where(away, 1.0, kept)))
    return without.cost.sum(-1).reshape(num_slots, num_users) - total

"""``MEQC-v1``: thousands of the paper's worlds side by side, slot by slot, in torch.

Source: MEQC, Section IV.A. Slots are independent, as the paper draws them: nothing that is done changes what comes, so
that an episode is as long as one likes to call it. The same world behind PettingZoo's interface, one at a time, is
:mod:`policies.envs.meqc.parallel_env`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, TypeVar

import torch
from torch import Tensor

from circuits.errors import InvalidParameter
from circuits.parameters import choice, construct, integer, real, short, validate
from policies.envs.contract import Action, Observation, Step
from policies.envs.meqc.batch import Outcome, Slots, settle
from policies.envs.meqc.document import model_of
from policies.envs.meqc.draw import draw_slots
from policies.envs.meqc.instance import CIRCUITS
from policies.envs.meqc.model import Model
from policies.envs.meqc.moves import repeated
from policies.envs.meqc.observation import NUM_PAIR_FEATURES, NUM_USER_FEATURES, observe


@dataclass(frozen=True)
class Setting:
    """Of a world.

    Attributes:
        users: U.   servers: E.
        delay_weight, energy_weight: lambda^D, lambda^E of every user.
        weights: "fixed", or "drawn": each slot has its own, lambda^E = 1 - lambda^D (ours).
        reward: "global": minus the cost of all, for everybody [MEQC, IV.A.3]; "own": minus one's own cost (ours);
            "difference": by how much less all pay than if one had stayed local (ours).
        circuits: of tasks: the "paper"'s formulas of qubits and depth, or of "compiled" circuits (ours).
        model: how the paper is read.
    """

    users: int = integer(10, low=1, high=100_000, doc="mobile users")
    servers: int = integer(10, low=1, high=100_000, doc="edge servers")
    delay_weight: float = real(0.5, low=0.0, high=1.0, doc="weight of delay")
    energy_weight: float = real(0.5, low=0.0, high=1.0, doc="weight of energy")
    weights: str = choice("fixed", "fixed", "drawn", doc="one pair of weights, or another in every slot")
    reward: str = choice("global", "global", "own", "difference", doc="what agents are paid")
    circuits: str = choice("paper", *CIRCUITS, doc="whose qubits and depth tasks have")
    model: Model = field(default_factory=Model)

    overrides: ClassVar[Mapping[str, Any]] = {}
    """Of every mode in this world, as files have them."""

    def __post_init__(self) -> None:
        validate(self)
        if self.weights == "fixed" and self.delay_weight + self.energy_weight == 0.0:
            raise InvalidParameter("delay_weight, energy_weight: wanted one of them above 0, got 0 and 0")

    @property
    def fixed_weights(self) -> tuple[float, float] | None:
        """Of delay and energy; None where they are drawn."""
        return None if self.weights == "drawn" else (self.delay_weight, self.energy_weight)

    @property
    def deepest(self) -> float:
        """Largest depth of a task's circuit."""
        return float(max(depth for _, depth in CIRCUITS[self.circuits].values()))


AnySetting = TypeVar("AnySetting", bound=Setting)


def setting_of(asked: Mapping[str, Any], kind: type[AnySetting] = Setting) -> AnySetting:  # type: ignore[assignment]
    """A setting from the names of its fields, and ``mode`` and ``overrides`` of its model as files have them.

    Args:
        asked: as ``{"users": 20, "mode": "calibrated", "overrides": {"gamma_inv": 0.01}}``; what is not named keeps
            its default. ``mode`` and ``overrides`` together are the model.
        kind: the world's ``setting_type``: :class:`Setting` for ``MEQC-v1``.

    Raises:
        InvalidParameter: a name is unknown or a value out of range; the message names it.
    """
    own = {name: value for name, value in asked.items() if name not in ("mode", "overrides")}
    if "model" in own:
        raise InvalidParameter(f"{kind.__name__}.model: wanted mode and overrides in its place")
    if len(own) < len(asked):
        overrides = asked.get("overrides", {})
        given = {**kind.overrides, **overrides} if isinstance(overrides, Mapping) else overrides
        own["model"] = model_of(asked.get("mode", "calibrated"), given)
    setting: AnySetting = construct(kind, own)
    return setting


class World:
    """B worlds at once; the same seed gives the same slots, whatever is done in them.

    Attributes:
        slots: those of now.

    Raises:
        InvalidParameter: the setting is that of another world, or there is to be no world.
    """

    setting_type: ClassVar[type[Setting]] = Setting
    num_features: ClassVar[tuple[int, int]] = (NUM_USER_FEATURES, NUM_PAIR_FEATURES)
    may_decline: ClassVar[bool] = False
    """Whether users can refuse a QPU, by ``Action.asks``."""

    def __init__(
        self,
        setting: Setting,
        num_worlds: int = 1,
        seed: int = 0,
        *,
        dtype: torch.dtype = torch.float32,
        device: Any = "cpu",
    ) -> None:
        if not isinstance(setting, self.setting_type):
            raise InvalidParameter(f"setting: wanted a {self.setting_type.__name__}, got {short(setting)}")
        if num_worlds < 1:
            raise InvalidParameter(f"num_worlds: wanted at least 1, got {num_worlds}")
        self.setting, self.num_worlds, self.dtype = setting, num_worlds, dtype
        self._chance = torch.Generator(device=device).manual_seed(seed)
        self._begin()

    def _begin(self) -> None:
        """An episode."""
        self.slots = self._drawn()

    def _drawn(self) -> Slots:
        setting = self.setting
        shape = (self.num_worlds, setting.users, setting.servers)
        return draw_slots(self._chance, shape, setting.fixed_weights, self.dtype, setting.circuits)

    def observe(self) -> Observation:
        """What the agents see now."""
        return observe(self.slots, self.setting.deepest)

    def step(self, action: Action) -> Step:
        """Take an action and draw the next slots.

        Raises:
            InvalidParameter: the action asks for QPUs: here they take what fits, as the paper has it.
        """
        if action.asks is not None:
            raise InvalidParameter("Action.asks: wanted None, since users of MEQC-v1 cannot decline a QPU")
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
    asks = None if action.asks is None else action.asks.repeat_interleave(num_users, 0)
    away = torch.eye(num_users, dtype=torch.bool, device=kept.device).repeat(num_slots, 1)  # in row u, u stays local
    without = settle(setting.model, repeated(slots, num_users), Action(others, torch.where(away, 1.0, kept), asks))
    return without.cost.sum(-1).reshape(num_slots, num_users) - total

"""``QCN-v1``: thousands of quantum computing networks side by side, slot by slot, in torch.

Source: QCN paper, Section V: mobile, edge and cloud nodes run quantum autoencoders; every mobile user chooses a
destination and the share to offload, and is paid minus the cost of all. Slots are independent (ours).

What it does not do: keys, entanglement and protocols between nodes; a service that takes time would add to
``Ways.wait_s``, one that takes capacity to ``Ways.busy_s`` (:mod:`policies.envs.qcn.batch`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch
from torch import Tensor

from circuits.errors import InvalidParameter
from circuits.parameters import choice, integer, refuse
from policies.envs.batched import BatchedWorld, WeighedSetting, rewards
from policies.envs.contract import Action, Observation, Rules, Step
from policies.envs.known_optima import Source
from policies.envs.qcn.batch import Outcome, Slots, settle
from policies.envs.qcn.circuits import GATES
from policies.envs.qcn.draw import draw_slots
from policies.envs.qcn.known_optima import SOURCE
from policies.envs.qcn.model import Model, model_of, written_model
from policies.envs.qcn.observation import NUM_PAIR_FEATURES, NUM_USER_FEATURES, observe
from policies.envs.qcn.optimum import is_searched
from policies.envs.qcn.rules import RULES, SIMPLE


@dataclass(frozen=True)
class Setting(WeighedSetting):
    """Of a world; what is not listed here is as in :class:`~policies.envs.batched.WeighedSetting`.

    The weights are the paper's d and e; the reward "global" is the paper's        [QCN, V].

    Attributes:
        servers: E, edge nodes and clouds.   clouds: how many of the places are clouds, the last ones.
        circuits: gates of tasks: by formula for the "paper"'s sizes (ours), or of "compiled" circuits (ours).
        model: constants.
    """

    servers: int = integer(6, low=2, high=100_000, doc="edge nodes and clouds")
    clouds: int = integer(1, low=1, high=100_000, doc="how many of the servers are clouds")
    circuits: str = choice("paper", *GATES, doc="whose gates tasks have")
    model: Model = field(default_factory=Model)

    square: ClassVar[bool] = False
    """Whether comparisons have as many servers as users if nothing else is said."""

    read_model = staticmethod(model_of)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.clouds >= self.servers:
            refuse(self, "clouds", f"fewer than servers = {self.servers}, as uplinks are to edge nodes", self.clouds)

    def drawn(self, chance: torch.Generator, num_slots: int, dtype: torch.dtype = torch.float32) -> Slots:
        """Independent slots."""
        shape = (num_slots, self.users, self.servers)
        return draw_slots(chance, shape, self.clouds, self.model, self.fixed_weights, dtype, self.circuits)

    def seen(self, slots: Slots) -> Observation:
        """What the agents of each slot see."""
        return observe(self.model, slots)

    def written_model(self) -> dict[str, Any]:
        """What the constants differ by from their mode, as ``overrides``."""
        return written_model(self.model)

    @property
    def exact_optimum(self) -> bool:
        """Whether optima are proven, and not only bracketed."""
        return is_searched(self.users, self.servers)


class World(BatchedWorld):
    """B worlds at once; the same seed gives the same slots, whatever is done in them.

    Attributes:
        slots: those of now.

    Raises:
        InvalidParameter: the setting is that of another world, or there is to be no world.
    """

    setting: Setting
    setting_type: ClassVar[type[Setting]] = Setting
    num_features: ClassVar[tuple[int, int]] = (NUM_USER_FEATURES, NUM_PAIR_FEATURES)
    may_decline: ClassVar[bool] = False
    rules: ClassVar[Rules] = RULES
    naive: ClassVar[tuple[str, ...]] = SIMPLE
    compared: ClassVar[tuple[str, ...]] = ("random", "greedy")
    source: ClassVar[Source | None] = SOURCE

    def _begin(self) -> None:
        """An episode."""
        self.slots = self._drawn()

    def _drawn(self) -> Slots:
        return self.setting.drawn(self._chance, self.num_worlds, self.dtype)

    def observe(self) -> Observation:
        """What the agents see now."""
        return self.setting.seen(self.slots)

    def step(self, action: Action) -> Step:
        """Take an action and draw the next slots.

        Raises:
            InvalidParameter: the action asks for QPUs, of which there are none here.
        """
        if action.asks is not None:
            raise InvalidParameter("Action.asks: wanted None, since there is nothing to decline in a QCN")
        outcome, reward = paid(self.setting, self.slots, action)
        self.slots = self._drawn()
        return Step(reward, outcome)


def paid(setting: Setting, slots: Slots, action: Action) -> tuple[Outcome, Tensor]:
    """What an action costs, and what each agent is paid for it, (B, U)."""
    outcome = settle(setting.model, slots, action)

    def cost_of(times: int, actions: Action) -> Tensor:
        return settle(setting.model, slots.repeated(times), actions).cost

    return outcome, rewards(setting.reward, action, outcome.cost, cost_of)

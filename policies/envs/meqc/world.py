"""``MEQC-v1``: thousands of the paper's worlds side by side, slot by slot, in torch.

Source: MEQC, Section IV.A. Slots are independent, as the paper draws them: nothing that is done changes what comes, so
that an episode is as long as one likes to call it. The same world behind PettingZoo's interface, one at a time, is
:mod:`policies.envs.parallel_env`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch
from torch import Tensor

from circuits.errors import InvalidParameter
from circuits.parameters import choice, integer
from policies.envs import batched
from policies.envs.batched import BatchedWorld, WeighedSetting
from policies.envs.contract import Action, Observation, Rule, Rules, Step
from policies.envs.known_optima import Source
from policies.envs.meqc.baselines import BASELINES, NAIVE
from policies.envs.meqc.batch import Outcome, Slots, settle
from policies.envs.meqc.document import model_of, written_model
from policies.envs.meqc.draw import draw_slots
from policies.envs.meqc.instance import CIRCUITS
from policies.envs.meqc.known_optima import SOURCE
from policies.envs.meqc.model import Model
from policies.envs.meqc.observation import NUM_PAIR_FEATURES, NUM_USER_FEATURES, observe


@dataclass(frozen=True)
class Setting(WeighedSetting):
    """Of a world; what is not listed here is as in :class:`~policies.envs.batched.WeighedSetting`.

    The weights are the paper's lambda^D and lambda^E; the reward "global" is the paper's        [MEQC, IV.A.3].

    Attributes:
        circuits: of tasks: the "paper"'s formulas of qubits and depth, or of "compiled" circuits (ours).
        model: how the paper is read.
    """

    servers: int = integer(10, low=1, high=100_000, doc="edge servers")
    circuits: str = choice("paper", *CIRCUITS, doc="whose qubits and depth tasks have")
    model: Model = field(default_factory=Model)

    square: ClassVar[bool] = True
    """Whether comparisons have as many servers as users if nothing else is said."""

    read_model = staticmethod(model_of)

    def drawn(self, chance: torch.Generator, num_slots: int, dtype: torch.dtype = torch.float32) -> Slots:
        """Independent slots."""
        return draw_slots(chance, (num_slots, self.users, self.servers), self.fixed_weights, dtype, self.circuits)

    def seen(self, slots: Slots) -> Observation:
        """What the agents of each slot see."""
        return observe(slots, self.deepest)

    def written_model(self) -> dict[str, Any]:
        """What the model differs by from its mode in this world, as ``overrides``."""
        return written_model(self.model, batched.setting_of({"mode": self.model.mode}, type(self)).model)

    @property
    def exact_optimum(self) -> bool:
        """Whether optima are proven, and not only bracketed."""
        return self.model.is_linear

    @property
    def deepest(self) -> float:
        """Largest depth of a task's circuit."""
        return float(max(depth for _, depth in CIRCUITS[self.circuits].values()))


def _rule(baseline: Callable[[Model, Slots, torch.Generator], Action]) -> Rule:
    return lambda world, chance: baseline(world.setting.model, world.slots, chance)


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
    """Whether users can refuse a QPU, by ``Action.asks``."""
    rules: ClassVar[Rules] = {name: _rule(each) for name, each in BASELINES.items()}
    naive: ClassVar[tuple[str, ...]] = NAIVE
    compared: ClassVar[tuple[str, ...]] = ("quantum_blind", "greedy")
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

    def cost_of(times: int, actions: Action) -> Tensor:
        return settle(setting.model, slots.repeated(times), actions).cost

    return batched.rewards(setting.reward, action, outcome.cost, cost_of)

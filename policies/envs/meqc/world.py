"""``MEQC-v1``: thousands of the paper's worlds side by side, slot by slot, in torch.

Source: MEQC, Section IV.A. Slots are independent, as the paper draws them: nothing that is done changes what comes, so
that an episode is as long as one likes to call it. The same world behind PettingZoo's interface, one at a time, is
:mod:`policies.envs.parallel_env`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch
from torch import Tensor

from circuits.errors import InvalidParameter
from circuits.parameters import choice, integer, real, validate
from policies.envs import batched
from policies.envs.batched import AnySetting, BatchedWorld, check_weights
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
    square: ClassVar[bool] = True
    """Whether comparisons have as many servers as users if nothing else is said."""

    read_model = staticmethod(model_of)

    def __post_init__(self) -> None:
        validate(self)
        check_weights(self)

    def written_model(self) -> dict[str, Any]:
        """What the model differs by from its mode in this world, as ``overrides``."""
        return written_model(self.model, setting_of({"mode": self.model.mode}, type(self)).model)

    @property
    def fixed_weights(self) -> tuple[float, float] | None:
        """Of delay and energy; None where they are drawn."""
        return batched.fixed_weights(self)

    @property
    def exact_optimum(self) -> bool:
        """Whether optima are proven, and not only bracketed."""
        return self.model.is_linear

    @property
    def deepest(self) -> float:
        """Largest depth of a task's circuit."""
        return float(max(depth for _, depth in CIRCUITS[self.circuits].values()))


def setting_of(asked: Mapping[str, Any], kind: type[AnySetting] = Setting) -> AnySetting:  # type: ignore[assignment]
    """As :func:`policies.envs.batched.setting_of`, of ``MEQC-v1`` if nothing else is said."""
    return batched.setting_of(asked, kind)


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

    def cost_of(times: int, actions: Action) -> Tensor:
        return settle(setting.model, slots.repeated(times), actions).cost

    return batched.rewards(setting.reward, action, outcome.cost, cost_of)

"""What every batched world is: B of them side by side, agents that observe and act, and what it costs them.

An agent (a mobile user) chooses one of E places (servers, nodes, backends) for its task and the share of it that it
keeps. Learners, evaluation and checkpoints know worlds by these types alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

from circuits.errors import DependencyNotInstalled

try:
    import torch
    from torch import Tensor
except ImportError as error:
    raise DependencyNotInstalled("a batched world", "torch", "learn") from error


@dataclass(frozen=True)
class Action:
    """What all users do.

    Attributes:
        servers: a, int64 (B, U).   shares: phi, what each user processes itself, in [0, 1], (B, U).
        asks: whether the user would have the QPU, bool (B, U); None: all would, as in MEQC, which has no such choice
            (ours).
    """

    servers: Tensor
    shares: Tensor
    asks: Tensor | None = None


@dataclass(frozen=True)
class Observation:
    """What all agents see: ``user`` (B, U, F), and of each place ``pair`` (B, U, E, G), both of the world's dtype."""

    user: Tensor
    pair: Tensor

    def flat(self) -> Tensor:
        """One vector an agent, (B, U, F + G E): user features, then each pair feature of all places."""
        return torch.cat([self.user, self.pair.transpose(-1, -2).flatten(-2)], dim=-1)


class Outcome(Protocol):
    """What an action led to, with whatever else a world knows of it."""

    @property
    def cost(self) -> Tensor:
        """Of each user, (B, U)."""


@dataclass(frozen=True)
class Step:
    """What came of an action.

    Attributes:
        reward: (B, U).   outcome: costs behind it; each world has more in it.
        terminated: whether the episode is over; what comes next belongs to another one.
    """

    reward: Tensor
    outcome: Any
    terminated: bool = False


class Setting(Protocol):
    """Of a world: a frozen dataclass declared with :mod:`circuits.parameters`, checked as it is made.

    It has a ``model``, whose ``mode`` is the name of the reading or set of constants that it began from. One that has
    none has no weights and no rules either: it is trained in, and policies are compared elsewhere (``Measured-v1``).
    """

    overrides: ClassVar[Mapping[str, Any]]
    """Of every mode's model in this world, as files have them."""
    square: ClassVar[bool]
    """Whether comparisons have as many servers as users if nothing else is said."""
    model: Any

    @property
    def users(self) -> int:
        """U, agents."""

    @property
    def servers(self) -> int:
        """E, places to go to."""

    @property
    def delay_weight(self) -> float:
        """Of delay in costs, where weights are fixed."""

    @property
    def energy_weight(self) -> float:
        """Of energy."""

    @property
    def weights(self) -> str:
        """Whether they are "fixed", or "drawn" in every slot."""

    @property
    def exact_optimum(self) -> bool:
        """Whether optima are proven, and not only bracketed."""

    @staticmethod
    def read_model(mode: object, overrides: object) -> Any:
        """A mode's model with some of it changed."""

    def written_model(self) -> dict[str, Any]:
        """What the model differs by from its mode's in this world, as ``overrides``."""


Rule = Callable[[Any, torch.Generator], Action]
"""What everybody does in a world, with chance for those who draw."""

Rules = Mapping[str, Rule]
"""By name."""


class World(Protocol):
    """B worlds at once, in step; the same seed gives the same tasks, whatever is done in them.

    Attributes:
        num_features: F of a user and G of a pair, see :class:`Observation`.
        bounds: lowest and highest value of what is observed.
        time_left: index of the user feature that says which part of the episode is left; None: there is no such one.
        may_decline: whether users can refuse a QPU, by ``Action.asks``.
        rules: that learned policies are compared with.
        naive: the best of these rules is the "best naive baseline".   compared: rules that tables name beside it.
        source: how the best action of a slot is found (:class:`policies.envs.known_optima.Source`); None: it is not.
        slots: of now.
    """

    setting_type: ClassVar[type[Any]]
    num_features: ClassVar[tuple[int, int]]
    bounds: ClassVar[tuple[float, float]]
    time_left: ClassVar[int | None]
    may_decline: ClassVar[bool]
    rules: ClassVar[Rules]
    naive: ClassVar[tuple[str, ...]]
    compared: ClassVar[tuple[str, ...]]
    source: ClassVar[Any]
    setting: Any
    num_worlds: int
    slots: Any

    def observe(self) -> Observation:
        """What the agents see now."""

    def step(self, action: Action) -> Step:
        """Take an action and go on."""

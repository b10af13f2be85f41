"""What batched worlds and their settings share: how they begin, what agents are paid, how settings are written."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, TypeVar

import torch
from torch import Tensor

from circuits.errors import InvalidParameter
from circuits.parameters import choice, construct, domains, integer, real, short, validate
from policies.envs import load
from policies.envs.contract import Action, Observation
from policies.envs.documents import check_keys

AnySetting = TypeVar("AnySetting")


@dataclass(frozen=True)
class WeighedSetting(ABC):
    """Of a world whose costs are delay and energy, each with its weight.

    Attributes:
        users: U.   servers: E, places to go to.
        delay_weight, energy_weight: of every user.
        weights: "fixed", or "drawn": each slot has its own, that of energy being 1 - that of delay (ours).
        reward: "global": minus the cost of all, for everybody; "own": minus one's own cost (ours); "difference": by
            how much less all pay than if one had stayed local (ours).
    """

    users: int = integer(10, low=1, high=100_000, doc="mobile users")
    servers: int = integer(10, low=1, high=100_000, doc="places to go to")
    delay_weight: float = real(0.5, low=0.0, high=1.0, doc="weight of delay")
    energy_weight: float = real(0.5, low=0.0, high=1.0, doc="weight of energy")
    weights: str = choice("fixed", "fixed", "drawn", doc="one pair of weights, or another in every slot")
    reward: str = choice("global", "global", "own", "difference", doc="what agents are paid")

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

    @abstractmethod
    def drawn(self, chance: torch.Generator, num_slots: int, dtype: torch.dtype = torch.float32) -> Any:
        """Independent slots."""

    @abstractmethod
    def seen(self, slots: Any) -> Observation:
        """What the agents of each slot see."""


class BatchedWorld(ABC):
    """B worlds at once, drawn from one chance; a world says how an episode begins.

    Raises:
        InvalidParameter: the setting is that of another world, or there is to be no world.
    """

    setting_type: ClassVar[type[Any]]
    bounds: ClassVar[tuple[float, float]] = (0.0, 1.0)
    time_left: ClassVar[int | None] = None

    def __init__(
        self,
        setting: Any,
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

    @abstractmethod
    def _begin(self) -> None:
        """An episode."""


def rewards(kind: str, action: Action, cost: Tensor, cost_of: Callable[[int, Action], Tensor]) -> Tensor:
    """What each agent is paid, (B, U): "own", minus its cost; "global", minus that of all; or "difference".

    "difference" is by how much less all pay than if the agent had kept its task, the others' actions being the same.

    Args:
        cost: of each user, (B, U).
        cost_of: of each user by an action in every slot repeated so many times, one after the other.
    """
    if kind == "own":
        return -cost
    total = cost.sum(-1, keepdim=True)
    if kind == "global":
        return -total.expand_as(cost)
    num_slots, num_users = cost.shape
    others, kept = (each.repeat_interleave(num_users, 0) for each in (action.servers, action.shares))
    asks = None if action.asks is None else action.asks.repeat_interleave(num_users, 0)
    away = torch.eye(num_users, dtype=torch.bool, device=kept.device).repeat(num_slots, 1)  # in row u, u stays local
    without = cost_of(num_users, Action(others, torch.where(away, 1.0, kept), asks))
    return without.sum(-1).reshape(num_slots, num_users) - total


def has_model(setting: Any) -> bool:
    """Whether a setting, or a type of them, has a model that is written as ``mode`` and ``overrides``."""
    return hasattr(setting, "read_model")


def setting_of(asked: Mapping[str, Any], kind: type[AnySetting]) -> AnySetting:
    """A setting from the names of its fields, and ``mode`` and ``overrides`` of its model as files have them.

    Args:
        asked: as ``{"users": 20, "mode": "calibrated", "overrides": {"gamma_inv": 0.01}}``; what is not named keeps
            its default. ``mode`` and ``overrides`` together are the model.
        kind: the world's ``setting_type``.

    Raises:
        InvalidParameter: a name is unknown or a value out of range; the message names it.
    """
    known: Any = kind
    own = {name: value for name, value in asked.items() if name not in ("mode", "overrides")}
    if "model" in own:
        raise InvalidParameter(f"{kind.__name__}.model: wanted mode and overrides in its place")
    if len(own) < len(asked):
        overrides = asked.get("overrides", {})
        given = {**known.overrides, **overrides} if isinstance(overrides, Mapping) else overrides
        own["model"] = known.read_model(asked.get("mode", known().model.mode), given)
    setting: AnySetting = construct(kind, own)
    return setting


def written_setting(setting: Any) -> dict[str, Any]:
    """All fields of a setting, with ``mode`` and ``overrides`` in the place of a model, as checkpoints keep it."""
    written = {"mode": setting.model.mode, "overrides": setting.written_model()} if has_model(setting) else {}
    return {name: getattr(setting, name) for name in domains(setting)} | written


def read_setting(env: str, document: object) -> Any:
    """A setting as :func:`written_setting` writes it, or wrote it before the fields that it says were ``added``.

    Raises:
        InvalidParameter: a field is missing, unknown or out of range; the message names it.
    """
    kind = load(env).setting_type
    if not isinstance(document, Mapping):
        raise InvalidParameter(f"setting: wanted an object, got {short(document)}")
    names = {*domains(kind), *(("mode", "overrides") if has_model(kind) else ())}
    check_keys("setting", document, required=names - getattr(kind, "added", frozenset()), known=names)
    return setting_of(document, kind)

"""What every learner is: trained epoch by epoch, saved and restored as tensors, and asked to act."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
from torch import Tensor

from policies.envs.contract import Action, Observation
from policies.envs.meqc.world import Setting


@dataclass(frozen=True)
class Progress:
    """Where training is after an epoch.

    Attributes:
        epoch: number of it, from 1.   slots: of the world, so far.
        cost: mean system cost of a slot while it was explored in this epoch.
        figures: what else is worth a curve, by name: losses, entropies, …
    """

    epoch: int
    slots: int
    cost: float
    figures: Mapping[str, float] = field(default_factory=dict)


class Actor(Protocol):
    """Acts for all users of many slots, each by its own observation.

    One that remembers acts slot by slot in one batch of worlds, and forgets where it sees an episode begin. One that
    talks first has ``rounds`` above 0 and takes ``ask``, which is
    :meth:`policies.envs.meqc.sequential.SequentialWorld.answers`; it also acts without.
    """

    def act(self, observation: Observation, chance: torch.Generator | None = None) -> Action:
        """What everybody does: the most likely action, or one drawn with ``chance``."""


class Learner(Protocol):
    """Trains an actor in a world of its own.

    ``config`` is a frozen dataclass of numbers, strings and bools, declared with :mod:`circuits.parameters`, so that it
    is checked, shown as options and written as JSON. The same config, setting and seed give the same curve on a CPU.
    One that plays other worlds than ``MEQC-v1`` names all that it plays in a class attribute ``envs``.
    """

    config: Any

    def __init__(self, config: Any, setting: Setting, seed: int) -> None: ...

    def epoch(self) -> Progress:
        """One round of play and updates."""

    def actor(self) -> Actor:
        """What has been learned so far."""

    def state(self) -> dict[str, Tensor]:
        """Everything that training needs to go on as if it had not been interrupted: weights, optimisers, chance."""

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Go on from :meth:`state`."""

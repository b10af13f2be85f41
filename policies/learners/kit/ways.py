"""What a user can do, numbered: 0 is to keep everything, then come the kinds of going to place 0, to place 1 and so on.

Source: ours. A world in which users may decline a QPU has two kinds for each place, with the QPU and without it; a
learner that knows a few shares only has as many kinds for each of them.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from policies.envs import of
from policies.envs.contract import Action, Observation


def num_requests(setting: Any) -> int:
    """Kinds of requests at a place: 2 (with the QPU, without it) where users may decline it, else 1."""
    return 1 + int(of(setting).may_decline)


def horizon(setting: Any) -> int:
    """Slots of an episode; in a world whose slots are independent each is an episode of its own (ours)."""
    return int(getattr(setting, "episode_slots", 1))


def begins(setting: Any, seen: Observation) -> bool:
    """Whether an episode begins: all of its time is left, or slots are independent."""
    index = of(setting).time_left
    return index is None or bool((seen.user[0, 0, index] >= 1.0).item())


def joined(home: Tensor, place: Tensor) -> Tensor:
    """Scores of all ways, (B, U, 1 + E K), from those at home (B, U, 1) and of the kinds at places (B, U, E, K)."""
    return torch.cat([home, place.flatten(-2)], dim=-1)


def place_of(way: Tensor, num_kinds: int) -> Tensor:
    """Of each way, int64 as ``way``; 0 for who stays."""
    return (way - 1).clamp(min=0) // num_kinds


def kind_of(way: Tensor, num_kinds: int) -> Tensor:
    """Of each way, int64 as ``way``; 0 for who stays."""
    return (way - 1).clamp(min=0) % num_kinds


def at_place(values: Tensor, way: Tensor, num_kinds: int) -> Tensor:
    """What belongs to the place that a way goes to: (B, U, E, N) to (B, U, N)."""
    index = place_of(way, num_kinds)[..., None, None].expand(*way.shape, 1, values.shape[-1])
    return values.gather(-2, index).squeeze(-2)


def action_of(way: Tensor, share: Tensor, requests: int, num_kinds: int | None = None) -> Action:
    """What ways and shares come to.

    Args:
        way: int64 (B, U).   share: kept by those who go, (B, U).   requests: of :func:`num_requests`.
        num_kinds: of ways to a place, a multiple of ``requests``, which is the default; requests change first.
    """
    num = num_kinds or requests
    goes = way > 0
    asks = goes & (kind_of(way, num) % requests == 0) if requests > 1 else None
    return Action(place_of(way, num), torch.where(goes, share, 1.0).clamp(0.0, 1.0), asks)


def rows(seen: Observation, index: Tensor) -> Observation:
    """Some slots of an observation."""
    return Observation(seen.user[index], seen.pair[index])

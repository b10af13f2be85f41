"""The best action of each of many slots, remembered on disk: milliseconds a slot, and every evaluation wants the same.

Source: ours. What is remembered is found by what it was asked, model and slots to the last bit, and is believed only
where the actions cost what the file says. A world says how it finds them by a :class:`Source`.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from platformdirs import user_cache_path
from torch import Tensor

from policies.envs.contract import Action

AT_ONCE = 50
"""Slots of one file."""

TOLERANCE = 1e-9

Tell = Callable[[int, int], object]
"""Called with how many slots are done, of how many."""


def _same(slots: Any) -> Any:
    return slots


class Optimum(Protocol):
    """Of one slot: an action, what it costs, what none goes below, and whether it is proven to be the best."""

    @property
    def servers(self) -> Sequence[int]: ...

    @property
    def shares(self) -> Sequence[float]: ...

    @property
    def total(self) -> float: ...

    @property
    def lower_bound(self) -> float: ...

    @property
    def exact(self) -> bool: ...


@dataclass(frozen=True)
class Source:
    """Of optima.

    Attributes:
        name: of the folder.   version: of what is found: one that finds better actions is another version.
        columns: of slots, that make a question.
        find: (model, slots) -> the optimum of each.   settle: (model, slots, action) -> the outcome.
        unhindered: slots -> the same if nothing had been done before, in which no action costs more.
    """

    name: str
    version: int
    columns: tuple[str, ...]
    find: Callable[[Any, Any], Sequence[Optimum]]
    settle: Callable[[Any, Any, Action], Any]
    unhindered: Callable[[Any], Any] = _same


@dataclass(frozen=True)
class Best:
    """What is known of every slot; B slots, U users.

    Attributes:
        action: the best that is known, shares float64.
        total: what it costs, float64 (B,).   lower_bound: what no action goes below, float64 (B,).
        exact: whether it is proven to be the best, bool (B,).
    """

    action: Action
    total: Tensor
    lower_bound: Tensor
    exact: Tensor


def best_actions(source: Source, model: Any, slots: Any, folder: Path | None = None, tell: Tell | None = None) -> Best:
    """The best action that is known of every slot.

    Args:
        slots: float64.
        folder: of what is remembered; None: the user's cache.   tell: is told how far it is.
    """
    folder = user_cache_path("qorch") / source.name if folder is None else folder
    num_slots = slots.shape[0]
    parts = []
    for begin in range(0, num_slots, AT_ONCE):
        parts.append(_part(source, model, slots.at(slice(begin, begin + AT_ONCE)), folder))
        if tell:
            tell(min(begin + AT_ONCE, num_slots), num_slots)
    joined = {name: torch.cat([part[name] for part in parts]) for name in parts[0]}
    return Best(
        Action(joined["servers"], joined["shares"]), joined["total"], joined["lower_bound"], joined["exact"].bool()
    )


def _part(source: Source, model: Any, slots: Any, folder: Path) -> dict[str, Tensor]:
    path = folder / f"{_asked(source, model, slots)}.npz"
    with suppress(OSError, ValueError, KeyError, EOFError):
        found = _remembered(path)
        if _believed(source, model, slots, found):
            return found
    each = source.find(model, slots)
    found = {
        "servers": torch.tensor([one.servers for one in each], dtype=torch.long),
        "shares": torch.tensor([one.shares for one in each], dtype=torch.float64),
        "total": torch.tensor([one.total for one in each], dtype=torch.float64),
        "lower_bound": torch.tensor([one.lower_bound for one in each], dtype=torch.float64),
        "exact": torch.tensor([one.exact for one in each], dtype=torch.uint8),
    }
    with suppress(OSError):  # a cache that cannot be written is none
        folder.mkdir(parents=True, exist_ok=True)
        fresh = path.with_suffix(f".{os.getpid()}.npz")
        np.savez(fresh, **{name: value.numpy() for name, value in found.items()})
        fresh.replace(path)
    return found


def _asked(source: Source, model: Any, slots: Any) -> str:
    """A name for a question: model and slots."""
    digest = hashlib.sha256(json.dumps([source.version, asdict(model)], sort_keys=True).encode())
    for name in source.columns:
        digest.update(getattr(slots, name).double().contiguous().numpy().tobytes())
    return digest.hexdigest()[:32]


def _remembered(path: Path) -> dict[str, Tensor]:
    kinds = {"servers": "i8", "shares": "f8", "total": "f8", "lower_bound": "f8", "exact": "u1"}
    with np.load(path, allow_pickle=False) as file:
        return {name: torch.from_numpy(file[name].astype(kind, casting="equiv")) for name, kind in kinds.items()}


def _believed(source: Source, model: Any, slots: Any, found: Mapping[str, Tensor]) -> bool:
    """Whether the actions are some, and cost what they are said to cost."""
    users, alone = slots.shape[:2], slots.shape[:1]
    servers, shares = found["servers"], found["shares"]
    if any(found[name].shape != (users if name in ("servers", "shares") else alone) for name in found):
        return False
    if not (((servers >= 0) & (servers < slots.shape[2])).all() and ((shares >= 0) & (shares <= 1)).all()):
        return False
    total = source.settle(model, slots, Action(servers, shares)).cost.sum(-1)
    return bool(torch.allclose(total, found["total"], rtol=TOLERANCE, atol=0.0))

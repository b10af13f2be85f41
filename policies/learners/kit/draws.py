"""What learners draw: slots of their setting, and networks whose first weights follow from a seed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeVar

import torch
from torch import nn

from policies.envs.batched import WeighedSetting

EDGE = 0.05
"""Weights are drawn from [-0.05, 1.05] and cut off: 1 slot in 22 has only delay, 1 in 22 only energy (ours)."""

Network = TypeVar("Network", bound=nn.Module)


def drawn(setting: WeighedSetting, chance: torch.Generator, num_slots: int) -> Any:
    """Fresh slots; drawn weights reach their ends, which are asked for as often as the middle."""
    slots = setting.drawn(chance, num_slots)
    if setting.weights == "fixed":
        return slots
    delay = (slots.delay_weight * (1.0 + 2.0 * EDGE) - EDGE).clamp(0.0, 1.0)
    return replace(slots, delay_weight=delay, energy_weight=1.0 - delay)


def seeded(seed: int, make: Callable[[], Network]) -> Network:
    """A network whose first weights follow from the seed, the state of torch's own chance left alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return make()

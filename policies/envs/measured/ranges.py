"""What an actor meets in its world, where it does not say so itself."""

from __future__ import annotations

from typing import Any

import torch

from policies.envs import of
from policies.envs.measured.observation import noted, ranges


def watched(actor: Any, setting: Any, num_worlds: int) -> dict[str, tuple[float, float]]:
    """Ranges of what it sees in an episode of so many worlds."""
    world, seen, ended = of(setting)(setting, num_worlds, 0), [], False
    while not ended:
        observation = world.observe()
        seen.append(noted(observation).flatten(0, 1))
        ended = world.step(actor.act(observation)).terminated
    met = torch.cat(seen)
    return ranges(met.amin(0), met.amax(0))

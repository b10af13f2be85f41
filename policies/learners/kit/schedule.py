"""How the step size falls while one trains."""

from __future__ import annotations

import torch

LEAST_STEP = 1e-2
"""The step size falls to this part of the first, and stays there however long one trains."""


def slow_down(optimiser: torch.optim.Optimizer, first: float, done: int, epochs: int) -> float:
    """Set the step size, which falls linearly over the epochs.

    Args:
        first: step size of the first epoch.   done, epochs: how many there have been, and how many it falls over.

    Returns:
        The part that is left, in [0, 1].
    """
    left = max(0.0, 1.0 - done / epochs)
    for group in optimiser.param_groups:
        group["lr"] = first * max(left, LEAST_STEP)
    return left

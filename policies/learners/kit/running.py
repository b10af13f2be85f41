"""Mean and scale of numbers that a learner meets, as they change while it learns."""

from __future__ import annotations

import torch
from torch import Tensor, nn

LEAST_WEIGHT = 0.02
"""The newest batch counts at least so much, so that what was met long ago is forgotten (ours)."""


class Running(nn.Module):  # type: ignore[misc]  # torch is Any to mypy here
    """Mean and mean square of batches; a module, so that it is saved with the weights.

    The first batches count alike, later ones fade. Before the first, the mean is 0 and the deviation 1.
    """

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(()))
        self.register_buffer("square", torch.ones(()))
        self.register_buffer("batches", torch.zeros(()))

    @torch.no_grad()  # type: ignore[untyped-decorator]
    def add(self, values: Tensor) -> None:
        """Meet a batch."""
        self.batches += 1.0
        weight = (1.0 / self.batches).clamp(min=LEAST_WEIGHT)
        self.mean.lerp_(values.mean(), weight)
        self.square.lerp_(values.square().mean(), weight)

    @property
    def deviation(self) -> Tensor:
        """Standard deviation, not below 1e-4 of the root mean square."""
        variance: Tensor = (self.square - self.mean.square()).clamp(min=1e-8 * self.square + 1e-12)
        return variance.sqrt()

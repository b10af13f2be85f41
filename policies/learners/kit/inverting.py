"""Numbers in [0, 1] that reach both ends and come back from them.

Source: Hausknecht and Stone, "Deep reinforcement learning in parameterized action space", arXiv 1511.04143, Section 4:
inverting gradients. A sigmoid that has come near an end has no gradient left to leave it by.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


class _Inverting(torch.autograd.Function):  # type: ignore[misc]  # torch is Any to mypy here
    """x = z + 1/2 cut off; what would raise x counts by 1 - x, what would lower it by x."""

    @staticmethod
    def forward(ctx: Any, inputs: Tensor) -> Tensor:
        share = (inputs + 0.5).clamp(0.0, 1.0)
        ctx.save_for_backward(share)
        return share

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        (share,) = ctx.saved_tensors
        return gradient * torch.where(gradient < 0, 1.0 - share, share)  # who descends raises x where it is negative


def share_of(inputs: Tensor) -> Tensor:
    """Shares, 1/2 where the network says 0."""
    share: Tensor = _Inverting.apply(inputs)
    return share

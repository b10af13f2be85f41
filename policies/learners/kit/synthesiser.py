"""A diffusion model of transitions, from which a replay buffer can be topped up.

Source: Lu et al., "Synthetic experience replay" (SynthER), NeurIPS 2023 (arXiv 2303.06614):
diffusion by a residual network over whitened rows (observation, action, reward, next observation, terminated), trained
again as the buffer grows; minibatches are part real, part synthetic, half and half in the paper. Deviations: noise and
sampler are those of :mod:`policies.learners.kit.diffusion`, not Karras et al.'s; sizes are ours. Discrete actions are
columns of zeros and ones, of which the largest is taken; whether it was the last slot is rounded, as in the paper.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import one_hot

from policies.learners.kit.diffusion import Denoiser, denoised, noised
from policies.learners.kit.sight import Scale

NO_CONDITION = 0
AT_ONCE = 4096
"""Rows that are drawn together."""


@dataclass(frozen=True)
class Transitions:
    """M of them: ``seen`` and ``next`` (M, D), ``action`` int64, ``reward``, and ``last`` 0 or 1, (M,)."""

    seen: Tensor
    action: Tensor
    reward: Tensor
    next: Tensor
    last: Tensor


class Synthesiser(nn.Module):  # type: ignore[misc]  # torch is Any to mypy here
    """Rows of D + A + 1 + D + 1 numbers.

    Args:
        num_seen: D.   num_actions: A.   width: of the network.   steps: from noise to a row.
    """

    def __init__(self, num_seen: int, num_actions: int, width: int = 128, steps: int = 20) -> None:
        super().__init__()
        self.sizes, self.steps = (num_seen, num_actions, 1, num_seen, 1), steps
        self.scale = Scale(sum(self.sizes))
        self.denoiser = Denoiser(sum(self.sizes), NO_CONDITION, width)

    def rows(self, real: Transitions) -> Tensor:
        """As the network has them, before they are scaled."""
        action = one_hot(real.action, self.sizes[1]).to(real.seen.dtype)
        return torch.cat([real.seen, action, real.reward[:, None], real.next, real.last[:, None]], dim=-1)

    def learn(
        self, real: Transitions, num_steps: int, chance: torch.Generator, *, batch: int = 256, step_size: float = 1e-3
    ) -> float:
        """Train on a buffer, from the weights there are, with the scale of the buffer.

        Returns:
            Mean squared error of the velocity over the last tenth of the steps.
        """
        rows = self.rows(real)
        self.scale.fit(rows)
        optimiser = torch.optim.Adam(self.denoiser.parameters(), lr=step_size)
        errors = []
        for _ in range(num_steps):
            picked = self.scale(rows[torch.randint(len(rows), (batch,), generator=chance)])
            noisy, velocity, level = noised(picked, chance)
            error = (self.denoiser(noisy, level, noisy[:, :NO_CONDITION]) - velocity).square().mean()
            optimiser.zero_grad()
            error.backward()
            optimiser.step()
            errors.append(error.detach())
        return float(torch.stack(errors[-max(1, num_steps // 10) :]).mean())

    def draw(self, num: int, chance: torch.Generator) -> Transitions:
        """So many transitions that were never made."""
        starts = torch.randn(num, sum(self.sizes), generator=chance).split(AT_ONCE)
        with torch.no_grad():
            rows = torch.cat([denoised(self._velocity, start, self.steps) for start in starts])
        seen, action, reward, following, last = self.scale.back(rows).split(self.sizes, dim=-1)
        return Transitions(seen, action.argmax(-1), reward[:, 0], following, last[:, 0].round().clamp(0.0, 1.0))

    def _velocity(self, noisy: Tensor, level: Tensor) -> Tensor:
        found: Tensor = self.denoiser(noisy, level, noisy[:, :NO_CONDITION])
        return found

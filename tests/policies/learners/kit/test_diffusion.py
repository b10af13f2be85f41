"""Diffusion: noise by its schedule, the way back by a known denoiser, and transitions that look like the buffer's."""

from __future__ import annotations

import torch

from policies.learners.kit.diffusion import NUM_LEVELS, clean_part, denoised, noised
from policies.learners.kit.synthesiser import Synthesiser, Transitions


def test_noise_grows_from_none_to_all() -> None:
    part = clean_part(torch.arange(NUM_LEVELS + 1.0))
    assert part[0] == 1.0
    assert bool((part.diff() < 0).all())
    assert part[-1] <= 1e-3


def test_noised_vectors_keep_their_variance() -> None:
    chance = torch.Generator().manual_seed(1)
    clean = torch.randn(20_000, 2, generator=chance)
    noisy, velocity, level = noised(clean, chance)
    assert abs(float(noisy.var()) - 1.0) < 0.03
    part = clean_part(level).unsqueeze(-1)
    torch.testing.assert_close(part.sqrt() * noisy - (1 - part).sqrt() * velocity, clean, atol=1e-5, rtol=1e-5)
    assert 1 <= float(level.min()) <= float(level.max()) == NUM_LEVELS


def test_the_exact_denoiser_of_a_normal_leads_to_it() -> None:
    """For data N(m, s^2) the best guess of the clean vector is known: the way back gives their mean and deviation."""
    mean, deviation = 1.5, 0.4

    def exact(noisy: torch.Tensor, level: torch.Tensor) -> torch.Tensor:
        part = clean_part(level).unsqueeze(-1)
        own, other = part.sqrt(), (1 - part).sqrt()
        clean = mean + own * deviation**2 * (noisy - own * mean) / (part * deviation**2 + 1 - part)
        return (own * noisy - clean) / other

    start = torch.randn(4000, 1, generator=torch.Generator().manual_seed(1))
    found = denoised(exact, start, 50)
    assert abs(float(found.mean()) - mean) < 0.05
    assert abs(float(found.std()) - deviation) < 0.05
    at_rest = denoised(exact, torch.zeros(1, 1), 50)
    assert abs(float(at_rest) - mean) < 0.05


def buffer(num: int, chance: torch.Generator) -> Transitions:
    """Reward is what was seen where the first action was taken, and minus that where the second was."""
    seen = torch.randn(num, 1, generator=chance)
    action = (torch.rand(num, generator=chance) < 0.3).long()
    reward = torch.where(action == 0, seen[:, 0], -seen[:, 0])
    return Transitions(seen, action, reward, 0.5 * seen, (torch.rand(num, generator=chance) < 0.1).float())


def test_synthetic_transitions_have_the_buffers_laws() -> None:
    chance = torch.Generator().manual_seed(1)
    model = Synthesiser(1, 2, width=64)
    assert model.learn(buffer(4000, chance), 500, chance) < 0.6  # of velocities of variance 1
    made = model.draw(2000, chance)
    assert abs(float(made.action.float().mean()) - 0.3) < 0.1
    assert abs(float(made.last.mean()) - 0.1) < 0.06
    assert abs(float(made.seen.std()) - 1.0) < 0.2
    law = torch.where(made.action == 0, made.seen[:, 0], -made.seen[:, 0])
    assert float(torch.corrcoef(torch.stack([law, made.reward]))[0, 1]) > 0.8
    assert float(torch.corrcoef(torch.stack([made.seen[:, 0], made.next[:, 0]]))[0, 1]) > 0.9

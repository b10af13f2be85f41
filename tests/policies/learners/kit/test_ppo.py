"""The clipped objective is the paper's, and gradients are clipped network by network."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from policies.learners.kit.ppo import clip_gradients, clipped_surrogate, divergence, normalised


@given(st.floats(-3, 3), st.floats(-10, 10), st.floats(0.01, 0.9))
def test_it_is_the_printed_formula(log_ratio: float, advantage: float, clip: float) -> None:
    ratio = math.exp(log_ratio)
    bound = (1 + clip) * advantage if advantage >= 0 else (1 - clip) * advantage
    found = clipped_surrogate(torch.tensor(log_ratio).double(), torch.tensor(advantage).double(), clip)
    assert float(found) == pytest.approx(min(ratio * advantage, bound), rel=1e-6, abs=1e-6)


@pytest.mark.parametrize(("log_ratio", "advantage", "moves"), [(0.5, 1, False), (0.5, -1, True), (-0.5, -1, False)])
def test_what_went_far_enough_is_not_pushed_on(log_ratio: float, advantage: float, moves: bool) -> None:
    at = torch.tensor(log_ratio, requires_grad=True)
    clipped_surrogate(at, torch.tensor(float(advantage)), 0.2).backward()
    assert bool(at.grad != 0) is moves


def test_normalised_advantages_are_so_for_each_agent() -> None:
    found = normalised(torch.randn(4, 100) * torch.tensor([[1.0], [10.0], [1e3], [0.0]]) + 7.0)
    assert torch.allclose(found.mean(-1), torch.zeros(4), atol=1e-4)
    assert torch.allclose(found.std(-1, correction=0), torch.tensor([1.0, 1.0, 1.0, 0.0]), atol=1e-3)


@given(st.lists(st.floats(-2, 2), min_size=1))
def test_divergence_is_never_negative(log_ratios: list[float]) -> None:
    assert divergence(torch.tensor(log_ratios)) >= -1e-6
    assert divergence(torch.zeros(3)) == 0.0


def test_one_networks_large_gradient_leaves_the_others_alone() -> None:
    weight, bias = torch.nn.Parameter(torch.zeros(2, 3, 4)), torch.nn.Parameter(torch.zeros(2, 1, 4))
    weight.grad, bias.grad = torch.full((2, 3, 4), 0.01), torch.full((2, 1, 4), 0.01)
    weight.grad[0] *= 1e4
    clip_gradients([weight, bias], 0.5)
    norms = (
        torch.stack([weight.grad.flatten(1), bias.grad.repeat(1, 3, 1).flatten(1) / 3**0.5]).square().sum((0, 2)).sqrt()
    )
    assert float(norms[0]) == pytest.approx(0.5, rel=1e-4)
    assert torch.equal(weight.grad[1], torch.full((3, 4), 0.01))

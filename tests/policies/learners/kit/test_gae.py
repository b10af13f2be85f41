"""Advantages are the sums that they stand for."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from policies.learners.kit.gae import advantages

SHARES = st.floats(0.0, 1.0)


@given(st.integers(1, 40), st.integers(0, 2**31), SHARES, SHARES)
def test_they_are_the_recursion_written_out(num_steps: int, seed: int, discount: float, smoothing: float) -> None:
    chance = torch.Generator().manual_seed(seed)
    rewards = torch.randn(2, 3, num_steps, generator=chance, dtype=torch.float64)
    values = torch.randn(2, 3, num_steps + 1, generator=chance, dtype=torch.float64)
    wanted = torch.zeros_like(values)
    for step in reversed(range(num_steps)):
        surprise = rewards[..., step] + discount * values[..., step + 1] - values[..., step]
        wanted[..., step] = surprise + discount * smoothing * wanted[..., step + 1]
    assert torch.allclose(advantages(rewards, values, discount, smoothing), wanted[..., :-1], rtol=1e-12, atol=1e-12)


def test_with_smoothing_of_one_they_are_returns_less_values() -> None:
    rewards, values = torch.tensor([1.0, 2.0, 4.0]), torch.tensor([10.0, 20.0, 30.0, 40.0])
    found = advantages(rewards, values, 0.5, 1.0)
    assert found.tolist() == pytest.approx([1 + 1 + 1 + 5 - 10, 2 + 2 + 10 - 20, 4 + 20 - 30])


def test_without_a_future_they_are_rewards_less_values() -> None:
    rewards, values = torch.rand(5, 7), torch.rand(5, 8)
    assert torch.equal(advantages(rewards, values, 0.0, 0.95), rewards - values[:, :-1])

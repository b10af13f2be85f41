"""Amplification is what Grover's iterations do."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from policies.learners.quantum_rl import MOST_ANGLE, amplified


@given(
    weights=st.lists(st.floats(0.05, 1.0), min_size=2, max_size=8),
    action=st.integers(0, 7),
    num=st.integers(0, 4),
)
def test_it_is_the_product_of_reflections(weights: list[float], action: int, num: int) -> None:
    action %= len(weights)
    state = torch.tensor(weights, dtype=torch.float64)
    state = state / state.norm()
    theta = math.asin(float(state[action]))
    found = amplified(state, action, num)
    assert float(found.norm()) == pytest.approx(1.0)
    assert bool((found >= 0).all())
    if (2 * num + 1) * theta <= MOST_ANGLE:
        one = torch.eye(len(weights), dtype=torch.float64)
        marks = one.clone()
        marks[action, action] = -1.0
        grover = (2.0 * torch.outer(state, state) - one) @ marks
        wanted = torch.linalg.matrix_power(grover, num) @ state
        assert torch.allclose(found, wanted, atol=1e-9)
    else:
        assert float(found[action]) >= float(state[action])


def test_three_fair_actions_of_four_vanish_in_one_iteration() -> None:
    found = amplified(torch.full((4,), 0.5), 2, 1)
    assert float(found[2] ** 2) == pytest.approx(0.99)  # sin^2(3 pi / 6) = 1, but for what is left to the rest

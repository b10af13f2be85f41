"""The batched circuit is PennyLane's, in value and in gradient, and a linear map of 81 products."""

from __future__ import annotations

import sys

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from circuits.errors import DependencyNotInstalled
from policies.learners.kit.vqc import expectations, features
from policies.learners.kit.vqc_reference import circuit


def angles(seed: int, *shape: int) -> torch.Tensor:
    drawn = torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return (3.0 * drawn).requires_grad_()


@settings(max_examples=5, deadline=None)
@given(st.integers(0, 2**31), st.integers(1, 9))
def test_value_and_gradient_are_those_of_pennylane(seed: int, num_samples: int) -> None:
    pytest.importorskip("pennylane", reason="pip install 'qorch[learn]'")
    inputs, weights = angles(seed, num_samples, 4), angles(seed + 1, 2, 4)
    direction = angles(seed + 2, num_samples, 4).detach()
    ours, reference = expectations(inputs[None], weights[None])[0], circuit()(inputs, weights)
    assert torch.allclose(ours, reference, rtol=0, atol=1e-12)
    for one, other in zip(
        torch.autograd.grad((ours * direction).sum(), (inputs, weights)),
        torch.autograd.grad((reference * direction).sum(), (inputs, weights)),
        strict=True,
    ):
        assert torch.allclose(one, other, rtol=0, atol=1e-10)


def test_single_precision_is_within_a_millionth() -> None:
    inputs, weights = angles(1, 3, 500, 4).detach(), angles(2, 3, 2, 4).detach()
    exact = expectations(inputs, weights)
    assert torch.allclose(expectations(inputs.float(), weights.float()).double(), exact, rtol=0, atol=2e-6)
    assert float(exact.abs().max()) <= 1.0 + 1e-12


def test_every_network_has_weights_of_its_own() -> None:
    inputs, weights = angles(3, 1, 7, 4).detach(), angles(4, 2, 2, 4).detach()
    both = expectations(inputs.expand(2, -1, -1), weights)
    for number in range(2):
        assert torch.allclose(both[number], expectations(inputs, weights[number : number + 1])[0])


def test_it_is_a_linear_map_of_81_products() -> None:
    inputs, weights = angles(5, 1, 400, 4).detach(), angles(6, 1, 2, 4).detach()
    values, products = expectations(inputs, weights)[0], features(inputs)[0]
    assert products.shape == (400, 81)
    linear = torch.linalg.lstsq(products[:200], values[:200]).solution
    assert torch.allclose(products[200:] @ linear, values[200:], atol=1e-9)


def test_first_weights_only_shift_the_inputs() -> None:
    inputs, weights = angles(7, 1, 9, 4).detach(), angles(8, 1, 2, 4).detach()
    shifted = weights.clone()
    shifted[:, 0] = 0.0
    assert torch.allclose(expectations(inputs, weights), expectations(inputs + weights[:, :1], shifted))


def test_without_pennylane_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pennylane", None)
    with pytest.raises(DependencyNotInstalled, match=r"pip install 'qorch\[learn\]'"):
        circuit()

"""Averages of clipped updates: what one node can move, noise, poison, and steps side by side."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from circuits.errors import InvalidParameter
from policies.allocators.dpem.federation import (
    Federation,
    begin,
    federated,
    local_updates,
    poison,
    round_bytes,
)


def chance(seed: int = 1) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def summed(federation: Federation, updates: Tensor) -> Tensor:
    """What the server would noise, over C."""
    plain = Federation(clip=federation.clip, trimmed=federation.trimmed, momentum=0.0)
    left = int(plain.trimmed * len(updates))
    step, _, _ = federated(plain, begin(plain, updates.shape[1]), updates, chance())
    return step * (len(updates) - 2 * left) / plain.clip


def test_small_updates_are_averaged() -> None:
    updates = 1e-3 * torch.randn(10, 4, generator=chance())
    federation = Federation(momentum=0.0)
    step, _, _ = federated(federation, begin(federation, 4), updates, chance())
    assert torch.allclose(step, updates.mean(0))


@given(st.integers(0, 1000), st.sampled_from([0.0, 0.1, 0.3]), st.floats(0.01, 100.0))
def test_one_node_moves_the_sum_by_at_most_the_clip(seed: int, trimmed: float, scale: float) -> None:
    updates = scale * torch.randn(12, 5, generator=chance(seed))
    without = updates.clone()
    without[seed % 12] = 0.0
    federation = Federation(trimmed=trimmed)
    moved = summed(federation, updates) - summed(federation, without)
    assert float(torch.linalg.vector_norm(moved)) <= 1.0 + 1e-4


def test_noise_has_the_deviation_that_is_accounted_for() -> None:
    federation = Federation(sigma=2.0, clip=0.5, momentum=0.0)
    step, _, _ = federated(federation, begin(federation, 20_000), torch.zeros(10, 20_000), chance())
    assert float(step.std()) == pytest.approx(2.0 * 0.5 / 10, rel=0.03)


def test_the_clip_comes_to_the_quantile_of_the_norms() -> None:
    federation = Federation(clipping="adaptive", quantile=0.5, clip=10.0, clip_rate=0.5)
    served = begin(federation, 3)
    norms = torch.linspace(0.1, 1.0, 101)
    updates = norms[:, None] * torch.tensor([1.0, 0.0, 0.0])
    for _ in range(60):
        _, served, _ = federated(federation, served, updates, chance())
    assert float(served.clip) == pytest.approx(0.55, abs=0.05)


def test_the_count_has_a_part_of_the_noise() -> None:
    assert Federation(sigma=5.0, clipping="adaptive").noise(100) > 5.0
    assert Federation(sigma=5.0).noise(100) == 5.0
    with pytest.raises(InvalidParameter, match="count_sigma"):
        Federation(sigma=20.0, clipping="adaptive").noise(100)


@pytest.mark.parametrize("attack", ["flip", "noise"])
def test_the_trimmed_mean_stands_poison_better(attack: str) -> None:
    true = torch.tensor([0.05, -0.02, 0.01])
    updates = true + 0.005 * torch.randn(100, 3, generator=chance())
    errors = []
    for trimmed in (0.0, 0.2):
        federation = Federation(momentum=0.0, poisoned=0.2, attack=attack, trimmed=trimmed)
        sent = poison(federation, updates, torch.tensor(0.1), chance(3))
        assert int((sent != updates).any(1).sum()) == 20
        step, _, _ = federated(federation, begin(federation, 3), sent, chance())
        errors.append(float(torch.linalg.vector_norm(step - true)))
    assert errors[1] < errors[0] / 1.5


def test_momentum_smooths_and_does_not_enlarge() -> None:
    federation = Federation(momentum=0.9)
    served, updates = begin(federation, 1), torch.full((5, 1), 0.05)
    for _ in range(100):
        step, served, _ = federated(federation, served, updates, chance())
    assert float(step) == pytest.approx(0.05, rel=1e-3)


def test_nodes_side_by_side_step_as_alone() -> None:
    def loss(weights: Tensor, data: tuple[Tensor, Tensor]) -> Tensor:
        inputs, wanted = data
        return ((inputs @ weights - wanted) ** 2).mean()

    data = (torch.randn(4, 6, 3, generator=chance()), torch.randn(4, 6, generator=chance(2)))
    weights = torch.randn(3, generator=chance(3))
    together = local_updates(loss, weights, data, steps=2, rate=0.1)
    for node in range(4):
        own = weights.clone()
        for _ in range(2):
            own.requires_grad_()
            (slope,) = torch.autograd.grad(loss(own, (data[0][node], data[1][node])), own)
            own = (own - 0.1 * slope).detach()
        assert torch.allclose(together[node], own - weights, atol=1e-6)


def test_bytes_of_a_round() -> None:
    assert round_bytes(201, 100) == 160_800
    assert round_bytes(201, 100, adaptive=True) == 161_300


@pytest.mark.parametrize(
    ("name", "wrong"), [("sigma", -1.0), ("clip", 0.0), ("poisoned", 0.9), ("attack", "other"), ("trimmed", 0.5)]
)
def test_what_cannot_be_is_refused(name: str, wrong: object) -> None:
    with pytest.raises(InvalidParameter, match=name):
        Federation(**{name: wrong})  # type: ignore[arg-type]

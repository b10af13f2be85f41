"""Networks as vectors, advantages along chains, and losses whose gradients do what they should."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from circuits.errors import InvalidParameter
from policies.allocators.dpem.learning import (
    BARRED,
    Choices,
    Splits,
    along_chains,
    choice_loss,
    ridge,
    split_loss,
    summary,
)
from policies.allocators.dpem.network import Shape, begun, begun_as_hand, head, layers, scores

PATH = Shape(14, 8)


def chance(seed: int = 1) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_sizes_are_the_ones_that_are_told() -> None:
    assert PATH.num_weights == len(begun(PATH, chance())) == 201
    assert Shape(14, 32).num_weights == 1569


def test_the_compiled_net_is_the_same_net() -> None:
    weights = torch.randn(201, generator=chance())
    compiled = head(PATH, weights)
    seen = torch.rand(14, generator=chance(2))
    first = np.maximum(seen.numpy() @ compiled.w1[0] + compiled.b1[0], 0)
    second = np.maximum(first @ compiled.w2[0] + compiled.b2[0], 0)
    assert float(second @ compiled.w3[0] + compiled.b3[0]) == pytest.approx(
        float(scores(PATH, weights, seen)), abs=1e-4
    )
    assert head(PATH, weights.repeat(5, 1)).w1.shape == (5, 14, 8)
    assert [tuple(each.shape) for each in layers(PATH, weights)] == [(14, 8), (8,), (8, 8), (8,), (8,), ()]


@given(st.integers(0, 10**6))
def test_an_untrained_head_ranks_as_the_hand_rule(seed: int) -> None:
    seen = torch.rand(6, 14, generator=chance(seed))
    seen[:, 0] = torch.randint(1, 9, (6,), generator=chance(seed)) / 8.0
    cost_s = 10.0 * seen[:, 8] + 4.0 * seen[:, 0]
    found = scores(PATH, begun_as_hand(PATH, chance(seed)), seen)
    assert torch.equal(found.argsort(), (-cost_s).argsort())
    wait = scores(PATH, begun_as_hand(PATH, chance(seed)), torch.zeros(14))
    assert bool(((found > wait) == (cost_s < 12.0)).all())


def test_too_narrow_a_head_is_refused() -> None:
    with pytest.raises(InvalidParameter, match="width: wanted at least 3"):
        begun_as_hand(Shape(14, 2), chance())


def test_returns_are_of_the_chain_alone() -> None:
    chain = torch.tensor([3, 8, 3, 8, 3])
    reward = torch.tensor([1.0, 10.0, 2.0, 20.0, 4.0])
    _, returns = along_chains(chain, reward, torch.zeros(5, 1), 0.5, 0.9)
    assert returns.tolist() == [1 + 1 + 1, 10 + 10, 2 + 2, 20, 4]


def test_what_the_critic_foresees_is_no_advantage() -> None:
    chain = torch.arange(400)
    kind = (torch.rand(400, generator=chance()) < 0.5).float()
    better, _ = along_chains(chain, 5.0 * kind, kind[:, None], 0.9, 0.9)
    assert float(better.abs().max()) < 0.1


def test_no_decisions_teach_nothing() -> None:
    better, returns = along_chains(torch.zeros(0, dtype=torch.long), torch.zeros(0), torch.zeros(0, 3), 0.9, 0.9)
    assert better.shape == returns.shape == (0,)


def test_a_linear_critic_finds_a_line() -> None:
    inputs = torch.randn(500, 3, generator=chance())
    targets = inputs @ torch.tensor([1.0, -2.0, 0.5]) + 3.0
    assert torch.allclose(ridge(inputs, targets), targets, atol=0.05)


def test_a_node_with_its_own_critic_knows_nothing_of_others() -> None:
    node = torch.arange(90) % 3
    features, reward = torch.randn(90, 2, generator=chance()), torch.randn(90, generator=chance(2))
    other = reward + 10.0 * (node == 2)
    found = [along_chains(torch.arange(90), each, features, 0.9, 0.9, node)[0] for each in (reward, other)]
    assert torch.equal(found[0][node < 2], found[1][node < 2])


def test_ways_that_are_none_are_never_chosen() -> None:
    features = torch.randn(4, 3, 14, generator=chance())
    base = torch.tensor([0.0, BARRED, 0.0]).repeat(4, 1)
    assert torch.isfinite(summary(features, base)).all()
    features_changed = features.clone()
    features_changed[:, 1] += 100.0
    assert torch.equal(summary(features, base), summary(features_changed, base))


def test_a_step_makes_the_better_way_likelier() -> None:
    weights = torch.randn(201, generator=chance(), requires_grad=True)
    features, base = torch.rand(50, 3, 14, generator=chance(2)), torch.zeros(50, 3)
    chosen = torch.zeros(50, dtype=torch.long)

    def likely(of: torch.Tensor) -> torch.Tensor:
        return (base + scores(PATH, of, features)).log_softmax(-1)[:, 0]

    batch = Choices(features, base, chosen, likely(weights).detach(), torch.ones(50), torch.ones(50))
    (slope,) = torch.autograd.grad(choice_loss(PATH, weights, batch, 0.2, 0.0), weights)
    assert bool((likely(weights - 0.01 * slope).mean() > likely(weights).mean()).all())


def test_a_step_moves_shares_to_what_went_well() -> None:
    shape = Shape(9, 4)
    weights = torch.randn(shape.num_weights, generator=chance(), requires_grad=True)
    features = torch.rand(30, 9, generator=chance(2))
    mean = scores(shape, weights, features).detach()
    batch = Splits(features, mean + 0.3, mean, torch.ones(30), torch.ones(30))
    (slope,) = torch.autograd.grad(split_loss(shape, weights, batch, 0.2, 0.3), weights)
    assert bool((scores(shape, weights - 0.01 * slope, features).mean() > mean.mean()).all())


def test_padding_teaches_nothing() -> None:
    weights = torch.randn(201, generator=chance())
    features, base = torch.rand(6, 3, 14, generator=chance(2)), torch.zeros(6, 3)
    batch = Choices(features, base, torch.zeros(6, dtype=torch.long), torch.zeros(6), torch.ones(6), torch.ones(6))
    there = batch._replace(weight=torch.tensor([1.0, 1, 1, 0, 0, 0]))
    first = Choices(*(each[:3] for each in batch))
    assert torch.allclose(choice_loss(PATH, weights, there, 0.2, 0.1), choice_loss(PATH, weights, first, 0.2, 0.1))

"""Networks side by side: each is as it would be alone, and twins are of the size that they say."""

from __future__ import annotations

import pytest
import torch

from policies.learners.kit.networks import NETWORKS

INPUTS, WIDTH, OUTPUTS = 39, 64, 10


def built(name: str, num_networks: int) -> torch.nn.Module:
    return NETWORKS[name]((num_networks, INPUTS, WIDTH, OUTPUTS), torch.Generator().manual_seed(1), 1.0)


def num_weights(name: str) -> int:
    return sum(each.numel() for each in built(name, 1).parameters())


@pytest.mark.parametrize("name", sorted(NETWORKS))
def test_a_network_sees_its_own_weights_alone(name: str) -> None:
    network, inputs = built(name, 3), torch.randn(3, 5, INPUTS)
    before = network(inputs)
    for each in network.parameters():
        each.data[1] += 0.1
    after = network(inputs)
    assert before.shape == (3, 5, OUTPUTS)
    assert torch.equal(before[[0, 2]], after[[0, 2]])
    assert not torch.equal(before[1], after[1])


@pytest.mark.parametrize("name", sorted(NETWORKS))
def test_every_weight_is_trained(name: str) -> None:
    network = built(name, 2)
    network(torch.randn(2, 50, INPUTS)).square().sum().backward()
    assert all(bool((each.grad.flatten(1).abs().sum(1) > 0).all()) for each in network.parameters())


def test_twins_have_as_many_weights_as_the_circuit() -> None:
    circuit = (INPUTS + 1) * WIDTH + (WIDTH + 1) * 4 + 8 + (4 + 1) * WIDTH + (WIDTH + 1) * OUTPUTS
    assert num_weights("vqc") == num_weights("waves") == circuit
    assert abs(num_weights("features") - circuit) <= (INPUTS + 1 + 4) / 2

"""Small networks as one vector of weights each, so that a node's update is a vector that can be clipped and noised.

A row of features goes in, a score comes out; all candidates, links and nodes share the weights. So the policy treats
paths and links alike in whatever order they come, and runs on networks of any size. The last layer begins at 0.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from circuits.errors import InvalidParameter
from policies.envs.entanglement.state import Head, head_of


class Shape(NamedTuple):
    """Of a network with two hidden layers of rectified units."""

    num_inputs: int
    width: int

    @property
    def sizes(self) -> list[int]:
        """Numbers of weights of W1, b1, W2, b2, W3, b3."""
        return [self.num_inputs * self.width, self.width, self.width**2, self.width, self.width, 1]

    @property
    def num_weights(self) -> int:
        """In all: 201 of 14 features with 8 units, 1 569 with 32."""
        return sum(self.sizes)


def begun(shape: Shape, chance: torch.Generator) -> Tensor:
    """First weights, (d,): He et al. 2015 in the hidden layers, 0 in the last."""
    num_inputs, width = shape
    first = torch.randn(num_inputs * width, generator=chance) * math.sqrt(2.0 / num_inputs)
    second = torch.randn(width * width, generator=chance) * math.sqrt(2.0 / width)
    return torch.cat([first, torch.zeros(width), second, torch.zeros(2 * width + 1)])


HAND = ((8, 10.0), (0, 4.0))
"""Features of a way that the hand rule for paths adds up, and what it counts each for, in seconds."""
SHARPNESS, WAIT_S = 1.5, 12.0
"""A second more counts so much in the logit; waiting begins as a path of so many seconds (ours)."""


def begun_as_hand(shape: Shape, chance: torch.Generator) -> Tensor:
    """First weights of the path head, (d,): its best way is the hand rule's, in units of their own; the rest adds 0.

    A way without hops is to wait: the third unit is 1 there and 0 elsewhere, since a hop counts 1/8 or more.

    Raises:
        InvalidParameter: there are fewer than three units.
    """
    if shape.width < 3:
        raise InvalidParameter(f"width: wanted at least 3 units, of which the hand rule is made, got {shape.width}")
    weights = begun(shape, chance)
    first, one, second, _, third, _ = layers(shape, weights)
    first[:, :3], second[:3, :], second[:, :3] = 0.0, 0.0, 0.0
    for unit, (feature, seconds) in enumerate(HAND):
        first[feature, unit], third[unit] = 1.0, -SHARPNESS * seconds
    first[HAND[1][0], 2], one[2], third[2] = -8.0, 1.0, -SHARPNESS * WAIT_S
    second[range(3), range(3)] = 1.0
    return weights


def layers(shape: Shape, weights: Tensor) -> tuple[Tensor, ...]:
    """W1 (..., in, w), b1 (..., w), W2 (..., w, w), b2 (..., w), W3 (..., w), b3 (...) of vectors (..., d)."""
    first, one, second, two, third, three = weights.split(shape.sizes, dim=-1)
    before = weights.shape[:-1]
    return (
        first.reshape(*before, *shape),
        one,
        second.reshape(*before, shape.width, shape.width),
        two,
        third,
        three[..., 0],
    )


def scores(shape: Shape, weights: Tensor, features: Tensor) -> Tensor:
    """Of one vector of weights: (..., in) to (...)."""
    first, one, second, two, third, three = layers(shape, weights)
    hidden = torch.relu(torch.relu(features @ first + one) @ second + two)
    return hidden @ third + three


def head(shape: Shape, weights: Tensor) -> Head:
    """For the compiled world: of one vector (d,), or of one for each node (N, d)."""
    of_agents = weights.detach().reshape(-1, shape.num_weights)
    return head_of(*(each.numpy() for each in layers(shape, of_agents)))

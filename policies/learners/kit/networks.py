"""Networks of many agents side by side: every weight has a first axis that counts networks.

Source: MEQC, V.A: two layers of 256 units; or one layer of 64 units in, one of 64 units out, and a variational circuit
of four qubits between them. How 64 units meet four qubits is not said: through a layer each, and angles of pi tanh
(ours), as are activations and initial weights.

The circuit's classical twins (ours) keep all the layers around it. A circuit of this kind is a linear map of 81
products of sines and cosines that eight weights shape; ``features`` has the 81 products with a free linear map, and a
first layer so much narrower that the numbers of weights agree; ``waves`` has the eight weights, on sine and cosine of
each of the four angles alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import Module, Parameter, Sequential, Tanh

from policies.learners.kit.vqc import NUM_LAYERS, NUM_QUBITS, expectations, features

NUM_FEATURES = 3**NUM_QUBITS


class Affine(Module):  # type: ignore[misc]
    """One layer of N networks, x W + b: (N, B, in) to (N, B, out). W begins orthogonal, b at 0."""

    def __init__(self, shape: tuple[int, int, int], chance: torch.Generator, gain: float = 1.0) -> None:
        super().__init__()
        self.weight = Parameter(torch.empty(shape))
        self.bias = Parameter(torch.zeros(shape[0], 1, shape[2]))
        for each in self.weight.detach():
            torch.nn.init.orthogonal_(each, gain, generator=chance)

    def forward(self, inputs: Tensor) -> Tensor:
        return torch.baddbmm(self.bias, inputs, self.weight)


class Circuit(Module):  # type: ignore[misc]
    """The variational circuit on pi tanh(x): (N, B, 4) to (N, B, 4)."""

    def __init__(self, num_networks: int, chance: torch.Generator) -> None:
        super().__init__()
        weights = torch.rand(num_networks, NUM_LAYERS, NUM_QUBITS, generator=chance)
        self.weights = Parameter(2.0 * math.pi * weights)

    def forward(self, inputs: Tensor) -> Tensor:
        return expectations(math.pi * torch.tanh(inputs), self.weights)


class Waves(Module):  # type: ignore[misc]
    """a cos(pi tanh x) + b sin(pi tanh x), with a and b of each of the four: (N, B, 4) to (N, B, 4)."""

    def __init__(self, num_networks: int, chance: torch.Generator) -> None:
        super().__init__()
        phase = 2.0 * math.pi * torch.rand(num_networks, NUM_QUBITS, generator=chance)
        self.weights = Parameter(torch.stack([torch.cos(phase), torch.sin(phase)], dim=1))

    def forward(self, inputs: Tensor) -> Tensor:
        angles = math.pi * torch.tanh(inputs)
        return self.weights[:, :1] * torch.cos(angles) + self.weights[:, 1:] * torch.sin(angles)


class Products(Module):  # type: ignore[misc]
    """A free linear map of the 81 products of sines and cosines of pi tanh(x): (N, B, 4) to (N, B, 4)."""

    def __init__(self, num_networks: int, chance: torch.Generator) -> None:
        super().__init__()
        self.weight = Parameter(torch.empty(num_networks, NUM_FEATURES, NUM_QUBITS))
        for each in self.weight.detach():
            torch.nn.init.orthogonal_(each, generator=chance)

    def forward(self, inputs: Tensor) -> Tensor:
        return torch.bmm(features(math.pi * torch.tanh(inputs)), self.weight)


def _mlp(sizes: tuple[int, int, int, int], chance: torch.Generator, gain: float) -> Sequential:
    num, num_inputs, width, num_outputs = sizes
    return Sequential(
        Affine((num, num_inputs, width), chance, math.sqrt(2.0)),
        Tanh(),
        Affine((num, width, width), chance, math.sqrt(2.0)),
        Tanh(),
        Affine((num, width, num_outputs), chance, gain),
    )


def _around(
    middle: Callable[[int, torch.Generator], Module], num_extra: int
) -> Callable[[tuple[int, int, int, int], torch.Generator, float], Sequential]:
    """Builder of a network with four units in the middle that has ``num_extra`` weights more there than the circuit."""

    def build(sizes: tuple[int, int, int, int], chance: torch.Generator, gain: float) -> Sequential:
        num, num_inputs, width, num_outputs = sizes
        narrow = max(1, width - round(num_extra / (num_inputs + 1 + NUM_QUBITS)))
        return Sequential(
            Affine((num, num_inputs, narrow), chance, math.sqrt(2.0)),
            Tanh(),
            Affine((num, narrow, NUM_QUBITS), chance),
            middle(num, chance),
            Affine((num, NUM_QUBITS, width), chance, math.sqrt(2.0)),
            Tanh(),
            Affine((num, width, num_outputs), chance, gain),
        )

    return build


NETWORKS: dict[str, Callable[[tuple[int, int, int, int], torch.Generator, float], Sequential]] = {
    "mlp": _mlp,
    "vqc": _around(Circuit, 0),
    "features": _around(Products, NUM_FEATURES * NUM_QUBITS - NUM_LAYERS * NUM_QUBITS),
    "waves": _around(Waves, 0),
}
"""By name; each takes (networks, inputs, width, outputs), chance, and the gain of the last layer."""

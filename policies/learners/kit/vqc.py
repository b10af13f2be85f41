"""The paper's quantum circuit as a layer, for many networks and samples at once; exact, in real arithmetic.

Source: MEQC, V.A and eqs (34), (35): AngleEmbedding, two BasicEntangler layers and PauliZ on four qubits, as PennyLane
defines them: RX of each input; twice RX of a weight on each qubit and a ring of CNOTs; <Z> of each qubit.

The state before the first ring is a product: its amplitude is (-i)^ones(k) times real cosines and sines, and the first
weights add to the inputs. From there to the end it is one matrix of 16 by 16 that depends on the second weights alone,
each entry of which is real or imaginary. So a batch takes one product with a real matrix of 16 by 32.
:mod:`policies.learners.kit.vqc_reference` is the same circuit in PennyLane; a test holds the two together.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

NUM_QUBITS = 4
NUM_LAYERS = 2
SIZE = 2**NUM_QUBITS


class _Tables(NamedTuple):
    """What is the same for all weights.

    Attributes:
        differ: k xor j for row k and column i, with j = where the ring moves basis state i, (16, 16).
        phase: (-i)^(ones(k xor j) + ones(i)), its real and its imaginary part, (2, 16, 16).
        signs: of <Z_q> for each basis state, behind the second ring, twice one under the other, (32, 4).
    """

    differ: Tensor
    phase: Tensor
    signs: Tensor


def _bit(state: int, qubit: int) -> int:
    """Qubit 0 is the leftmost bit, as PennyLane counts."""
    return state >> (NUM_QUBITS - 1 - qubit) & 1


def _ring(state: int) -> int:
    """Where CNOT(0, 1), CNOT(1, 2), CNOT(2, 3), CNOT(3, 0) take a basis state."""
    for control in range(NUM_QUBITS):
        target = (control + 1) % NUM_QUBITS
        state ^= _bit(state, control) << (NUM_QUBITS - 1 - target)
    return state


def _tables() -> _Tables:
    states = range(SIZE)
    differ = [[row ^ _ring(column) for column in states] for row in states]
    powers = [[(differ[row][column].bit_count() + column.bit_count()) % 4 for column in states] for row in states]
    real, imaginary = torch.tensor([1.0, 0.0, -1.0, 0.0]), torch.tensor([0.0, -1.0, 0.0, 1.0])  # of (-i)^power
    signs = torch.tensor([[1.0 - 2.0 * _bit(_ring(state), qubit) for qubit in range(NUM_QUBITS)] for state in states])
    power = torch.tensor(powers)
    return _Tables(torch.tensor(differ), torch.stack([real[power], imaginary[power]]), signs.repeat(2, 1))


_TABLES = _tables()


def expectations(angles: Tensor, weights: Tensor) -> Tensor:
    """Mean of Z on every qubit        [MEQC, eq. 35].

    Args:
        angles: of the embedding, rad, (N, B, 4): N circuits with weights of their own, B samples of each.
        weights: rad, (N, 2, 4).

    Returns:
        (N, B, 4), in [-1, 1].
    """
    differ, phase, signs = (each.to(angles.device) for each in _TABLES)
    product = _products(angles + weights[:, None, 0])  # (N, B, 16)
    rotation = _products(weights[:, 1])[:, differ]  # (N, 16, 16): row, column
    matrix = rotation.unsqueeze(1) * phase.to(rotation.dtype)  # (N, 2, 16, 16)
    amplitudes = torch.bmm(product, matrix.flatten(1, 2).transpose(1, 2))  # (N, B, 32): real parts, imaginary parts
    return amplitudes.square() @ signs.to(amplitudes.dtype)


def _products(angles: Tensor) -> Tensor:
    """For each basis state the product of cos(angle / 2) of its zeros and sin(angle / 2) of its ones, (..., 16)."""
    halves = torch.stack([torch.cos(angles / 2), torch.sin(angles / 2)], dim=-1)  # (..., 4, 2)
    product = halves[..., 0, :]
    for qubit in range(1, NUM_QUBITS):
        product = (product.unsqueeze(-1) * halves[..., qubit, None, :]).flatten(-2)
    return product


def features(angles: Tensor) -> Tensor:
    """The 81 products of (1, -sin x_q, cos x_q) over the qubits: what the circuit is a linear map of, (..., 81).

    They are the expectations of all strings of I, Y and Z behind the embedding; weights and CNOTs turn <Z_q> into a sum
    of such strings (ours; derived, and tested).
    """
    factors = torch.stack([torch.ones_like(angles), -torch.sin(angles), torch.cos(angles)], dim=-1)
    product = factors[..., 0, :]
    for qubit in range(1, NUM_QUBITS):
        product = (product.unsqueeze(-1) * factors[..., qubit, None, :]).flatten(-2)
    return product

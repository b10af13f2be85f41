"""The encoder: a real brickwork of two-qubit blocks, pruned to what the discarded qubits can see. Ours.

Each block is RY RY, CX, RY RY, CX, RY RY, which reaches all of SO(4); a circuit of them is real, so it fits real states
alone. The same functions serve numpy arrays and torch tensors: what differs is passed as ``xp``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from qiskit import QuantumCircuit

Array = NDArray[np.float64]
ANGLES_PER_BLOCK = 6
_AFTER_CX = [0, 3, 2, 1]  # rows of a 4x4 matrix under a CX whose control is index bit 0


def trash_qubits(num_qubits: int, num_latent: int) -> tuple[int, ...]:
    """The discarded qubits: the last ones of the chain."""
    return tuple(range(num_latent, num_qubits))


def brickwork(num_qubits: int, num_latent: int, num_layers: int) -> list[int]:
    """First qubit of each block, in time order: even bonds, odd bonds, even bonds, ...

    Blocks outside the light cone of the trash are left out: they only turn what is kept, which no fidelity sees.
    """
    everywhere = [first for layer in range(num_layers) for first in range(layer % 2, num_qubits - 1, 2)]
    seen = set(trash_qubits(num_qubits, num_latent))
    kept = []
    for first in reversed(everywhere):
        if seen & {first, first + 1}:
            seen |= {first, first + 1}
            kept.append(first)
    return kept[::-1]


def num_angles(num_qubits: int, num_latent: int, num_layers: int) -> int:
    """How many angles the encoder has."""
    return ANGLES_PER_BLOCK * len(brickwork(num_qubits, num_latent, num_layers))


def encoder_circuit(num_qubits: int, num_latent: int, num_layers: int, angles: Iterable[float]) -> QuantumCircuit:
    """The encoder as gates; its inverse is the decoder.

    Args:
        angles: radians, as many as :func:`num_angles` says, block by block in time order.
    """
    circuit = QuantumCircuit(num_qubits, name="encoder")
    rest = iter(angles)
    for first in brickwork(num_qubits, num_latent, num_layers):
        for step in range(3):
            if step:
                circuit.cx(first, first + 1)
            circuit.ry(next(rest), first)
            circuit.ry(next(rest), first + 1)
    return circuit


def so4_blocks(angles: Any, xp: Any = np) -> Any:
    """Matrices of blocks; index bit 0 is the block's first qubit.

    Args:
        angles: radians, numpy or torch.        float64 (..., 6)
        xp: the module the array is of: numpy or torch.

    Returns:
        float64 (..., 4, 4), of the same kind.
    """
    half = angles.reshape(*angles.shape[:-1], 3, 2) / 2
    cosine, sine = xp.cos(half), xp.sin(half)
    turns = xp.stack([xp.stack([cosine, -sine], -1), xp.stack([sine, cosine], -1)], -2)
    layers = xp.einsum("...ab,...cd->...acbd", turns[..., 1, :, :], turns[..., 0, :, :])
    layers = layers.reshape(*layers.shape[:-4], 4, 4)
    block = layers[..., 0, :, :]
    for step in (1, 2):
        block = layers[..., step, :, :] @ block[..., _AFTER_CX, :]
    return block


def apply_blocks(blocks: Any, states: Any, firsts: Sequence[int]) -> Any:
    """States after the blocks, of the kind (numpy or torch) that both are.

    Each block acts on the two lowest index bits and moves them to the top, so the register turns round under the blocks
    and one matrix product per block is all there is to do.

    Args:
        blocks: one matrix per block, in time order.    float64 (num_blocks, ..., 4, 4)
        states: index bit i is qubit i.                 float64 (..., batch, 2^n)
        firsts: first qubit of each block.
    """
    size, lead = states.shape[-1], states.shape[:-1]
    num_qubits = size.bit_length() - 1
    lowest = 0  # the qubit that is index bit 0 just now
    for block, first in zip(blocks, firsts, strict=True):
        pairs = _turned(states, (first - lowest) % num_qubits).reshape(*lead, size // 4, 4)
        states = (block[..., None, :, :] @ pairs.swapaxes(-1, -2)).reshape(*lead, size)
        lowest = (first + 2) % num_qubits
    return _turned(states, -lowest % num_qubits)


def encode(states: Array, num_latent: int, num_layers: int, angles: Sequence[float] | Array) -> Array:
    """Real states after the encoder; float64 (batch, 2^n) in and out, index bit i is qubit i."""
    firsts = brickwork(states.shape[-1].bit_length() - 1, num_latent, num_layers)
    blocks = so4_blocks(np.asarray(angles, dtype=np.float64).reshape(-1, ANGLES_PER_BLOCK))
    encoded: Array = apply_blocks(blocks, states, firsts)
    return encoded


def _turned(states: Any, num_bits: int) -> Any:
    """The lowest ``num_bits`` index bits moved to the top."""
    if num_bits == 0:
        return states
    size, lead = states.shape[-1], states.shape[:-1]
    return states.reshape(*lead, size >> num_bits, 1 << num_bits).swapaxes(-1, -2).reshape(*lead, size)

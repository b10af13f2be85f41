"""Preparing a real state from |0...0>."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from qiskit import QuantumCircuit

Array = NDArray[np.float64]


def real_state_preparation(amplitudes: Array) -> QuantumCircuit:
    """Prepare real amplitudes with 2^n - 2 CX: one multiplexed RY per qubit, from the highest down.

    The angles of all qubits but the last say how weights divide; those of the last one carry the signs, too.
    [Mottonen et al. 2004, PRL 93 130502; the Gray-code form of a uniformly controlled rotation]

    Args:
        amplitudes: normalised; index bit i is qubit i.        float64 (2^n,)
    """
    num_qubits = len(amplitudes).bit_length() - 1
    circuit = QuantumCircuit(num_qubits)
    values = np.asarray(amplitudes, dtype=np.float64)
    for qubit in range(num_qubits - 1, -1, -1):
        halves = values.reshape(-1, 2, 2**qubit)  # one row per value of the qubits above
        sides = halves[:, :, 0] if qubit == 0 else np.linalg.norm(halves, axis=2)
        _multiplexed_ry(circuit, 2.0 * np.arctan2(sides[:, 1], sides[:, 0]), qubit)
    return circuit


def _multiplexed_ry(circuit: QuantumCircuit, angles: Array, target: int) -> None:
    """RY(angles[v]) on ``target`` where v is the value of the qubits above it."""
    size = len(angles)
    index = np.arange(size)
    gray = index ^ (index >> 1)
    parity = np.array([[(int(v) & int(g)).bit_count() & 1 for v in index] for g in gray])
    for step, angle in enumerate(((1.0 - 2.0 * parity) @ angles) / size):
        circuit.ry(float(angle), target)
        if size > 1:
            flipped = int(gray[step] ^ gray[(step + 1) % size])
            circuit.cx(target + flipped.bit_length(), target)

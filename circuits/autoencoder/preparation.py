"""Preparing a real state from |0...0>."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from qiskit import QuantumCircuit
from qiskit.circuit import Parameter

Array = NDArray[np.float64]


def real_state_preparation(amplitudes: Array) -> QuantumCircuit:
    """Prepare real amplitudes with 2^n - 2 CX: one multiplexed RY per qubit, from the highest down.

    The angles of all qubits but the last say how weights divide; those of the last one carry the signs, too.
    [Mottonen et al. 2004, PRL 93 130502; the Gray-code form of a uniformly controlled rotation]

    Args:
        amplitudes: normalised; index bit i is qubit i.        float64 (2^n,)
    """
    return preparation(preparation_angles(amplitudes))


def preparation(angles: Sequence[float | Parameter]) -> QuantumCircuit:
    """The circuit of :func:`real_state_preparation` with these angles of its RY gates, or free ones, 2^n - 1."""
    num_qubits = len(angles).bit_length()
    circuit = QuantumCircuit(num_qubits)
    left = iter(angles)
    for target in range(num_qubits - 1, -1, -1):
        size = 2 ** (num_qubits - 1 - target)
        gray = _gray(size)
        for step in range(size):
            circuit.ry(next(left), target)
            if size > 1:
                flipped = int(gray[step] ^ gray[(step + 1) % size])
                circuit.cx(target + flipped.bit_length(), target)
    return circuit


def preparation_angles(amplitudes: Array) -> list[float]:
    """Angles of the RY gates that prepare real amplitudes, radians, in the order of :func:`preparation`."""
    num_qubits = len(amplitudes).bit_length() - 1
    values = np.asarray(amplitudes, dtype=np.float64)
    angles: list[float] = []
    for qubit in range(num_qubits - 1, -1, -1):
        halves = values.reshape(-1, 2, 2**qubit)  # one row per value of the qubits above
        sides = halves[:, :, 0] if qubit == 0 else np.linalg.norm(halves, axis=2)
        wanted = 2.0 * np.arctan2(sides[:, 1], sides[:, 0])
        parity = np.array([[(int(v) & int(g)).bit_count() & 1 for v in range(len(wanted))] for g in _gray(len(wanted))])
        angles += (((1.0 - 2.0 * parity) @ wanted) / len(wanted)).tolist()
    return angles


def _gray(size: int) -> NDArray[np.int64]:
    """The values of the qubits above, so ordered that one bit changes from each to the next."""
    index = np.arange(size)
    return index ^ (index >> 1)

"""Gates that preserve the number of excitations, as Google's processors have them: sqrt-iSWAP and its error's angles.

Qiskit has no fixed square root of iSWAP. :class:`SqrtISwap` is one that its transpiler can aim at: importing this
module tells Qiskit's session how CZ, iSWAP and SWAP are made of two, two and three of them, exactly, since the terms of

    sqrt-iSWAP = exp(i pi/8 (XX + YY)),  SWAP = exp(i pi/4 (XX + YY + ZZ)) up to phase

commute and one-qubit gates turn them into each other (ours, from these two textbook identities).
"""

from __future__ import annotations

import cmath
import math
from typing import TYPE_CHECKING, Any

import numpy as np
from qiskit import QuantumCircuit
from qiskit.circuit import Gate
from qiskit.circuit.equivalence_library import SessionEquivalenceLibrary
from qiskit.circuit.library import CZGate, SwapGate, XXPlusYYGate, iSwapGate

if TYPE_CHECKING:
    from numpy.typing import NDArray


def fsim_matrix(theta: float, phi: float, zeta: float, gamma: float) -> NDArray[np.complex128]:
    """Cirq's ``PhasedFSimGate(theta, zeta, 0, gamma, phi)`` in Qiskit's order: bit 0 of the index is the first qubit.

    Args:
        theta: swap angle, radians.
        phi: angle of the controlled phase, radians.
        zeta: half the difference of the qubits' phases, radians; changes its sign with their order.
        gamma: mean of the qubits' phases, radians.

    Returns:
        Unitary, complex (4, 4).
    """
    matrix = np.eye(4, dtype=np.complex128)
    swap = -1j * cmath.exp(-1j * gamma) * math.sin(theta)
    stay = cmath.exp(-1j * gamma) * math.cos(theta)
    matrix[1, 1], matrix[2, 2] = stay * cmath.exp(1j * zeta), stay * cmath.exp(-1j * zeta)
    matrix[1, 2] = matrix[2, 1] = swap
    matrix[3, 3] = cmath.exp(-1j * (2.0 * gamma + phi))
    return matrix


class SqrtISwap(Gate):  # type: ignore[misc]
    """The square root of iSWAP, symmetric in its qubits."""

    def __init__(self) -> None:
        super().__init__("sqrt_iswap", 2, [])

    def _define(self) -> None:
        circuit = QuantumCircuit(2)
        circuit.append(XXPlusYYGate(-math.pi / 2), [0, 1])
        self.definition = circuit

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[np.complex128]:
        return np.asarray(fsim_matrix(-math.pi / 4, 0.0, 0.0, 0.0), dtype=dtype)


def _teach() -> None:
    """Enter the rules: X on one qubit, before and after, turns YY and ZZ round; H and S exchange the axes."""
    cz = QuantumCircuit(2, global_phase=-math.pi / 4)
    cz.h([0, 1])
    cz.append(SqrtISwap(), [0, 1])
    cz.x(0)
    cz.append(SqrtISwap(), [0, 1])
    cz.x(0)
    cz.h([0, 1])  # exp(i pi/4 ZZ) so far
    cz.s([0, 1])
    iswap = QuantumCircuit(2)
    iswap.append(SqrtISwap(), [0, 1])
    iswap.append(SqrtISwap(), [0, 1])
    swap = QuantumCircuit(2, global_phase=-math.pi / 4)
    swap.append(SqrtISwap(), [0, 1])  # XX + YY
    swap.h([0, 1])
    swap.append(SqrtISwap(), [0, 1])  # ZZ + YY
    swap.h([0, 1])
    swap.sdg([0, 1])
    swap.h([0, 1])
    swap.append(SqrtISwap(), [0, 1])  # ZZ + XX
    swap.h([0, 1])
    swap.s([0, 1])
    for gate, rule in ((CZGate(), cz), (iSwapGate(), iswap), (SwapGate(), swap)):
        SessionEquivalenceLibrary.add_equivalence(gate, rule)


_teach()

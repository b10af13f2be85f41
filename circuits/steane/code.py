"""Steane's [[7,1,3]] code: checks, encoders, transversal gates, syndromes.

Source: A. M. Steane, "Multiple-particle interference and quantum error correction", Proc. R. Soc. A 452 (1996) 2551;
parity checks of the Hamming code. Ours: the two encoders, found by hand and checked in the tests.

Many shots at once stand as *rows*: a bool array (bits, shots), one row for each classical bit.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from qiskit import QuantumCircuit

Rows = NDArray[np.bool_]

CHECKS: tuple[tuple[int, ...], ...] = ((0, 2, 4, 6), (1, 2, 5, 6), (3, 4, 5, 6))
"""Support of the Z-type and of the X-type checks: qubit q is in check b where bit b of q + 1 is 1."""

NUM_DATA = 7

INPUT_QUBIT = 2
"""Where :func:`state_encoder` expects the state."""

TRANSVERSAL = {"x": "x", "y": "y", "z": "z", "h": "h", "s": "sdg", "sdg": "s", "cx": "cx"}
"""Logical gate -> gate on each of the seven qubits, up to a phase. S on all seven takes the logical X, XXXXXXX, to
YYYYYYY, which is minus the logical Y: it is the logical S dagger."""


def encoder() -> QuantumCircuit:
    """Logical |0> from seven |0>: three H and nine CX, one pivot a check."""
    circuit = QuantumCircuit(NUM_DATA)
    for pivot, check in zip((0, 1, 3), CHECKS, strict=True):
        circuit.h(pivot)
        for qubit in check:
            if qubit != pivot:
                circuit.cx(pivot, qubit)
    return circuit


def state_encoder() -> QuantumCircuit:
    """Any state of qubit 2 into the code, the others in |0>: eleven CX. X goes to X2 X4 X5, Z to Z0 Z1 Z2 (ours)."""
    circuit = QuantumCircuit(NUM_DATA)
    circuit.cx(INPUT_QUBIT, 4)
    circuit.cx(INPUT_QUBIT, 5)
    return circuit.compose(encoder())


def transversal(gate: str) -> QuantumCircuit:
    """A logical Clifford gate on one block of seven qubits, or on two for "cx".

    Raises:
        KeyError: not one of ``TRANSVERSAL``.
    """
    num_blocks = 2 if gate == "cx" else 1
    circuit = QuantumCircuit(NUM_DATA * num_blocks)
    for qubit in range(NUM_DATA):
        getattr(circuit, TRANSVERSAL[gate])(*(qubit + NUM_DATA * block for block in range(num_blocks)))
    return circuit


def syndrome(data: int) -> int:
    """Parities of seven bits: bit b is check b. 0 for a code word, else the index of the single flip plus one."""
    return sum(sum(data >> qubit & 1 for qubit in check) % 2 << b for b, check in enumerate(CHECKS))


def syndrome_rows(data: Rows) -> Rows:
    """The same for many shots; data: bool (7, shots). Returns bool (3, shots)."""
    return np.array([parity(data[list(check)]) for check in CHECKS])


def parity(rows: Rows) -> NDArray[np.bool_]:
    """Whether an odd number of bits is set in each shot; bool (shots,)."""
    found: NDArray[np.bool_] = np.logical_xor.reduce(rows, axis=0)
    return found


def matches(syndromes: Rows, value: int) -> NDArray[np.bool_]:
    """In which shots the three syndrome bits are ``value``; bool (shots,)."""
    wanted = np.array([[value >> bit & 1] for bit in range(len(syndromes))], dtype=np.bool_)
    found: NDArray[np.bool_] = np.all(syndromes == wanted, axis=0)
    return found

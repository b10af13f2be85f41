"""The bounds hold for random circuits, and are tight where the circuit tells."""

from __future__ import annotations

import math
import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from qiskit import QuantumCircuit
from qiskit.circuit.library import QFTGate
from qiskit.quantum_info import Statevector

from circuits.entanglement import bonds

ONE = ("h", "x", "y", "s", "t", "sx", "z")
TWO = ("cx", "cy", "cz", "swap", "iswap", "ecr", "dcx", "ch")


def built(num_qubits: int, seed: int, num_gates: int) -> QuantumCircuit:
    rng = random.Random(seed)
    circuit = QuantumCircuit(num_qubits)
    for _ in range(num_gates):
        kind = rng.random()
        if kind < 0.35:
            getattr(circuit, rng.choice(ONE))(rng.randrange(num_qubits))
        elif kind < 0.8:
            getattr(circuit, rng.choice(TWO))(*rng.sample(range(num_qubits), 2))
        elif kind < 0.9:
            circuit.rzz(0.7, *rng.sample(range(num_qubits), 2))
        else:
            getattr(circuit, rng.choice(("ccx", "cswap", "ccz")))(*rng.sample(range(num_qubits), 3))
    return circuit


def widest(circuit: QuantumCircuit) -> float:
    """The widest bond there really is, in qubits."""
    state, num_qubits = Statevector(circuit).data, circuit.num_qubits
    ranks = [np.linalg.matrix_rank(state.reshape(2**cut, -1), tol=1e-9) for cut in range(1, num_qubits)]
    return max(map(math.log2, ranks), default=0.0)


@settings(max_examples=120)
@given(num_qubits=st.integers(3, 7), seed=st.integers(0, 10**6), num_gates=st.integers(1, 40))
def test_no_bond_is_wider_than_its_bound(num_qubits: int, seed: int, num_gates: int) -> None:
    circuit = built(num_qubits, seed, num_gates)
    alive = circuit.compose(QuantumCircuit(num_qubits))
    alive.rz(0.1, range(num_qubits))  # every qubit is in the line
    bound = bonds(alive)
    assert widest(circuit) <= bound.widest <= num_qubits // 2
    assert bound.cut_work >= num_qubits - 1
    assert math.isfinite(bound.gate_work)


def ghz(num_qubits: int) -> QuantumCircuit:
    circuit = QuantumCircuit(num_qubits)
    circuit.h(0)
    circuit.cx(range(num_qubits - 1), range(1, num_qubits))
    return circuit


def number_transformed(num_qubits: int) -> QuantumCircuit:
    circuit = QuantumCircuit(num_qubits)
    circuit.x(range(0, num_qubits, 2))
    circuit.append(QFTGate(num_qubits), range(num_qubits))
    return circuit.decompose("qft")


def two_pairs_far_apart(num_qubits: int) -> QuantumCircuit:
    circuit = QuantumCircuit(num_qubits)
    circuit.h([0, 1])
    circuit.cx(0, num_qubits - 1)
    circuit.cx(1, num_qubits - 2)
    circuit.cx([0, 1, 0], [num_qubits - 1, num_qubits - 2, num_qubits - 1])
    return circuit


def pair_swapped_apart(num_qubits: int) -> QuantumCircuit:
    circuit = QuantumCircuit(num_qubits)
    circuit.h(range(num_qubits))
    circuit.cz(0, 1)
    circuit.swap(1, num_qubits - 1)
    return circuit


@pytest.mark.parametrize(
    ("circuit", "bond"),
    [(ghz(30), 1), (number_transformed(12), 0), (two_pairs_far_apart(10), 2), (pair_swapped_apart(9), 1)],
    ids=lambda value: "" if isinstance(value, int) else f"{value.num_qubits} qubits",
)
def test_what_hardly_entangles_is_seen(circuit: QuantumCircuit, bond: int) -> None:
    assert bonds(circuit).widest == bond


def test_work_adds_up() -> None:
    bound = bonds(ghz(4))
    assert (bound.gate_work, bound.cut_work) == (3 * 8, 3 * 4)
    assert bonds(QuantumCircuit(3)).cut_work == 0.0

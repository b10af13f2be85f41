"""Gates that preserve excitations: Cirq's matrix in our order, and what is made of sqrt-iSWAPs."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from qiskit import QuantumCircuit
from qiskit.circuit.library import CXGate, CZGate, SwapGate, iSwapGate
from qiskit.quantum_info import Operator

from backends import load
from backends.backend import TranspileOptions
from backends.fsim import SqrtISwap, fsim_matrix
from circuits.structure import drop_idle_qubits

ANGLES = st.floats(-3.0, 3.0)


@settings(deadline=None, max_examples=40)
@given(ANGLES, ANGLES, ANGLES, ANGLES)
def test_the_matrix_is_cirqs_with_the_first_qubit_in_bit_0(theta: float, phi: float, zeta: float, gamma: float) -> None:
    cirq = pytest.importorskip("cirq", reason="pip install 'qorch[cirq]'")
    theirs = cirq.unitary(cirq.PhasedFSimGate(theta=theta, phi=phi, zeta=zeta, gamma=gamma))
    swapped = theirs.reshape(2, 2, 2, 2).transpose(1, 0, 3, 2).reshape(4, 4)
    assert np.allclose(fsim_matrix(theta, phi, zeta, gamma), swapped)


@given(ANGLES, ANGLES, ANGLES, ANGLES)
def test_seen_from_the_other_qubit_only_zeta_changes_its_sign(
    theta: float, phi: float, zeta: float, gamma: float
) -> None:
    swapped = fsim_matrix(theta, phi, zeta, gamma).reshape(2, 2, 2, 2).transpose(1, 0, 3, 2).reshape(4, 4)
    assert np.allclose(fsim_matrix(theta, phi, -zeta, gamma), swapped)


def test_two_make_an_iswap() -> None:
    circuit = QuantumCircuit(2)
    circuit.append(SqrtISwap(), [0, 1])
    circuit.append(SqrtISwap(), [1, 0])
    assert Operator(circuit) == Operator(iSwapGate())
    assert Operator(SqrtISwap().definition) == Operator(SqrtISwap())


@pytest.mark.parametrize(("gate", "needed"), [(CXGate(), 2), (CZGate(), 2), (iSwapGate(), 2), (SwapGate(), 3)])
def test_common_gates_are_made_of_as_few_as_stated(gate: object, needed: int) -> None:
    circuit = QuantumCircuit(2, 2)
    circuit.append(gate, [0, 1])
    circuit.measure([0, 1], [0, 1])
    options = TranspileOptions(optimization_level=0, initial_layout=(0, 2))
    fitted = load("fake_rainbow").prepare([circuit], options)[0]
    assert fitted.count_ops()["sqrt_iswap"] == needed
    assert set(fitted.count_ops()) <= {"u", "rz", "sqrt_iswap", "measure"}
    unitary = drop_idle_qubits(fitted).remove_final_measurements(inplace=False)
    assert Operator(unitary).equiv(Operator(gate))

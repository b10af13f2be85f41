"""The sparse simulator: exact on random circuits, on rows of parameters, wherever lanes branch, merge or grow dense."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from qiskit import QuantumCircuit
from qiskit.circuit import Gate, Parameter
from qiskit.circuit.random import random_circuit
from qiskit.quantum_info import Statevector

from backends.backend import TranspileOptions
from backends.errors import ExecutionFailed, UnsupportedCircuit
from backends.sparse import Sparse
from backends.sparse_program import Permute, compile_circuit
from backends.sparse_state import NoFlipError, State, TooDenseError
from circuits.family import Run

SPARSE = Sparse()


def amplitudes(circuit: QuantumCircuit, columns: dict[str, np.ndarray], num_rows: int, row: int = 0) -> np.ndarray:
    """Of one row, as a dense vector."""
    state = State(circuit.num_qubits, num_rows)
    state.run(compile_circuit(circuit, flipping=False), columns, 2**20)
    state.merge()
    indices, rows = np.arange(state.num_lanes), np.full(state.num_lanes, row)
    bits = state.bits(np.arange(circuit.num_qubits), indices, rows).astype(int)
    dense = np.zeros(2**circuit.num_qubits, dtype=complex)
    np.add.at(dense, bits @ (1 << np.arange(circuit.num_qubits)), state.of_row(row))
    return dense


@settings(max_examples=150)
@given(st.integers(1, 5), st.integers(1, 10), st.integers(0, 2**31 - 1))
def test_it_is_exact_on_random_circuits(num_qubits: int, depth: int, seed: int) -> None:
    circuit = random_circuit(num_qubits, depth, seed=seed)
    assert abs(np.vdot(amplitudes(circuit, {}, 1), Statevector(circuit).data)) == pytest.approx(1.0, abs=1e-9)


def test_rows_of_parameters_are_each_their_own() -> None:
    a, b = Parameter("a"), Parameter("b")
    circuit = QuantumCircuit(4)
    circuit.rx(a, 0)
    circuit.h(1)
    circuit.ry(b / 2, 2)
    circuit.ccx(1, 2, 3)
    circuit.p(a * b, 3)
    circuit.rx(-a, 1)
    circuit.cp(2 * a + 1, 0, 3)
    columns = {"a": np.array([0.3, np.pi, 2.2, 0.0, 1.0, -0.5, 2.0, 0.1, 9.0]), "b": np.linspace(-2, 2, 9)}
    for row in range(9):
        exact = Statevector(circuit.assign_parameters({a: columns["a"][row], b: columns["b"][row]})).data
        assert abs(np.vdot(amplitudes(circuit, columns, 9, row), exact)) == pytest.approx(1.0, abs=1e-9)


def test_half_turns_are_flips_and_other_angles_are_not() -> None:
    angle = Parameter("angle")
    circuit = QuantumCircuit(2, 2)
    circuit.rx(angle, 0)
    circuit.rx(-angle, 1)
    circuit.measure([0, 1], [0, 1])
    program = compile_circuit(circuit, flipping=True)
    assert all(isinstance(step, Permute) for step in program.steps)
    assert len(program.flips) == 1
    with pytest.raises(NoFlipError):
        State(2, 2).run(program, {"angle": np.array([np.pi, 1.0])}, 16)
    runs = [Run(2_000, 0, {"angle": value}) for value in (0.0, np.pi, -np.pi, 2 * np.pi, np.pi / 2)]
    counts = SPARSE.run([circuit], runs, seed=3).counts
    assert [set(each) for each in counts[:4]] == [{"00"}, {"11"}, {"11"}, {"00"}]
    assert all(350 < each < 650 for each in counts[4].values())  # 500 expected, six deviations are 116
    assert len(counts[4]) == 4


def test_amplification_branches_on_its_search_register_alone() -> None:
    """Two Hadamards about a controlled X are a sign; 30 work qubits add no basis state."""
    circuit = QuantumCircuit(34, 3)
    circuit.h(range(3))
    for qubit in range(3, 33):
        circuit.ccx(qubit - 3, qubit - 2, qubit)
    circuit.h(33)
    circuit.mcx([0, 1, 32], 33)
    circuit.h(33)
    for qubit in reversed(range(3, 33)):
        circuit.ccx(qubit - 3, qubit - 2, qubit)
    circuit.h(range(3))
    circuit.measure(range(3), range(3))
    state = State(34, 1)
    state.run(compile_circuit(circuit, flipping=True), {}, 8)
    assert state.most_lanes == 8


def test_a_definition_is_compiled_once() -> None:
    block = QuantumCircuit(3)
    block.ccx(0, 1, 2)
    block.h(0)
    gate = block.to_gate()
    circuit = QuantumCircuit(3)
    for _ in range(50):
        circuit.append(gate, [0, 1, 2], copy=False)
    program = compile_circuit(circuit, flipping=True)
    assert len({id(step) for step in program.steps}) == 2
    assert len(program.steps) == 100


def test_lanes_of_one_basis_state_are_put_together() -> None:
    circuit = QuantumCircuit(3)
    for _ in range(12):  # entangled, so that every Hadamard doubles the lanes
        circuit.h(0)
        circuit.cx(0, 1)
        circuit.t(1)
        circuit.cx(1, 2)
        circuit.h(2)
    state = State(3, 1)
    state.run(compile_circuit(circuit, flipping=True), {}, 64)
    assert state.num_lanes <= 8
    assert abs(np.vdot(amplitudes(circuit, {}, 1), Statevector(circuit).data)) == pytest.approx(1.0, abs=1e-9)


def test_a_dense_circuit_goes_to_aer() -> None:
    circuit = QuantumCircuit(16)
    circuit.h(range(16))
    circuit.measure_all()
    with pytest.raises(TooDenseError):
        State(16, 1).run(compile_circuit(circuit, flipping=True), {}, 2**14)
    (prepared,) = SPARSE.prepare([circuit], TranspileOptions())
    first = SPARSE.run([prepared], [Run(50), Run(20)], seed=1, memory=True)
    assert first.method == "statevector"
    assert [sum(each.values()) for each in first.counts] == [50, 20]
    assert first.counts == SPARSE.run([prepared], [Run(50), Run(20)], seed=1).counts
    wide = QuantumCircuit(30)
    wide.h(range(30))
    wide.measure_all()
    with pytest.raises(ExecutionFailed, match=r"16384 basis states.*30 qubits.*choose"):
        SPARSE.run([wide], [Run(1)], seed=1)


def test_more_rows_than_go_at_once() -> None:
    angle = Parameter("angle")
    circuit = QuantumCircuit(12, 13)
    circuit.h(range(11))
    circuit.rx(angle, 11)
    circuit.measure(range(12), range(1, 13))
    runs = [Run(1, 0, {"angle": np.pi * (index % 2) + 1e-13 * index}) for index in range(50)]
    counts = SPARSE.run([circuit], runs, seed=4).counts
    assert [next(iter(each))[0] for each in counts] == [str(index % 2) for index in range(50)]
    assert all(next(iter(each))[-1] == "0" for each in counts)  # a classical bit that nothing is read into


def test_a_gate_without_a_definition_is_refused() -> None:
    circuit = QuantumCircuit(2)
    circuit.append(Gate("mystery", 2, []), [0, 1])
    circuit.measure_all()
    with pytest.raises(UnsupportedCircuit, match="mystery"):
        SPARSE.prepare([circuit], TranspileOptions())

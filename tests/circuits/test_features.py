"""Features: counts and depths against Qiskit's own, and safe on control flow, composites and size."""

import math

import pytest
from qiskit import QuantumCircuit
from qiskit.circuit import Parameter
from qiskit.circuit.random import random_circuit
from qiskit.synthesis import synth_qft_full

from circuits.features import features
from circuits.structure import drop_idle_qubits, is_dynamic, measurements


@pytest.mark.parametrize("seed", range(8))
def test_plain_circuits_agree_with_qiskit(seed: int) -> None:
    circuit = random_circuit(5, 12, max_operands=2, measure=True, seed=seed)
    found = features(circuit)
    assert found.depth == circuit.depth()
    assert found.two_qubit_depth == circuit.depth(lambda item: len(item.qubits) == 2)
    assert found.num_2q == circuit.num_nonlocal_gates()
    assert found.num_gates == circuit.size() - 5
    assert found.num_measurements == 5
    assert not found.dynamic


def test_idle_qubits_are_not_active() -> None:
    circuit = QuantumCircuit(5, 1)
    circuit.x(3)
    circuit.barrier()
    circuit.measure(3, 0)
    assert (features(circuit).num_qubits, features(circuit).width) == (1, 5)
    small = drop_idle_qubits(circuit)
    assert small.num_qubits == 1
    assert measurements(small) == {0: 0}


def test_control_flow_is_counted_as_often_as_it_runs() -> None:
    circuit = QuantumCircuit(2, 1)
    circuit.h(0)
    circuit.measure(0, 0)
    with circuit.if_test((circuit.clbits[0], 1)):
        circuit.x(1)
    with circuit.for_loop(range(10)):
        circuit.cx(0, 1)
    found = features(circuit)
    assert found.dynamic
    assert (found.num_1q, found.num_2q) == (2, 10)
    assert found.depth == 1 + 1 + 1 + 10


def test_composites_count_by_definition() -> None:
    plain = features(synth_qft_full(4))
    circuit = QuantumCircuit(4)
    circuit.append(synth_qft_full(4).to_gate(label="mine"), range(4))
    found = features(circuit)
    assert (found.num_2q, found.depth) == (plain.num_2q, plain.depth)
    assert found.num_2q == 6 + 2


@pytest.mark.parametrize(
    ("angle", "clifford"), [(math.pi / 2, True), (-math.pi, True), (0.3, False), (math.pi / 4, False)]
)
def test_clifford_by_angle(angle: float, clifford: bool) -> None:
    circuit = QuantumCircuit(2)
    circuit.h(0)
    circuit.cx(0, 1)
    circuit.rz(angle, 0)
    assert features(circuit).clifford is clifford


def test_free_parameters_are_counted() -> None:
    circuit = QuantumCircuit(1)
    circuit.rz(Parameter("a"), 0)
    assert features(circuit).num_parameters == 1
    assert not features(circuit).clifford


def test_what_is_dynamic() -> None:
    middle, leading, late, repeated = (QuantumCircuit(2, 2) for _ in range(4))
    middle.measure(0, 0)
    middle.x(0)
    leading.reset(0)
    leading.x(0)
    late.x(0)
    late.reset(0)
    repeated.measure([0, 0], [0, 1])
    assert [is_dynamic(each) for each in (middle, leading, late, repeated)] == [True, False, True, False]


def test_thirty_thousand_instructions() -> None:
    circuit = QuantumCircuit(10)
    for index in range(15_000):
        circuit.h(index % 10)
        circuit.cx(index % 10, (index + 1) % 10)
    assert features(circuit).num_gates == 30_000

"""Conversion is faithful: the other SDKs' probabilities are Qiskit's, on random circuits and on awkward registers."""

from __future__ import annotations

from collections.abc import Callable

import cirq
import numpy as np
import pennylane as qml
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from qiskit import ClassicalRegister, QuantumCircuit, QuantumRegister
from qiskit.circuit import Parameter
from qiskit.circuit.library import get_standard_gate_name_mapping
from qiskit.quantum_info import Operator, Statevector
from scipy.stats import binom

from backends.braket_local import BraketLocal
from backends.cirq_simulator import CirqSimulator
from backends.conversion import COMMON_BASIS, to_braket, to_cirq, to_pennylane
from backends.errors import UnsupportedCircuit
from backends.pennylane_lightning import PennyLaneLightning
from backends.sampling import Dice

GATES = get_standard_gate_name_mapping()
BACKENDS = (CirqSimulator(), BraketLocal(), PennyLaneLightning())
SPOKES = (to_cirq, to_braket, to_pennylane)


@st.composite
def circuits(draw_from: st.DrawFn) -> QuantumCircuit:
    """Random gates of the common basis, then some qubits measured into any classical bits."""
    num_qubits = draw_from(st.integers(1, 4))
    registers = [ClassicalRegister(size) for size in draw_from(st.lists(st.integers(1, 3), min_size=1, max_size=2))]
    circuit = QuantumCircuit(QuantumRegister(num_qubits, "q"), *registers)
    names = [name for name in COMMON_BASIS if GATES[name].num_qubits <= num_qubits]
    for name in draw_from(st.lists(st.sampled_from(names), max_size=12)):
        gate, qubits = GATES[name], draw_from(st.permutations(range(num_qubits)))
        angles = [draw_from(st.floats(-7.0, 7.0)) for _ in gate.params]
        circuit.append(type(gate)(*angles) if angles else gate, qubits[: gate.num_qubits])
        if draw_from(st.integers(0, 5)) == 0:
            circuit.barrier()
    pairs = min(num_qubits, circuit.num_clbits)
    measured = draw_from(st.permutations(range(num_qubits)))[: draw_from(st.integers(1, pairs))]
    clbits = draw_from(st.permutations(range(circuit.num_clbits)))
    circuit.measure(measured, clbits[: len(measured)])
    return circuit


def qiskit_distribution(circuit: QuantumCircuit) -> dict[str, float]:
    """Exact probabilities of the classical bit strings."""
    state = Statevector(circuit.remove_final_measurements(inplace=False) if circuit.num_clbits else circuit)
    held = {
        circuit.find_bit(item.clbits[0]).index: circuit.find_bit(item.qubits[0]).index
        for item in circuit.data
        if item.operation.name == "measure"
    }
    result: dict[str, float] = {}
    for index, probability in enumerate(state.probabilities()):
        bits = "".join(
            str((index >> held[clbit]) & 1) if clbit in held else "0" for clbit in reversed(range(circuit.num_clbits))
        )
        result[bits] = result.get(bits, 0.0) + probability
    return result


def converted_distribution(
    backend: CirqSimulator | BraketLocal | PennyLaneLightning, circuit: QuantumCircuit
) -> dict[str, float]:
    probabilities, readout = backend._distribution(circuit)
    result: dict[str, float] = {}
    for index, probability in enumerate(probabilities):
        bits = ["0"] * circuit.num_clbits
        for clbit, position in readout.items():
            bits[-1 - clbit] = str((index >> position) & 1)
        result["".join(bits)] = result.get("".join(bits), 0.0) + float(probability)
    return result


@pytest.mark.parametrize("backend", BACKENDS, ids=lambda backend: type(backend).__name__)
@settings(max_examples=60, deadline=None)
@given(circuit=circuits())
def test_the_distribution_is_qiskits(
    backend: CirqSimulator | BraketLocal | PennyLaneLightning, circuit: QuantumCircuit
) -> None:
    wanted, got = qiskit_distribution(circuit), converted_distribution(backend, circuit)
    assert got.keys() <= wanted.keys() | {bits for bits, p in got.items() if p < 1e-5}
    for bits, probability in wanted.items():
        assert got.get(bits, 0.0) == pytest.approx(probability, abs=1e-5)


@pytest.mark.parametrize("name", COMMON_BASIS)
def test_every_gate_of_the_table_has_qiskits_matrix(name: str) -> None:
    gate = GATES[name]
    gate = type(gate)(*[0.7] * len(gate.params)) if gate.params else gate
    circuit = QuantumCircuit(gate.num_qubits)
    circuit.append(gate, range(gate.num_qubits))
    order = [cirq.LineQubit(qubit) for qubit in reversed(range(gate.num_qubits))]
    assert Operator(to_cirq(circuit).circuit.unitary(qubit_order=order)).equiv(Operator(circuit))
    braket = to_braket(circuit).circuit.to_unitary()  # first qubit most significant
    assert Operator(braket).reverse_qargs().equiv(Operator(circuit))
    tape = qml.matrix(to_pennylane(circuit).circuit, wire_order=range(gate.num_qubits))  # so is PennyLane's first wire
    assert Operator(tape).reverse_qargs().equiv(Operator(circuit))


@pytest.mark.parametrize("convert", SPOKES)
def test_idle_qubits_are_left_out_and_measured_ones_kept(convert: Callable[[QuantumCircuit], object]) -> None:
    circuit = QuantumCircuit(6, 3)
    circuit.x(4)
    circuit.barrier()
    circuit.measure([4, 1], [0, 2])
    converted = convert(circuit)
    assert converted.qubits == (1, 4)
    assert converted.readout == {0: 1, 2: 0}


@pytest.mark.parametrize("convert", SPOKES)
def test_what_cannot_be_converted_is_refused(convert: Callable[[QuantumCircuit], object]) -> None:
    free = QuantumCircuit(1, 1)
    free.rx(Parameter("t"), 0)
    with pytest.raises(UnsupportedCircuit, match="free parameters"):
        convert(free)
    twice = QuantumCircuit(1, 1)
    twice.measure(0, 0)
    twice.x(0)
    with pytest.raises(UnsupportedCircuit, match="mid-circuit"):
        convert(twice)
    foreign = QuantumCircuit(2)
    foreign.ecr(0, 1)
    with pytest.raises(UnsupportedCircuit, match=r"'ecr'.*transpile"):
        convert(foreign)


@given(st.lists(st.floats(0.0, 1.0), min_size=4, max_size=4).filter(lambda p: sum(p) > 0.1), st.integers(0, 99))
def test_draws_follow_the_probabilities(weights: list[float], seed: int) -> None:
    shots = Dice(np.array(weights), {0: 1, 2: 0}, 3).throw(500, np.random.default_rng(seed))
    assert len(shots) == 500
    for index, weight in enumerate(weights):
        bits = f"{index & 1}0{index >> 1}"
        # Exact tails: the normal approximation takes two draws of a rare outcome for a fault.
        drawn = binom(500, weight / sum(weights))
        assert min(drawn.cdf(shots.count(bits)), drawn.sf(shots.count(bits) - 1)) > 1e-10

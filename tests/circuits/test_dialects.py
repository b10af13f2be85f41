"""Circuits of other SDKs arrive as they were: same unitary, same bits, or a reason why not."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import cirq
import numpy as np
import pennylane as qml
import pytest
import sympy
from braket.circuits import Circuit, FreeParameter, Observable
from hypothesis import given, settings
from hypothesis import strategies as st
from qiskit import QuantumCircuit
from qiskit.circuit.library import get_standard_gate_name_mapping
from qiskit.quantum_info import Operator

from backends import load
from backends.backend import TranspileOptions
from backends.conversion import COMMON_BASIS, to_braket, to_cirq, to_pennylane
from circuits.dialects import braket as braket_words
from circuits.dialects import cirq as cirq_words
from circuits.dialects import pennylane as pennylane_words
from circuits.errors import InvalidProgram
from circuits.family import Run
from circuits.fidelity import ideal_distribution
from circuits.program import Program

GATES = get_standard_gate_name_mapping()
Tape = qml.tape.QuantumScript
Q = cirq.LineQubit.range(40)
MATRIX = cirq.testing.random_unitary(8, random_state=5)


def arrive(source: object) -> QuantumCircuit:
    return Program.from_any(source).load().build()


def unitary(circuit: QuantumCircuit) -> Operator:
    circuit.remove_final_measurements()
    return Operator(circuit)


def counts(source: object, shots: int = 200) -> dict[str, int]:
    """What Aer measures of it; outcomes of certain bits are what the tests ask about."""
    aer = load("aer_statevector")
    return aer.run(aer.prepare([arrive(source)], TranspileOptions()), [Run(shots)], seed=5).counts[0]


@st.composite
def circuits(draw: st.DrawFn) -> QuantumCircuit:
    """Random gates that leave no qubit idle, unmeasured."""
    circuit = QuantumCircuit(draw(st.integers(1, 4)))
    names = [name for name in COMMON_BASIS if GATES[name].num_qubits <= circuit.num_qubits]
    for qubit in range(circuit.num_qubits):
        circuit.rx(draw(st.floats(0.1, 3.0)), qubit)
    for name in draw(st.lists(st.sampled_from(names), max_size=12)):
        gate, qubits = GATES[name], draw(st.permutations(range(circuit.num_qubits)))
        angles = [draw(st.floats(-7.0, 7.0)) for _ in gate.params]
        circuit.append(type(gate)(*angles) if angles else gate, qubits[: gate.num_qubits])
    return circuit


@pytest.mark.parametrize("convert", [to_cirq, to_braket, to_pennylane])
@settings(max_examples=30)
@given(circuit=circuits())
def test_there_and_back_is_the_same_unitary(convert: Callable[[QuantumCircuit], Any], circuit: QuantumCircuit) -> None:
    assert unitary(arrive(convert(circuit).circuit)).equiv(Operator(circuit), atol=1e-7)


@pytest.mark.parametrize("words", [cirq_words, braket_words, pennylane_words])
def test_every_word_has_qiskits_matrix_with_its_phase(words: Any) -> None:
    """Its controlled forms differ otherwise."""
    for name, word in words.gates().items():
        gate = GATES[name]
        angles = [0.7, -0.4, 0.2][: len(gate.params)]
        wanted = Operator(type(gate)(*angles)).reverse_qargs().data
        wires = {"wires": range(gate.num_qubits)} if words is pennylane_words else {}
        made = word(*angles, **wires)
        found = made.to_matrix() if words is braket_words else (qml.matrix if wires else cirq.unitary)(made)
        assert np.allclose(found, wanted, atol=1e-7), name


@settings(max_examples=15)
@given(
    steps=st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2), st.floats(-3.0, 3.0)), min_size=1, max_size=4),
    value=st.sampled_from([0, 1]),
)
def test_cirq_and_pennylane_agree_on_feed_forward(steps: list[tuple[int, int, float]], value: int) -> None:
    """The same dynamic circuit in two languages becomes the same program, hence the same distribution."""
    circuit, operations = cirq.Circuit(cirq.I.on_each(*Q[:3])), [qml.Identity(wire) for wire in range(3)]
    for number, (measured, turned, angle) in enumerate(steps):
        key, bit = f"k{number}", qml.ops.MidMeasure(wires=qml.wires.Wires([measured]))
        condition = cirq.BitMaskKeyCondition(key, target_value=value, equal_target=True)
        turn = cirq.rx(angle)(Q[turned]).with_classical_controls(condition)
        together = [cirq.ry(angle)(Q[measured]), cirq.measure(Q[measured], key=key), turn]
        circuit.append(together, strategy=cirq.InsertStrategy.NEW)  # one after the other, as on a tape
        asked = qml.ops.MeasurementValue([bit]) == value
        operations += [qml.RY(angle, measured), bit, qml.ops.Conditional(asked, qml.RX(angle, turned))]
    circuit.append(cirq.measure(*Q[:3], key="end"), strategy=cirq.InsertStrategy.NEW)
    assert counts(circuit, 50) == counts(Tape(operations, [qml.counts()]), 50)


@pytest.mark.parametrize(
    ("source", "wanted"),
    [
        (cirq.Circuit(cirq.X(Q[2]), cirq.measure(Q[2], Q[5], key="a")), "01"),
        (cirq.Circuit(cirq.X(cirq.GridQubit(0, 1)), cirq.X(Q[0]), cirq.I(cirq.GridQubit(0, 0))), "110"),
        (cirq.Circuit(cirq.X(cirq.NamedQubit("q10")), cirq.I(cirq.NamedQubit("q9"))), "10"),
        (cirq.Circuit(cirq.measure(Q[0], key="z"), cirq.X(Q[1]), cirq.measure(Q[1], key="a")), "10"),
        (cirq.Circuit(cirq.X(Q[0]), cirq.measure(Q[0], Q[1], key="a", invert_mask=(True, True))), "10"),
        (cirq.Circuit(cirq.X(Q[0]), cirq.R(Q[0]), cirq.X(Q[1])), "10"),
        (
            cirq.Circuit(
                cirq.X(Q[0]),
                cirq.measure(Q[0], Q[1], key="a"),
                cirq.X(Q[2]).with_classical_controls(sympy.Eq(sympy.Symbol("a"), 2)),
                cirq.measure(Q[2], key="b"),
            ),
            "101",
        ),
        (
            cirq.Circuit(
                cirq.CircuitOperation(
                    cirq.FrozenCircuit(cirq.X(Q[0]), cirq.measure(Q[0], key="a")),
                    repetitions=3,
                    use_repetition_ids=True,
                )
            ),
            "101",
        ),
        (Circuit().x(3).i(7), "01"),
        (Circuit().x(0).i(1).i(2).measure([2, 0]), "10"),
        (Circuit().x(0).i(1).probability([1, 0]), "10"),
        (Circuit().x(0).x(1).x(2, control=[0, 1], control_state=[1, 0]).x(3, control=[0, 1]), "1011"),
        (Circuit().x(0, power=0.5).barrier().x(0, power=0.5).gphase(0.3), "1"),
        (Tape([qml.X(5), qml.Identity(2)]), "10"),
        (Tape([qml.X("b"), qml.Identity("a")]), "01"),
        (Tape([qml.X(0), qml.Identity(1)], [qml.probs(wires=[1]), qml.counts(wires=[0])]), "10"),
        (Tape([qml.X(0), qml.MultiControlledX([0, 1, 2], control_values=[1, 0])]), "101"),
        (Tape([qml.BasisState([1, 0], wires=[0, 1]), qml.adjoint(qml.SX(1)), qml.adjoint(qml.SX(1))]), "11"),
    ],
)
def test_qubits_and_bits_keep_their_order(source: object, wanted: str) -> None:
    assert counts(source) == {wanted: 200}


def test_a_qnode_is_its_circuit_on_its_devices_wires() -> None:
    @qml.qnode(qml.device("default.qubit", wires=["c", "b", "a"]))
    def circuit(angle: float, *, flip: bool) -> Any:
        qml.RX(angle, "b")
        first = qml.measure("b", reset=True)
        qml.cond(first, qml.X, qml.Z)("a")
        if flip:
            qml.X("c")
        return qml.counts(wires=["a", "b", "c"])

    program = Program.from_qnode(circuit, np.pi, flip=True)
    assert program.language == "openqasm3"
    assert counts(program) == {"1011": 200}, "the measurement in mid-circuit, then a, b, c"
    with pytest.raises(InvalidProgram, match="from_qnode"):
        Program.from_any(circuit)
    with pytest.raises(InvalidProgram, match="QNode"):
        Program.from_qnode(3)


def test_matrices_and_what_only_an_sdk_decomposes_arrive() -> None:
    wanted = Operator(MATRIX).reverse_qargs()
    for source in (
        cirq.Circuit(cirq.MatrixGate(MATRIX).on(*Q[:3])),
        Circuit().unitary(matrix=MATRIX, targets=[0, 1, 2]),
        Tape([qml.QubitUnitary(MATRIX, range(3))]),
    ):
        assert unitary(arrive(source)).equiv(wanted, atol=1e-7)
    tape = Tape([qml.ctrl(qml.QFT([0, 1]), 2), qml.exp(qml.X(0) @ qml.Y(1), -0.3j), qml.ctrl(qml.GlobalPhase(0.3), 1)])
    assert unitary(arrive(tape)).equiv(Operator(qml.matrix(tape, range(3))).reverse_qargs(), atol=1e-7)
    cirq_circuit = cirq.Circuit(cirq.FSimGate(0.1, 0.2)(*Q[:2]), (cirq.CCZ**0.3)(*Q[:3]), cirq.qft(*Q[:3]))
    assert unitary(arrive(cirq_circuit)).equiv(Operator(cirq.unitary(cirq_circuit)).reverse_qargs(), atol=1e-7)


class Endless(cirq.Gate):
    """A gate that is made of itself."""

    def _num_qubits_(self) -> int:
        return 2

    def _decompose_(self, qubits: Any) -> Any:
        yield Endless().on(*qubits)


class NotANumber(cirq.Gate):
    """A gate whose matrix is none."""

    def _num_qubits_(self) -> int:
        return 1

    def _unitary_(self) -> Any:
        return np.full((2, 2), np.nan)


def repeated(levels: int) -> cirq.FrozenCircuit:
    circuit = cirq.FrozenCircuit(cirq.H(Q[0]))
    for _ in range(levels):
        circuit = cirq.FrozenCircuit(cirq.CircuitOperation(circuit, repetitions=2))
    return circuit


@pytest.mark.parametrize(
    ("source", "cause"),
    [
        (cirq.Circuit(), "at least one qubit"),
        (cirq.Circuit(Endless().on(*Q[:2])), "without end"),
        (cirq.Circuit(NotANumber().on(Q[0])), "unitary matrices"),
        (cirq.Circuit(cirq.rx(np.nan)(Q[0])), "finite angles"),
        (cirq.Circuit(cirq.depolarize(0.1)(Q[0])), "channels"),
        (cirq.Circuit(cirq.MatrixGate(np.eye(256)).on(*Q[:8])), "decomposition"),
        (
            cirq.Circuit(cirq.X(cirq.LineQid(0, 2)), cirq.IdentityGate(qid_shape=(3,))(cirq.LineQid(1, 3))),
            "dimension 3",
        ),
        (cirq.Circuit(cirq.rx(sympy.Symbol("a"))(Q[0])), "symbols, got a"),
        (repeated(40), "operations: wanted"),
        (cirq.Circuit(cirq.measure(Q[0], key="a"), cirq.measure(Q[0], key="a")), "measured once, got 'a'"),
        (cirq.Circuit(cirq.X(Q[0]).with_classical_controls("a")), "not measured before"),
        (cirq.Circuit(cirq.measure(*Q[:9], key="a"), cirq.X(Q[0]).with_classical_controls("a")), "at most 8 bits"),
        (cirq.Circuit(cirq.X.on_each(*cirq.LineQubit.range(2000))), "qubits: wanted at most 1024"),
        (Circuit().rx(0, FreeParameter("a")), "free parameters, got a"),
        (Circuit().x(0).bit_flip(0, 0.1), "BitFlip is noise"),
        (Circuit().x(0).expectation(Observable.Z(), 0), "Expectation is refused"),
        (Circuit().add_verbatim_box(Circuit().x(0)), "StartVerbatimBox"),
        (Circuit().rx(20, 0.3, control=range(20), power=0.5), "at most 7"),
        (Tape([qml.AmplitudeDamping(0.1, 0)]), "channel"),
        (Tape([qml.X(0)], [qml.expval(qml.Z(0))]), r"counts are what comes back"),
        (Tape([qml.X(0)], [qml.state()]), "counts are what comes back"),
        (Tape([qml.RX(np.array([0.1, 0.2]), 0)]), "batch of 2"),
        (Tape([qml.RX(sympy.Symbol("a"), 0)]), "cannot be read"),
        (Tape([qml.QubitUnitary(np.eye(256), range(8))]), "at most 7 qubits"),
        (Tape([qml.sum(qml.X(0), qml.Y(0))]), "unitary matrices"),
        (Tape([qml.ops.MidMeasure(wires=qml.wires.Wires([0]), postselect=1)]), "postselection"),
        (type("Circuit", (), {"__module__": "braket.circuits"})(), "cannot be read"),
        (cirq.Circuit, "wanted a circuit"),
    ],
)
def test_what_cannot_be_sent_is_refused_with_its_cause(source: object, cause: str) -> None:
    with pytest.raises(InvalidProgram, match=cause):
        Program.from_any(source)


@pytest.mark.parametrize(
    ("build", "cause"),
    [
        (lambda c: c.unitary(np.eye(256), range(8)), "unitary: wanted at most 7 qubits, got 8"),
        (lambda c: c.initialize([1.0] + [0.0] * (2**14 - 1), range(14)), "initialize: wanted at most 13"),
        (lambda c: c.rx(float("nan"), 0), "finite angles"),
    ],
)
def test_qiskit_circuits_are_looked_at_before_they_are_written_out(build: Any, cause: str) -> None:
    circuit = QuantumCircuit(14)
    build(circuit)
    with pytest.raises(InvalidProgram, match=cause):
        Program.from_any(circuit)


def test_a_box_is_what_is_in_it() -> None:
    circuit = QuantumCircuit(1)
    with circuit.box():
        circuit.x(0)
    assert ideal_distribution(arrive(circuit)) == pytest.approx({"1": 1.0})


def test_reading_one_sdk_imports_no_other() -> None:
    program = (
        "import sys, cirq\n"
        "from circuits.program import Program\n"
        "Program.from_any(cirq.Circuit(cirq.X(cirq.LineQubit(0))))\n"
        "print(sorted({'pennylane', 'braket', 'torch'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"

"""What is sent to Braket means the same circuit, and what comes back is read into the right bits."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from qiskit import ClassicalRegister, QuantumCircuit, QuantumRegister, transpile
from qiskit.circuit.random import random_circuit
from qiskit.quantum_info import Statevector

from backends.braket_program import bits_of, read_shots, write_program
from backends.errors import ExecutionFailed, UnsupportedCircuit

BASES = {"iqm": ["r", "cz"], "rigetti": ["rz", "sx", "x", "iswap"], "ionq": ["rz", "rx", "ry", "rxx"]}


@pytest.mark.parametrize("maker", BASES)
@settings(max_examples=10)
@given(seed=st.integers(0, 10_000))
def test_brakets_own_reader_finds_the_same_unitary(maker: str, seed: int) -> None:
    from braket.circuits import Circuit

    logical = random_circuit(3, 3, max_operands=2, seed=seed)
    circuit = transpile(logical, basis_gates=BASES[maker], optimization_level=1, seed_transpiler=1)
    circuit.rz(0.0, range(3)) if maker != "iqm" else circuit.r(0.0, 0.0, range(3))  # every qubit occurs
    circuit.measure_all()
    text = write_program(circuit, None).partition("b[0] = measure")[0]
    amplitudes = Circuit.from_ir(text).to_unitary()[:, 0]
    ideal = Statevector(logical).reverse_qargs().data  # Braket's first qubit is the highest bit
    assert abs(np.vdot(ideal, amplitudes)) == pytest.approx(1.0, abs=1e-9)


def test_a_verbatim_program_names_the_providers_qubits_and_our_bits() -> None:
    circuit = QuantumCircuit(QuantumRegister(3, "q"), ClassicalRegister(1, "b"), ClassicalRegister(3, "a"))
    circuit.r(0.5, -1.0, 2)
    circuit.cz(2, 0)
    circuit.barrier()
    circuit.measure(2, 3)
    circuit.measure(0, 1)
    assert write_program(circuit, [4, 7, 9]).splitlines() == [
        "OPENQASM 3.0;",
        "bit[2] b;",
        "#pragma braket verbatim",
        "box{",
        "prx(0.5, -1.0) $9;",
        "cz $9, $4;",
        "}",
        "b[0] = measure $4;",
        "b[1] = measure $9;",
    ]
    assert bits_of(circuit) == "4:a"


def test_idle_qubits_are_left_out_where_the_provider_chooses() -> None:
    circuit = QuantumCircuit(5, 1)
    circuit.rx(1.0, 4)
    circuit.measure(4, 0)
    assert "qubit[1] q;\nrx(1.0) q[0];\nb[0] = measure q[0];" in write_program(circuit, None)


def test_a_gate_that_braket_does_not_know_is_refused() -> None:
    circuit = QuantumCircuit(1, 1)
    circuit.h(0)
    circuit.measure(0, 0)
    with pytest.raises(UnsupportedCircuit, match="'h': prepare it"):
        write_program(circuit, None)


@given(
    bits=st.permutations(range(5)).map(lambda order: order[:3]),
    columns=st.permutations([2, 5, 7]),
    shots=st.lists(st.tuples(*[st.integers(0, 1)] * 3), min_size=1, max_size=4),
)
def test_columns_in_any_order_land_in_their_bits(bits: list[int], columns: list[int], shots: list[list[int]]) -> None:
    circuit = QuantumCircuit(3, 5)
    for qubit, bit in enumerate(bits):
        circuit.measure(qubit, bit)
    labels = [2, 5, 7]
    read = read_shots(write_program(circuit, labels), bits_of(circuit), shots, columns)
    for outcome, shot in zip(read, shots, strict=True):
        assert len(outcome) == 5
        assert {bit: int(outcome[4 - bit]) for bit in bits} == {
            bit: shot[columns.index(label)] for bit, label in zip(bits, labels, strict=True)
        }
        assert all(outcome[4 - bit] == "0" for bit in set(range(5)) - set(bits))


@pytest.mark.parametrize("source", ["bit[1] b;\nb[0] = measure $3;", "qubit[1] q;", "b[1] = measure $2;"])
def test_a_result_of_another_program_is_refused(source: str) -> None:
    with pytest.raises(ExecutionFailed, match="1 measured bits"):
        read_shots(source, "1:1", [[0]], [2])

"""stim as a backend: its gates are Qiskit's, its shots are Aer's, and what it cannot do it says."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import stim
from hypothesis import given, settings
from hypothesis import strategies as st
from qiskit import QuantumCircuit
from qiskit.circuit.library import get_standard_gate_name_mapping
from qiskit.quantum_info import Operator
from scipy.stats import fisher_exact

import backends.stim
from backends import load
from backends.backend import TranspileOptions
from backends.conversion import STIM_GATES, to_stim
from backends.errors import UnsupportedCircuit
from circuits.family import Counts, Run
from circuits.steane import Steane

GATES = get_standard_gate_name_mapping()
UNITARY = [name for name in STIM_GATES if name not in ("measure", "reset")]
SHOTS = 1000


def counted(circuit: QuantumCircuit, shots: int, name: str = "stim", seed: int = 3) -> Counts:
    found = load(name)
    return found.run(found.prepare([circuit], TranspileOptions()), [Run(shots)], seed=seed).counts[0]


@pytest.mark.parametrize("name", UNITARY)
def test_a_gate_is_the_gate_of_that_name(name: str) -> None:
    gate = GATES[name]
    circuit = QuantumCircuit(3)
    for qubit in range(3):
        circuit.h(qubit)  # so that stim sees all three
    circuit.append(gate, [2, 0][: gate.num_qubits])
    converted = stim.Tableau.from_circuit(to_stim(circuit).circuit).to_unitary_matrix(endian="little")
    overlap = abs(np.trace(converted.conj().T @ Operator(circuit).data)) / 8
    assert overlap == pytest.approx(1.0, abs=1e-5)  # stim's matrices are single precision


@st.composite
def dynamic_circuits(draw_from: st.DrawFn) -> QuantumCircuit:
    """Clifford gates, resets and measurements in any order; classical bits may be written twice."""
    circuit = QuantumCircuit(3, 3)
    for name in draw_from(st.lists(st.sampled_from([*STIM_GATES, "measure", "reset"]), max_size=25)):
        qubits = draw_from(st.permutations(range(3)))
        if name == "measure":
            circuit.measure(qubits[0], draw_from(st.integers(0, 2)))
        else:
            circuit.append(GATES[name], qubits[: GATES[name].num_qubits])
    circuit.measure(0, 0)
    return circuit


@settings(max_examples=25, deadline=None, derandomize=True)
@given(dynamic_circuits())
def test_random_clifford_circuits_with_measurements_and_resets_agree_with_aer(circuit: QuantumCircuit) -> None:
    mine = counted(circuit, SHOTS)
    theirs = counted(circuit, SHOTS, "aer_stabilizer")
    for outcome in mine.keys() | theirs.keys():
        a, b = mine.get(outcome, 0), theirs.get(outcome, 0)
        # 25 circuits with at most 8 outcomes: one wrong alarm in 3e9 suites
        assert fisher_exact([[a, SHOTS - a], [b, SHOTS - b]]).pvalue > 1e-12, (outcome, a, b)


def test_a_thousand_qubits_and_more_bits_than_a_word() -> None:
    circuit = QuantumCircuit(1000)
    circuit.h(0)
    for qubit in range(999):
        circuit.cx(qubit, qubit + 1)
    circuit.measure_all()
    counts = counted(circuit, 200)
    assert counts.keys() == {"0" * 1000, "1" * 1000}
    assert sum(counts.values()) == 200


def test_shots_are_drawn_in_parts_when_they_are_many(monkeypatch: pytest.MonkeyPatch) -> None:
    circuit = QuantumCircuit(2)
    circuit.h([0, 1])
    circuit.measure_all()
    monkeypatch.setattr(backends.stim, "_MOST_BITS", 20)
    counts = counted(circuit, 999)
    assert sum(counts.values()) == 999
    assert len(counts) == 4
    assert counts == counted(circuit, 999)
    assert counts != counted(circuit, 999, seed=4)


def _branches(circuit: QuantumCircuit) -> None:
    with circuit.if_test((circuit.clbits[0], 1)):
        circuit.x(0)


def _turns(circuit: QuantumCircuit) -> None:
    circuit.t(0)


@pytest.mark.parametrize(("add", "words"), [(_branches, "feed-forward"), (_turns, "Clifford circuits alone")])
def test_what_it_cannot_do_it_says(add: Callable[[QuantumCircuit], None], words: str) -> None:
    circuit = QuantumCircuit(1, 1)
    circuit.measure(0, 0)
    add(circuit)
    circuit.measure(0, 0)
    with pytest.raises(UnsupportedCircuit, match=words):
        load("stim").prepare([circuit], TranspileOptions())
    with pytest.raises(UnsupportedCircuit, match="transpile it"):
        to_stim(circuit)


def test_a_verified_block_of_steanes_code_is_a_job_for_it() -> None:
    family = Steane(rounds=3, scheme="steane")  # 91 qubits
    counts = counted(family.build(), 500)
    assert family.score(counts) == family.acceptance(counts) == 1.0

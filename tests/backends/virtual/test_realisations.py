"""A few noisy copies stand in for the density matrix: close to it, and marked."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from qiskit import QuantumCircuit
from qiskit.circuit import Parameter

from backends import load
from backends.backend import TranspileOptions
from backends.errors import UnsupportedCircuit
from backends.virtual import pieces
from backends.virtual.realisations import FEWEST_COPIES, MOST_COPIES, num_copies
from circuits.counts import hellinger_fidelity
from circuits.family import Run

OPTIONS = TranspileOptions()


def echo(num_qubits: int) -> QuantumCircuit:
    circuit = QuantumCircuit(num_qubits)
    circuit.h(0)
    for qubit in range(num_qubits - 1):
        circuit.cx(qubit, qubit + 1)
    circuit.rx(Parameter("angle"), num_qubits - 1)
    circuit.measure_all()
    return circuit


@pytest.mark.parametrize("name", ["fake_hanoi", "virtual_hanoi"])
def test_copies_give_what_the_density_matrix_gives(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    backend = load(name)
    prepared = backend.prepare([echo(4)], OPTIONS)
    runs = [Run(4_000, 0, {"angle": 0.4}) for _ in range(4)]
    exact = backend.run(prepared, runs, seed=1)
    monkeypatch.setattr(pieces, "TRAJECTORY_QUBITS", 3)
    rough, again = (backend.run(prepared, runs, seed=1, memory=True) for _ in range(2))
    assert (exact.method, exact.approximate) == ("density_matrix", False)
    assert (rough.method, rough.approximate) == ("pauli_realisations_128", True)
    assert rough.memory == again.memory, "the seed decides"
    assert rough.counts[0] != rough.counts[1]
    assert rough.device_s == exact.device_s
    for one, other in zip(exact.counts, rough.counts, strict=True):
        assert hellinger_fidelity(one, other) > 0.985


def test_a_wide_circuit_runs_and_says_how() -> None:
    backend = load("virtual_manila"), load("virtual_hanoi")
    prepared = backend[1].prepare([echo(15)], OPTIONS)
    done = backend[1].run(prepared, [Run(3, 0, {"angle": 0.0}), Run(5, 0, {"angle": 0.0})], seed=3)
    assert [sum(counts.values()) for counts in done.counts] == [3, 5]
    assert (done.method, done.approximate) == ("pauli_realisations_8", True)
    assert backend[0].device().max_active_qubits == 5


def test_a_wide_dynamic_circuit_is_refused() -> None:
    circuit = QuantumCircuit(15, 15)
    circuit.x(range(15))
    circuit.measure(0, 0)
    with circuit.if_test((circuit.clbits[0], 1)):
        circuit.x(1)
    circuit.measure(range(15), range(15))
    with pytest.raises(UnsupportedCircuit, match="dynamic circuits of at most 14 active qubits, this one uses 15"):
        load("virtual_hanoi").prepare([circuit], OPTIONS)


@given(st.integers(1, 30), st.integers(1, 100_000))
def test_there_are_never_more_copies_than_shots_nor_few_without_need(num_qubits: int, shots: int) -> None:
    copies = num_copies(num_qubits, shots)
    assert min(FEWEST_COPIES, shots) <= copies <= min(MOST_COPIES, shots)

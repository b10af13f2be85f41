"""What fidelity is expected of programs, judged as their results are."""

from __future__ import annotations

import pytest
from qiskit import QuantumCircuit

import backends
from backends.backend import TranspileOptions
from backends.calibration import survival
from circuits.autoencoder import Autoencoder
from circuits.family import CircuitFamily, Run
from circuits.fidelity import judge, mixture_fidelity
from circuits.program import UserCircuit
from workers.foresight import Foresight, foresee, outputs_of


def foreseen(family: CircuitFamily, name: str) -> Foresight:
    backend, circuit = backends.load(name), family.build()
    (fitted,) = backend.prepare([circuit], TranspileOptions())
    device = backend.device()
    return foresee(family, fitted, device, survival(fitted, device), outputs_of(family, circuit))


def ghz(num_qubits: int) -> QuantumCircuit:
    circuit = QuantumCircuit(num_qubits)
    circuit.h(0)
    for target in range(1, num_qubits):
        circuit.cx(target - 1, target)
    circuit.measure_all()
    return circuit


def test_an_ideal_simulator_is_expected_to_be_right() -> None:
    assert foreseen(UserCircuit(ghz(3)), "aer_statevector") == Foresight(1.0)


def test_a_family_is_foretold_by_its_score() -> None:
    family, backend = Autoencoder(), backends.load("fake_hanoi")
    (fitted,) = backend.prepare([family.build()], TranspileOptions())
    (counts,) = backend.run([fitted], [Run(20_000)], seed=3).counts
    measured = judge(family, counts, None).fidelity
    assert foreseen(family, "fake_hanoi").fidelity == pytest.approx(measured, abs=0.02)


def test_what_changes_its_course_has_the_mixture() -> None:
    circuit = QuantumCircuit(2, 2)
    circuit.h(0)
    circuit.measure(0, 0)
    with circuit.if_test((circuit.clbits[0], 1)):
        circuit.x(1)
    circuit.measure(1, 1)
    family, backend = UserCircuit(circuit), backends.load("fake_hanoi")
    (fitted,) = backend.prepare([circuit], TranspileOptions())
    lives = survival(fitted, backend.device())
    assert mixture_fidelity(family, lives.weight, None, 2) is None
    assert foreseen(family, "fake_hanoi") == Foresight(lives.weight)


def test_a_wide_output_is_a_mixture_of_the_parities_weight() -> None:
    wide = foreseen(UserCircuit(ghz(12)), "fake_hanoi")
    narrow = foreseen(UserCircuit(ghz(10)), "fake_hanoi")
    assert 0.5 < wide.fidelity < narrow.fidelity

"""What noise leaves of a circuit's output, against exact density matrices and against what no noise can change."""

from __future__ import annotations

import math
from itertools import permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from qiskit import QuantumCircuit
from qiskit.quantum_info import Statevector

from backends import damping, load
from backends.backend import TranspileOptions
from backends.calibration import Calibration, GateCalibration, QubitCalibration, gate_survival
from backends.damping import expected, weight
from backends.pauli_course import course
from circuits.counts import hellinger_fidelity
from circuits.family import Run

QUIET = QubitCalibration(t1_s=1.0, t2_s=1.0, readout_error=0.0, readout_duration_s=0.0)
SINGLE = ("h", "x", "sx", "t", "rz", "id")


def device(
    num_qubits: int, *, single: float = 0.0, double: float = 0.0, qubit: QubitCalibration = QUIET, gate_s: float = 0.0
) -> Calibration:
    gates = [GateCalibration(name, (q,), single, 0.0) for q in range(num_qubits) for name in SINGLE]
    pairs = permutations(range(num_qubits), 2)
    gates += [GateCalibration("cx", pair, double, gate_s) for pair in pairs]
    return Calibration(0.0, (qubit,) * num_qubits, tuple(gates))


def ghz(num_qubits: int) -> QuantumCircuit:
    circuit = QuantumCircuit(num_qubits)
    circuit.h(0)
    for target in range(1, num_qubits):
        circuit.cx(target - 1, target)
    return circuit


def ideal(circuit: QuantumCircuit) -> dict[str, float]:
    return {bits: p for bits, p in Statevector(circuit).probabilities_dict().items() if p > 1e-12}


def foretold(circuit: QuantumCircuit, calibration: Calibration) -> damping.Expectation:
    return expected(course(circuit.measure_all(inplace=False), calibration), ideal(circuit))


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(("h", "x", "sx", "t", "cx")), st.permutations(range(3))), max_size=25))
def test_without_noise_nothing_is_lost(gates: list[tuple[str, list[int]]]) -> None:
    circuit = QuantumCircuit(3)
    for name, (first, second, _) in gates:
        getattr(circuit, name)(*((first, second) if name == "cx" else (first,)))
    found = foretold(circuit, device(3))
    assert found.fidelity == pytest.approx(1.0)
    assert found.noisy == pytest.approx(found.ideal, abs=1e-9)


def test_a_phase_error_before_the_readout_costs_nothing_and_a_flip_does() -> None:
    dephasing = QubitCalibration(t1_s=1.0, t2_s=1e-6, readout_error=0.0, readout_duration_s=0.0)
    assert foretold(ghz(3), device(3, qubit=dephasing, gate_s=1e-6)).fidelity == pytest.approx(1.0, abs=1e-4)
    assert foretold(ghz(3), device(3, double=0.05)).fidelity < 0.93


def test_errors_outside_of_the_light_cone_cost_nothing() -> None:
    circuit = QuantumCircuit(3, 1)
    circuit.x(0)
    circuit.measure(0, 0)
    for _ in range(10):
        circuit.cx(1, 2)
    assert expected(course(circuit, device(3, double=0.3)), {"1": 1.0}).fidelity == pytest.approx(1.0)


def test_a_flip_goes_to_a_neighbour() -> None:
    circuit = QuantumCircuit(3)
    circuit.x(0)
    read_wrong = QubitCalibration(t1_s=1.0, t2_s=1.0, readout_error=0.1, readout_duration_s=0.0, readout_bias=0.1)
    noisy = foretold(circuit, device(3, qubit=read_wrong)).noisy
    assert noisy[0b001] == pytest.approx(0.85 * 0.95**2)
    assert noisy[0b000] == pytest.approx(0.15 * 0.95**2)
    assert noisy[0b110] == pytest.approx(0.15 * 0.05**2)


@pytest.mark.parametrize(("excited", "kept"), [(False, 1.0), (True, math.exp(-0.1))])
def test_only_what_is_excited_decays(excited: bool, kept: float) -> None:
    circuit = QuantumCircuit(2)
    if excited:
        circuit.x(0)
    circuit.cx(0, 1)
    circuit.cx(0, 1)
    decaying = QubitCalibration(t1_s=1e-6, t2_s=2e-6, readout_error=0.0, readout_duration_s=0.0)
    found = foretold(circuit, device(2, qubit=decaying, gate_s=0.05e-6))
    first = found.noisy.reshape(2, 2).sum(axis=0)  # of qubit 0, the least significant bit
    assert first[int(excited)] == pytest.approx(kept, abs=0.005)


@settings(max_examples=20, deadline=None)
@given(st.floats(0.0, 0.2), st.integers(1, 5))
def test_one_qubit_depolarises_as_published(error: float, number: int) -> None:
    circuit = QuantumCircuit(1)
    for _ in range(2 * number):
        circuit.x(0)
    shrunk = 1.0 - 4.0 / 3.0 * (1.0 - gate_survival(error, 1))
    assert foretold(circuit, device(1, single=error)).noisy[0] == pytest.approx((1.0 + shrunk ** (2 * number)) / 2.0)


def test_a_wide_output_has_the_weight_of_its_parities() -> None:
    circuit = ghz(5).measure_all(inplace=False)
    made = course(circuit, device(5, double=0.02))
    mixed, branching = weight(made, ideal(ghz(5)))
    exact = foretold(ghz(5), device(5, double=0.02))
    assert branching == 0.0
    assert mixed == pytest.approx(exact.fidelity, abs=0.03)
    assert 0.0 < weight(made, None)[0] < mixed, "not knowing the output, every phase counts as seen"


def test_paths_agree_with_following_all_strings_and_say_where_they_branched(monkeypatch: pytest.MonkeyPatch) -> None:
    circuit = ghz(3)
    circuit.t(0)
    circuit.sx(0)
    noisy = device(3, single=0.01, double=0.05)
    straight, all_strings = foretold(ghz(3), noisy), foretold(circuit, noisy)
    monkeypatch.setattr(damping, "MAX_FOLLOWED", 0)
    paths = foretold(circuit, noisy)
    assert foretold(ghz(3), noisy).noisy == pytest.approx(straight.noisy, abs=1e-9), "exact for Clifford gates"
    assert paths.fidelity == pytest.approx(all_strings.fidelity, abs=0.01)
    assert straight.branching == all_strings.branching == 0.0 < paths.branching


def test_what_an_emulated_device_answers_is_foretold() -> None:
    backend, circuit = load("fake_hanoi"), ghz(4)
    circuit.x(1)
    (prepared,) = backend.prepare([circuit.measure_all(inplace=False)], TranspileOptions())
    calibration = backend.device().calibration
    assert calibration is not None
    (counts,) = backend.run([prepared], [Run(20_000)], seed=1).counts
    found = expected(course(prepared, calibration), ideal(circuit))
    assert found.fidelity == pytest.approx(hellinger_fidelity(counts, ideal(circuit)), abs=0.008)
    assert found.fidelity < 0.96

"""Survival: exact on a device small enough to work out by hand, and close to the emulated noise on real ones."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from qiskit import QuantumCircuit
from qiskit.quantum_info import Statevector

from backends import load
from backends.backend import Device, TranspileOptions
from backends.calibration import (
    Calibration,
    GateCalibration,
    QubitCalibration,
    gate_survival,
    idle_survival,
    survival,
)
from backends.errors import CalibrationMissing
from backends.schedule import schedule
from circuits.counts import hellinger_fidelity
from circuits.family import Run

SX_S, CX_S, READ_S = 50e-9, 300e-9, 1e-6
QUBIT = QubitCalibration(t1_s=100e-6, t2_s=60e-6, readout_error=0.02, readout_duration_s=READ_S)
CALIBRATION = Calibration(
    taken_at=0.0,
    qubits=(QUBIT, replace(QUBIT, readout_error=0.05), QUBIT),
    gates=(
        *(GateCalibration("sx", (qubit,), 1e-3, SX_S) for qubit in range(3)),
        *(GateCalibration("rz", (qubit,), 0.0, 0.0) for qubit in range(3)),
        GateCalibration("cx", (0, 1), 0.01, CX_S),
        GateCalibration("cx", (1, 2), 0.02, CX_S),
    ),
)


@pytest.fixture
def device() -> Device:
    return replace(load("fake_hanoi").device(), num_qubits=3, coupling=((0, 1), (1, 2)), calibration=CALIBRATION)


def chain() -> QuantumCircuit:
    circuit = QuantumCircuit(3, 3)
    circuit.sx(0)
    circuit.sx(2)
    circuit.cx(0, 1)
    circuit.cx(1, 2)
    circuit.barrier()
    circuit.measure([0, 1, 2], [0, 1, 2])
    return circuit


def test_the_timeline_is_as_soon_as_possible_and_barriers_hold() -> None:
    plan = schedule(chain(), CALIBRATION)
    assert plan.duration_s == pytest.approx(SX_S + 2 * CX_S + READ_S)
    waits = [(wait.before, wait.qubit, wait.then_measured) for wait in plan.waits]
    assert waits == [(3, 2, False), (5, 0, True)], "qubit 2 waits for its CX, qubit 0 at the barrier"
    assert [wait.duration_s for wait in plan.waits] == pytest.approx([CX_S, CX_S])


def test_a_qubit_in_its_ground_state_does_not_wait() -> None:
    circuit = QuantumCircuit(2, 2)
    circuit.sx(0)
    circuit.rz(0.3, 1)
    circuit.cx(0, 1)
    assert schedule(circuit, CALIBRATION).waits == ()


def test_a_delay_is_time_spent_waiting() -> None:
    circuit = QuantumCircuit(1, 1)
    circuit.sx(0)
    circuit.delay(2.0, 0, unit="us")
    circuit.measure(0, 0)
    plan = schedule(circuit, CALIBRATION)
    assert [wait.duration_s for wait in plan.waits] == pytest.approx([2e-6])
    assert plan.duration_s == pytest.approx(SX_S + 2e-6 + READ_S)


def test_weights_are_products_of_published_errors(device: Device) -> None:
    lives = survival(chain(), device)
    assert lives.gate_weight == pytest.approx((1 - 1.5e-3) ** 2 * (1 - 1.25 * 0.01) * (1 - 1.25 * 0.02))
    kept, phase = math.exp(-CX_S / 100e-6), math.exp(-CX_S / 60e-6)
    assert lives.idle_weight == pytest.approx((1 + kept + 2 * phase) / 4 * (1 + kept) / 2)
    assert lives.readout_weight == pytest.approx(0.98 * 0.95 * 0.98)
    assert lives.weight == pytest.approx(lives.gate_weight * lives.idle_weight * lives.readout_weight)
    assert lives.num_active_qubits == 3


def test_a_branch_counts_its_slowest_body_and_a_loop_its_turns(device: Device) -> None:
    circuit = QuantumCircuit(2, 1)
    circuit.measure(0, 0)
    with circuit.if_test((circuit.clbits[0], 1)) as otherwise:
        circuit.sx(1)
    with otherwise:
        circuit.sx(1)
        circuit.sx(1)
    with circuit.for_loop(range(3)):
        circuit.sx(0)
    lives = survival(circuit, device)
    assert lives.gate_weight == pytest.approx((1 - 1.5e-3) ** 5)
    assert lives.duration_s == pytest.approx(READ_S + 3 * SX_S), "the branch ends before the loop on the other qubit"


def test_an_ideal_simulator_loses_nothing() -> None:
    lives = survival(chain(), load("aer_mps").device())
    assert (lives.weight, lives.duration_s, lives.num_active_qubits) == (1.0, 0.0, 3)


def test_a_gate_that_was_not_calibrated_is_named(device: Device) -> None:
    circuit = QuantumCircuit(3)
    circuit.cx(2, 1)
    with pytest.raises(CalibrationMissing, match=r"'cx' on qubits \(2, 1\)"):
        survival(circuit, device)


@given(st.floats(0.0, 1.0), st.integers(1, 4))
def test_gate_survival_is_a_probability_that_falls_with_the_error(error: float, num_qubits: int) -> None:
    weight = gate_survival(error, num_qubits)
    assert 0.0 <= weight <= 1.0 - error
    assert gate_survival(0.0, num_qubits) == 1.0


@given(st.floats(1e-9, 1e-3), st.floats(1e-6, 1e-3), st.floats(1e-6, 5e-3))
def test_waiting_before_a_readout_costs_less(duration_s: float, t1_s: float, t2_s: float) -> None:
    free, read = (idle_survival(duration_s, t1_s, t2_s, then_measured=last) for last in (False, True))
    assert 0.25 <= free <= read + 1e-12 <= 1.0 + 1e-12


@pytest.mark.parametrize("name", ["fake_guadalupe", "fake_hanoi"])
def test_the_mixture_prior_is_near_the_emulated_noise(name: str) -> None:
    backend, rng, errors = load(name), np.random.default_rng(5), []
    for num_qubits, depth in ((2, 1), (3, 2), (4, 3), (5, 2), (6, 1)):
        circuit = QuantumCircuit(num_qubits)
        for layer in range(depth):
            for qubit in range(num_qubits):
                circuit.ry(0.4 + qubit + 2.1 * layer, qubit)
            for qubit in range(num_qubits - 1):
                circuit.cx(qubit, qubit + 1)
        ideal = Statevector(circuit).probabilities_dict()
        prepared = backend.prepare([circuit.measure_all(inplace=False)], TranspileOptions())
        weight = survival(prepared[0], backend.device()).weight
        measured = hellinger_fidelity(backend.run(prepared, [Run(8000)], seed=2).counts[0], ideal)
        mixed = np.full(2**num_qubits, (1 - weight) / 2**num_qubits)
        for bits, probability in ideal.items():
            mixed[int(bits, 2)] += weight * probability
        drawn = rng.multinomial(8000, mixed / mixed.sum())
        predicted = {f"{value:0{num_qubits}b}": int(number) for value, number in enumerate(drawn) if number}
        errors.append(abs(hellinger_fidelity(predicted, ideal) - measured))
    assert float(np.mean(errors)) < 0.04

"""Canaries know their outcome, ask of a device what the job asks, and tell how well it did."""

from __future__ import annotations

import math
import random
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from qiskit import QuantumCircuit

from backends import canary, load
from backends.aer import statevector
from backends.backend import Device, TranspileOptions
from backends.calibration import Calibration, survival
from backends.canary import Canary, canaries, clifford, judged, mirror, num_shots
from circuits.family import Run
from circuits.features import features
from circuits.structure import drop_idle_qubits

SEED = 5


def some_circuit(seed: int, num_qubits: int, *, and_back: bool = False) -> QuantumCircuit:
    """Random rotations and CX; perhaps followed by their inverse, so that one outcome is certain."""
    rng, circuit = random.Random(seed), QuantumCircuit(num_qubits)
    for _ in range(3):
        for qubit in range(num_qubits):
            circuit.u(rng.uniform(0, 3), rng.uniform(0, 6), rng.uniform(0, 6), qubit)
        for qubit in range(num_qubits - 1):
            circuit.cx(qubit, qubit + 1)
    if and_back:
        circuit.barrier()
        circuit = circuit.compose(circuit.inverse())
    circuit.measure_all()
    return circuit


def teleported(angle: float) -> QuantumCircuit:
    """A rotated qubit, teleported with corrections that depend on measured bits, and turned back."""
    circuit = QuantumCircuit(3, 3)
    circuit.ry(angle, 0)
    circuit.h(1)
    circuit.cx(1, 2)
    circuit.cx(0, 1)
    circuit.h(0)
    circuit.measure([0, 1], [0, 1])
    with circuit.if_test((circuit.clbits[1], 1)):
        circuit.x(2)
    with circuit.if_test((circuit.clbits[0], 1)):
        circuit.z(2)
    circuit.ry(-angle, 2)
    circuit.measure(2, 2)
    return circuit


def calibrated(name: str) -> tuple[Device, Calibration]:
    device = load(name).device()
    assert device.calibration is not None
    return device, device.calibration


def fitted(circuit: QuantumCircuit, name: str = "fake_guadalupe") -> QuantumCircuit:
    return load(name).prepare([circuit], TranspileOptions())[0]


def without_noise(one: Canary, shots: int = 200) -> float:
    ideal = statevector()
    prepared = ideal.prepare([drop_idle_qubits(one.circuit)], TranspileOptions(optimization_level=0))
    return one.weight(ideal.run(prepared, [Run(shots)], seed=SEED).counts[0])


@given(
    st.integers(0, 1000), st.integers(1, 4), st.booleans(), st.sampled_from(["fake_guadalupe", "virtual_sherbrooke"])
)
@settings(max_examples=12, deadline=None)
def test_a_device_without_errors_passes_every_check(seed: int, num_qubits: int, and_back: bool, name: str) -> None:
    _, calibration = calibrated(name)
    circuit = fitted(some_circuit(seed, num_qubits, and_back=and_back), name)
    for make in (clifford, mirror):
        one = make(circuit, calibration, seed=seed)
        assert one is not None
        assert one.checks, make
        assert without_noise(one) == 1.0, make


def test_a_clifford_canary_runs_the_same_gates_on_the_same_qubits() -> None:
    device, calibration = calibrated("fake_guadalupe")
    circuit = fitted(some_circuit(1, 4, and_back=True))
    one = clifford(circuit, calibration, seed=SEED)
    assert one is not None
    assert features(one.circuit).clifford
    assert not features(circuit).clifford
    assert [(item.name, item.qubits) for item in one.circuit.data] == [
        (item.name, item.qubits) for item in circuit.data
    ]
    assert survival(one.circuit, device) == survival(circuit, device)


def test_a_mirror_is_as_deep_and_has_one_certain_outcome() -> None:
    device, calibration = calibrated("fake_guadalupe")
    circuit = fitted(some_circuit(2, 4))
    one = mirror(circuit, calibration, seed=SEED)
    assert one is not None
    assert len(one.checks) == 4
    pairs = features(circuit).num_2q
    assert pairs <= features(one.circuit).num_2q <= pairs + 1
    assert survival(one.circuit, device).weight == pytest.approx(survival(circuit, device).weight, rel=0.25)


def test_coin_flips_weigh_nothing() -> None:
    _, calibration = calibrated("fake_guadalupe")
    one = clifford(fitted(some_circuit(3, 3, and_back=True)), calibration, seed=SEED)
    assert one is not None
    uniform = {format(value, "03b"): 1000 for value in range(8)}
    assert one.weight(uniform) == pytest.approx(0.0, abs=1e-12)
    assert judged([one], [uniform]) == pytest.approx(0.0, abs=1e-12)


@given(st.lists(st.integers(0, 2**8 - 1), max_size=12))
def test_checks_hold_for_all_rows_and_there_are_as_many_as_can_be(rows: list[int]) -> None:
    units = [1 << bit for bit in range(8)]
    masks = canary._orthogonal(rows, units)
    assert all((mask & row).bit_count() % 2 == 0 for mask in masks for row in rows)
    span = {0}
    for row in rows:
        span |= {row ^ other for other in span}
    assert 2 ** len(masks) * len(span) == 2**8
    together = {0}
    for mask in masks:
        together |= {mask ^ other for other in together}
    assert len(together) == 2 ** len(masks), "they are independent"


def test_corrections_that_depend_on_measured_bits_are_followed() -> None:
    _, calibration = calibrated("fake_hanoi")
    circuit = fitted(teleported(0.9), "fake_hanoi")
    found = canaries(circuit, calibration, seed=SEED)
    assert found, "what is turned and turned back is rounded alike, so the last bit stays certain"
    assert all(without_noise(one) == 1.0 for one in found)


def test_gates_that_no_angle_makes_clifford_have_no_canary() -> None:
    _, calibration = calibrated("fake_weber")
    circuit = fitted(some_circuit(4, 2), "fake_weber")
    assert "sqrt_iswap" in circuit.count_ops()
    assert canaries(circuit, calibration, seed=SEED) == []
    assert mirror(circuit, calibration, seed=SEED) is None


def test_an_outcome_of_which_nothing_is_certain_is_not_run() -> None:
    _, calibration = calibrated("fake_hanoi")
    coin = QuantumCircuit(1, 2)
    coin.h(0)
    coin.measure(0, 0)
    coin.reset(0)
    coin.h(0)
    coin.measure(0, 1)
    assert canaries(fitted(coin, "fake_hanoi"), calibration, seed=SEED) == []


def test_errors_that_no_calibration_tells_show() -> None:
    """On a device with a hidden truth; the circuit has one certain outcome, so its fidelity is known here."""
    backend, (device, calibration) = load("virtual_guadalupe"), calibrated("virtual_guadalupe")
    circuit = fitted(some_circuit(6, 4, and_back=True), "virtual_guadalupe")
    found = canaries(circuit, calibration, seed=SEED)
    programs = [circuit, *(one.circuit for one in found)]
    counts = backend.run(programs, [Run(20_000), *canary.runs(found, 8_000, first=1)], seed=SEED).counts
    truth, told = counts[0].get("0000", 0) / 20_000, judged(found, counts[1:])
    assert abs(told - truth) < 0.5 * abs(survival(circuit, device).weight - truth)


def test_what_they_cost() -> None:
    device, _ = calibrated("fake_guadalupe")
    assert num_shots(device, 0.0, 10**6) == 0
    assert num_shots(device, 0.1, 100) == canary.FEWEST_SHOTS
    assert num_shots(device, 0.1, 10**6) == 10**5
    assert num_shots(replace(device, kind="qpu"), 0.1, 10**6) == 0
    assert num_shots(load("aer_statevector").device(), 0.1, 10**6) == 0
    asked = canary.runs([Canary(QuantumCircuit(1), ((1, 0),))] * 3, 512, first=1)
    assert [run.circuit for run in asked] == [1, 2, 3]
    assert sum(run.shots for run in asked) == 3 * math.ceil(512 / 3)

"""Emulated devices: engines, slices, waiting, and how far they are from ideal."""

from __future__ import annotations

import math

import pytest
from qiskit import QuantumCircuit

from backends import load
from backends.backend import REPETITION_S, TranspileOptions
from backends.errors import UnsupportedCircuit
from backends.virtual import pieces
from circuits.counts import hellinger_fidelity
from circuits.family import Run

OPTIONS = TranspileOptions()


def ghz(num_qubits: int) -> QuantumCircuit:
    circuit = QuantumCircuit(num_qubits)
    circuit.h(0)
    for qubit in range(num_qubits - 1):
        circuit.cx(qubit, qubit + 1)
    circuit.measure_all()
    return circuit


def test_narrow_circuits_are_density_matrices_and_wide_ones_trajectories() -> None:
    backend = load("fake_guadalupe")
    narrow, wide = backend.prepare([ghz(4), ghz(11)], OPTIONS)
    assert backend.run([narrow], [Run(10)], seed=1).method == "density_matrix"
    assert backend.run([wide], [Run(2)], seed=1).method == "trajectories"
    both = backend.run([narrow, wide], [Run(3, 1), Run(5, 0), Run(4, 1)], seed=1)
    assert both.method == "density_matrix+trajectories"
    assert [len(next(iter(counts))) for counts in both.counts] == [11, 4, 11]
    assert [sum(counts.values()) for counts in both.counts] == [3, 5, 4]


def test_trajectories_sample_the_density_matrix(monkeypatch: pytest.MonkeyPatch) -> None:
    prepared = load("fake_guadalupe").prepare([ghz(3)], OPTIONS)
    exact = load("fake_guadalupe").run(prepared, [Run(40_000)], seed=1)
    monkeypatch.setattr(pieces, "DENSITY_MATRIX_QUBITS", 0)
    sampled = load("fake_guadalupe").run(prepared, [Run(8_000)], seed=1)
    assert (exact.method, sampled.method) == ("density_matrix", "trajectories")
    assert hellinger_fidelity(sampled.counts[0], exact.counts[0]) > 0.998


def test_a_dynamic_circuit_follows_trajectories() -> None:
    backend = load("fake_hanoi")
    circuit = QuantumCircuit(2, 2)
    circuit.h(0)
    circuit.measure(0, 0)
    with circuit.if_test((circuit.clbits[0], 1)):
        circuit.x(1)
    circuit.measure(1, 1)
    done = backend.run(backend.prepare([circuit], OPTIONS), [Run(500)], seed=1)
    assert done.method == "trajectories"
    assert done.counts[0].get("00", 0) + done.counts[0].get("11", 0) > 450


@pytest.mark.parametrize("physical", [3, 9])
def test_a_waiting_qubit_decays_with_its_own_t1(physical: int) -> None:
    backend, wait_s = load("fake_guadalupe"), 60e-6
    circuit = QuantumCircuit(1, 1)
    circuit.x(0)
    circuit.delay(wait_s, 0, unit="s")
    circuit.measure(0, 0)
    prepared = backend.prepare([circuit], TranspileOptions(initial_layout=(physical,)))
    ones = backend.run(prepared, [Run(20_000)], seed=3).counts[0]["1"] / 20_000
    calibration = backend.device().calibration
    assert calibration is not None
    qubit = calibration.qubits[physical]
    kept = math.exp(-wait_s / qubit.t1_s)
    assert ones == pytest.approx(kept * (1 - qubit.readout_error) + (1 - kept) * qubit.readout_error, abs=0.015)


def test_the_layout_asked_for_is_the_one_used() -> None:
    prepared = load("fake_hanoi").prepare([ghz(2)], TranspileOptions(initial_layout=(19, 20)))[0]
    used = {prepared.find_bit(qubit).index for item in prepared.data for qubit in item.qubits}
    assert used == {19, 20}
    directions = {
        tuple(prepared.find_bit(qubit).index for qubit in item.qubits) for item in prepared.get_instructions("cx")
    }
    assert directions == {(20, 19)}, "the other direction of this edge is out of order"


def test_a_circuit_over_the_emulations_width_is_refused() -> None:
    with pytest.raises(UnsupportedCircuit, match="at most 20 active qubits, this one uses 21"):
        load("fake_hanoi").prepare([ghz(21)], OPTIONS)


def test_the_better_device_is_better() -> None:
    ideal = {"0000": 0.5, "1111": 0.5}
    old, new = (
        hellinger_fidelity(backend.run(backend.prepare([ghz(4)], OPTIONS), [Run(8000)], seed=1).counts[0], ideal)
        for backend in map(load, ("fake_guadalupe", "fake_hanoi"))
    )
    assert 0.7 < old < new < 1.0


def test_the_devices_own_time_is_told_apart_from_the_emulations() -> None:
    backend = load("fake_guadalupe")
    circuit = QuantumCircuit(2, 2)
    circuit.h(0)
    circuit.cx(0, 1)
    circuit.measure([0, 1], [0, 1])
    prepared = backend.prepare([circuit], TranspileOptions())
    short = backend.run(prepared, [Run(100)], seed=1).device_s
    long = backend.run(prepared, [Run(100), Run(300)], seed=1).device_s
    assert short is not None
    assert long == pytest.approx(4 * short)
    assert 100 * REPETITION_S < short < 100 * (REPETITION_S + 20e-6), (
        "a shot takes microseconds, the pause a quarter ms"
    )

"""Braket's device emulator: its noise is the one that we sample, and its device is the one that we publish."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest
from qiskit import QuantumCircuit

from backends import load
from backends.backend import REPETITION_S, TranspileOptions
from backends.braket_emulator import BraketEmulator, verbatim
from backends.errors import UnsupportedCircuit
from circuits.counts import hellinger_fidelity
from circuits.family import Run

SHOTS = 20_000


def chain(num_qubits: int) -> QuantumCircuit:
    circuit = QuantumCircuit(num_qubits, num_qubits)
    circuit.ry(0.9, range(num_qubits))
    for _ in range(3):
        for qubit in range(num_qubits - 1):
            circuit.cx(qubit, qubit + 1)
    circuit.measure(range(num_qubits), range(num_qubits))
    return circuit


def test_counts_are_those_of_the_emulator_itself() -> None:
    backend = BraketEmulator()
    prepared = backend.prepare([chain(4)], TranspileOptions())[0]
    ours, again = (backend.run([prepared], [Run(SHOTS)], seed=seed).counts[0] for seed in (1, 2))
    emulator, _ = backend._engines
    places = [
        prepared.find_bit(item.qubits[0]).index
        for item in sorted(
            prepared.get_instructions("measure"), key=lambda item: prepared.find_bit(item.clbits[0]).index
        )
    ]
    measured = emulator.run(verbatim(prepared, places), shots=SHOTS).result().measurement_counts
    theirs = {bits[::-1]: number for bits, number in measured.items()}
    floor = hellinger_fidelity(ours, again)
    assert hellinger_fidelity(ours, theirs) > floor - 1e-3
    ideal = load("aer_statevector").run([chain(4)], [Run(SHOTS)], seed=1).counts[0]
    assert hellinger_fidelity(ours, ideal) < 0.99, "the errors are seen"


def test_circuits_are_native_gates_on_coupled_pairs() -> None:
    backend = load("braket_emulator")
    device = backend.device()
    prepared = backend.prepare([chain(6)], TranspileOptions())[0]
    assert set(prepared.count_ops()) == {"r", "cz", "measure"}
    pairs = {
        tuple(sorted(prepared.find_bit(qubit).index for qubit in item.qubits))
        for item in prepared.get_instructions("cz")
    }
    assert pairs <= set(device.coupling or ())
    assert (device.num_qubits, len(device.coupling or ())) == (20, 31)


def test_a_readout_errs_as_published() -> None:
    backend = load("braket_emulator")
    calibration = backend.device().calibration
    assert calibration is not None
    circuit = QuantumCircuit(1, 1)
    circuit.measure(0, 0)
    worst = max(range(20), key=lambda qubit: calibration.qubits[qubit].readout_error)
    prepared = backend.prepare([circuit], TranspileOptions(initial_layout=(worst,)))
    done = backend.run(prepared, [Run(SHOTS)], seed=1)
    assert done.counts[0]["1"] / SHOTS == pytest.approx(calibration.qubits[worst].readout_error, abs=5e-3)
    assert done.device_s == pytest.approx(SHOTS * (REPETITION_S + 1.5e-6))


def test_a_circuit_over_the_emulations_width_is_refused() -> None:
    with pytest.raises(UnsupportedCircuit, match="at most 11 active qubits, this one uses 12"):
        load("braket_emulator").prepare([chain(12)], TranspileOptions())


def test_the_device_is_the_one_that_the_script_makes(capsys: pytest.CaptureFixture[str]) -> None:
    path = Path(__file__).parents[2] / "examples" / "braket_synthetic_device.py"
    spec = importlib.util.spec_from_file_location("braket_synthetic_device", path)
    assert spec is not None
    assert spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    assert script.main(["--check"]) == 0, capsys.readouterr().out

"""Layouts chosen by calibration: the best of several, the same in every process."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from qiskit import QuantumCircuit
from qiskit.circuit.library import QFTGate
from qiskit.quantum_info import Statevector

from backends import load
from backends.backend import TranspileOptions
from backends.calibration import survival
from backends.errors import UnsupportedCircuit
from backends.transpilation import transpile
from circuits.counts import hellinger_fidelity
from circuits.structure import active_qubits, drop_idle_qubits

HERE = Path(__file__)
DEVICES = ("virtual_hanoi", "virtual_sherbrooke")


def chain(num_qubits: int) -> QuantumCircuit:
    """Symmetric end to end, so that many layouts are equal."""
    circuit = QuantumCircuit(num_qubits)
    circuit.h(range(num_qubits))
    for qubit in range(num_qubits - 1):
        circuit.cz(qubit, qubit + 1)
    circuit.measure_all()
    return circuit


def fourier(num_qubits: int) -> QuantumCircuit:
    """All pairs meet: it has to be routed."""
    circuit = QuantumCircuit(num_qubits)
    circuit.x(0)
    circuit.append(QFTGate(num_qubits), range(num_qubits))
    circuit.append(QFTGate(num_qubits).inverse(), range(num_qubits))
    circuit.measure_all()
    return circuit


def digest() -> str:
    """Every instruction of some transpiled circuits."""
    return "\n".join(
        f"{item.name} {item.params} {[fitted.find_bit(bit).index for bit in item.qubits]}"
        for name in DEVICES
        for level in (1, 3)
        for fitted in transpile(load(name).device(), [chain(9), fourier(4)], TranspileOptions(optimization_level=level))
        for item in fitted.data
    )


def test_every_process_finds_the_same() -> None:
    here = digest()
    for hash_seed in ("1", "2"):
        done = subprocess.run(
            [sys.executable, str(HERE)],
            capture_output=True,
            text=True,
            check=True,
            cwd=HERE.parents[2],
            env=os.environ | {"PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(HERE.parents[2])},
        )
        assert done.stdout == here + "\n"


@pytest.mark.parametrize("name", DEVICES)
def test_what_is_fitted_runs_on_published_gates_alone_and_does_the_same(name: str) -> None:
    device = load(name).device()
    assert device.calibration is not None
    for circuit in (chain(4), fourier(3)):
        fitted = transpile(device, [circuit])[0]
        assert survival(fitted, device).weight > 0.3, "every gate is in the calibration"
        assert fitted.layout is not None
        small = drop_idle_qubits(fitted)
        ideal = Statevector(circuit.remove_final_measurements(inplace=False)).probabilities_dict()
        read = {item.clbits[0]: item.qubits[0] for item in small.data if item.name == "measure"}
        order = [small.find_bit(read[bit]).index for bit in small.clbits]
        small.remove_final_measurements()
        assert hellinger_fidelity(Statevector(small).probabilities_dict(order), ideal) == pytest.approx(1.0)


def test_no_dead_qubit_is_ever_used() -> None:
    device = load("virtual_sherbrooke").device()
    assert device.calibration is not None
    working = device.calibration.working
    assert 84 not in working, "its readout says nothing"
    single = QuantumCircuit(20)
    single.measure_all()
    assert set(active_qubits(transpile(device, [single])[0])) <= working.keys()
    with pytest.raises(UnsupportedCircuit, match=r"\[84\] are out of order"):
        transpile(device, [chain(2)], TranspileOptions(initial_layout=(84, 85)))


if __name__ == "__main__":
    print(digest())

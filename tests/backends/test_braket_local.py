"""Braket's simulators in a worker: threads at once, and compilers that are warm before the first run counts."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import threading
from qiskit import QuantumCircuit
from backends.braket_emulator import BraketEmulator
from backends.braket_local import BraketLocal
from backends.backend import TranspileOptions
from circuits.family import Run

done = []

def work(backend, num_qubits):
    circuit = QuantumCircuit(num_qubits)
    circuit.h(range(num_qubits))
    circuit.cx(range(num_qubits - 1), range(1, num_qubits))
    circuit.measure_all()
    prepared = backend.prepare([circuit], TranspileOptions())
    for seed in range(5):
        done.append(sum(backend.run(prepared, [Run(20)], seed=seed).counts[0].values()))

members = [(BraketLocal(), 12), (BraketLocal(), 12), (BraketEmulator(), 7)]
threads = [threading.Thread(target=work, args=member) for member in members]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
assert done == [20] * 15, done
"""


def test_threads_at_once_do_not_abort_the_process() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-2000:]

"""Braket's simulator in a worker: two threads at once, and compilers that are warm before the first run counts."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import threading
from qiskit import QuantumCircuit
from backends.braket_local import BraketLocal
from backends.backend import TranspileOptions
from circuits.family import Run

circuit = QuantumCircuit(12)
circuit.h(range(12))
circuit.cx(range(11), range(1, 12))
circuit.measure_all()
done = []

def work():
    backend = BraketLocal()
    prepared = backend.prepare([circuit], TranspileOptions())
    for seed in range(5):
        done.append(sum(backend.run(prepared, [Run(20)], seed=seed).counts[0].values()))

threads = [threading.Thread(target=work) for _ in range(2)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
assert done == [20] * 10, done
"""


def test_two_threads_at_once_do_not_abort_the_process() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-2000:]

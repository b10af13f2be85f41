"""One Bell pair, brought five times: from Qiskit, PennyLane, Cirq, Braket, and as OpenQASM text."""

from __future__ import annotations

import cirq
import numpy as np
import pennylane as qml
from braket.circuits import Circuit
from qiskit import QuantumCircuit

from circuits.program import Program
from orchestrator import Client

from_qiskit = QuantumCircuit(2)
from_qiskit.h(0)
from_qiskit.cx(0, 1)  # nothing is measured: every qubit will be


@qml.qnode(qml.device("default.qubit", wires=2))
def from_pennylane(angle: float) -> object:
    """A QNode; its arguments are given when it is submitted."""
    qml.RY(angle, wires=0)
    qml.CNOT(wires=[0, 1])
    return qml.counts()


left, right = cirq.LineQubit.range(2)
from_cirq = cirq.Circuit(  # measured in mid-circuit; the second qubit follows the outcome
    cirq.H(left), cirq.measure(left, key="left"), cirq.X(right).with_classical_controls("left"), cirq.measure(right)
)
from_braket = Circuit().h(0).cnot(0, 1)
from_text = 'OPENQASM 3.0; include "stdgates.inc"; qubit[2] q; h q[0]; cx q[0], q[1];'

programs = {
    "Qiskit": from_qiskit,
    "PennyLane": Program.from_qnode(from_pennylane, np.pi / 2),
    "Cirq": from_cirq,
    "Braket": from_braket,
    "OpenQASM": from_text,
}
with Client() as client:
    jobs = {name: client.submit(program, shots=1_000, seed=7) for name, program in programs.items()}
    for name, job in jobs.items():
        result = job.result(timeout=120.0)
        print(f"{name:10} on {result.placement.shares[0].backend:20} {result.counts}")

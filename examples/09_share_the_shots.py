"""One job on two backends at once: their counts are merged and judged together."""

from __future__ import annotations

from qiskit import QuantumCircuit

from orchestrator import Client

circuit = QuantumCircuit(3)
circuit.h(0)
circuit.cx(0, 1)
circuit.cx(1, 2)
circuit.measure_all()

with Client() as client:
    result = client.submit(circuit, shots=10_000, pin={"aer_statevector": 0.7, "cirq_simulator": 0.3}).result(60.0)

for share in result.placement.shares:
    print(f"{share.backend:16} {share.shots} shots")
print(
    result.counts,
    f"fidelity {result.measurement.fidelity:.4f} (an ideal device: {result.measurement.fidelity_floor:.4f})",
)

"""Circuits of other SDKs, read into Qiskit's. ``READERS`` names what is understood; nothing is imported until used.

Every dialect is one file with ``gates()``, its words for Qiskit's gates, and ``read()``. Conversion outward
(``backends.conversion``) uses the same words. Shared rules, so that counts mean the same whatever the circuit was
written with:

- Qubit i is the i-th qubit of the circuit in its own SDK's order; what the SDK leaves out of its circuits, idle qubits
  among it, is not there. Qubit 0 is the rightmost character of an outcome.
- Classical bit i is the i-th bit that is measured; a circuit that measures nothing is measured on all its qubits.
- What has no gates (channels, symbols, observables, values other than counts) is refused with a way out.
"""

READERS: dict[tuple[str, str], str] = {
    ("qiskit", "QuantumCircuit"): "circuits.dialects.qiskit:read",
    ("pennylane", "QuantumScript"): "circuits.dialects.pennylane:read",
    ("pennylane", "QNode"): "circuits.dialects.pennylane:read_qnode",
    ("cirq", "AbstractCircuit"): "circuits.dialects.cirq:read",
    ("braket.circuits", "Circuit"): "circuits.dialects.braket:read",
}
"""Package and name of a class -> what turns an instance into a ``QuantumCircuit``."""

"""Circuits on which the fidelity estimate is tuned: all made here, none of them ever reported.

What is reported are circuits of others (MQT Bench, a folder of yours) and of our families; see ``estimators.py``.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator

from qiskit import QuantumCircuit
from survival_prior import collection, held_out, mirrored

from circuits.program import Program
from workers.compare.workload import FILES

WIDTHS = (3, 4, 5, 6, 7, 8)


def toffolis(num_qubits: int, rng: random.Random) -> QuantumCircuit:
    """Classical logic on a random input: Toffolis, CX and X, as arithmetic has them."""
    circuit = QuantumCircuit(num_qubits)
    for qubit in range(num_qubits):
        (circuit.x if rng.random() < 0.5 else circuit.h)(qubit)
    for _ in range(rng.randint(1, num_qubits)):
        circuit.ccx(*rng.sample(range(num_qubits), 3))
        circuit.cx(*rng.sample(range(num_qubits), 2))
    return circuit


def trotter(num_qubits: int, rng: random.Random) -> QuantumCircuit:
    """A chain of Ising spins from a product state, a few Trotter steps."""
    circuit = QuantumCircuit(num_qubits)
    angle = rng.uniform(0.1, 0.6)
    for _ in range(rng.randint(1, 5)):
        for qubit in range(num_qubits - 1):
            circuit.rzz(angle, qubit, qubit + 1)
        circuit.rx(rng.uniform(0.1, 0.8), range(num_qubits))
    return circuit


def cliffords_and_t(num_qubits: int, rng: random.Random) -> QuantumCircuit:
    """Random H, S, T and CX."""
    circuit = QuantumCircuit(num_qubits)
    for _ in range(num_qubits * rng.randint(2, 6)):
        (circuit.h, circuit.s, circuit.t, circuit.x)[rng.randrange(4)](rng.randrange(num_qubits))
        circuit.cx(*rng.sample(range(num_qubits), 2))
    return circuit


def phases(num_qubits: int, rng: random.Random) -> QuantumCircuit:
    """Controlled phases between Hadamards, some of the qubits measured alone."""
    circuit = QuantumCircuit(num_qubits)
    circuit.h(range(num_qubits))
    for _ in range(rng.randint(num_qubits, 3 * num_qubits)):
        circuit.cp(rng.choice((3.14159, 1.5708, 0.7854, 0.3927)), *rng.sample(range(num_qubits), 2))
    circuit.h(range(num_qubits))
    return circuit


def search(num_qubits: int, rng: random.Random) -> QuantumCircuit:
    """One or two rounds of amplitude amplification towards a random string."""
    circuit = QuantumCircuit(num_qubits)
    wanted = rng.getrandbits(num_qubits)
    zeros = [qubit for qubit in range(num_qubits) if not wanted >> qubit & 1]
    circuit.h(range(num_qubits))
    for _ in range(1 if num_qubits > 4 else rng.randint(1, 2)):
        for flipped in (zeros, range(num_qubits)):
            if flipped:
                circuit.x(flipped)
            circuit.mcp(3.141592653589793, list(range(num_qubits - 1)), num_qubits - 1)
            if flipped:
                circuit.x(flipped)
            circuit.h(range(num_qubits))
    return circuit


KINDS: dict[str, Callable[[int, random.Random], QuantumCircuit]] = {
    "toffolis": toffolis,
    "trotter": trotter,
    "cliffords": cliffords_and_t,
    "phases": phases,
    "search": search,
}


def tuning() -> Iterator[tuple[str, QuantumCircuit]]:
    """Name and measured circuit; the kind is the name up to its first digit."""
    for circuit in (*collection(), *held_out(), *mirrored()):
        yield circuit.name, circuit.measure_all(inplace=False)
    for kind, make in KINDS.items():
        for width in WIDTHS if kind != "search" else WIDTHS[:3]:
            yield f"{kind}_{width}", make(width, random.Random(f"{kind}{width}")).measure_all(inplace=False)
    for path in FILES:
        if path.stem != "teleport":  # dynamic
            yield path.stem, Program.from_any(path).load().build()

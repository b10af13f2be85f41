"""How well calibration alone predicts an emulated device: mixture prior against Aer's noise.

    python examples/benchmarks/survival_prior.py

For every circuit and device: the weight w of ``backends.calibration.survival``, the Hellinger fidelity to the ideal
that ``w ideal + (1 - w) uniform`` predicts at the same number of shots, and the one that the emulation reaches. The
formula of w was chosen among three on the circuits marked "chosen on"; what is reported is the error on the others.
The virtual devices publish the same calibration as the fake ones and do not keep to it.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from statistics import mean

import numpy as np
from evidence import results
from qiskit import QuantumCircuit
from qiskit.circuit.library import QFTGate
from qiskit.quantum_info import Statevector

from backends import load
from backends.backend import TranspileOptions
from backends.calibration import survival
from circuits.counts import hellinger_fidelity
from circuits.family import Run

SHOTS = 8192
COLUMNS = "device set circuit qubits gate idle readout weight predicted measured error"
DEVICES = ("fake_guadalupe", "virtual_guadalupe", "fake_hanoi", "virtual_hanoi")


def ghz(num_qubits: int) -> QuantumCircuit:
    """All zeros and all ones."""
    circuit = QuantumCircuit(num_qubits, name=f"ghz_{num_qubits}")
    circuit.h(0)
    for qubit in range(num_qubits - 1):
        circuit.cx(qubit, qubit + 1)
    return circuit


def layers(num_qubits: int, num_layers: int) -> QuantumCircuit:
    """Random rotations and chains of CX: a broad distribution."""
    circuit = QuantumCircuit(num_qubits, name=f"layers_{num_qubits}_{num_layers}")
    rng = random.Random(num_qubits * 100 + num_layers)
    for _ in range(num_layers):
        for qubit in range(num_qubits):
            circuit.ry(rng.uniform(0.0, 3.0), qubit)
        for qubit in range(num_qubits - 1):
            circuit.cx(qubit, qubit + 1)
    return circuit


def fourier_peak(num_qubits: int) -> QuantumCircuit:
    """Phase states turned back into one basis state."""
    circuit = QuantumCircuit(num_qubits, name=f"fourier_{num_qubits}")
    for qubit in range(num_qubits):
        circuit.h(qubit)
        circuit.p(2.0 * np.pi * 5 * 2**qubit / 2**num_qubits, qubit)
    circuit.append(QFTGate(num_qubits).inverse(), range(num_qubits))
    return circuit


def hidden_string(num_qubits: int) -> QuantumCircuit:
    """Bernstein-Vazirani with every second bit set."""
    circuit = QuantumCircuit(num_qubits, name=f"hidden_{num_qubits}")
    last = num_qubits - 1
    circuit.x(last)
    circuit.h(range(num_qubits))
    for qubit in range(0, last, 2):
        circuit.cx(qubit, last)
    circuit.h(range(num_qubits))
    return circuit


def collection() -> Sequence[QuantumCircuit]:
    """The circuits compared."""
    return [
        *(ghz(n) for n in (2, 3, 4, 5, 6, 8, 10)),
        *(layers(n, depth) for n, depth in ((2, 2), (3, 4), (4, 2), (4, 6), (5, 4), (6, 4), (7, 3), (8, 6))),
        *(fourier_peak(n) for n in (3, 4, 5, 6)),
        *(hidden_string(n) for n in (4, 6, 8)),
    ]


def held_out() -> Sequence[QuantumCircuit]:
    """Circuits that had no part in choosing the formula: other kinds, other widths, drawn once from seed 2026."""
    rng = random.Random(2026)
    circuits = []
    for num_qubits in (3, 4, 5, 6, 7, 8, 9):
        for kind in ("brickwork", "scattered"):
            circuit = QuantumCircuit(num_qubits, name=f"{kind}_{num_qubits}")
            for layer in range(rng.randint(2, 5)):
                for qubit in range(num_qubits):
                    circuit.u(rng.uniform(0, 3), rng.uniform(0, 6), rng.uniform(0, 6), qubit)
                if kind == "brickwork":
                    for qubit in range(layer % 2, num_qubits - 1, 2):
                        circuit.cz(qubit, qubit + 1)
                else:
                    circuit.cx(*rng.sample(range(num_qubits), 2))
            circuits.append(circuit)
    return circuits


def mirrored() -> Sequence[QuantumCircuit]:
    """The held-out circuits followed by their inverse: one outcome, so that errors show that spread ones hide."""
    found = []
    for circuit in held_out():
        there_and_back = circuit.copy(name=f"mirrored_{circuit.name}")
        there_and_back.barrier()
        found.append(there_and_back.compose(circuit.inverse()))
    return found


def mixture_fidelity(ideal: Mapping[str, float], weight: float, num_bits: int, rng: np.random.Generator) -> float:
    """Hellinger fidelity to the ideal of ``SHOTS`` draws from the mixture."""
    probabilities = np.full(2**num_bits, (1.0 - weight) / 2**num_bits)
    for bits, probability in ideal.items():
        probabilities[int(bits, 2)] += weight * probability
    drawn = rng.multinomial(SHOTS, probabilities / probabilities.sum())
    return hellinger_fidelity({f"{value:0{num_bits}b}": int(n) for value, n in enumerate(drawn) if n}, ideal)


SETS = {"chosen on": collection, "held out": held_out, "mirrored": mirrored}


def main() -> None:
    """Compare, write, print."""
    rng = np.random.default_rng(7)
    with results("survival_prior", COLUMNS.split(), seeds="7") as table:
        for name in DEVICES:
            backend = load(name)
            errors: dict[str, list[float]] = {kind: [] for kind in SETS}
            for kind, circuit in [(kind, circuit) for kind, circuits in SETS.items() for circuit in circuits()]:
                ideal = Statevector(circuit).probabilities_dict()
                prepared = backend.prepare([circuit.measure_all(inplace=False)], TranspileOptions())
                expected = survival(prepared[0], backend.device())
                counts = backend.run(prepared, [Run(SHOTS)], seed=7).counts[0]
                predicted = mixture_fidelity(ideal, expected.weight, circuit.num_qubits, rng)
                measured = hellinger_fidelity(counts, ideal)
                errors[kind].append(abs(predicted - measured))
                parts = (expected.gate_weight, expected.idle_weight, expected.readout_weight, expected.weight)
                figures = [f"{value:.4f}" for value in (*parts, predicted, measured, predicted - measured)]
                table.writerow([name, kind, circuit.name, circuit.num_qubits, *figures])
            for kind, found in errors.items():
                low, high = np.percentile(rng.choice(found, (2000, len(found))).mean(axis=1), [2.5, 97.5])
                span = f"{low:.4f}..{high:.4f}"
                print(f"{name}: mean absolute error {mean(found):.4f} ({span}), {len(found)} circuits {kind}")


if __name__ == "__main__":
    main()

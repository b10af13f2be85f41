"""How well canaries tell the fidelity of a circuit whose output nobody could judge: tried where it can be known.

    python examples/benchmarks/canaries.py [--quick]

For every circuit and device: the Hellinger fidelity of 100 000 shots, and the one of ``w ideal + (1 - w) uniform`` with
the weight w from calibration alone, from Clifford canaries, and from mirror circuits; both of ``SPENT`` shots in all
over ``COPIES`` circuits. Up to 9 qubits, where the emulation is a density matrix. How canaries round angles,
in which bases they are read and which kind the trip runs was decided on the circuits of survival_prior.py; those here
were drawn once from another seed. ``fake_*`` devices do what they publish, ``virtual_*`` do not.
"""

from __future__ import annotations

import argparse
import math
import random
from collections.abc import Callable, Sequence
from statistics import correlation, fmean

import numpy as np
from evidence import results
from qiskit import QuantumCircuit

from backends import load
from backends.backend import Backend, TranspileOptions
from backends.calibration import Calibration, survival
from backends.canary import COPIES, Canary, clifford, judged, mirror, runs
from circuits.counts import hellinger_fidelity
from circuits.family import Run
from circuits.fidelity import ideal_distribution
from circuits.seeds import derive

SEED = 2027
SHOTS, SPENT = 100_000, 2048
DEVICES = (
    "fake_guadalupe",
    "fake_hanoi",
    "virtual_guadalupe",
    "virtual_hanoi",
    "virtual_sherbrooke",
    "virtual_torino",
)
KINDS: dict[str, Callable[..., Canary | None]] = {"clifford": clifford, "mirror": mirror}
COLUMNS = ("device", "circuit", "qubits", "measured", "calibration", *KINDS, *(f"checks_{kind}" for kind in KINDS))


def drawn(rng: random.Random, num_qubits: int, kind: str) -> QuantumCircuit:
    """A few layers of random rotations, and gates between neighbours, or of any two."""
    circuit = QuantumCircuit(num_qubits, name=f"{kind}_{num_qubits}")
    for layer in range(rng.randint(2, 5)):
        for qubit in range(num_qubits):
            circuit.u(rng.uniform(0, 3), rng.uniform(0, 6), rng.uniform(0, 6), qubit)
        if kind == "brickwork":
            for qubit in range(layer % 2, num_qubits - 1, 2):
                circuit.cx(qubit, qubit + 1)
        else:
            circuit.cz(*rng.sample(range(num_qubits), 2))
    return circuit


def phases(rng: random.Random, num_qubits: int) -> QuantumCircuit:
    """Phases of a path of couplings between layers of rotations, as QAOA has them."""
    circuit = QuantumCircuit(num_qubits, name=f"phases_{num_qubits}")
    circuit.h(range(num_qubits))
    for _ in range(2):
        angle, mixing = rng.uniform(0, 2), rng.uniform(0, 2)
        for qubit in range(num_qubits - 1):
            circuit.rzz(angle, qubit, qubit + 1)
        circuit.rx(mixing, range(num_qubits))
    return circuit


def reported(widths: Sequence[int]) -> list[QuantumCircuit]:
    """Broad outputs, and peaked ones: a circuit, a barrier, and its inverse."""
    found = []
    for num_qubits in widths:
        rng = random.Random(derive(SEED, num_qubits))
        kinds = [drawn(rng, num_qubits, kind) for kind in ("brickwork", "scattered")]
        for circuit in (*kinds, phases(rng, num_qubits)):
            there_and_back = circuit.copy(name=f"{circuit.name}_and_back")
            there_and_back.barrier()
            found += [circuit, there_and_back.compose(circuit.inverse())]
    return [circuit.measure_all(inplace=False) for circuit in found]


def fidelity(weight: float, ideal: dict[str, float], num_bits: int) -> float:
    """Hellinger fidelity of ``weight ideal + (1 - weight) uniform`` to the ideal."""
    noise = (1.0 - weight) / 2.0**num_bits
    return min(1.0, math.fsum(math.sqrt(q * (weight * q + noise)) for q in ideal.values()) ** 2)


def told(backend: Backend, calibration: Calibration, prepared: QuantumCircuit, kind: str) -> tuple[float | None, int]:
    """The weight by canaries of one kind, None if there are none, and the mean number of their checks."""
    seeds = [derive(SEED, prepared.name, copy) for copy in range(COPIES)]
    made = [one for seed in seeds if (one := KINDS[kind](prepared, calibration, seed=seed)) and one.checks]
    if not made:
        return None, 0
    counts = backend.run([one.circuit for one in made], runs(made, SPENT), seed=SEED).counts
    return judged(made, counts), round(fmean(len(one.checks) for one in made))


def main() -> None:
    """Compare, write, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="two devices, circuits of 4 and 5 qubits")
    quick = parser.parse_args().quick
    rng = np.random.default_rng(SEED)
    with results("canaries_quick" if quick else "canaries", COLUMNS, seeds=str(SEED)) as table:
        for name in DEVICES[1:3] if quick else DEVICES:
            backend = load(name)
            calibration = backend.device().calibration
            assert calibration is not None, name
            seen: list[list[float]] = []
            for circuit in reported((4, 5) if quick else range(4, 10)):
                num_qubits = circuit.num_qubits
                ideal = ideal_distribution(circuit)
                assert ideal is not None, circuit.name
                (prepared,) = backend.prepare([circuit], TranspileOptions())
                measured = hellinger_fidelity(backend.run([prepared], [Run(SHOTS)], seed=7).counts[0], ideal)
                prior = survival(prepared, backend.device()).weight
                found = {kind: told(backend, calibration, prepared, kind) for kind in KINDS}
                weights = [prior, *(prior if weight is None else weight for weight, _ in found.values())]
                row = [measured, *(fidelity(weight, ideal, num_qubits) for weight in weights)]
                checks = [number for _, number in found.values()]
                table.writerow([name, circuit.name, num_qubits, *(f"{value:.4f}" for value in row), *checks])
                seen.append(row)
                print(f"\r{name}: {len(seen)} circuits", end="", flush=True)
            print(f"\r{name}, {len(seen)} circuits:")
            for place, source in enumerate(("calibration", *KINDS), start=1):
                errors = [abs(row[place] - row[0]) for row in seen]
                low, high = np.percentile(rng.choice(errors, (2000, len(errors))).mean(axis=1), [2.5, 97.5])
                alike = correlation([row[place] for row in seen], [row[0] for row in seen])
                print(f"  {source:12} mean absolute error {fmean(errors):.4f} ({low:.4f}..{high:.4f}), r = {alike:.3f}")


if __name__ == "__main__":
    main()

"""Is a distributed run as good as foretold? Random circuits over two QPUs, pairs of many fidelities, counts judged.

Six qubits, three on each QPU; layers of rotations and CX, some between the QPUs. What was foretold from the fidelities
that the link publishes is compared with the Hellinger fidelity of the counts, over what a perfect device would show
with as many shots. The product of the pairs' fidelities stands beside it: the share of shots without any error.

    python examples/benchmarks/distributed_fidelity.py --circuits 4 --shots 2000
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from evidence import results
from qiskit import QuantumCircuit

from backends.backend import TranspileOptions
from backends.distributed import Distributed, spread
from backends.pairs import PairLink, QPUNetwork
from backends.transpilation import transpile
from circuits.counts import finite_shot_floor, hellinger_fidelity
from circuits.family import Run
from circuits.fidelity import ideal_distribution
from orchestrator.records import to_json

FIDELITIES = (0.75, 0.9, 0.95, 0.98, 0.995)
COLUMNS = ("fidelity", "seed", "num_pairs", "clean", "foretold", "measured", "difference", "wait_s", "wait_foretold_s")


def random_layers(seed: int, joints: int) -> QuantumCircuit:
    """Layers of rotations and CX within the QPUs, with so many CX between them."""
    draws = np.random.default_rng(seed)
    circuit = QuantumCircuit(6)
    for _ in range(joints):
        for qubit in range(6):
            circuit.ry(float(draws.uniform(0.2, 1.4)), qubit)
        for first in (0, 3):
            circuit.cx(first, first + 1)
            circuit.cx(first + 1, first + 2)
        circuit.cx(int(draws.integers(0, 3)), int(draws.integers(3, 6)))
    circuit.measure_all()
    return circuit


def run(fidelity: float, seed: int, shots: int, folder: Path) -> tuple[object, ...]:
    """One row: one circuit over pairs of one fidelity, a thousand a second, that live for 20 ms."""
    network = QPUNetwork((3, 3), (PairLink(0, 1, 1_000.0, fidelity, 0.02),))
    (folder / f"{fidelity}.json").write_text(to_json(network))
    os.environ["QORCH_QPU_NETWORK"] = str(folder / f"{fidelity}.json")
    device, circuit = Distributed(), random_layers(seed, 1 + seed % 4)
    layout = TranspileOptions(initial_layout=tuple(range(6)))
    said = spread(device.device(), transpile(device.device(), [circuit], layout)[0], layout, ideal_distribution)
    done = device.run(device.prepare([circuit], layout), [Run(shots)], seed=seed)
    ideal = ideal_distribution(circuit)
    assert ideal is not None
    measured = hellinger_fidelity(done.counts[0], ideal) / finite_shot_floor(ideal, shots)
    waits = (done.queue_s or 0.0) / shots, said.pairs.wait_s
    figures = (said.clean, said.fidelity, measured, measured - said.fidelity, *waits)
    return fidelity, seed, len(said.pairs.fidelities), *(f"{figure:.5f}" for figure in figures)


def main() -> None:
    """Every fidelity with every circuit."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--circuits", type=int, default=4)
    parser.add_argument("--shots", type=int, default=2_000)
    asked = parser.parse_args()
    seeds = range(300, 300 + asked.circuits)
    differences = []
    print("  ".join(COLUMNS))
    with (
        TemporaryDirectory() as folder,
        results("distributed_fidelity", COLUMNS, seeds=f"{seeds[0]} to {seeds[-1]}") as table,
    ):
        for fidelity in FIDELITIES:
            for seed in seeds:
                row = run(fidelity, seed, asked.shots, Path(folder))
                table.writerow(row)
                differences.append(float(str(row[6])))
                print("  ".join(map(str, row)), flush=True)
    found = np.array(differences)
    print(f"difference: mean {found.mean():+.4f}, mean without sign {np.abs(found).mean():.4f}, {found.size} runs")


if __name__ == "__main__":
    main()

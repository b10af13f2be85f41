"""What entanglement costs a matrix product state, and how well the cost curve of ``aer_mps`` foretells it.

    python examples/benchmarks/mps_costs.py

Times are processor time, the least of up to five runs, since cores may be shared. Three forms are compared: the curve
as it was before it knew of entanglement, with its old constants ("old") and with constants fitted to the circuits that
are marked "fitted" ("refitted"); and the one with bounds on bonds (``circuits.entanglement``), fitted to the same.
What is reported is the factor between forecast and measurement. Circuits like those marked "looked at" had a part in
choosing which bounds there are, though none in the constants; those marked "held out" had a part in neither.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator

import numpy as np
from evidence import results
from qiskit import QuantumCircuit
from qiskit.circuit.library import QFTGate

from backends import load
from backends.backend import Backend, CostCurve, TranspileOptions
from backends.curves import solved
from circuits.autoencoder import Autoencoder
from circuits.entanglement import bonds
from circuits.family import Run
from circuits.features import features
from circuits.steane import Steane

OLD = CostCurve(
    overhead_s=3.6e-4, shot_s=0.0, fixed_gate_s=1.3e-5, gate_s=8e-6, qubit_exponent=0.02, shot_gate_s=3.9e-7
)
SHOTS = (1, 100, 1000)
PATIENCE_S = 1.0
TOO_LONG_S = 10.0
COLUMNS = (
    "family set qubits layers shots gates widest_bond_qubits gate_work cut_work run_cpu_s old_s refitted_s bonds_s"
)
Row = tuple[str, str, int, int, int, int, int, float, float, float]


def rotated(num_qubits: int, num_layers: int) -> QuantumCircuit:
    """Random rotations and nearest-neighbour CX."""
    rng = random.Random(100 * num_qubits + num_layers)
    circuit = QuantumCircuit(num_qubits)
    for layer in range(num_layers):
        for qubit in range(num_qubits):
            circuit.ry(rng.uniform(0.0, 3.0), qubit)
        for qubit in range(layer % 2, num_qubits - 1, 2):
            circuit.cx(qubit, qubit + 1)
    return circuit


def ghz(num_qubits: int, _: int) -> QuantumCircuit:
    """All zeros and all ones."""
    circuit = QuantumCircuit(num_qubits)
    circuit.h(0)
    circuit.cx(range(num_qubits - 1), range(1, num_qubits))
    return circuit


def bricks(num_qubits: int, num_layers: int) -> QuantumCircuit:
    """Random gates on neighbours, each of rank four."""
    rng = random.Random(100 * num_qubits + num_layers)
    circuit = QuantumCircuit(num_qubits)
    for layer in range(num_layers):
        for qubit in range(num_qubits):
            circuit.u(rng.uniform(0.0, 3.0), rng.uniform(0.0, 3.0), rng.uniform(0.0, 3.0), qubit)
        for qubit in range(layer % 2, num_qubits - 1, 2):
            circuit.rxx(rng.uniform(0.0, 3.0), qubit, qubit + 1)
            circuit.ryy(rng.uniform(0.0, 3.0), qubit, qubit + 1)
    return circuit


def far(num_qubits: int, num_layers: int) -> QuantumCircuit:
    """CX between qubits anywhere."""
    rng = random.Random(100 * num_qubits + num_layers)
    circuit = QuantumCircuit(num_qubits)
    for layer in range(num_layers):
        circuit.ry(0.3 + layer, range(num_qubits))
        for _ in range(num_qubits // 2):
            circuit.cx(*rng.sample(range(num_qubits), 2))
    return circuit


def fourier(num_qubits: int, _: int) -> QuantumCircuit:
    """A number's Fourier transform, which entangles nothing."""
    circuit = QuantumCircuit(num_qubits)
    circuit.x(range(0, num_qubits, 2))
    circuit.append(QFTGate(num_qubits), range(num_qubits))
    return circuit


def ising(num_qubits: int, num_layers: int) -> QuantumCircuit:
    """Trotter steps of an Ising chain."""
    circuit = QuantumCircuit(num_qubits)
    circuit.h(range(num_qubits))
    for _ in range(num_layers):
        for qubit in range(num_qubits - 1):
            circuit.rzz(0.3, qubit, qubit + 1)
        circuit.rx(0.4, range(num_qubits))
    return circuit


def ring(num_qubits: int, num_layers: int) -> QuantumCircuit:
    """Alternating operators for MaxCut on a ring with random chords."""
    rng = random.Random(100 * num_qubits + num_layers)
    circuit = QuantumCircuit(num_qubits)
    circuit.h(range(num_qubits))
    edges = [(qubit, (qubit + 1) % num_qubits) for qubit in range(num_qubits)]
    edges += [tuple(rng.sample(range(num_qubits), 2)) for _ in range(num_qubits // 4)]
    for _ in range(num_layers):
        gamma, beta = rng.uniform(0.0, 3.0), rng.uniform(0.0, 3.0)
        for first, second in edges:
            circuit.rzz(gamma, first, second)
        circuit.rx(beta, range(num_qubits))
    return circuit


def one_excited(num_qubits: int, _: int) -> QuantumCircuit:
    """The W state."""
    circuit = QuantumCircuit(num_qubits)
    circuit.x(0)
    for qubit in range(num_qubits - 1):
        circuit.cry(2.0 * np.arccos(np.sqrt(1.0 / (num_qubits - qubit))), qubit, qubit + 1)
        circuit.cx(qubit + 1, qubit)
    return circuit


def steane(_: int, num_layers: int) -> QuantumCircuit:
    """Rounds of error correction."""
    return Steane(rounds=num_layers).build()


def autoencoder(*_: int) -> QuantumCircuit:
    """The default one."""
    return Autoencoder().build()


Family = tuple[Callable[[int, int], QuantumCircuit], str, tuple[int, ...], tuple[int, ...]]
FAMILIES: tuple[Family, ...] = (
    (rotated, "fitted", (4, 8, 14, 20, 30), (2, 8, 14)),
    (ghz, "fitted", (5, 20, 40), (1,)),
    (bricks, "looked at", (8, 12, 16), (2, 5, 8)),
    (far, "looked at", (8, 12, 18), (1, 2, 4)),
    (fourier, "looked at", (8, 14, 20), (1,)),
    (ising, "held out", (8, 14, 20), (2, 5)),
    (ring, "held out", (10, 16), (1, 3)),
    (one_excited, "held out", (6, 16, 30), (1,)),
    (steane, "held out", (0,), (1, 2)),
    (autoencoder, "held out", (0,), (1,)),
)


def circuits() -> Iterator[tuple[str, str, int, QuantumCircuit]]:
    """Name of the family, its set, its layers, the circuit."""
    for make, kept, widths, depths in FAMILIES:
        for width in widths:
            for depth in depths:
                circuit = make(width, depth)
                yield make.__name__, kept, depth, circuit if circuit.num_clbits else circuit.measure_all(inplace=False)


def least_s(backend: Backend, prepared: list[QuantumCircuit], shots: int) -> float:
    """Processor time of the fastest run."""
    times: list[float] = []
    started = time.perf_counter()
    while len(times) < 5 and (not times or time.perf_counter() - started < PATIENCE_S):
        begun = time.process_time()
        backend.run(prepared, [Run(shots)], seed=len(times))
        times.append(time.process_time() - begun)
    return min(times)


def measure() -> list[Row]:
    """Every circuit at every number of shots, unless it takes too long."""
    backend = load("aer_mps")
    backend.warm_up()
    rows: list[Row] = []
    for name, kept, depth, circuit in circuits():
        prepared = backend.prepare([circuit], TranspileOptions())
        known, bound = features(prepared[0]), bonds(prepared[0])
        for shots in SHOTS:
            run_s = least_s(backend, prepared, shots)
            work = (known.num_gates, bound.widest, bound.gate_work, bound.cut_work)
            rows.append((name, kept, known.num_qubits, depth, shots, *work, run_s))
            print(f"{name} {known.num_qubits} qubits, {depth} layers, {shots} shots: {run_s:.4f} s", flush=True)
            if run_s > TOO_LONG_S:
                break
    return rows


def old_terms(row: Row) -> list[float]:
    """What the curve's constants were multiplied with before."""
    _, _, qubits, _, shots, gates, *_ = row
    return [1.0, gates, gates * 2.0 ** (0.02 * qubits), shots * gates]


def bond_terms(row: Row) -> list[float]:
    """What they are multiplied with: overhead, gates, shots by qubits, work of gates, work of shots."""
    _, _, qubits, _, shots, gates, _, gate_work, cut_work, _ = row
    return [1.0, gates, shots * qubits, gate_work, shots * cut_work]


def main() -> None:
    """Measure, fit, write, print."""
    with results("mps_costs", COLUMNS.split(), seeds="100 qubits + layers; run number 0..4") as table:
        rows = measure()
        fitted = [row for row in rows if row[1] == "fitted"]
        forecasts = {"old": [OLD.run_s(row[2], row[5], row[4]) for row in rows]}
        for name, terms in (("refitted", old_terms), ("bonds", bond_terms)):
            columns = np.array([terms(row) for row in fitted]).T
            constants, _ = solved(columns.tolist(), [row[-1] for row in fitted])
            print(name, [f"{constant:.2g}" for constant in constants])
            forecasts[name] = [float(np.dot(constants, terms(row))) for row in rows]
        for index, row in enumerate(rows):
            seconds = [row[-1], *(forecast[index] for forecast in forecasts.values())]
            table.writerow([*row[:7], *(f"{value:.4g}" for value in (*row[7:9], *seconds))])
    for kept in ("fitted", "looked at", "held out"):
        some = [index for index, row in enumerate(rows) if row[1] == kept]
        for name, forecast in forecasts.items():
            factors = np.exp(np.abs([np.log(forecast[index] / rows[index][-1]) for index in some]))
            near = np.quantile(factors, 0.9)
            worst, slower = factors.max(), max(rows[index][-1] / forecast[index] for index in some)
            print(f"{kept}, {name}: factor median {np.median(factors):.2f}, 90 % {near:.1f}, worst {worst:.0f},")
            print(f"    slower than forecast by at most {slower:.1f}")


if __name__ == "__main__":
    main()

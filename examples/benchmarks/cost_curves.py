"""Measure how long the simulated backends take, and fit the constants of their ``CostCurve``.

    python examples/benchmarks/cost_curves.py > cost_curves.csv

One thread. Each row of the CSV is the median of a few runs of layered circuits (rotations and nearest-neighbour CX; H
and CX where only Clifford circuits run). The fit minimises squared relative errors with non-negative constants; it is
printed on stderr with its median and worst factor. The exponent is given by theory, or the best of a grid where theory
gives none (matrix product states depend on entanglement, which the curve does not see).
"""

from __future__ import annotations

import csv
import sys
import time
from collections.abc import Sequence
from statistics import median

import numpy as np
from qiskit import QuantumCircuit
from scipy.optimize import nnls

from backends import load
from backends.backend import Backend, TranspileOptions
from circuits.family import Run
from circuits.features import features

LAYERS = (2, 10)
PATIENCE_S = 1.5
Row = tuple[int, int, int, float]
"""Active qubits, gates after transpilation, shots, median seconds."""

SWEEPS: dict[str, tuple[Sequence[int], Sequence[int], Sequence[float]]] = {
    "aer_statevector": ((4, 8, 12, 16, 20, 22), (1, 1000), (1.0,)),
    "aer_density_matrix": ((2, 4, 6, 8, 10), (1, 1000), (2.0,)),
    "aer_mps": ((4, 10, 20, 30, 40), (1, 1000), (0.0, 0.05, 0.1, 0.2)),
    "aer_stabilizer": ((4, 20, 40, 60), (1, 1000), (0.0, 0.02, 0.05)),
    "cirq_simulator": ((4, 8, 12, 16, 20), (1, 1000), (1.0,)),
    "braket_local": ((4, 8, 12, 16, 20), (1, 1000), (1.0,)),
    "fake_guadalupe": ((2, 4, 6, 8, 9, 10), (1, 1000), (2.0,)),
    "fake_hanoi": ((2, 4, 6, 8, 9, 10), (1, 1000), (2.0,)),
}
"""Backend -> widths, shots, exponents to try."""
TRAJECTORIES = ("fake_guadalupe", "fake_hanoi")
TRAJECTORY_WIDTHS = (11, 12, 13, 14)
TRAJECTORY_SHOTS = (20, 100)


def layered(num_qubits: int, num_layers: int, *, clifford: bool) -> QuantumCircuit:
    circuit = QuantumCircuit(num_qubits)
    for layer in range(num_layers):
        for qubit in range(num_qubits):
            if clifford:
                circuit.h(qubit)
            else:
                circuit.ry(0.3 * qubit + layer + 0.1, qubit)
        for qubit in range(layer % 2, num_qubits - 1, 2):
            circuit.cx(qubit, qubit + 1)
    circuit.measure_all()
    return circuit


def measure(backend: Backend, widths: Sequence[int], all_shots: Sequence[int]) -> list[Row]:
    rows = []
    for width in widths:
        for num_layers in LAYERS:
            circuit = layered(width, num_layers, clifford=backend.device().clifford_only)
            prepared = backend.prepare([circuit], TranspileOptions())
            asked = features(prepared[0])
            for shots in all_shots:
                backend.run(prepared, [Run(1)], seed=0)  # builds the noise model of this slice
                times: list[float] = []
                started = time.perf_counter()
                while len(times) < 7 and (not times or time.perf_counter() - started < PATIENCE_S):
                    times.append(backend.run(prepared, [Run(shots)], seed=len(times)).run_s)
                rows.append((asked.num_qubits, asked.num_gates, shots, median(times)))
    return rows


def fit(columns: Sequence[Sequence[float]], seconds: Sequence[float]) -> tuple[list[float], float, float, float]:
    """Constants; sum of squared relative errors; median and worst factor between curve and measurement."""
    table, wanted = np.array(columns, dtype=float).T, np.array(seconds)
    scale = table.max(axis=0)
    scaled, residual = nnls(table / scale / wanted[:, None], np.ones(len(wanted)))
    constants = scaled / scale
    factors = table @ constants / wanted
    factors = np.maximum(factors, 1.0 / factors)
    return [float(value) for value in constants], float(residual), float(np.median(factors)), float(factors.max())


def main() -> None:
    table = csv.writer(sys.stdout)
    table.writerow("backend qubits gates shots run_s".split())
    for name, (widths, all_shots, exponents) in SWEEPS.items():
        backend = load(name)
        backend.warm_up()
        rows = measure(backend, widths, all_shots)
        table.writerows([name, *row[:3], f"{row[3]:.6f}"] for row in rows)
        tried = []
        for exponent in exponents:
            columns = [[1.0, shots, gates, gates * 2 ** (exponent * qubits)] for qubits, gates, shots, _ in rows]
            if exponent == 0.0:
                columns = [row[:3] for row in columns]
            tried.append((fit(list(zip(*columns, strict=True)), [row[3] for row in rows]), exponent))
        (constants, _, middle, worst), exponent = min(tried, key=lambda attempt: attempt[0][1])
        names = ("overhead_s", "shot_s", "fixed_gate_s", "gate_s")
        fitted = ", ".join(f"{key}={value:.2g}" for key, value in zip(names, constants, strict=False))
        print(f"{name}: {fitted}, qubit_exponent={exponent}  [factor {middle:.2f}, worst {worst:.2f}]", file=sys.stderr)
        if name in TRAJECTORIES:
            rows = measure(backend, TRAJECTORY_WIDTHS, TRAJECTORY_SHOTS)
            table.writerows([f"{name}/trajectories", *row[:3], f"{row[3]:.6f}"] for row in rows)
            columns = [[shots * gates, shots * gates * 2.0**qubits] for qubits, gates, shots, _ in rows]
            constants, _, middle, worst = fit(list(zip(*columns, strict=True)), [row[3] for row in rows])
            print(
                f"{name}: shot_gate_s={constants[0]:.2g}, shot_amplitude_s={constants[1]:.2g}"
                f"  [factor {middle:.2f}, worst {worst:.2f}]",
                file=sys.stderr,
            )


if __name__ == "__main__":
    main()

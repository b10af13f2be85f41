"""Measure how long the simulated backends take, and fit the constants of their ``CostCurve``.

    python examples/benchmarks/cost_curves.py [BACKEND …]

One thread. Times are of the processor: the wall time of a run, times the share of the call during which the process
had a core, so that others on the machine count little. Each row of ``results/cost_curves.csv``, or of
``cost_curves_BACKEND.csv`` for those named, is the median, the fastest and the slowest of up to seven runs of layered
circuits (rotations and nearest-neighbour CX; H and CX where only Clifford circuits run). The fit minimises squared
relative errors with non-negative constants; it is printed with its median and worst factor. The exponent is given by
theory, or the best of a grid where theory gives none. Matrix product states depend on
entanglement: mps_costs.py measures them.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np
from evidence import results
from qiskit import QuantumCircuit
from scipy.optimize import nnls

from backends import load
from backends.backend import Backend, TranspileOptions
from circuits.family import Run
from circuits.features import features

LAYERS = (2, 10)
PATIENCE_S = 1.5
Row = tuple[int, int, int, float, float, float]
"""Active qubits, gates after transpilation, shots; median, fastest and slowest run in seconds."""


@dataclass(frozen=True)
class Sweep:
    """What to measure of one backend, and the exponents to try in its fit.

    ``per_shot`` adds a term in shots times gates ("gates"), and one that also grows with the state vector ("both").
    """

    backend: str
    widths: Sequence[int]
    shots: Sequence[int]
    exponents: Sequence[float]
    per_shot: str = ""


SWEEPS = (
    Sweep("aer_statevector", (4, 8, 12, 16, 20, 22), (1, 1000), (1.0,)),
    Sweep("aer_density_matrix", (2, 4, 6, 8, 10), (1, 1000), (2.0,)),
    Sweep("aer_stabilizer", (4, 20, 40, 60), (1, 100, 1000), (0.0, 0.02, 0.05), per_shot="gates"),
    Sweep("sparse", (4, 8, 12, 16, 20), (1, 1000), (1.0,)),
    Sweep("stim", (4, 40, 400, 1000), (1, 1000, 100_000), (0.0,), per_shot="gates"),
    Sweep("cirq_simulator", (4, 8, 12, 16, 20), (1, 1000), (1.0,)),
    Sweep("braket_local", (4, 8, 12, 16, 20), (1, 1000), (1.0,)),
    Sweep("pennylane_lightning", (4, 8, 12, 16, 20, 22), (1, 1000), (1.0,)),
    Sweep("braket_emulator", (2, 4, 6, 8, 9, 10), (1, 1000), (2.0,)),
    Sweep("fake_rainbow", (2, 4, 6, 8, 9, 10), (1, 1000), (2.0,)),
    Sweep("fake_weber", (2, 4, 6, 8, 9, 10), (1, 1000), (2.0,)),
    Sweep("fake_willow_pink", (2, 4, 6, 8, 9, 10), (1, 1000), (2.0,)),
    Sweep("fake_guadalupe", (2, 4, 6, 8, 9, 10), (1, 1000), (2.0,)),
    Sweep("fake_hanoi", (2, 4, 6, 8, 9, 10), (1, 1000), (2.0,)),
    Sweep("fake_guadalupe", (11, 12, 13, 14), (1, 20, 100), (0.0,), per_shot="both"),  # trajectories
    Sweep("fake_hanoi", (11, 12, 13, 14), (1, 20, 100), (0.0,), per_shot="both"),
    Sweep("fake_rainbow", (11, 13), (1, 20), (0.0,), per_shot="both"),
    Sweep("fake_weber", (11, 13), (1, 20), (0.0,), per_shot="both"),
    Sweep("fake_willow_pink", (11, 13), (1, 20), (0.0,), per_shot="both"),
)


def layered(num_qubits: int, num_layers: int, *, clifford: bool) -> QuantumCircuit:
    """Layers of one-qubit gates and nearest-neighbour CX, measured."""
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
    """Median times of layered circuits."""
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
                    times.append(run_s(backend, prepared, shots, seed=len(times)))
                rows.append((asked.num_qubits, asked.num_gates, shots, median(times), min(times), max(times)))
    return rows


def run_s(backend: Backend, prepared: list[QuantumCircuit], shots: int, *, seed: int) -> float:
    """Seconds of the processor that one run takes."""
    wall_s, busy_s = time.perf_counter(), time.process_time()
    done = backend.run(prepared, [Run(shots)], seed=seed)
    wall_s, busy_s = time.perf_counter() - wall_s, time.process_time() - busy_s
    return done.run_s * min(1.0, busy_s / wall_s)


def fit(values: Sequence[Sequence[float]], seconds: Sequence[float]) -> tuple[list[float], float, float, float]:
    """Constants; sum of squared relative errors; median and worst factor between curve and measurement."""
    table, wanted = np.array(values, dtype=float).T, np.array(seconds)
    scale = table.max(axis=0)
    scaled, residual = nnls(table / scale / wanted[:, None], np.ones(len(wanted)))
    constants = scaled / scale
    factors = table @ constants / wanted
    factors = np.maximum(factors, 1.0 / factors)
    return [float(value) for value in constants], float(residual), float(np.median(factors)), float(factors.max())


def columns(rows: Sequence[Row], exponent: float, per_shot: str) -> tuple[list[str], list[list[float]]]:
    """Names of the constants and, for each of them, what it is multiplied with in every row."""
    table = {
        "overhead_s": [1.0 for _ in rows],
        "shot_s": [float(shots) for _, _, shots, *_ in rows],
        "fixed_gate_s": [float(gates) for _, gates, *_ in rows],
    }
    if exponent > 0.0:
        table["gate_s"] = [gates * 2.0 ** (exponent * qubits) for qubits, gates, *_ in rows]
    if per_shot:
        table["shot_gate_s"] = [float(shots * gates) for _, gates, shots, *_ in rows]
    if per_shot == "both":
        table["shot_amplitude_s"] = [shots * gates * 2.0**qubits for qubits, gates, shots, *_ in rows]
    return list(table), list(table.values())


def main() -> None:
    """Measure, write, fit, print."""
    header = ["backend", "qubits", "gates", "shots", "median_run_s", "fastest_run_s", "slowest_run_s"]
    names = sys.argv[1:]
    with results("_".join(["cost_curves", *names]), header, seeds="run number 0..6") as table:
        for sweep in (sweep for sweep in SWEEPS if not names or sweep.backend in names):
            backend = load(sweep.backend)
            backend.warm_up()
            rows = measure(backend, sweep.widths, sweep.shots)
            table.writerows([sweep.backend, *row[:3], *(f"{time_s:.6f}" for time_s in row[3:])] for row in rows)
            report(sweep, rows)


def report(sweep: Sweep, rows: Sequence[Row]) -> None:
    """Print the constants that fit best."""
    tried = []
    for exponent in sweep.exponents:
        names, values = columns(rows, exponent, sweep.per_shot)
        tried.append((fit(values, [row[3] for row in rows]), exponent, names))
    (constants, _, middle, worst), exponent, names = min(tried, key=lambda attempt: attempt[0][1])
    fitted = ", ".join(f"{name}={value:.2g}" for name, value in zip(names, constants, strict=True) if value)
    widths = f"{sweep.widths[0]}..{sweep.widths[-1]} qubits"
    print(f"{sweep.backend}, {widths}: {fitted}, qubit_exponent={exponent}", flush=True)
    print(f"    factor between curve and measurement: median {middle:.2f}, worst {worst:.2f}", flush=True)


if __name__ == "__main__":
    main()

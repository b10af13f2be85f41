"""The GPU against Aer on one core: state vectors of 20 to 30 qubits, and tensor networks of what is wider.

    python examples/benchmarks/gpu.py [MOST_QUBITS]

Needs a CUDA device and `qorch[cuda13]` or `qorch[cuda12]`, or torch with CUDA; without them it says what is missing,
writes nothing and ends with 0. Each row of ``results/gpu.csv`` is the median, the fastest and the slowest of up to five
warm runs of 1 000 shots, reading out of the device's memory included. Dense circuits have ten layers of rotations and
neighbouring CX; wide ones are two Trotter steps of an Ising chain, against Aer's matrix product states. Aer is left out
above what fits into half of this machine's memory, and once a run takes longer than ``TOO_LONG_S``.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Sequence
from statistics import median
from typing import Any

from evidence import PACKAGES, results
from mps_costs import ising
from qiskit import QuantumCircuit

from backends import load
from backends.aer import statevector
from backends.backend import Backend, TranspileOptions
from backends.cuquantum import CuQuantum
from backends.curves import layered
from backends.errors import BackendError, NotHere
from circuits.family import Run
from circuits.features import features

DENSE_QUBITS = range(20, 31)
WIDE_QUBITS = (40, 50, 60)
LAYERS = 10
SHOTS = 1_000
PATIENCE_S = 20.0
TOO_LONG_S = 120.0
HEADER = ["circuit", "backend", "engine", "qubits", "gates", "shots", "median_run_s", "fastest_run_s", "slowest_run_s"]


def times_s(backend: Backend, prepared: Sequence[QuantumCircuit]) -> tuple[str, list[float]]:
    """The engine that ran, and the seconds of up to five warm runs."""
    backend.run(prepared, [Run(1)], seed=0)
    times: list[float] = []
    started = time.perf_counter()
    while len(times) < 5 and (not times or time.perf_counter() - started < PATIENCE_S):
        done = backend.run(prepared, [Run(SHOTS)], seed=len(times))
        times.append(done.run_s)
    return done.method, times


def compare(
    table: Any, what: str, widths: Sequence[int], make: Callable[[int], QuantumCircuit], rivals: dict[str, Backend]
) -> None:
    """Measure each width on each backend until it is too slow, refuses, or fails."""
    going = dict(rivals)
    for width in widths:
        for name, backend in list(going.items()):
            try:
                prepared = backend.prepare([make(width)], TranspileOptions())
                engine, times = times_s(backend, prepared)
            except BackendError as error:
                print(f"{what}, {width} qubits, {name}: {error}", flush=True)
                del going[name]
                continue
            row, gates = (median(times), min(times), max(times)), features(prepared[0]).num_gates
            table.writerow([what, name, engine, width, gates, SHOTS, *(f"{value:.6f}" for value in row)])
            print(f"{what}, {width} qubits, {name} ({engine}): {row[0]:.4f} s", flush=True)
            if row[0] > TOO_LONG_S:
                del going[name]


def host_qubits() -> int:
    """Widest state vector that half of this machine's memory holds."""
    machine_byte = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return (machine_byte // 2 // 16).bit_length() - 1


def main(most_qubits: int) -> None:
    """Measure and write, or say why not."""
    gpu = CuQuantum()
    try:
        device = gpu.device()
    except NotHere as error:
        print(f"nothing measured: {error}")
        return
    gpu.warm_up()
    host = statevector(num_qubits=min(host_qubits(), max(DENSE_QUBITS)))
    packages = (*PACKAGES, device.sdk_version.partition(" ")[0])
    with results("gpu", HEADER, seeds="run number 0..4", packages=packages) as table:
        dense = [width for width in DENSE_QUBITS if width <= most_qubits]
        rivals: dict[str, Backend] = {"cuquantum": gpu, "aer_statevector": host}
        compare(table, "layered", dense, lambda width: layered(width, LAYERS, clifford=False), rivals)
        wide: dict[str, Backend] = {"cuquantum": gpu, "aer_mps": load("aer_mps")}
        compare(table, "ising", WIDE_QUBITS, lambda width: ising(width, 2).measure_all(inplace=False), wide)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else max(DENSE_QUBITS))

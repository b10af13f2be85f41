"""Cost curves measured: how long simulated backends take on this machine, and the ``CostCurve`` that fits best.

Layered circuits of several widths, depths and shots are run a few times each; medians of the processor's time count,
since a machine that is shared slows single runs down. The fit minimises squared relative errors with non-negative
constants. An exponent is given by theory, or the best of a grid where theory gives none. Matrix product states depend
on entanglement: examples/benchmarks/mps_costs.py has circuits for them. Whether a curve is any good is told by circuits
of other kinds and widths that had no part in it.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import count, pairwise
from statistics import median
from typing import TYPE_CHECKING, Any

from backends.backend import Backend, CostCurve, Device, Execution, SeededBackend, TranspileOptions
from backends.errors import UnsupportedCircuit
from circuits.family import Run

if TYPE_CHECKING:
    from qiskit import QuantumCircuit

LAYERS = (2, 10)
LEAST_ROWS = 8
"""Fewer would fit anything: the curve has up to five constants."""


@dataclass(frozen=True)
class Effort:
    """How long to measure.

    Attributes:
        num_repeats: most runs of one circuit.   patience_s: after so long no further one begins.
        within_s: circuits whose present curve expects one run to take longer are left out.
    """

    num_repeats: int
    patience_s: float
    within_s: float


THOROUGH = Effort(num_repeats=7, patience_s=1.5, within_s=math.inf)
QUICK = Effort(num_repeats=5, patience_s=0.15, within_s=0.25)


@dataclass(frozen=True)
class Sweep:
    """What to measure of one engine, and the exponents to try in its fit.

    ``per_shot`` adds a term in shots times qubits ("qubits"), in shots times gates ("gates"), and to that one that also
    grows with the state vector ("both").
    """

    widths: tuple[int, ...]
    shots: tuple[int, ...]
    exponents: tuple[float, ...]
    per_shot: str = ""


STATEVECTOR = Sweep((4, 8, 12, 16, 20), (1, 1000), (1.0,))
SWEEPS: dict[str, Sweep] = {
    "aer_statevector": replace(STATEVECTOR, widths=(4, 8, 12, 16, 20, 22)),
    "aer_density_matrix": Sweep((2, 4, 6, 8, 10), (1, 1000), (2.0,)),
    "aer_stabilizer": Sweep((4, 20, 40, 60), (1, 100, 1000), (0.0, 0.02, 0.05), per_shot="qubits"),
    "stim": Sweep((4, 40, 400, 1000), (1, 1000, 100_000), (0.0,), per_shot="gates"),
    "pennylane_lightning": replace(STATEVECTOR, widths=(4, 8, 12, 16, 20, 22)),
}
"""By backend; other simulators are swept like a state vector, emulated devices as both their engines need it."""

_DENSITY_MATRIX = Sweep((2, 4, 6, 8, 9, 10), (1, 1000), (2.0,))
_TRAJECTORIES = Sweep((11, 12, 13, 14), (1, 20, 100), (0.0,), per_shot="both")


@dataclass(frozen=True)
class Row:
    """One circuit's times.

    Attributes:
        num_qubits: active.   num_gates: after transpilation.
        median_s, fastest_s, slowest_s: of its runs.
    """

    num_qubits: int
    num_gates: int
    shots: int
    median_s: float
    fastest_s: float
    slowest_s: float


@dataclass(frozen=True)
class Fitted:
    """The constants that fit best, and how far curve and measurements are apart: median and worst factor."""

    curve: CostCurve
    median_factor: float
    worst_factor: float


@dataclass(frozen=True)
class Calibrated:
    """What was measured of one backend on this machine.

    Attributes:
        curve: that fits best.   improved: it foretells circuits that were held out better than the built-in one.
        factor_before, factor: median factor between those and the built-in curve, and the fitted one.
        measured_at: seconds since the epoch.
    """

    backend: str
    sdk_version: str
    curve: CostCurve
    improved: bool
    factor_before: float
    factor: float
    num_rows: int
    num_held_out: int
    measured_at: float


def sweeps_of(device: Device) -> tuple[Sweep, ...]:
    """What to measure of a device, one sweep for each piece of its curve; none where nothing is simulated here."""
    curve = device.cost_curve
    if curve is None or curve.sees_bonds or device.kind == "cpu":
        return ()
    if device.kind == "simulator":
        return (SWEEPS.get(device.name, STATEVECTOR),)
    pieces = (_DENSITY_MATRIX, _TRAJECTORIES) if curve.beyond is not None else (_DENSITY_MATRIX,)
    fitting = (tuple(w for w in piece.widths if w <= device.max_active_qubits) for piece in pieces)
    return tuple(replace(piece, widths=widths) for piece, widths in zip(pieces, fitting, strict=True) if widths)


def layered(num_qubits: int, num_layers: int, *, clifford: bool) -> QuantumCircuit:
    """Layers of one-qubit gates and nearest-neighbour CX, measured."""
    from qiskit import QuantumCircuit

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


def chained(num_qubits: int, *, clifford: bool) -> QuantumCircuit:
    """A chain over all qubits, then five layers of one-qubit gates and CZ: another kind, held out of every fit.

    Neighbours alone are entangled, as in the sweeps: a matrix product state would otherwise take minutes.
    """
    from qiskit import QuantumCircuit

    circuit = QuantumCircuit(num_qubits)
    circuit.h(0)
    for qubit in range(num_qubits - 1):
        circuit.cx(qubit, qubit + 1)
    for layer in range(5):
        for qubit in range(num_qubits):
            if clifford:
                circuit.s(qubit)
                circuit.h(qubit)
            else:
                circuit.u(0.1 + layer, 0.2 * qubit, 0.3, qubit)
        for qubit in range(layer % 2, num_qubits - 1, 2):
            circuit.cz(qubit, qubit + 1)
    circuit.measure_all()
    return circuit


def measured(backend: Backend, circuit: QuantumCircuit, shots: int, effort: Effort) -> Row | None:
    """Times of one circuit; None where it cannot run there, or would take too long."""
    try:
        prepared = backend.prepare([circuit], TranspileOptions())
    except UnsupportedCircuit:
        return None  # such as one that routing makes too wide
    from circuits.features import features

    asked, curve = features(prepared[0]), backend.device().cost_curve
    if curve is None or curve.run_s(asked.num_qubits, asked.num_gates, shots) > effort.within_s:
        return None
    _run(backend, prepared, 1, seed=0)  # builds what is kept between runs, such as a noise model
    times: list[float] = []
    started = time.perf_counter()
    while len(times) < effort.num_repeats and (not times or time.perf_counter() - started < effort.patience_s):
        times.append(_run_s(backend, prepared, shots, seed=len(times)))
    return Row(asked.num_qubits, asked.num_gates, shots, median(times), min(times), max(times))


def _run_s(backend: Backend, prepared: list[QuantumCircuit], shots: int, *, seed: int) -> float:
    """Seconds of the processor that one run takes: others on the machine count little."""
    first_seen = [circuit.copy() for circuit in prepared]  # engines remember a circuit that comes again
    wall_s, busy_s = time.perf_counter(), time.process_time()
    done = _run(backend, first_seen, shots, seed=seed)
    wall_s, busy_s = time.perf_counter() - wall_s, time.process_time() - busy_s
    if done.run_s > wall_s:
        return done.run_s  # told by another clock than this machine's
    return done.run_s * min(1.0, busy_s / wall_s)


def _run(backend: Backend, prepared: list[QuantumCircuit], shots: int, *, seed: int) -> Execution:
    """As a worker runs a job: with a seed of its own where the backend takes several in one call."""
    if isinstance(backend, SeededBackend):
        return backend.run_seeded(prepared, [Run(shots)], [seed])
    return backend.run(prepared, [Run(shots)], seed=seed)


def swept(backend: Backend, sweep: Sweep, effort: Effort) -> Iterator[Row | None]:
    """Times of layered circuits, one after the other; None for one that is left out."""
    clifford = backend.device().clifford_only
    for width in sweep.widths:
        for num_layers in LAYERS:
            circuit = layered(width, num_layers, clifford=clifford)
            for shots in sweep.shots:
                yield measured(backend, circuit, shots, effort)


def fit(sweep: Sweep, rows: Sequence[Row]) -> Fitted:
    """The constants that fit best, over the exponents of the sweep."""
    return min((_fit(sweep, rows, exponent) for exponent in sweep.exponents), key=lambda found: found[0])[1]


def _fit(sweep: Sweep, rows: Sequence[Row], exponent: float) -> tuple[float, Fitted]:
    """Sum of squared relative errors, and the fit."""
    columns = {
        "overhead_s": [1.0 for _ in rows],
        "shot_s": [float(row.shots) for row in rows],
        "fixed_gate_s": [float(row.num_gates) for row in rows],
    }
    if exponent > 0.0:
        columns["gate_s"] = [row.num_gates * 2.0 ** (exponent * row.num_qubits) for row in rows]
    if sweep.per_shot == "qubits":
        columns["shot_qubit_s"] = [float(row.shots * row.num_qubits) for row in rows]
    elif sweep.per_shot:
        columns["shot_gate_s"] = [float(row.shots * row.num_gates) for row in rows]
    if sweep.per_shot == "both":
        columns["shot_amplitude_s"] = [row.shots * row.num_gates * 2.0**row.num_qubits for row in rows]
    constants, residual = solved(list(columns.values()), [row.median_s for row in rows])
    known: dict[str, Any] = dict(zip(columns, constants, strict=True))
    curve = CostCurve(**({"gate_s": 0.0} | known), qubit_exponent=exponent)
    factors = [factor_off(curve, row) for row in rows]
    return residual, Fitted(curve, median(factors), max(factors))


def solved(columns: Sequence[Sequence[float]], seconds: Sequence[float]) -> tuple[list[float], float]:
    """Non-negative constants of the columns, and the sum of squared relative errors that they leave."""
    import numpy as np
    from scipy.optimize import nnls

    table, wanted = np.array(columns, dtype=float).T, np.array(seconds)
    scale = table.max(axis=0)
    scaled, residual = nnls(table / scale / wanted[:, None], np.ones(len(wanted)))
    return [float(value) for value in scaled / scale], float(residual)


def factor_off(curve: CostCurve, row: Row) -> float:
    """Factor >= 1 between what a curve says and what was measured."""
    ratio = curve.run_s(row.num_qubits, row.num_gates, row.shots) / row.median_s
    return max(ratio, 1.0 / max(ratio, 1e-12))


def calibrate(
    backend: Backend, effort: Effort = QUICK, *, step: Callable[[int, int], object] = max
) -> Calibrated | None:
    """Measure a backend's curve here and see what it is worth. None where nothing is simulated here.

    Args:
        step: called after each circuit, with how many are done and how many there are; by default nothing comes of it.
    """
    device = backend.device()
    sweeps, before = sweeps_of(device), device.cost_curve
    if before is None or not sweeps:
        return None
    backend.warm_up()
    trials = [(width, shots) for sweep in sweeps for width in _between(sweep.widths) for shots in _other(sweep.shots)]
    total = sum(len(sweep.widths) * len(LAYERS) * len(sweep.shots) for sweep in sweeps) + len(trials)
    done = count(1)

    def kept(rows: Iterable[Row | None]) -> list[Row]:
        found = []
        for row in rows:
            step(next(done), total)
            found += [] if row is None else [row]
        return found

    tables = [kept(swept(backend, sweep, effort)) for sweep in sweeps]
    circuits = ((chained(width, clifford=device.clifford_only), shots) for width, shots in trials)
    held_out = kept(measured(backend, circuit, shots, effort) for circuit, shots in circuits)
    curve = _joined(
        before,
        [
            fit(sweep, rows).curve if len(rows) >= LEAST_ROWS else None
            for sweep, rows in zip(sweeps, tables, strict=True)
        ],
    )
    return _compared(device, before, curve, held_out, sum(map(len, tables)))


def _joined(before: CostCurve, pieces: Sequence[CostCurve | None]) -> CostCurve:
    """The pieces in the shape of the curve before; where one could not be measured, the old one stays."""
    first = pieces[0] or replace(before, beyond=None)
    if before.beyond is None:
        return first
    beyond = pieces[1] if len(pieces) > 1 else None
    return replace(first, up_to_qubits=before.up_to_qubits, beyond=beyond or before.beyond)


def _compared(
    device: Device, before: CostCurve, curve: CostCurve, held_out: Sequence[Row], num_rows: int
) -> Calibrated:
    was, now = (median([factor_off(each, row) for row in held_out] or [1.0]) for each in (before, curve))
    at = time.time()
    return Calibrated(
        backend=device.name,
        sdk_version=device.sdk_version,
        curve=replace(curve, measured_at=at),
        improved=now < was,
        factor_before=was,
        factor=now,
        num_rows=num_rows,
        num_held_out=len(held_out),
        measured_at=at,
    )


def _between(widths: Sequence[int]) -> list[int]:
    """Widths between those of a sweep."""
    middles = {(low + high) // 2 for low, high in pairwise(widths)}
    return sorted(middles - set(widths) or set(widths[-1:]))


def _other(shots: Sequence[int]) -> list[int]:
    """Numbers of shots between those of a sweep, on a logarithmic scale."""
    return [round(math.sqrt(low * high)) for low, high in pairwise(shots)]

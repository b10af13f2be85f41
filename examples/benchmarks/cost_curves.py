"""Measure how long the simulated backends take, and fit the constants of their ``CostCurve``.

    python examples/benchmarks/cost_curves.py [BACKEND …]

One thread. Each row of ``results/cost_curves_BACKEND.csv`` is the median, the fastest and the slowest of up to seven
runs of layered circuits (rotations and nearest-neighbour CX; H and CX where only Clifford circuits run). The fit is
printed with its median and worst factor; see ``backends.curves``.
"""

from __future__ import annotations

import sys
from dataclasses import fields

from evidence import results

from backends import load
from backends.curves import THOROUGH, Fitted, fit, sweeps_of, swept
from workers.node import devices_here


def main() -> None:
    """Measure, write, fit, print."""
    header = ["backend", "qubits", "gates", "shots", "median_run_s", "fastest_run_s", "slowest_run_s"]
    for name in devices_here(sys.argv[1:]):
        backend = load(name)
        with results(f"cost_curves_{name}", header, seeds="run number 0..6") as table:
            for number, sweep in enumerate(sweeps_of(backend.device())):
                if number == 0:
                    backend.warm_up()
                rows = [row for row in swept(backend, sweep, THOROUGH) if row is not None]
                for row in rows:
                    times_s = (row.median_s, row.fastest_s, row.slowest_s)
                    figures = (row.num_qubits, row.num_gates, row.shots, *(f"{time_s:.6f}" for time_s in times_s))
                    table.writerow([name, *figures])
                report(name, sweep.widths, fit(sweep, rows))


def report(name: str, widths: tuple[int, ...], found: Fitted) -> None:
    """Print the constants that fit best."""
    constants = {each.name: getattr(found.curve, each.name) for each in fields(found.curve)}
    fitted = ", ".join(f"{constant}={value:.2g}" for constant, value in constants.items() if value)
    print(f"{name}, {widths[0]}..{widths[-1]} qubits: {fitted}", flush=True)
    factors = f"median {found.median_factor:.2f}, worst {found.worst_factor:.2f}"
    print(f"    factor between curve and measurement: {factors}", flush=True)


if __name__ == "__main__":
    main()

"""What virtual QPUs cost: being announced, being a candidate of every new program, and running.

    python examples/benchmarks/virtual_qpus.py

CPU seconds of one process, one thread, each once. First every IBM machine: its record (read from IBM's files) and its
target's version, the first circuit transpiled to it (pass managers are made) and a later one (mean over the held-out
circuits of ``survival_prior.py``). Then whole programs as placement prepares them, for two devices and for ten. Then
runs of layered circuits of growing width by each method.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import mean
from typing import Any

from evidence import results
from survival_prior import held_out, layers

from backends import BACKENDS, load
from backends.backend import TranspileOptions
from backends.transpilation import transpile
from circuits.family import Run
from circuits.program import Limits, Program
from orchestrator.runtime import PrepareWork
from workers import hands

MACHINES = [name for name in BACKENDS if name.startswith("virtual_")]
RUNS = (*((n, 1000) for n in (6, 8, 10)), *((n, 100) for n in (11, 12, 14)), *((n, 1000) for n in (15, 16, 18, 20)))
"""Qubits and shots."""


def cpu_s(work: Callable[[], Any]) -> float:
    """CPU seconds of one call."""
    begun = time.process_time()
    work()
    return time.process_time() - begun


def machine(name: str) -> list[tuple[str, int, str, float]]:
    """Rows of one machine: what it costs to be there."""
    backend = load(name)
    record_s = cpu_s(backend.device)
    device = backend.device()
    version_s = cpu_s(lambda: device.target_version)
    circuits = [circuit.measure_all(inplace=False) for circuit in held_out() if circuit.num_qubits <= device.num_qubits]
    first_s = cpu_s(lambda: transpile(device, circuits[:1]))
    transpile(device, circuits)
    later_s = mean(cpu_s(lambda: transpile(device, [circuit])) for circuit in circuits)  # noqa: B023
    figures = {"record": record_s, "version": version_s, "first transpilation": first_s, "later transpilation": later_s}
    return [(name, device.num_qubits, what, value) for what, value in figures.items()]


def program(names: tuple[str, ...]) -> float:
    """CPU seconds to prepare a new program for these devices, in a process that knows them; mean over some programs."""
    devices = tuple(load(name).device() for name in names)
    works = [
        PrepareWork(Program.from_any(circuit.measure_all(inplace=False)), Limits(), devices, TranspileOptions())
        for circuit in held_out()
    ]
    hands.prepare(works[0])
    return mean(cpu_s(lambda: hands.prepare(work)) for work in works[1:])  # noqa: B023


def main() -> None:
    """Measure, write, print."""
    with results("virtual_qpus", ["backend", "qubits", "what", "shots", "method", "cpu_s"], seeds="7") as table:

        def tell(*row: Any) -> None:
            table.writerow(row)
            print(*row, flush=True)

        transpile(load("fake_hanoi").device(), [held_out()[0].measure_all(inplace=False)])  # imports are paid for
        for name in MACHINES:
            for backend, qubits, what, value in machine(name):
                tell(backend, qubits, what, "", "", f"{value:.4f}")
        for label, names in (("2 fake", ("fake_guadalupe", "fake_hanoi")), ("10 virtual", tuple(MACHINES))):
            tell(label, "", "preparing a program", "", "", f"{program(names):.4f}")
        for name in ("virtual_hanoi", "virtual_sherbrooke", "virtual_fez"):
            backend = load(name)
            backend.warm_up()
            for width, shots in RUNS:
                prepared = backend.prepare([layers(width, 4).measure_all(inplace=False)], TranspileOptions())
                begun = time.process_time()
                done = backend.run(prepared, [Run(shots)], seed=7)
                tell(name, width, "run", shots, done.method, f"{time.process_time() - begun:.3f}")


if __name__ == "__main__":
    main()

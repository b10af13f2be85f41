"""What choosing the layout by calibration wins over Qiskit's own search, and what it costs.

    python examples/benchmarks/layouts.py

For the held-out circuits of ``survival_prior.py``, as they are and mirrored, and every device: layout and routing as
level 2 of Qiskit's presets does them, the rest at level 1, against ``backends.fitting``. Both are run under the
published noise alone, with the same seed; compared are the survival that calibration predicts, the Hellinger fidelity
to the ideal, and the CPU time of a second transpilation, when everything that can be reused is there.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import mean

import numpy as np
from evidence import results
from qiskit import QuantumCircuit
from qiskit.quantum_info import Statevector
from qiskit.transpiler import generate_preset_pass_manager
from survival_prior import held_out, mirrored

from backends.backend import Device, TranspileOptions
from backends.calibration import survival
from backends.transpilation import build_target, transpile
from backends.virtual.ibm import ibm
from backends.virtual.qpu import VirtualQPU
from circuits.counts import hellinger_fidelity
from circuits.family import Run

SHOTS = 8192
MACHINES = ("guadalupe", "hanoi", "sherbrooke", "torino")
COLUMNS = (
    "device set circuit qubits survival_qiskit survival_ours fidelity_qiskit fidelity_ours gain "
    "transpile_qiskit_s transpile_ours_s"
)
Transpiler = Callable[[QuantumCircuit], QuantumCircuit]


def qiskit_level_2(device: Device) -> Transpiler:
    """Layout and routing of level 2, the rest of level 1."""
    manager, choosy = (
        generate_preset_pass_manager(optimization_level=level, target=build_target(device), seed_transpiler=7)
        for level in (1, 2)
    )
    manager.layout, manager.routing = choosy.layout, choosy.routing
    run: Transpiler = manager.run
    return run


def timed(transpiler: Transpiler, circuit: QuantumCircuit) -> tuple[QuantumCircuit, float]:
    """A transpiled circuit, and the CPU seconds that a second call takes."""
    fitted = transpiler(circuit)
    begun = time.process_time()
    transpiler(circuit)
    return fitted, time.process_time() - begun


def compare(backend: VirtualQPU, theirs: Transpiler, circuit: QuantumCircuit) -> tuple[list[float], list[float]]:
    """Survival of both, fidelity of both and its gain; and the CPU seconds of both."""
    device = backend.device()
    ideal = Statevector(circuit).probabilities_dict()
    measured = circuit.measure_all(inplace=False)
    fitted, seconds = zip(
        timed(theirs, measured),
        timed(lambda one: transpile(device, [one], TranspileOptions())[0], measured),
        strict=True,
    )
    weights = [survival(one, device).weight for one in fitted]
    reached = [hellinger_fidelity(backend.run([one], [Run(SHOTS)], seed=7).counts[0], ideal) for one in fitted]
    return [*weights, *reached, reached[1] - reached[0]], list(seconds)


def main() -> None:
    """Compare, write, print."""
    rng = np.random.default_rng(7)
    with results("layouts", COLUMNS.split(), seeds="7") as table:
        for machine in MACHINES:
            backend = ibm(f"fake_{machine}", machine, truth=False)
            theirs = qiskit_level_2(backend.device())
            for kind, circuits in (("held out", held_out()), ("mirrored", mirrored())):
                gains, costs = [], []
                for circuit in circuits:
                    figures, seconds = compare(backend, theirs, circuit)
                    gains.append(figures[-1])
                    costs.append(seconds)
                    written = [f"{value:.4f}" for value in (*figures, *seconds)]
                    table.writerow([machine, kind, circuit.name, circuit.num_qubits, *written])
                low, high = np.percentile(rng.choice(gains, (2000, len(gains))).mean(axis=1), [2.5, 97.5])
                print(
                    f"{machine}: fidelity won {mean(gains):+.4f} ({low:+.4f}..{high:+.4f}) over {len(gains)} circuits "
                    f"{kind}; {mean(s for s, _ in costs) * 1e3:.1f} ms of CPU a circuit become "
                    f"{mean(s for _, s in costs) * 1e3:.1f}",
                    flush=True,
                )


if __name__ == "__main__":
    main()

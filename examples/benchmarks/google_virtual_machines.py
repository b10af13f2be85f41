"""How close our emulations of Google's processors come to Cirq's own noisy virtual machines of them.

    python examples/benchmarks/google_virtual_machines.py

Needs ``pip install cirq-google``. Every circuit is transpiled by us for three stretches of each device, and the same
native gates on the same qubits run on both sides: here on Aer, there on cirq-google's noisy virtual machine with its
density-matrix simulator. ``fidelity`` is the Hellinger fidelity of the two counts at ``SHOTS`` shots each, ``floor``
that of two runs of ours with different seeds, and ``missing`` what the first lacks to it. ``ideal`` columns say how
close either side is to the ideal, which is what a policy reads. ``lost_angles`` counts the couplers used on which
Cirq's loader loses published angles (see ``backends.google_calibration``); ``missing_restored`` is against a virtual
machine that has them again.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import replace
from statistics import mean
from typing import Any

import numpy as np
from evidence import PACKAGES, results
from qiskit import QuantumCircuit
from qiskit.quantum_info import Statevector

from backends import load
from backends.backend import Backend, TranspileOptions
from backends.calibration import Calibration
from backends.google_calibration import read_grid
from circuits.counts import hellinger_fidelity
from circuits.family import Run
from circuits.structure import drop_idle_qubits

PROCESSORS = ("rainbow", "weber", "willow_pink")
SHOTS = 20_000
LAYOUTS = 3
COLUMNS = "device circuit qubits layout two_qubit_gates lost_angles fidelity floor missing missing_restored"
COLUMNS += " ideal_here ideal_there"


def ghz(num_qubits: int) -> QuantumCircuit:
    """All zeros and all ones."""
    circuit = QuantumCircuit(num_qubits, name="ghz")
    circuit.h(0)
    for qubit in range(num_qubits - 1):
        circuit.cx(qubit, qubit + 1)
    return circuit


def layers(num_qubits: int, num_layers: int = 4) -> QuantumCircuit:
    """Random rotations and chains of CZ."""
    circuit = QuantumCircuit(num_qubits, name="layers")
    rng = random.Random(num_qubits)
    for _ in range(num_layers):
        for qubit in range(num_qubits):
            circuit.u(rng.uniform(0, 3), rng.uniform(0, 6), rng.uniform(0, 6), qubit)
        for qubit in range(num_qubits - 1):
            circuit.cz(qubit, qubit + 1)
    return circuit


def echo(num_qubits: int, num_pairs: int = 3) -> QuantumCircuit:
    """Pairs of CX that undo each other between rotations: coherent errors add up, and nothing else is left."""
    circuit = QuantumCircuit(num_qubits, name="echo")
    circuit.ry(0.9, range(num_qubits))
    for _ in range(num_pairs):
        for _ in range(2):
            for qubit in range(num_qubits - 1):
                circuit.cx(qubit, qubit + 1)
            circuit.barrier()
    circuit.ry(-0.9, range(num_qubits))
    return circuit


class VirtualMachine:
    """cirq-google's noisy virtual machine of one processor, fed with our transpiled circuits."""

    def __init__(self, processor: str, calibration: Calibration) -> None:
        import cirq
        from cirq_google import NoiseModelFromGoogleNoiseProperties
        from cirq_google.engine import virtual_engine_factory as factory

        self.grid = [cirq.GridQubit(row, column) for row, column in read_grid(processor)]
        engine = factory.create_default_noisy_quantum_virtual_machine(
            processor, simulator_class=cirq.DensityMatrixSimulator, seed=11
        )
        self.sampler = engine.get_processor(processor).get_sampler()
        properties = factory.load_device_noise_properties(processor)
        published = {}
        self.lost: set[tuple[int, int]] = set()
        for key, gate in properties.fsim_errors.items():
            if key.gate_type in (cirq.ISwapPowGate, cirq.CZPowGate):
                first, second = map(self.grid.index, key.qubits)
                name = "cz" if key.gate_type is cirq.CZPowGate else "sqrt_iswap"
                theta, phi, zeta, gamma = calibration.gate_table[name, (first, second)].fsim or (0.0,) * 4
                published[key] = cirq.PhasedFSimGate(theta=theta, phi=phi, zeta=zeta, gamma=gamma)
                if first < second and not cirq.approx_eq(published[key], gate):
                    self.lost.add((first, second))
        restored = replace(properties, fsim_errors=published)  # with_params would give both orders the same angles
        self.restored = cirq.DensityMatrixSimulator(noise=NoiseModelFromGoogleNoiseProperties(restored), seed=12)

    def run(self, sampler: Any, prepared: QuantumCircuit, shots: int) -> dict[str, int]:
        """Counts in Qiskit's order. The circuit measures every qubit it uses once, at its end."""
        import cirq

        circuit, clbits = cirq.Circuit(), {}
        between = cirq.Circuit()  # two barriers
        for item in prepared.data:
            places = [prepared.find_bit(qubit).index for qubit in item.qubits]
            qubits = [self.grid[place] for place in places]
            if item.name == "barrier":
                circuit, between = circuit + between, cirq.Circuit()
            elif item.name == "measure":
                clbits[prepared.find_bit(item.clbits[0]).index] = qubits[0]
            elif item.name == "rz":
                between.append(cirq.rz(float(item.params[0])).on(*qubits))
            elif item.name == "u":
                between.append(cirq.PhasedXZGate.from_matrix(item.operation.to_matrix()).on(*qubits))
            else:
                gate = {"sqrt_iswap": cirq.ISWAP**0.5, "cz": cirq.CZ}[item.name]
                between.append(gate.on(*(self.grid[place] for place in sorted(places))))
        order = [clbits[bit] for bit in sorted(clbits, reverse=True)]
        circuit += between + cirq.Circuit(cirq.measure(*order, key="m"))
        bits = sampler.run(circuit, repetitions=shots).measurements["m"]
        values, numbers = np.unique(bits, axis=0, return_counts=True)
        return {"".join(map(str, row)): int(n) for row, n in zip(values.tolist(), numbers.tolist(), strict=True)}


def stretches(backend: Backend, num_qubits: int) -> Iterator[tuple[int, ...] | None]:
    """Layouts: the one chosen, then walks along couplers from random starts."""
    yield None
    device, rng = backend.device(), random.Random(num_qubits)
    neighbours: dict[int, list[int]] = {}
    for first, second in device.coupling or ():
        neighbours.setdefault(first, []).append(second)
        neighbours.setdefault(second, []).append(first)
    found = 1
    while found < LAYOUTS:
        walk = [rng.choice(sorted(neighbours))]
        while len(walk) < num_qubits and (ahead := sorted(set(neighbours[walk[-1]]) - set(walk))):
            walk.append(rng.choice(ahead))
        if len(walk) == num_qubits:
            found += 1
            yield tuple(walk)


def compare(backend: Backend, machine: VirtualMachine, circuit: QuantumCircuit, options: TranspileOptions) -> list[Any]:
    """One row of the table, from the layout on."""
    ideal = Statevector(circuit).probabilities_dict()
    prepared = backend.prepare([circuit.measure_all(inplace=False)], options)[0]
    here, again = (backend.run([prepared], [Run(SHOTS)], seed=seed).counts[0] for seed in (1, 2))
    there, restored = (machine.run(sampler, prepared, SHOTS) for sampler in (machine.sampler, machine.restored))
    fidelity, floor = hellinger_fidelity(here, there), hellinger_fidelity(here, again)
    pairs = [
        tuple(sorted(prepared.find_bit(qubit).index for qubit in item.qubits))
        for item in prepared.data
        if item.name in ("sqrt_iswap", "cz")
    ]
    used = (prepared.find_bit(qubit).index for qubit in drop_idle_qubits(prepared).qubits)
    figures = (fidelity, floor, floor - fidelity, floor - hellinger_fidelity(here, restored))
    figures += (hellinger_fidelity(here, ideal), hellinger_fidelity(there, ideal))
    counted = len(pairs), len(machine.lost.intersection(pairs))
    return ["-".join(map(str, used)), *counted, *(round(figure, 5) for figure in figures)]


def main() -> None:
    """Compare, write, print."""
    with results(
        "google_virtual_machines",
        COLUMNS.split(),
        seeds="1, 2 (ours), 11 (Cirq's)",
        packages=(*PACKAGES, "cirq-google"),
    ) as table:
        for processor in PROCESSORS:
            backend = load(f"fake_{processor}")
            calibration = backend.device().calibration
            assert calibration is not None
            machine, rows = VirtualMachine(processor, calibration), []
            for circuit in (make(width) for width in (2, 3, 4, 5) for make in (ghz, layers, echo)):
                for layout in stretches(backend, circuit.num_qubits):
                    row = compare(backend, machine, circuit, TranspileOptions(initial_layout=layout))
                    table.writerow([backend.device().name, circuit.name, circuit.num_qubits, *row])
                    rows.append(row)
                    print(".", end="", flush=True)
            report(f"{processor}, as published", [row[5] for row in rows if not row[2]])
            report(f"{processor}, with angles lost by Cirq", [row[5] for row in rows if row[2]])
            report(f"{processor}, the same with them restored", [row[6] for row in rows if row[2]])


def report(what: str, missing: Sequence[float]) -> None:
    """Print what is missing to the floor."""
    if missing:
        print(f"\n{what}: {len(missing)} runs, missing {mean(missing):.5f}, at most {max(missing):.5f}")


if __name__ == "__main__":
    main()

"""A circuit too wide for one small QPU: over entangled pairs, cut in pieces, or on a larger QPU. The objective decides.

Eight qubits on two QPUs of four. An allocator serves pairs between them and is asked for quotes; the backend
``distributed`` runs the circuit with teleported gates over the pairs that come; ``qiskit-addon-cutting`` runs it in
pieces; an emulated processor of 27 qubits, with hidden errors and a recorded queue, takes it whole. Times are those
that the devices would take: nothing sleeps. What is local is ideal on the small QPUs.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from qiskit import QuantumCircuit
from qiskit.quantum_info import Pauli, Statevector

from backends.backend import REPETITION_S
from backends.energy import SUPERCONDUCTING_SYSTEM_POWER_W
from backends.pricing import TARIFFS
from circuits.distributed.cutting import cut, expectations, gamma
from circuits.distributed.ebits import ebits, remote
from circuits.distributed.gates import lower
from circuits.distributed.partition import partition
from circuits.distributed.schedule import needs, schedule
from orchestrator import Client, Objective
from orchestrator.entanglement import shots_demands
from orchestrator.job import Estimate, Times
from orchestrator.placement import Scales
from orchestrator.records import to_json
from orchestrator.settings import Settings
from orchestrator.ways import Qpu, costs, in_pieces, over_pairs
from policies.allocators.pairs import PAIR_ALLOCATORS, load
from policies.allocators.pairs.provision import provision
from policies.envs.qnum import topologies
from policies.envs.qnum.network import Network

SHOTS, OBSERVABLE = 1_000, "ZZIIZIII"
START = datetime(2023, 3, 1, 12, tzinfo=UTC)
"""Of the experiment: which part of the recorded queue stands in front of the larger QPU."""

OBJECTIVES = {
    "quick": Objective(latency=1.0, fidelity=0.0, energy=0.0, price=0.0),
    "cheap and good": Objective(latency=0.0, fidelity=1.0, energy=0.0, price=1.0),
    "good at any price": Objective(latency=0.0, fidelity=1.0, energy=0.0, price=0.0),
    "balanced": Objective(latency=0.02, fidelity=1.0, energy=0.0, price=0.1),
}


def two_clusters() -> QuantumCircuit:
    """Even qubits belong together, and odd ones; two CX lie between, in the middle of everything."""
    draws = np.random.default_rng(8)
    circuit = QuantumCircuit(8)
    circuit.ry(0.9, range(8))
    for layer in range(2):
        for qubit in range(6):
            circuit.cx(qubit, qubit + 2)
        for qubit in range(8):
            circuit.ry(float(draws.uniform(0.1, 0.5)), qubit)
        circuit.cx(6, 1 + 2 * layer)
    circuit.measure_all()
    return circuit


def network() -> Network:
    """Two QPUs, nodes 0 and 2, a kilometre and a half apart; two others want pairs over the same trunk."""
    made = topologies.dumbbell(2, "neg", access_km=(0.5,), trunk_km=0.5)
    return replace(made, flows=tuple(replace(flow, w_min=0.96) for flow in made.flows))


def value_of(counts: Mapping[str, int]) -> tuple[float, float]:
    """The observable's mean, and its standard error."""
    places = [place for place, pauli in enumerate(OBSERVABLE) if pauli == "Z"]
    shots = sum(counts.values())
    mean = sum(n * (-1) ** sum(bits[place] == "1" for place in places) for bits, n in counts.items()) / shots
    return mean, float(np.sqrt((1.0 - mean * mean) / shots))


def by_cutting(circuit: QuantumCircuit, parts: Sequence[int], shots: int) -> tuple[float, float]:
    """The observable from pieces, with so many shots on each QPU, and its error."""
    from qiskit_aer.primitives import SamplerV2

    pieces = cut(circuit, parts, [OBSERVABLE])
    sampler = SamplerV2(seed=1, options={"backend_options": {"max_parallel_threads": 1}})
    (value,) = expectations(pieces, lambda circuits, each: sampler.run(list(circuits), shots=each).result(), shots)
    return value, pieces.gamma / float(np.sqrt(shots))


def table(rows: Mapping[str, tuple[Estimate, float, float, float]], exact: float) -> None:
    """What was foretold and what was measured."""
    print(f"\n{'way':12} {'latency_s':>19} {'fidelity':>8} {'cost_usd':>9}   <{OBSERVABLE}>, exact {exact:.3f}")
    print(f"{'':12} {'foretold':>9} {'measured':>9} {'foretold':>8} {'foretold':>9}   measured")
    for name, (said, latency_s, value, error) in rows.items():
        print(
            f"{name:12} {said.elapsed_s:9.1f} {latency_s:9.1f} {said.fidelity:8.3f} {said.cost_usd:9.2f}   "
            f"{value:.3f} ± {error:.3f}"
        )
    print("(the latency of pieces is their shots times the schedule, also where it says measured)")


def main(folder: Path) -> None:
    """Ask, run all three, compare, choose."""
    circuit = two_clusters()
    lowered = lower(circuit)
    parts = partition(lowered, (4, 4))
    plan = schedule(lowered, parts)
    pairs = ebits(lowered, parts)
    print(f"qubit -> QPU {parts}: {len(remote(lowered, parts))} gates between them, {len(pairs)} pairs a shot")
    print("pairs are needed at", ", ".join(f"{1e6 * moment:.1f} µs" for moment in plan.release_s), "of each shot\n")

    demands = shots_demands("example", needs(pairs, plan.release_s), ("0", "2"), SHOTS)
    tables = {name: load(name, network(), seed=1) for name in PAIR_ALLOCATORS}
    for name, allocator in tables.items():
        (quote,) = allocator.quote(demands)
        print(
            f"{name:12} {quote.rate_hz:7.1f} pairs/s, {demands[0].num_pairs} of them in {quote.ready_p50_s:.1f} s "
            f"(9 of 10: {quote.ready_p90_s:.1f} s), fidelity {quote.fidelity_mean:.4f}, price {quote.price:.3g}"
        )
    chosen = max(tables, key=lambda name: tables[name].quote(demands)[0].fidelity_mean)
    devices = provision(tables[chosen], (4, 4), ("0", "2"), network())  # type: ignore[arg-type]
    (folder / "qpus.json").write_text(to_json(devices))
    os.environ["QORCH_QPU_NETWORK"] = str(folder / "qpus.json")

    small = Qpu(plan.end_s + REPETITION_S, 1.0, TARIFFS["emulated_falcon_r5"], SUPERCONDUCTING_SYSTEM_POWER_W)
    foretold = over_pairs(tables[chosen], demands, SHOTS, small, 2).estimate
    backends = ("distributed", "virtual_hanoi")
    settings = Settings(data_dir=folder, backends=backends, times=Times.EMULATED, experiment_start=START)
    with Client(settings=settings) as client:
        over, whole = (client.submit(circuit, shots=SHOTS, pin=name, seed=3).result(120.0) for name in backends)
    said = {result.placement.shares[0].backend: result.placement.shares[0].estimate for result in (over, whole)}

    pieces = in_pieces(gamma(lowered, parts), SHOTS, small, 2)
    cut_shots = round(SHOTS * gamma(lowered, parts) ** 2)
    value, error = by_cutting(lowered, parts, cut_shots)
    state = Statevector(circuit.remove_final_measurements(inplace=False))
    exact = float(state.expectation_value(Pauli(OBSERVABLE)).real)
    rows = {
        "over pairs": (said["distributed"], over.measurement.latency_s, *value_of(over.counts)),
        "in pieces": (pieces, cut_shots * small.shot_s, value, error),
        "larger QPU": (said["virtual_hanoi"], whole.measurement.latency_s, *value_of(whole.counts)),
    }
    table(rows, exact)
    print(
        f"\n{chosen}'s own quote: {foretold.elapsed_s:.1f} s in 9 of 10 cases, no error in {foretold.fidelity:.3f} "
        f"of the shots.\nHellinger fidelity of the counts: over pairs {over.measurement.fidelity:.3f}, larger QPU "
        f"{whole.measurement.fidelity:.3f} (an ideal device: {whole.measurement.fidelity_floor:.3f})\n"
    )
    for name, objective in OBJECTIVES.items():
        found = costs({way: row[0] for way, row in rows.items()}, objective, Scales())
        print(f"{name:18} -> {next(iter(found)):12}", "  ".join(f"{way} {amount:.2f}" for way, amount in found.items()))


if __name__ == "__main__":
    with TemporaryDirectory() as somewhere:
        main(Path(somewhere))

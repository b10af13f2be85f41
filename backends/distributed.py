"""Several small QPUs as one device: circuits are partitioned, gates between QPUs teleported over pairs that must come.

What runs is the circuit with communication qubits, measurement in mid-circuit and feed-forward, on Aer's state vector.
Each pair of each shot has its own fidelity (:mod:`backends.pairs`); the Pauli error that it comes with is drawn shot by
shot, which is exact for Werner states. Nothing sleeps: waiting for pairs is accounted for, as the wait at the device.
A job's ``initial_layout`` says where qubits go, QPU by QPU; without one a partition is searched.

What is not here: errors of what is done locally. They are the business of the single QPU's emulation.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from backends.aer import SINGLE_THREAD, fuses
from backends.backend import REPETITION_S, CostCurve, Device, Execution, TranspileOptions
from backends.energy import SUPERCONDUCTING_SYSTEM_POWER_W
from backends.errors import ExecutionFailed, UnsupportedCircuit
from backends.pairs import Brought, Foretold, deliver, foretell, network_here, taken, together
from backends.pricing import TARIFFS, Price
from backends.sampling import Pool, Tally, bind, pool, rehearse
from backends.sdk import sdk_version
from backends.transpilation import transpile
from circuits.counts import to_bits
from circuits.family import Run
from circuits.seeds import derive

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from qiskit import QuantumCircuit

    from circuits.distributed.prediction import Ideal
    from circuits.distributed.teleport import Teleported

MOST_SIMULATED_QUBITS = 22
_BASIS = "id x y z h s sdg t tdg sx sxdg rx ry rz p u cz cp rzz"
_NOTE = "qorch_pairs"

GATES_OF_A_PAIR = 10
"""Instructions that teleportation adds for each pair."""

_FALCON = TARIFFS["emulated_falcon_r5"]


CURVE = CostCurve(
    overhead_s=5e-3, shot_s=2e-5, gate_s=0.0, qubit_exponent=1.0, shot_gate_s=6e-6, shot_amplitude_s=1.5e-9
)
"""Ours, measured on two circuits: what branches is simulated shot by shot."""


@dataclass(frozen=True)
class Plan:
    """How a transpiled circuit runs on the QPUs.

    Attributes:
        teleported: what runs.   local: the same without teleportation, on its active qubits.
        ends: the two QPUs of each pair of a shot.   duration_s: of a shot, once its pairs are there.
    """

    teleported: Teleported
    local: QuantumCircuit
    ends: tuple[tuple[int, int], ...]
    duration_s: float


def plan(device: Device, fitted: QuantumCircuit, options: TranspileOptions) -> Plan:
    """Partition and teleport a circuit that was transpiled to the device.

    Raises:
        UnsupportedCircuit: its QPUs share no pairs, or it takes more qubits than can be simulated.
    """
    from circuits.distributed.ebits import ebits
    from circuits.distributed.partition import partition
    from circuits.distributed.schedule import Times, schedule
    from circuits.distributed.teleport import teleport
    from circuits.structure import active_qubits, drop_idle_qubits

    network = device.network
    if network is None:
        raise UnsupportedCircuit(f"{device.name} is one QPU: nothing can be distributed there")
    local = drop_idle_qubits(fitted)
    if options.initial_layout is None:
        parts = partition(local, network.qubits)
    else:
        owner = [qpu for qpu, number in enumerate(network.qubits) for _ in range(number)]
        parts = tuple(owner[qubit] for qubit in active_qubits(fitted) or [0])
    ends = tuple(pair.ends for pair in ebits(local, parts))
    links = [network.link(both) for both in sorted(set(ends))]
    teleported = teleport(local, parts)
    if teleported.circuit.num_qubits > MOST_SIMULATED_QUBITS:
        raise UnsupportedCircuit(
            f"circuit {fitted.name!r}: {device.name} simulates at most {MOST_SIMULATED_QUBITS} qubits, "
            f"{teleported.circuit.num_qubits} are needed with those for communication: share fewer gates"
        )
    message_s = max((link.message_s for link in links), default=0.0)
    return Plan(teleported, local, ends, schedule(local, parts, Times(message_s=message_s)).end_s)


@dataclass(frozen=True)
class Spread:
    """What a circuit's distribution lets one expect.

    Attributes:
        clean: share of the shots none of whose pairs has an error.   fidelity: of the counts, where it can be told.
    """

    pairs: Foretold
    clean: float
    fidelity: float
    duration_s: float


def spread(device: Device, fitted: QuantumCircuit, options: TranspileOptions, ideal: Ideal) -> Spread:
    """What to expect there of a transpiled circuit.

    Args:
        ideal: exact distribution of a circuit's counts, or None where that is too much work.

    Raises:
        UnsupportedCircuit: as of :func:`plan`.
    """
    from circuits.distributed.prediction import counts_fidelity, process_fidelity

    found = plan(device, fitted, options)
    assert device.network is not None
    pairs = foretell(device.network, found.ends)
    fidelity = counts_fidelity(found.local, found.teleported.pairs, pairs.fidelities, ideal)
    return Spread(pairs, process_fidelity(pairs.fidelities), fidelity, found.duration_s)


def _price(num_qpus: int) -> Price:
    """Of so many QPUs at a time."""
    return replace(_FALCON, per_second_usd=num_qpus * _FALCON.per_second_usd, source=f"each QPU as {_FALCON.source}")


class Distributed:
    """The device."""

    name = "distributed"

    def device(self) -> Device:
        """Its record, with the network of the moment. Qiskit is not imported."""
        network = network_here()
        return Device(
            name=self.name,
            kind="emulated_qpu",
            num_qubits=sum(network.qubits),
            max_active_qubits=min(sum(network.qubits), MOST_SIMULATED_QUBITS),
            basis_gates=tuple(_BASIS.split()),
            coupling=None,
            clifford_only=False,
            dynamic=False,
            max_gates=10_000,
            calibration=None,
            cost_curve=CURVE,
            price=_price(len(network.qubits)),
            power_w=len(network.qubits) * SUPERCONDUCTING_SYSTEM_POWER_W,
            sdk_version=sdk_version(self.name, "qiskit_aer", "qiskit-aer", "all"),
            warm_up_s=0.5,
            opt_in=True,
            network=network,
        )

    @cached_property
    def _simulator(self) -> Any:
        self.device()  # raises the install command rather than an ImportError
        from qiskit_aer import AerSimulator

        return AerSimulator(method="statevector", **SINGLE_THREAD)

    def warm_up(self) -> None:
        """Import Aer and run a circuit of two qubits."""
        rehearse(self)

    def prepare(self, circuits: Sequence[QuantumCircuit], options: TranspileOptions) -> list[QuantumCircuit]:
        """Transpile, partition and teleport."""
        device = self.device()
        return [_noted(plan(device, fitted, options)) for fitted in transpile(device, circuits, options)]

    def run(
        self, prepared: Sequence[QuantumCircuit], runs: Sequence[Run], *, seed: int, memory: bool = False
    ) -> Execution:
        """Run prepared circuits: bring the pairs of every shot, then run it with what they came with."""
        network, tally = network_here(), Tally()
        started, wait_s, device_s = time.perf_counter(), 0.0, 0.0
        brought: list[Brought] = []
        for number, group in enumerate(pool(prepared, runs)):
            circuit, shots = prepared[group.circuit], sum(group.shots)
            note = circuit.metadata[_NOTE]
            ends = [tuple(both) for both in note["ends"]]
            came = deliver(network, ends, shots, derive(seed, "pairs", number), taken(network, ends, shots))
            paulis = errors(came.fidelities, derive(seed, "errors", number))
            tally.deal(group, self._shots(circuit, group, paulis, derive(seed, "call", number), note["num_clbits"]))
            wait_s += float(came.wait_s.sum())
            brought += came.links
            device_s += shots * (note["duration_s"] + REPETITION_S)
        links = together(brought)
        num_pairs = sum(one.num_pairs for one in links)
        return tally.execution(
            run_s=time.perf_counter() - started,
            memory=memory,
            method="teleported",
            device_s=device_s,
            queue_s=wait_s,
            pair_fidelity=sum(one.num_pairs * one.fidelity for one in links) / num_pairs if links else None,
            links=links,
        )

    def _shots(
        self, circuit: QuantumCircuit, group: Pool, paulis: NDArray[np.int8], seed: int, num_clbits: int
    ) -> list[str]:
        """Outcome of every shot, given the errors of its pairs; equal errors are simulated together."""
        import numpy as np

        from circuits.distributed.teleport import with_errors

        bound = bind(circuit, group.parameters)
        kinds, kind_of, sizes = np.unique(paulis, axis=0, return_inverse=True, return_counts=True)
        found: dict[int, list[str]] = {}
        for shots in sorted(set(sizes.tolist())):
            mine = [kind for kind, size in enumerate(sizes.tolist()) if size == shots]
            job = self._simulator.run(
                [with_errors(bound, kinds[kind].tolist()) for kind in mine],
                shots=shots,
                seed_simulator=derive(seed, "shots", shots),
                memory=True,
                fusion_enable=fuses(bound),
                enable_truncation=False,  # it would drop what corrections act on
            )
            found |= zip(mine, _outcomes(job, num_clbits), strict=True)
        hands = {kind: iter(outcomes) for kind, outcomes in found.items()}
        return [next(hands[kind]) for kind in kind_of.reshape(-1).tolist()]


def _noted(found: Plan) -> QuantumCircuit:
    """The circuit that runs, with what its run has to know."""
    circuit = found.teleported.circuit
    circuit.metadata = {
        **(circuit.metadata or {}),
        _NOTE: {"ends": found.ends, "duration_s": found.duration_s, "num_clbits": found.teleported.num_clbits},
    }
    return circuit


def errors(fidelities: NDArray[np.float64], seed: int) -> NDArray[np.int8]:
    """The Pauli error that each pair comes with: 0 none with probability F, 1 to 3 (X, Y, Z) equally likely.

    Args:
        fidelities: float64 (shots, pairs).

    Returns:
        int8 (shots, pairs).
    """
    import numpy as np

    rng = np.random.default_rng(seed)
    wrong = rng.random(fidelities.shape) >= fidelities
    return np.where(wrong, rng.integers(1, 4, fidelities.shape), 0).astype(np.int8)


def _outcomes(job: Any, num_clbits: int) -> list[list[str]]:
    """Every shot of each circuit of a job, corrections left out: they are the leftmost bits."""
    from qiskit.exceptions import QiskitError

    try:
        result = job.result()
    except QiskitError as error:
        raise ExecutionFailed(f"Aer gave no result: {error}") from error
    if not result.success:
        raise ExecutionFailed(f"Aer: {result.status}"[:1000])
    low = (1 << num_clbits) - 1
    return [[to_bits(int(value, 16) & low, num_clbits) for value in one.data.memory] for one in result.results]

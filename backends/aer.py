"""Qiskit Aer's ideal simulators: state vector, density matrix, matrix product state, stabilizer tableau.

Runs that differ only in parameters go to Aer in one call: at a few shots each, most of a call's time is its overhead.

One thread throughout: the machine's cores belong to the workers, and Aer's own threads are several times slower than
one where cores are contended.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

from backends.backend import CostCurve, Device, Execution, TranspileOptions
from backends.energy import CPU_CORE_POWER_W
from backends.errors import ExecutionFailed
from backends.pricing import TARIFFS
from backends.sampling import Pool, Tally, pool, rehearse, run_by_sampling
from backends.sdk import sdk_version
from backends.transpilation import transpile
from circuits.counts import to_bits
from circuits.family import Run
from circuits.seeds import derive

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from qiskit import QuantumCircuit

SINGLE_THREAD = {"max_parallel_threads": 1, "max_parallel_experiments": 1, "max_parallel_shots": 1}
"""Options of every Aer simulator in this house."""

_ONE_AND_TWO_QUBIT = "id x y z h s sdg t tdg sx sxdg p r rx ry rz u cx cy cz cp swap ecr rxx ryy rzz rzx reset"
_CONTROLLED = "csx cu crx cry crz ccx ccz cswap mcx mcphase unitary"
_CLIFFORD = "id x y z h s sdg sx sxdg rz cx cy cz swap ecr reset"
_PERMUTATIONS = frozenset({"x", "cx", "ccx", "mcx", "swap", "cswap"})
_EXACT = ("statevector", "density_matrix")
_MOST_DRAWN_QUBITS = 12
_KEPT = 256
_FUSION_FROM_QUBITS = 14  # Aer fuses nothing below this width


class Aer:
    """One engine of Aer.

    Attributes:
        name: key in ``backends.BACKENDS``.
        method: Aer's name of the engine.
    """

    def __init__(self, name: str, *, method: str, num_qubits: int, basis_gates: str, cost_curve: CostCurve) -> None:
        self.name = name
        self.method = method
        self._num_qubits = num_qubits
        self._basis_gates = tuple(basis_gates.split())
        self._cost_curve = cost_curve
        self._kept: dict[int, tuple[QuantumCircuit, QuantumCircuit, Mapping[int, int]]] = {}

    def device(self) -> Device:
        """The engine's record. Qiskit is not imported."""
        return self._device

    @cached_property
    def _device(self) -> Device:
        return Device(
            name=self.name,
            kind="simulator",
            num_qubits=self._num_qubits,
            max_active_qubits=self._num_qubits,
            basis_gates=self._basis_gates,
            coupling=None,
            clifford_only=self.method == "stabilizer",
            dynamic=True,
            max_gates=None,
            calibration=None,
            cost_curve=self._cost_curve,
            price=TARIFFS["own_simulator"],
            power_w=CPU_CORE_POWER_W,
            sdk_version=sdk_version(self.name, "qiskit_aer", "qiskit-aer", "all"),
            warm_up_s=0.3,
        )

    @cached_property
    def _simulator(self) -> Any:
        self.device()  # raises the install command rather than an ImportError
        from qiskit_aer import AerSimulator

        return AerSimulator(method=self.method, **SINGLE_THREAD)

    def warm_up(self) -> None:
        """Import Aer and run a circuit of two qubits."""
        rehearse(self)

    def prepare(self, circuits: Sequence[QuantumCircuit], options: TranspileOptions) -> list[QuantumCircuit]:
        """Transpile; gates that Aer knows, controlled ones of any width among them, stay as they are."""
        from circuits.structure import drop_idle_qubits, has_feed_forward

        fitted = transpile(self.device(), circuits, options)
        return [drop_idle_qubits(circuit) if has_feed_forward(circuit) else circuit for circuit in fitted]

    def run(
        self, prepared: Sequence[QuantumCircuit], runs: Sequence[Run], *, seed: int, memory: bool = False
    ) -> Execution:
        """Run prepared circuits on one thread."""
        simulator = self._simulator
        pools = pool(prepared, runs)
        started = time.perf_counter()
        tally = run_pools(simulator, prepared, pools, seed=seed, memory=memory)
        return tally.execution(run_s=time.perf_counter() - started, memory=memory, method=self.method)

    def run_seeded(
        self, prepared: Sequence[QuantumCircuit], runs: Sequence[Run], seeds: Sequence[int], *, memory: bool = False
    ) -> Execution:
        """Run prepared circuits, each run with its own seed.

        Aer has one seed a call. Where a state is simulated once and all shots are drawn from it, as on small circuits
        that measure at their end, we draw them; other runs go to Aer one by one.
        """
        if self.method in _EXACT and all(_small(circuit) for circuit in prepared):
            return run_by_sampling(prepared, runs, self._distribution, seeds=seeds, memory=memory, method=self.method)
        parts = [self.run(prepared, [run], seed=seed, memory=memory) for run, seed in zip(runs, seeds, strict=True)]
        return Execution(
            counts=tuple(part.counts[0] for part in parts),
            run_s=sum(part.run_s for part in parts),
            memory=tuple(part.memory[0] for part in parts if part.memory) if memory else None,
            method=self.method,
        )

    def _distribution(self, circuit: QuantumCircuit) -> tuple[NDArray[np.float64], Mapping[int, int]]:
        import numpy as np

        simulator = self._simulator  # whose import gives circuits what _bare needs
        bare, readout = self._bare(circuit)
        (experiment,) = _experiments(simulator.run(bare, shots=1, fusion_enable=False))
        return np.asarray(experiment.data.probabilities, dtype=np.float64), readout

    def _bare(self, circuit: QuantumCircuit) -> tuple[QuantumCircuit, Mapping[int, int]]:
        """The gates alone, asking for probabilities, and classical bit -> bit of their index. Kept: it is run again."""
        from circuits.structure import NOT_GATES, measurements

        known = self._kept.get(id(circuit))
        if known is None or known[0] is not circuit:
            targets = measurements(circuit)
            qubits = sorted(set(targets.values()))
            bare = circuit.copy_empty_like()
            for item in circuit.data:
                if item.operation.name not in NOT_GATES:
                    bare._append(item)
            bare.save_probabilities(qubits)  # this method comes with Aer
            if len(self._kept) >= _KEPT:
                self._kept.clear()
            place = {qubit: position for position, qubit in enumerate(qubits)}
            known = self._kept[id(circuit)] = circuit, bare, {clbit: place[qubit] for clbit, qubit in targets.items()}
        return known[1], known[2]


def _small(circuit: QuantumCircuit) -> bool:
    from circuits.structure import is_dynamic, measurements

    return bool(circuit.num_qubits <= _MOST_DRAWN_QUBITS and not is_dynamic(circuit) and measurements(circuit))


def run_pools(
    simulator: Any,
    prepared: Sequence[QuantumCircuit] | Mapping[int, QuantumCircuit],
    pools: Sequence[Pool],
    *,
    seed: int,
    memory: bool,
) -> Tally:
    """Run pools on an Aer simulator: one call for each number of shots, fusion and truncation setting.

    Aer drops what comes after a qubit's last measurement ("truncation"); the target of a jump may be among it, and such
    a circuit is then refused. So circuits with branches and loops are run as they are.

    Args:
        simulator: an ``AerSimulator``.
        prepared: circuits by index.
        pools: what to run.
        seed: of all of them.
        memory: whether every shot is kept.

    Raises:
        ExecutionFailed: Aer refused or failed; the message is its own.
    """
    from circuits.structure import has_feed_forward

    every_shot = memory or any(len(group.runs) > 1 for group in pools)
    calls: dict[tuple[int, bool, bool], dict[int, list[Pool]]] = {}
    for group in pools:
        circuit = prepared[group.circuit]
        key = (sum(group.shots), fuses(circuit), not has_feed_forward(circuit))
        calls.setdefault(key, {}).setdefault(group.circuit, []).append(group)
    tally = Tally()
    for number, ((shots, fusion, truncation), by_circuit) in enumerate(calls.items()):
        binds = [_columns(prepared[index], groups) for index, groups in by_circuit.items()]
        job = simulator.run(
            [prepared[index] for index in by_circuit],
            parameter_binds=binds if any(binds) else None,
            shots=shots,
            seed_simulator=derive(seed, "call", number),
            memory=every_shot,
            fusion_enable=fusion,
            enable_truncation=truncation,
        )
        asked = [group for groups in by_circuit.values() for group in groups]
        for group, experiment in zip(asked, _experiments(job), strict=True):
            width = experiment.header["memory_slots"]
            if every_shot:
                tally.deal(group, [to_bits(int(value, 16), width) for value in experiment.data.memory])
            else:
                counts = experiment.data.counts
                tally.counts[group.runs[0]] = {to_bits(int(value, 16), width): counts[value] for value in counts}
    return tally


def fuses(circuit: QuantumCircuit) -> bool:
    """Whether Aer should fuse gates into larger matrices (ours).

    Not on wide circuits at least half of whose gates permute basis states: such a gate only moves amplitudes, while a
    fused matrix multiplies them. A 16-qubit ray-tracing circuit takes 0.10 s without fusion and 0.15 s with it.
    """
    operations: dict[str, int] = circuit.count_ops()
    moves = sum(number for name, number in operations.items() if name in _PERMUTATIONS)
    return bool(circuit.num_qubits < _FUSION_FROM_QUBITS or 2 * moves < sum(operations.values()))


def _columns(circuit: QuantumCircuit, groups: Sequence[Pool]) -> dict[Any, list[float]]:
    """Aer's form of parameter values: parameter -> its value in every pool."""
    return {parameter: [group.parameters[parameter.name] for group in groups] for parameter in circuit.parameters}


def _experiments(job: Any) -> list[Any]:
    """The results of Aer's job, one for each circuit and set of parameters."""
    from qiskit.exceptions import QiskitError

    try:
        result = job.result()
    except QiskitError as error:
        raise ExecutionFailed(f"Aer gave no result: {error}") from error
    if not result.success:
        reasons = sorted({str(experiment.status) for experiment in result.results if not experiment.success})
        raise ExecutionFailed(f"Aer: {'; '.join(reasons) or result.status}"[:1000])
    return list(result.results)


# Constants of the curves: ours, measured with examples/benchmarks/cost_curves.py, of matrix product states with
# mps_costs.py beside it.
statevector = partial(
    Aer,
    "aer_statevector",
    method="statevector",
    num_qubits=24,
    basis_gates=f"{_ONE_AND_TWO_QUBIT} {_CONTROLLED}",
    cost_curve=CostCurve(overhead_s=6.2e-4, shot_s=1.7e-7, fixed_gate_s=2e-5, gate_s=1.7e-9, qubit_exponent=1.0),
)
density_matrix = partial(
    Aer,
    "aer_density_matrix",
    method="density_matrix",
    num_qubits=11,
    basis_gates=f"{_ONE_AND_TWO_QUBIT} ccx",
    cost_curve=CostCurve(overhead_s=5.2e-4, shot_s=4.1e-8, fixed_gate_s=1.2e-5, gate_s=3.8e-9, qubit_exponent=2.0),
)
mps = partial(
    Aer,
    "aer_mps",
    method="matrix_product_state",
    num_qubits=40,
    basis_gates=_ONE_AND_TWO_QUBIT,
    cost_curve=CostCurve(
        overhead_s=5e-4,
        shot_s=0.0,
        fixed_gate_s=2.6e-5,
        gate_s=0.0,
        qubit_exponent=0.0,
        shot_qubit_s=1.9e-6,
        bond_gate_s=7.4e-9,
        bond_shot_s=1.5e-8,
    ),
)
stabilizer = partial(
    Aer,
    "aer_stabilizer",
    method="stabilizer",
    num_qubits=60,
    basis_gates=_CLIFFORD,
    cost_curve=CostCurve(
        overhead_s=6.4e-4, shot_s=0.0, fixed_gate_s=7.6e-6, gate_s=7.7e-7, qubit_exponent=0.05, shot_qubit_s=5.1e-7
    ),
)

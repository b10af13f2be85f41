"""A virtual QPU: a device's calibration behind Aer's noisy simulators, perhaps with a truth that it does not publish.

A circuit is transpiled to the whole device and then cut down to the qubits it uses, which keep their own errors. Gates
relax and depolarise to their published infidelity, waiting qubits relax, readout flips. What else may happen, and is
never published, stands in ``backends.virtual.truth``. Not emulated: leakage out of the two levels, and waiting in
dynamic circuits, whose timing depends on the outcomes.

Up to ``DENSITY_MATRIX_QUBITS`` active qubits a static circuit is one density matrix; wider or dynamic ones follow one
random trajectory of a state vector per shot; static ones beyond ``TRAJECTORY_QUBITS`` are some Pauli realisations
and marked approximate. ``Execution.method`` says which.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from backends import clock
from backends.aer import SINGLE_THREAD, run_pools
from backends.backend import REPETITION_S, CostCurve, Device, Execution, TranspileOptions
from backends.calibration import Calibration
from backends.energy import SUPERCONDUCTING_SYSTEM_POWER_W
from backends.noise import Flips
from backends.pricing import Price
from backends.queues import RecordedQueue
from backends.sampling import Tally, pool, rehearse
from backends.sdk import sdk_version
from backends.transpilation import transpile
from backends.virtual.pieces import (
    DENSITY_MATRIX,
    DENSITY_MATRIX_QUBITS,
    REALISATIONS,
    TRAJECTORY_QUBITS,
    Slice,
    cut_slice,
)
from backends.virtual.realisations import draw_copies, run_copies
from backends.virtual.snapshot import Snapshot
from backends.virtual.truth import Strengths, Truth
from circuits.family import Run
from circuits.seeds import derive

if TYPE_CHECKING:
    from qiskit import QuantumCircuit

MAX_ACTIVE_QUBITS = 20
_MAX_NOISE_MODELS = 64

# Constants: ours, measured with cost_curves.py of examples/benchmarks, those of the realisations with virtual_qpus.py.
# The machines differ less than two runs of it.
REALISATIONS_CURVE = CostCurve(overhead_s=0.3, shot_s=5e-6, gate_s=1.2e-2, qubit_exponent=0.0)
COST_CURVE = CostCurve(
    overhead_s=8.5e-4,
    shot_s=1.1e-6,
    fixed_gate_s=5.9e-5,
    gate_s=2.5e-9,
    qubit_exponent=2.0,
    up_to_qubits=DENSITY_MATRIX_QUBITS,
    beyond=CostCurve(
        overhead_s=0.5,
        shot_s=4e-4,
        fixed_gate_s=5e-5,
        gate_s=0.0,
        qubit_exponent=0.0,
        shot_amplitude_s=2.5e-9,
        up_to_qubits=TRAJECTORY_QUBITS,
        beyond=REALISATIONS_CURVE,
    ),
)


class VirtualQPU:
    """One emulated processor. Its snapshot and queue may follow ``backends.clock``.

    Attributes:
        name: key in ``backends.BACKENDS``; the hidden truth follows from it.
    """

    def __init__(
        self,
        name: str,
        *,
        snapshot: Callable[[], Snapshot],
        price: Price,
        source: tuple[str, str, str],
        truth: Strengths | None = None,
        queue: RecordedQueue | None = None,
        cost_curve: CostCurve = COST_CURVE,
        opt_in: bool = True,
    ) -> None:
        """Of one device.

        Args:
            snapshot: what it publishes at this moment; called often, so the same moment should give the same object.
            source: module, distribution and extra of the package that carries the calibration, as for ``sdk_version``.
            truth: how far it is from what it publishes; None for a device that does what it says.
            queue: what stands in front of it; None for a device that nobody else uses.
        """
        self.name = name
        self._snapshot = snapshot
        self._price = price
        self._source = source
        self._strengths = truth
        self._queue = queue
        self._cost_curve = cost_curve
        self._opt_in = opt_in
        self._made: tuple[Snapshot, Device, Truth | None] | None = None
        self._told: Device | None = None
        self._simulators: dict[Any, Any] = {}

    def device(self) -> Device:
        """The processor's record. Neither the vendor's SDK nor Qiskit is imported."""
        device, _, _ = self._now()
        if self._queue is None:
            return device
        announced = self._queue.availability(clock.now())
        if self._told is None or (self._told.availability, self._told.calibration) != (announced, device.calibration):
            self._told = replace(device, availability=announced)
        return self._told

    def _now(self) -> tuple[Device, Calibration, Truth | None]:
        """Record, calibration and truth of this moment."""
        snapshot = self._snapshot()
        if self._made is None or self._made[0] is not snapshot:
            truth = None if self._strengths is None else Truth(self.name, snapshot.calibration, self._strengths)
            self._made = snapshot, self._device(snapshot), truth
            self._simulators.clear()
        _, device, truth = self._made
        return device, snapshot.calibration, truth

    def _device(self, snapshot: Snapshot) -> Device:
        sdk_version(self.name, "qiskit_aer", "qiskit-aer", "all")
        return Device(
            name=self.name,
            kind="emulated_qpu",
            num_qubits=snapshot.num_qubits,
            max_active_qubits=min(snapshot.num_qubits, MAX_ACTIVE_QUBITS),
            max_dynamic_qubits=TRAJECTORY_QUBITS,
            basis_gates=snapshot.basis_gates,
            coupling=snapshot.coupling,
            clifford_only=False,
            dynamic=snapshot.dynamic,
            max_gates=10_000,
            calibration=snapshot.calibration,
            cost_curve=self._cost_curve,
            price=self._price,
            power_w=SUPERCONDUCTING_SYSTEM_POWER_W,
            sdk_version=sdk_version(self.name, *self._source),
            warm_up_s=0.5,
            opt_in=self._opt_in,
        )

    def warm_up(self) -> None:
        """Import Aer and run a circuit of two qubits."""
        rehearse(self)

    def prepare(self, circuits: Sequence[QuantumCircuit], options: TranspileOptions) -> list[QuantumCircuit]:
        """Transpile to the whole device: the best of several layouts by published errors."""
        return transpile(self.device(), circuits, options)

    def run(
        self, prepared: Sequence[QuantumCircuit], runs: Sequence[Run], *, seed: int, memory: bool = False
    ) -> Execution:
        """Run prepared circuits on their active qubits alone."""
        _, calibration, truth = self._now()
        moment = clock.now()
        pools = pool(prepared, runs)
        asked = dict.fromkeys(group.circuit for group in pools)
        slices = {index: cut_slice(prepared[index], calibration, truth) for index in asked}
        engines = {index: _engine(piece, truth, moment) for index, piece in slices.items()}
        simulators = {engine: self._simulator(calibration, engine) for engine in dict.fromkeys(engines.values())}
        circuits = {index: piece.circuit for index, piece in slices.items()}
        started = time.perf_counter()
        tally, methods = Tally(), set()
        for number, (engine, simulator) in enumerate(simulators.items()):
            chosen = [group for group in pools if engines[group.circuit] == engine]
            own = derive(seed, "engine", number)
            if engine.method == REALISATIONS:
                for turn, group in enumerate(chosen):
                    copies = draw_copies(slices[group.circuit], group, calibration, seed=derive(own, "pool", turn))
                    tally.deal(group, run_copies(simulator, copies, group, seed=derive(own, "shots", turn)))
                    methods.add(f"{REALISATIONS}_{len(copies)}")
            else:
                part = run_pools(simulator, circuits, chosen, seed=own, memory=memory)
                tally.counts |= part.counts
                tally.memory |= part.memory
                methods.add(engine.method)
        return replace(
            tally.execution(
                run_s=time.perf_counter() - started,
                memory=memory,
                method="+".join(sorted(methods)),
                device_s=sum(run.shots * (slices[run.circuit].duration_s + REPETITION_S) for run in runs),
            ),
            approximate=any(engine.method == REALISATIONS for engine in simulators),
            queue_s=None if self._queue is None else self._queue.wait_s(moment, derive(seed, "queue")),
        )

    def _simulator(self, calibration: Calibration, engine: Engine) -> Any:
        """An Aer simulator with the noise of a slice; the last few are kept."""
        from qiskit_aer import AerSimulator

        from backends.noise import noise_model, readout_model

        simulator = self._simulators.pop(engine, None)
        if simulator is None:
            method, qubits, flips = engine
            exact = method == DENSITY_MATRIX
            simulator = AerSimulator(
                method=DENSITY_MATRIX if exact else "statevector",
                noise_model=readout_model(calibration, qubits, flips)
                if method == REALISATIONS
                else noise_model(calibration, qubits, one_map=exact, flips=flips),
                **SINGLE_THREAD,
            )
            while len(self._simulators) >= _MAX_NOISE_MODELS:
                del self._simulators[next(iter(self._simulators))]
        self._simulators[engine] = simulator
        return simulator


class Engine(NamedTuple):
    """What a simulator is made for: a method, the device's qubits, and their readout flips if not as published."""

    method: str
    qubits: tuple[int, ...]
    flips: tuple[Flips, ...] | None


def _engine(piece: Slice, truth: Truth | None, moment: float) -> Engine:
    flips = None if truth is None else tuple(truth.flips(qubit, moment) for qubit in piece.qubits)
    return Engine(piece.method, piece.qubits, flips)

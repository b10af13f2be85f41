"""Two emulated IBM processors: published calibration behind Aer's noisy simulators.

A circuit is transpiled to the whole device and then cut down to the qubits it uses, which keep their own errors. Gates
relax and depolarise to their published infidelity, waiting qubits relax, readout flips. Not emulated: coherent errors,
crosstalk, leakage, drift, and waiting in dynamic circuits, whose timing depends on the outcomes.

Up to ``DENSITY_MATRIX_QUBITS`` active qubits a static circuit is one density matrix; wider or dynamic ones follow one
random trajectory of a state vector per shot. ``Execution.method`` says which.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

from backends.aer import SINGLE_THREAD, run_pools
from backends.backend import REPETITION_S, CostCurve, Device, Execution, TranspileOptions
from backends.calibration import Calibration
from backends.energy import SUPERCONDUCTING_SYSTEM_POWER_W
from backends.errors import CalibrationMissing
from backends.ibm_calibration import read_snapshot
from backends.pricing import TARIFFS, Price
from backends.sampling import Tally, pool, rehearse
from backends.schedule import schedule
from backends.sdk import sdk_version
from backends.transpilation import transpile
from circuits.family import Run
from circuits.seeds import derive

if TYPE_CHECKING:
    from qiskit import QuantumCircuit

DENSITY_MATRIX_QUBITS = 10
"""Widest circuit run as a density matrix: at 10 qubits it beats a thousand trajectories, at 12 it does not (ours)."""
MAX_ACTIVE_QUBITS = 14
_MAX_NOISE_MODELS = 64


class FakeIBM:
    """One emulated processor.

    Attributes:
        name: key in ``backends.BACKENDS``.
        machine: IBM's name of it.
    """

    def __init__(self, name: str, *, machine: str, price: Price, cost_curve: CostCurve) -> None:
        self.name = name
        self.machine = machine
        self._price = price
        self._cost_curve = cost_curve
        self._simulators: dict[tuple[str, tuple[int, ...]], Any] = {}

    def device(self) -> Device:
        """The processor's record, read from the files of qiskit-ibm-runtime; neither it nor Qiskit is imported."""
        return self._device

    @cached_property
    def _device(self) -> Device:
        snapshot = read_snapshot(self.name, self.machine)
        sdk_version(self.name, "qiskit_aer", "qiskit-aer", "all")
        return Device(
            name=self.name,
            kind="emulated_qpu",
            num_qubits=snapshot.num_qubits,
            max_active_qubits=MAX_ACTIVE_QUBITS,
            basis_gates=snapshot.basis_gates,
            coupling=snapshot.coupling,
            clifford_only=False,
            dynamic=snapshot.dynamic,
            max_gates=10_000,
            calibration=snapshot.calibration,
            cost_curve=self._cost_curve,
            price=self._price,
            power_w=SUPERCONDUCTING_SYSTEM_POWER_W,
            sdk_version=sdk_version(self.name, "qiskit_ibm_runtime", "qiskit-ibm-runtime", "ibm"),
            warm_up_s=0.5,
        )

    def warm_up(self) -> None:
        """Import Aer and run a circuit of two qubits."""
        rehearse(self)

    def prepare(self, circuits: Sequence[QuantumCircuit], options: TranspileOptions) -> list[QuantumCircuit]:
        """Transpile to the whole device: the layout with the smallest published errors."""
        return transpile(self.device(), circuits, options)

    def run(
        self, prepared: Sequence[QuantumCircuit], runs: Sequence[Run], *, seed: int, memory: bool = False
    ) -> Execution:
        """Run prepared circuits on their active qubits alone."""
        calibration = self.device().calibration
        if calibration is None:
            raise CalibrationMissing(f"{self.name}: wanted a calibrated device, got one without calibration")
        pools = pool(prepared, runs)
        asked = dict.fromkeys(group.circuit for group in pools)
        slices = {index: cut_slice(prepared[index], calibration) for index in asked}
        engines = {index: (piece.method, piece.qubits) for index, piece in slices.items()}
        simulators = {key: self._simulator(calibration, *key) for key in dict.fromkeys(engines.values())}
        circuits = {index: piece.circuit for index, piece in slices.items()}
        started = time.perf_counter()
        tally = Tally()
        for number, (key, simulator) in enumerate(simulators.items()):
            chosen = [group for group in pools if engines[group.circuit] == key]
            part = run_pools(simulator, circuits, chosen, seed=derive(seed, "engine", number), memory=memory)
            tally.counts |= part.counts
            tally.memory |= part.memory
        return tally.execution(
            run_s=time.perf_counter() - started,
            memory=memory,
            method="+".join(sorted({method for method, _ in simulators})),
            device_s=sum(run.shots * (slices[run.circuit].duration_s + REPETITION_S) for run in runs),
        )

    def _simulator(self, calibration: Calibration, method: str, qubits: tuple[int, ...]) -> Any:
        """An Aer simulator with the noise of a slice; the last few are kept."""
        from qiskit_aer import AerSimulator

        from backends.noise import noise_model

        key = (method, qubits)
        simulator = self._simulators.pop(key, None)
        if simulator is None:
            simulator = AerSimulator(
                method="density_matrix" if method == "density_matrix" else "statevector",
                noise_model=noise_model(calibration, qubits, one_map=method == "density_matrix"),
                **SINGLE_THREAD,
            )
            while len(self._simulators) >= _MAX_NOISE_MODELS:
                del self._simulators[next(iter(self._simulators))]
        self._simulators[key] = simulator
        return simulator


@dataclass(frozen=True)
class Slice:
    """A transpiled circuit on the qubits it uses.

    Attributes:
        circuit: relabelled to 0..k-1, with the relaxation of waiting qubits written in.
        qubits: the device's qubit behind each of them.
        method: "density_matrix" or "trajectories".
        duration_s: of one shot on the device, as scheduled.
    """

    circuit: QuantumCircuit
    qubits: tuple[int, ...]
    method: str
    duration_s: float


def cut_slice(circuit: QuantumCircuit, calibration: Calibration) -> Slice:
    """Relabel a transpiled circuit to its active qubits and add what waiting does to them."""
    from qiskit.circuit import CircuitInstruction

    from backends.noise import relaxation
    from circuits.structure import drop_idle_qubits, is_dynamic

    small = drop_idle_qubits(circuit)
    index = {bit: position for position, bit in enumerate(circuit.qubits)}
    qubits = tuple(index[bit] for bit in small.qubits)
    planned = schedule(small, calibration, qubits)
    if is_dynamic(small):
        return Slice(small, qubits, "trajectories", planned.duration_s)
    waits = iter(planned.waits)
    method = "density_matrix" if len(qubits) <= DENSITY_MATRIX_QUBITS else "trajectories"
    noisy = small.copy_empty_like()
    wait = next(waits, None)
    for number, item in enumerate(small.data):
        while wait is not None and wait.before == number:
            waiting = calibration.qubits[qubits[wait.qubit]]
            decay = relaxation(waiting, wait.duration_s, exact=method == "density_matrix")
            noisy.append(CircuitInstruction(decay, (small.qubits[wait.qubit],)))
            wait = next(waits, None)
        if item.operation.name != "delay":
            noisy.append(item)
    return Slice(noisy, qubits, method, planned.duration_s)


# Constants: ours, measured with examples/benchmarks/cost_curves.py. The two machines differ less than two runs of it.
_COST_CURVE = CostCurve(
    overhead_s=8.5e-4,
    shot_s=1.1e-6,
    fixed_gate_s=5.9e-5,
    gate_s=2.5e-9,
    qubit_exponent=2.0,
    up_to_qubits=DENSITY_MATRIX_QUBITS,
    beyond=CostCurve(
        overhead_s=0.5, shot_s=4e-4, fixed_gate_s=5e-5, gate_s=0.0, qubit_exponent=0.0, shot_amplitude_s=2.5e-9
    ),
)

guadalupe = partial(
    FakeIBM,
    "fake_guadalupe",
    machine="guadalupe",
    price=TARIFFS["emulated_falcon_r4"],
    cost_curve=_COST_CURVE,
)
hanoi = partial(
    FakeIBM,
    "fake_hanoi",
    machine="hanoi",
    price=TARIFFS["emulated_falcon_r5"],
    cost_curve=_COST_CURVE,
)

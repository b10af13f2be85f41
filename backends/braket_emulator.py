"""Braket's own device emulator (``LocalEmulator``) of a synthetic 20-qubit processor, as density matrices.

Synthetic: no properties of a real device can be had offline. ``examples/braket_synthetic_device.py`` draws the ones
used here from a seed, in the form in which Amazon Braket publishes IQM's: a square grid, native gates PRX and CZ, run
as written (verbatim). The emulator checks each circuit against them and adds depolarising noise after gates and bit
flips before readouts; T1 and T2 are published and have no effect on the counts.

Shots are drawn here from the exact probabilities, so a seed fixes them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from functools import cached_property
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from backends.backend import REPETITION_S, CostCurve, Device, Execution, TranspileOptions
from backends.braket_local import exact_result, local_simulator
from backends.braket_profile import IQM, individual
from backends.calibration import Calibration
from backends.energy import SUPERCONDUCTING_SYSTEM_POWER_W
from backends.pricing import TARIFFS
from backends.sampling import run_by_sampling
from backends.schedule import schedule
from backends.sdk import sdk_version
from backends.transpilation import transpile
from circuits.family import Run

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from qiskit import QuantumCircuit

_NAME = "braket_emulator"
_METHOD = "density_matrix"
_JIT_QUBITS = 8
# Constants of the curve: ours, measured with examples/benchmarks/cost_curves.py.
_COST_CURVE = CostCurve(overhead_s=4.9e-3, shot_s=1.5e-6, fixed_gate_s=2e-3, gate_s=1.2e-8, qubit_exponent=2.0)


class BraketEmulator:
    """``LocalEmulator.from_device_properties`` on ``braket_dm``."""

    def device(self) -> Device:
        """The processor's record. Neither Braket nor Qiskit is imported."""
        return self._device

    @cached_property
    def _calibration(self) -> Calibration:
        told = json.loads(_properties())
        return individual(told, IQM, datetime.fromisoformat(told["service"]["updatedAt"]).timestamp())[1]

    @cached_property
    def _device(self) -> Device:
        calibration = self._calibration
        pairs = {gate.qubits for gate in calibration.gates if len(gate.qubits) == 2}
        return Device(
            name=_NAME,
            kind="emulated_qpu",
            num_qubits=len(calibration.qubits),
            max_active_qubits=11,
            basis_gates=("r", "cz"),
            coupling=tuple(sorted(pair for pair in pairs if pair[0] < pair[1])),
            clifford_only=False,
            dynamic=False,
            max_gates=2_000,
            calibration=calibration,
            cost_curve=_COST_CURVE,
            price=TARIFFS["emulated_iqm"],
            power_w=SUPERCONDUCTING_SYSTEM_POWER_W,
            sdk_version=sdk_version(_NAME, "braket", "amazon-braket-sdk", "braket"),
            warm_up_s=3.0,
            opt_in=True,
        )

    @cached_property
    def _engines(self) -> tuple[Any, Any]:
        """The emulator, which checks and adds noise, and the simulator that it would run on."""
        self.device()  # raises the install command rather than an ImportError
        simulator = local_simulator("braket_dm")
        from braket.device_schema.iqm import IqmDeviceCapabilities
        from braket.emulation.local_emulator import LocalEmulator

        return LocalEmulator.from_device_properties(IqmDeviceCapabilities.parse_raw(_properties())), simulator

    def warm_up(self) -> None:
        """Import Braket and have numba compile its kernels, which narrow circuits do not use."""
        from qiskit import QuantumCircuit

        circuit = QuantumCircuit(_JIT_QUBITS)
        circuit.h(0)
        for qubit in range(_JIT_QUBITS - 1):
            circuit.cx(qubit, qubit + 1)
        circuit.measure_all()
        self.run(self.prepare([circuit], TranspileOptions()), [Run(shots=1)], seed=0)

    def prepare(self, circuits: Sequence[QuantumCircuit], options: TranspileOptions) -> list[QuantumCircuit]:
        """Transpile to the whole device: the layout with the smallest published errors."""
        return transpile(self.device(), circuits, options)

    def run(
        self, prepared: Sequence[QuantumCircuit], runs: Sequence[Run], *, seed: int, memory: bool = False
    ) -> Execution:
        """Run prepared circuits; conversion and the emulator's checks are part of the time."""
        done = run_by_sampling(prepared, runs, self._distribution, seed=seed, memory=memory, method=_METHOD)
        return self._timed(done, prepared, runs)

    def run_seeded(
        self, prepared: Sequence[QuantumCircuit], runs: Sequence[Run], seeds: Sequence[int], *, memory: bool = False
    ) -> Execution:
        """Run prepared circuits, each run with its own seed."""
        done = run_by_sampling(prepared, runs, self._distribution, seeds=seeds, memory=memory, method=_METHOD)
        return self._timed(done, prepared, runs)

    def _timed(self, done: Execution, prepared: Sequence[QuantumCircuit], runs: Sequence[Run]) -> Execution:
        asked = {run.circuit for run in runs}
        shot_s = {index: schedule(prepared[index], self._calibration).duration_s for index in asked}
        return replace(done, device_s=sum(run.shots * (shot_s[run.circuit] + REPETITION_S) for run in runs))

    def _distribution(self, circuit: QuantumCircuit) -> tuple[NDArray[np.float64], Mapping[int, int]]:
        import numpy as np
        from braket.circuits import Circuit
        from braket.circuits.measure import Measure

        from circuits.structure import measurements

        emulator, simulator = self._engines
        targets = measurements(circuit)
        qubits = sorted(set(targets.values()))
        written = verbatim(circuit, qubits)
        bare = len(written.instructions) == len(qubits)  # the emulator wants a box, and Braket makes no empty ones
        noisy = emulator.noise_model.apply(written) if bare else emulator.transform(written)
        kept = [step for step in noisy.instructions if not isinstance(step.operator, Measure) and step.target]
        asked = Circuit(kept).probability([qubit + 1 for qubit in reversed(qubits)])  # the first is the highest bit
        probabilities = np.asarray(exact_result(simulator, asked), dtype=np.float64)
        place = {qubit: position for position, qubit in enumerate(qubits)}
        return np.clip(probabilities, 0.0, None), {clbit: place[qubit] for clbit, qubit in targets.items()}


def verbatim(circuit: QuantumCircuit, measured: Sequence[int]) -> Any:
    """A transpiled circuit as Braket's: native gates in a verbatim box, on qubits counted from 1, then measurements."""
    from braket.circuits import Circuit

    index = {bit: position for position, bit in enumerate(circuit.qubits)}
    gates, box = {"r": "prx", "cz": "cz"}, Circuit()
    for item in circuit.data:
        if item.name in gates:
            getattr(box, gates[item.name])(*(index[bit] + 1 for bit in item.qubits), *map(float, item.operation.params))
    return Circuit().add_verbatim_box(box).measure([qubit + 1 for qubit in measured])


def _properties() -> str:
    return files("backends.data").joinpath("braket_synthetic.json").read_text(encoding="utf-8")

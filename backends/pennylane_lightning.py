"""PennyLane's compiled state-vector simulator ``lightning.qubit``, ideal.

Shots are drawn here from its exact state, so a seed fixes them. Its device is asked directly: PennyLane's own
preprocessing would look again for what ``prepare`` has settled.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

from backends.backend import CostCurve, Device, Execution, TranspileOptions
from backends.conversion import COMMON_BASIS, to_pennylane
from backends.energy import CPU_CORE_POWER_W
from backends.pricing import TARIFFS
from backends.sampling import rehearse, run_by_sampling
from backends.sdk import sdk_version
from backends.transpilation import transpile
from circuits.family import Run

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from qiskit import QuantumCircuit

_NAME = "pennylane_lightning"
# Constants of the curve: ours, measured with examples/benchmarks/cost_curves.py.
_COST_CURVE = CostCurve(overhead_s=3.6e-4, shot_s=1.7e-7, fixed_gate_s=3.9e-5, gate_s=4.9e-10, qubit_exponent=1.0)


class PennyLaneLightning:
    """``qml.device("lightning.qubit")`` in double precision."""

    def device(self) -> Device:
        """The simulator's record. Neither PennyLane nor Qiskit is imported."""
        return self._device

    @cached_property
    def _device(self) -> Device:
        return Device(
            name=_NAME,
            kind="simulator",
            num_qubits=22,
            max_active_qubits=22,
            basis_gates=COMMON_BASIS,
            coupling=None,
            clifford_only=False,
            dynamic=False,
            max_gates=20_000,
            calibration=None,
            cost_curve=_COST_CURVE,
            price=TARIFFS["own_simulator"],
            power_w=CPU_CORE_POWER_W,
            sdk_version=sdk_version(_NAME, "pennylane", "pennylane-lightning", "pennylane"),
            warm_up_s=3.5,
        )

    def warm_up(self) -> None:
        """Import PennyLane and run a circuit of two qubits."""
        rehearse(self)

    def prepare(self, circuits: Sequence[QuantumCircuit], options: TranspileOptions) -> list[QuantumCircuit]:
        """Transpile to the gates that conversion knows."""
        return transpile(self.device(), circuits, options)

    def run(
        self, prepared: Sequence[QuantumCircuit], runs: Sequence[Run], *, seed: int, memory: bool = False
    ) -> Execution:
        """Run prepared circuits; conversion is part of the time."""
        self.device()  # raises the install command rather than an ImportError
        return run_by_sampling(prepared, runs, self._distribution, seed=seed, memory=memory, method="statevector")

    def run_seeded(
        self, prepared: Sequence[QuantumCircuit], runs: Sequence[Run], seeds: Sequence[int], *, memory: bool = False
    ) -> Execution:
        """Run prepared circuits, each run with its own seed."""
        self.device()
        return run_by_sampling(prepared, runs, self._distribution, seeds=seeds, memory=memory, method="statevector")

    def _distribution(self, circuit: QuantumCircuit) -> tuple[NDArray[np.float64], Mapping[int, int]]:
        import numpy as np
        import pennylane as qml

        converted = to_pennylane(circuit)
        order = list(reversed(converted.qubits))  # PennyLane's first wire is the highest bit
        tape = qml.tape.QuantumScript(converted.circuit.operations, [qml.state()])
        state = qml.device("lightning.qubit", wires=order).execute(tape)
        return np.abs(state) ** 2, converted.readout

"""Cirq's state-vector simulator, ideal. Shots are drawn here from its exact probabilities, so a seed fixes them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from backends.backend import CostCurve, Device, Execution, TranspileOptions
from backends.conversion import COMMON_BASIS, to_cirq
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

_NAME = "cirq_simulator"
# Constants of the curve: ours, measured with examples/benchmarks/cost_curves.py.
_COST_CURVE = CostCurve(overhead_s=6.5e-4, shot_s=1.5e-7, fixed_gate_s=6.2e-5, gate_s=7.8e-10, qubit_exponent=1.0)


class CirqSimulator:
    """``cirq.Simulator`` in single precision."""

    def device(self) -> Device:
        """The simulator's record. Neither Cirq nor Qiskit is imported."""
        return self._device

    @cached_property
    def _device(self) -> Device:
        return Device(
            name=_NAME,
            kind="simulator",
            num_qubits=20,
            max_active_qubits=20,
            basis_gates=COMMON_BASIS,
            coupling=None,
            clifford_only=False,
            dynamic=False,
            max_gates=20_000,
            calibration=None,
            cost_curve=_COST_CURVE,
            price=TARIFFS["own_simulator"],
            power_w=CPU_CORE_POWER_W,
            sdk_version=sdk_version(_NAME, "cirq", "cirq-core", "cirq"),
            warm_up_s=2.0,
        )

    @cached_property
    def _simulator(self) -> Any:
        self.device()  # raises the install command rather than an ImportError
        import cirq

        return cirq.Simulator()

    def warm_up(self) -> None:
        """Import Cirq and run a circuit of two qubits."""
        rehearse(self)

    def prepare(self, circuits: Sequence[QuantumCircuit], options: TranspileOptions) -> list[QuantumCircuit]:
        """Transpile to the gates that conversion knows."""
        return transpile(self.device(), circuits, options)

    def run(
        self, prepared: Sequence[QuantumCircuit], runs: Sequence[Run], *, seed: int, memory: bool = False
    ) -> Execution:
        """Run prepared circuits; conversion is part of the time."""
        self.device()
        return run_by_sampling(prepared, runs, self._distribution, seed=seed, memory=memory, method="statevector")

    def run_seeded(
        self, prepared: Sequence[QuantumCircuit], runs: Sequence[Run], seeds: Sequence[int], *, memory: bool = False
    ) -> Execution:
        """Run prepared circuits, each run with its own seed."""
        self.device()
        return run_by_sampling(prepared, runs, self._distribution, seeds=seeds, memory=memory, method="statevector")

    def _distribution(self, circuit: QuantumCircuit) -> tuple[NDArray[np.float64], Mapping[int, int]]:
        import cirq
        import numpy as np

        converted = to_cirq(circuit)
        order = [cirq.LineQubit(qubit) for qubit in reversed(converted.qubits)]  # Cirq's first qubit is the highest bit
        amplitudes = self._simulator.simulate(converted.circuit, qubit_order=order).final_state_vector
        return np.abs(amplitudes).astype(np.float64) ** 2, converted.readout

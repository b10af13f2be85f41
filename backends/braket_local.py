"""Amazon Braket's local state-vector simulator, ideal.

It takes no seed, so shots are drawn here from its exact probabilities. Its kernels are compiled by numba on first use
(seconds): ``warm_up`` pays for that.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from backends.backend import CostCurve, Device, Execution, TranspileOptions
from backends.conversion import COMMON_BASIS, to_braket
from backends.energy import CPU_CORE_POWER_W
from backends.pricing import TARIFFS
from backends.sampling import run_by_sampling
from backends.sdk import sdk_version
from backends.transpilation import transpile
from circuits.family import Run

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from qiskit import QuantumCircuit

_NAME = "braket_local"
_JIT_QUBITS = 11  # the simulator switches to its compiled kernels above 10 qubits
# Constants of the curve: ours, measured with examples/benchmarks/cost_curves.py.
_COST_CURVE = CostCurve(overhead_s=3.5e-3, shot_s=1e-7, fixed_gate_s=2.6e-4, gate_s=1.4e-9, qubit_exponent=1.0)


class BraketLocal:
    """``LocalSimulator("braket_sv")``."""

    def device(self) -> Device:
        """The simulator's record. Neither Braket nor Qiskit is imported."""
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
            sdk_version=sdk_version(_NAME, "braket", "amazon-braket-default-simulator", "braket"),
            warm_up_s=1.7,
        )

    @cached_property
    def _simulator(self) -> Any:
        self.device()  # raises the install command rather than an ImportError
        return local_simulator("braket_sv")

    def warm_up(self) -> None:
        """Import Braket and have numba compile every kind of gate that conversion makes."""
        from qiskit import QuantumCircuit
        from qiskit.circuit.library import get_standard_gate_name_mapping

        gates = get_standard_gate_name_mapping()
        circuits = []
        for num_qubits in (2, _JIT_QUBITS):
            circuit = QuantumCircuit(num_qubits)
            for name in COMMON_BASIS:
                gate = gates[name]
                if gate.num_qubits <= num_qubits:
                    fixed = type(gate)(*[0.5] * len(gate.params)) if gate.params else gate
                    circuit.append(fixed, range(gate.num_qubits))
            circuit.measure_all()
            circuits.append(circuit)
        prepared = self.prepare(circuits, TranspileOptions(optimization_level=0))
        self.run(prepared, [Run(shots=1, circuit=index) for index in range(len(prepared))], seed=0)

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
        import numpy as np

        converted = to_braket(circuit)
        amplitudes = np.asarray(exact_result(self._simulator, converted.circuit.state_vector()))
        wires = amplitudes.reshape((2,) * len(converted.qubits))
        reversed_wires = wires.transpose().reshape(-1)  # Braket's first qubit is the highest bit of the index
        return np.abs(reversed_wires) ** 2, converted.readout


def local_simulator(method: str) -> Any:
    """Braket's local simulator ("braket_sv" or "braket_dm"), safe to run in several threads."""
    import braket.default_simulator.linalg_utils  # noqa: F401  # it sets numba's threading layer: import it first
    import numba
    from braket.devices import LocalSimulator

    # Braket asks for numba's "workqueue", which aborts the whole process when two threads simulate at once.
    numba.config.THREADING_LAYER = "omp"
    return LocalSimulator(method)


def exact_result(simulator: Any, circuit: Any) -> Any:
    """The one result that a Braket circuit asks for, computed without shots and on one thread."""
    import numba

    numba.set_num_threads(1)  # numba keeps this for each thread; the machine's cores belong to the workers
    return simulator.run(circuit, shots=0).result().values[0]

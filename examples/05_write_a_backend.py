"""A backend of one's own in one file and one line, the contract that it keeps, and a job that runs on it.

In a package of one's own the line stands in its ``pyproject.toml``, under ``[project.entry-points."qorch.backends"]``.
What pip would make of that package is written into a temporary folder here, so that nothing is left behind.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from backends.backend import CostCurve, Device, Execution, TranspileOptions
from backends.contract import ContractBroken, check
from backends.pricing import TARIFFS
from backends.sampling import rehearse, run_by_sampling
from backends.transpilation import transpile
from circuits.family import Run

LINE = "qiskit_statevector = my_backend:QiskitStatevector"


class QiskitStatevector:
    """The state vector of Qiskit itself: exact, up to 10 qubits."""

    def device(self) -> Device:
        """What it publishes: placement knows nothing else of it."""
        return Device(
            name="qiskit_statevector",
            kind="simulator",
            num_qubits=10,
            max_active_qubits=10,
            basis_gates=("h", "x", "rx", "ry", "rz", "cx", "cz", "ccx"),
            coupling=None,
            clifford_only=False,
            dynamic=False,
            max_gates=None,
            calibration=None,
            cost_curve=CostCurve(overhead_s=1e-3, shot_s=0.0, gate_s=1e-4, qubit_exponent=0.0),  # a guess to begin with
            price=TARIFFS["own_simulator"],
            power_w=10.0,
            sdk_version="1.0",
        )

    def warm_up(self) -> None:
        """Imports and a first run, so that no measured one pays for them."""
        rehearse(self)

    def prepare(self, circuits: Sequence[Any], options: TranspileOptions) -> list[Any]:
        """Fit circuits to the device, or refuse them."""
        return transpile(self.device(), circuits, options)

    def run(self, prepared: Sequence[Any], runs: Sequence[Run], *, seed: int, memory: bool = False) -> Execution:
        """Run what was prepared; pooling, drawing and writing of shots come with the house."""
        return run_by_sampling(prepared, runs, self._distribution, seed=seed, memory=memory, method="statevector")

    def _distribution(self, circuit: Any) -> tuple[Any, Mapping[int, int]]:
        from qiskit.quantum_info import Statevector

        from circuits.structure import measurements

        gates = circuit.remove_final_measurements(inplace=False)
        return Statevector(gates).probabilities(), measurements(circuit)


class Backwards(QiskitStatevector):
    """The same with a mistake: it reads the qubits in the other order."""

    def _distribution(self, circuit: Any) -> tuple[Any, Mapping[int, int]]:
        probabilities, readout = super()._distribution(circuit)
        return probabilities, {clbit: circuit.num_qubits - 1 - qubit for clbit, qubit in readout.items()}


def install(folder: Path) -> None:
    """What pip leaves of such a package: this file, and a note of the line."""
    shutil.copy(__file__, folder / "my_backend.py")
    notes = folder / "my_backend-1.0.dist-info"
    notes.mkdir()
    (notes / "METADATA").write_text("Metadata-Version: 2.1\nName: my-backend\nVersion: 1.0\n")
    (notes / "entry_points.txt").write_text(f"[qorch.backends]\n{LINE}\n")


def main() -> None:
    """Install it, hold it to the contract, run a job on it."""
    from backends import BACKENDS
    from circuits.autoencoder import Autoencoder
    from orchestrator import Client

    print("one file, one line: ", BACKENDS["qiskit_statevector"])
    check("qiskit_statevector")
    print("it keeps the contract; one that reads its qubits backwards does not:")
    BACKENDS["qiskit_statevector"] = "my_backend:Backwards"  # in this process alone
    try:
        check("qiskit_statevector")
    except ContractBroken as error:
        print(error)

    with Client() as client:  # its workers' processes find the backend as this one did
        result = client.submit(Autoencoder(), shots=1_000, pin={"qiskit_statevector": 1.0}).result(60.0)
    share = result.placement.shares[0]
    print(f"{share.shots} shots on {share.backend}, fidelity {result.measurement.fidelity:.3f}")


if __name__ == "__main__":
    with TemporaryDirectory() as somewhere:
        install(Path(somewhere))
        sys.path.insert(0, somewhere)
        os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (somewhere, os.environ.get("PYTHONPATH"))))
        main()

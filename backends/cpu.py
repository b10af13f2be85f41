"""A processor without circuits: it answers families that know a classical algorithm, by that algorithm.

So that the honest rival is a candidate like any other. It takes a job only where the job names it: whoever submits a
circuit means a circuit.
"""

from __future__ import annotations

import platform
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, NoReturn

from backends.backend import CostCurve, Device, Execution, TranspileOptions
from backends.energy import CPU_CORE_POWER_W
from backends.errors import UnsupportedCircuit
from backends.pricing import TARIFFS
from circuits.family import Run

if TYPE_CHECKING:
    from qiskit import QuantumCircuit

_NAME = "cpu"
# Constants of the curve: ours, measured with examples/benchmarks/ray_tracing.py on its classical tracer.
_COST_CURVE = CostCurve(overhead_s=2.7e-3, shot_s=0.0, gate_s=2.6e-7, qubit_exponent=0.0)


class Cpu:
    """One core."""

    def device(self) -> Device:
        """The processor's record."""
        return self._device

    @cached_property
    def _device(self) -> Device:
        return Device(
            name=_NAME,
            kind="cpu",
            num_qubits=0,
            max_active_qubits=0,
            basis_gates=(),
            coupling=None,
            clifford_only=False,
            dynamic=False,
            max_gates=None,
            calibration=None,
            cost_curve=_COST_CURVE,
            price=TARIFFS["own_simulator"],
            power_w=CPU_CORE_POWER_W,
            sdk_version=f"Python {platform.python_version()}",
        )

    def warm_up(self) -> None:
        """Nothing to warm."""

    def prepare(self, circuits: Sequence[QuantumCircuit], options: TranspileOptions) -> list[QuantumCircuit]:
        """Refuse: see ``circuits.family.SolvableFamily`` for what runs here."""
        _refuse()

    def run(
        self, prepared: Sequence[QuantumCircuit], runs: Sequence[Run], *, seed: int, memory: bool = False
    ) -> Execution:
        """Refuse as well."""
        _refuse()


def _refuse() -> NoReturn:
    raise UnsupportedCircuit(f"{_NAME} runs no circuits, only families with a classical algorithm: choose a simulator")

"""Backends that run, dawdle, fail or hang as the program asks: its number of classical bits says which."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from backends import BACKENDS
from backends.backend import CostCurve, Device, Execution, TranspileOptions
from backends.errors import ExecutionFailed, TransientFailure
from backends.pricing import TARIFFS
from backends.transpilation import transpile
from circuits.family import Run
from circuits.program import Program

if TYPE_CHECKING:
    from qiskit import QuantumCircuit

FLAKY = ("flaky_a", "flaky_b")
STEADY = "aer_stabilizer"
"""A real one beside them, where what failed there can go."""

FOLDER = "QORCH_TEST_FAULTS_DIR"
"""Variable that names the folder where first attempts leave their mark."""

RUN_S = {"quick": 0.02, "slow": 0.7, "long": 6.0}
WAYS = ("quick", "slow", "long", "transient", "permanent", "hang")


def register() -> None:
    """Put them into the registry, as the files of a house's own would be."""
    BACKENDS.update({name: f"tests.faults.flaky:{name}" for name in FLAKY})


def program(way: str) -> Program:
    """A program that makes these backends behave that way; elsewhere it is an ordinary one."""
    width = WAYS.index(way) + 1
    text = f'OPENQASM 2.0;\ninclude "qelib1.inc";\nqreg q[{width}];\ncreg c[{width}];\nh q;\nmeasure q -> c;\n'
    return Program("openqasm2", text=text)


class Flaky:
    """One of them."""

    def __init__(self, name: str) -> None:
        self._device = Device(
            name=name,
            kind="simulator",
            num_qubits=8,
            max_active_qubits=8,
            basis_gates=("h", "x", "rz", "sx", "cx"),
            coupling=None,
            clifford_only=False,
            dynamic=True,
            max_gates=None,
            calibration=None,
            cost_curve=CostCurve(overhead_s=0.05, shot_s=0.0, gate_s=0.0, qubit_exponent=0.0),
            price=TARIFFS["own_simulator"],
            power_w=1.0,
            sdk_version="1",
        )

    def device(self) -> Device:
        return self._device

    def warm_up(self) -> None:
        """Nothing to import."""

    def prepare(self, circuits: Sequence[QuantumCircuit], options: TranspileOptions) -> list[QuantumCircuit]:
        return transpile(self._device, circuits, options)

    def run(
        self, prepared: Sequence[QuantumCircuit], runs: Sequence[Run], *, seed: int, memory: bool = False
    ) -> Execution:
        way = WAYS[prepared[0].num_clbits - 1]
        if way == "hang":
            threading.Event().wait()
        if way == "permanent":
            raise ExecutionFailed("this device is out of order")
        if way == "transient" and self._first(seed):
            raise TransientFailure("the line is busy")
        run_s = RUN_S.get(way, RUN_S["quick"])
        time.sleep(run_s)  # the device at work
        zeros = "0" * prepared[0].num_clbits
        return Execution(tuple({zeros: run.shots} for run in runs), run_s, method="flaky")

    def _first(self, seed: int) -> bool:
        """Whether this is the first attempt at that work, by whichever process."""
        mark = Path(os.environ[FOLDER]) / f"{self._device.name}-{seed}"
        try:
            mark.touch(exist_ok=False)
        except FileExistsError:
            return False
        return True


MAKERS: Mapping[str, partial[Flaky]] = {name: partial(Flaky, name) for name in FLAKY}


def __getattr__(name: str) -> partial[Flaky]:
    """The registry's entries, by the name of the backend."""
    try:
        return MAKERS[name]
    except KeyError:
        raise AttributeError(name) from None

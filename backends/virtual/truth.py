"""What a virtual QPU does and does not tell: coherent errors, crosstalk, readout that drifts. All invented (ours).

Its published calibration stays what a laboratory would measure: the infidelity of each gate on its own, and the readout
on the day. The truth behind it adds what such measurements do not see:

- every gate turns a little too far or too short about its own axis, the same each time, as pulses do that have drifted
  since they were tuned. In a circuit such errors add up or cancel; benchmarking with random gates averages over them.
- two-qubit gates at the same time on pairs that are neighbours turn the linking qubits about ZZ. Few links are strong
  [Murali et al., ASPLOS 2020, found simultaneous CX gates up to eleven times worse on a few pairs; second-hand].
- a qubit in state 1 is read as 0 more often the longer ago the device was calibrated, as if it had leaked.

Everything follows from the device's name, so a device keeps its faults from day to day. No record holds any of it, and
neither orchestrator nor policies may import this module.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import product
from typing import TYPE_CHECKING, Any

from circuits.seeds import derive

if TYPE_CHECKING:
    from qiskit import QuantumCircuit
    from qiskit.circuit import CircuitInstruction

    from backends.calibration import Calibration
    from backends.schedule import Schedule

_SMALLEST_ANGLE = 1e-4


@dataclass(frozen=True)
class Strengths:
    """How far the truth is from what is published; all ours.

    Attributes:
        over_rotation: infidelity of a gate's coherent error, as a share of its published one; uniform below this.
        strong_zz_hz: ZZ rate of a strong link while gates run at both its ends; the order of magnitude of the static
            coupling of fixed-frequency transmons (second-hand: tens to hundreds of kHz).
        weak_zz_hz: of the other links.
        strong_links: share of links that are strong.
        readout_drift: mean over qubits of what is added to the probability to read 0 in state 1, in the long run. The
            same order as changes from day to day in half a year of ibm_perth, 0.005 on average (measured there).
        drift_time_s: time after which 63 % of it is there.
    """

    over_rotation: float = 1.5
    strong_zz_hz: float = 300e3
    weak_zz_hz: float = 20e3
    strong_links: float = 0.25
    readout_drift: float = 0.01
    drift_time_s: float = 12 * 3600.0


@dataclass(frozen=True)
class Truth:
    """The truth behind one calibration of one device."""

    name: str
    calibration: Calibration
    strengths: Strengths = Strengths()

    def flips(self, qubit: int, moment: float) -> tuple[float, float]:
        """Probability to read 1 in state 0, and 0 in state 1, at a moment in seconds since the epoch."""
        error = self.calibration.qubits[qubit].readout_error
        age_s = max(0.0, moment - self.calibration.taken_at)
        grown = round(-math.expm1(-age_s / self.strengths.drift_time_s), 3)  # in steps, so that noise models are few
        leaked = self._dice("readout", qubit).expovariate(1.0) * self.strengths.readout_drift
        return error, min(0.5, error + leaked * grown)

    def after(
        self, circuit: QuantumCircuit, plan: Schedule, qubits: Sequence[int]
    ) -> dict[int, list[CircuitInstruction]]:
        """What really happens behind each instruction of a slice, by its number.

        Args:
            circuit: transpiled, on the slice's qubits.
            plan: its schedule.
            qubits: the device's qubit behind each of them.
        """
        index = {bit: position for position, bit in enumerate(circuit.qubits)}
        found: dict[int, list[CircuitInstruction]] = {}
        running: list[tuple[float, float, tuple[int, ...]]] = []
        for number, item in enumerate(circuit.data):
            local = tuple(index[bit] for bit in item.qubits)
            there = tuple(qubits[position] for position in local)
            gate = self.calibration.gate_table.get((item.name, there))
            if gate is None:
                continue
            found[number] = self._turned(item, there)
            if len(there) == 2:
                start_s = plan.starts_s[number]
                end_s = start_s + gate.duration_s
                running = [other for other in running if other[1] > start_s]
                for begun_s, ended_s, other in running:
                    together_s = min(end_s, ended_s) - max(start_s, begun_s)
                    found[number] += self._crosstalk(circuit, local, other, qubits, together_s)
                running.append((start_s, end_s, local))
        return found

    def inside(self, circuit: QuantumCircuit, qubits: Sequence[int]) -> QuantumCircuit:
        """The circuit with bodies of control flow that rotate too far, as everything does. No crosstalk in there.

        Args:
            circuit: transpiled.
            qubits: the device's qubit behind each of its qubits.
        """
        index = {bit: qubits[position] for position, bit in enumerate(circuit.qubits)}
        turned = circuit.copy_empty_like()
        for item in circuit.data:
            if item.is_control_flow():
                there = [index[bit] for bit in item.qubits]
                bodies = [self._over(self.inside(body, there), there) for body in item.operation.blocks]
                turned._append(item.replace(operation=item.operation.replace_blocks(bodies)))
            else:
                turned._append(item)
        return turned

    def _over(self, body: QuantumCircuit, qubits: Sequence[int]) -> QuantumCircuit:
        index = {bit: qubits[position] for position, bit in enumerate(body.qubits)}
        turned = body.copy_empty_like()
        for item in body.data:
            turned._append(item)
            for more in self._turned(item, tuple(index[bit] for bit in item.qubits)):
                turned._append(more)
        return turned

    def _turned(self, item: CircuitInstruction, there: tuple[int, ...]) -> list[CircuitInstruction]:
        axis = "x" if len(there) == 1 else "zz" if item.name in ("cz", "rzz") else "zx"
        return _rotation(axis, self._angle(item.name, there), item.qubits)

    def _angle(self, name: str, qubits: tuple[int, ...]) -> float:
        """A rotation whose average infidelity is a share of the gate's published one. ``id`` turns nothing.

        r = d / (d + 1) sin(theta / 2)^2,  d = 2^n        (ours, from F_e = cos(theta / 2)^2 and Nielsen's formula)
        """
        gate = self.calibration.gate_table.get((name, qubits))
        if gate is None or name == "id" or len(qubits) > 2:
            return 0.0
        share = self._dice("share", name, *qubits).uniform(0.0, self.strengths.over_rotation)
        sign = self._dice("sign", min(qubits), max(qubits)).choice((-1.0, 1.0))
        dimension = 2.0 ** len(qubits)
        return sign * 2.0 * math.asin(math.sqrt(min(1.0, gate.error * share * (dimension + 1.0) / dimension)))

    def _crosstalk(
        self,
        circuit: QuantumCircuit,
        pair: tuple[int, ...],
        other: tuple[int, ...],
        qubits: Sequence[int],
        together_s: float,
    ) -> list[CircuitInstruction]:
        """Turns about ZZ by pi zeta t for a rate zeta: the phase of 11 against the other three grows by 2 pi zeta t."""
        turned = []
        for a, b in product(pair, other):
            link = tuple(sorted((qubits[a], qubits[b])))
            if link in self._links:
                angle = math.pi * self._zz_hz(*link) * max(0.0, together_s)
                turned += _rotation("zz", angle, (circuit.qubits[a], circuit.qubits[b]))
        return turned

    def _zz_hz(self, low: int, high: int) -> float:
        dice = self._dice("zz", low, high)
        strong = dice.random() < self.strengths.strong_links
        return dice.uniform(0.5, 1.5) * (self.strengths.strong_zz_hz if strong else self.strengths.weak_zz_hz)

    @cached_property
    def _links(self) -> frozenset[tuple[int, ...]]:
        return frozenset(tuple(sorted(gate.qubits)) for gate in self.calibration.gates if len(gate.qubits) == 2)

    def _dice(self, *what: int | str) -> random.Random:
        return random.Random(derive(0, self.name, *what))


def _rotation(axis: str, angle: float, qubits: Sequence[Any]) -> list[CircuitInstruction]:
    """One instruction, or none if the angle is too small to matter."""
    from qiskit.circuit import CircuitInstruction

    return [] if abs(angle) < _SMALLEST_ANGLE else [CircuitInstruction(_matrix(axis, round(angle, 5)), tuple(qubits))]


@lru_cache(maxsize=4096)
def _matrix(axis: str, angle: float) -> Any:
    """As a matrix, for which no device publishes an error: the simulators leave it as it is."""
    from qiskit.circuit.library import RXGate, RZXGate, RZZGate, UnitaryGate

    return UnitaryGate({"x": RXGate, "zx": RZXGate, "zz": RZZGate}[axis](angle).to_matrix(), label="truth")

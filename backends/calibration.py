"""Calibration: what a device publishes about its own errors, at a stated time, and what that lets one expect.

Records are frozen and plain JSON. :func:`survival` turns them into the prior weight w of ``w ideal + (1 - w) uniform``,
the distribution expected from a circuit on that device. It is blind to coherent errors, crosstalk and leakage.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from backends.schedule import schedule

if TYPE_CHECKING:
    from qiskit import QuantumCircuit

    from backends.backend import Device


@dataclass(frozen=True)
class QubitCalibration:
    """One qubit. Times in seconds; ``readout_error`` is the assignment error in [0, 1].

    ``readout_bias`` is P(0 read | 1) - P(1 read | 0), 0 where only their mean, ``readout_error``, is published.
    """

    t1_s: float
    t2_s: float
    readout_error: float
    readout_duration_s: float
    readout_bias: float = 0.0

    @property
    def misread(self) -> tuple[float, float]:
        """P(1 read | 0) and P(0 read | 1)."""
        return self.readout_error - self.readout_bias / 2.0, self.readout_error + self.readout_bias / 2.0


@dataclass(frozen=True)
class GateCalibration:
    """One gate on one ordered tuple of qubits. ``error`` is the average gate infidelity in [0, 1], all parts together.

    ``fsim`` is its coherent part where that is published: angles theta, phi, zeta and gamma, in radians, of the
    excitation-preserving gate that follows the ideal one (``backends.fsim``).
    """

    gate: str
    qubits: tuple[int, ...]
    error: float
    duration_s: float
    fsim: tuple[float, float, float, float] | None = None


@dataclass(frozen=True)
class Calibration:
    """Everything measured at ``taken_at`` (seconds since the epoch, UTC). Dead edges are not listed."""

    taken_at: float
    qubits: tuple[QubitCalibration, ...]
    gates: tuple[GateCalibration, ...]

    @cached_property
    def gate_table(self) -> dict[tuple[str, tuple[int, ...]], GateCalibration]:
        """Gates by name and qubits."""
        return {(gate.gate, gate.qubits): gate for gate in self.gates}

    @cached_property
    def working(self) -> dict[int, None]:
        """Qubits that some gate acts on, in their order. The others are out of order."""
        return dict.fromkeys(sorted({qubit for gate in self.gates for qubit in gate.qubits}))

    @cached_property
    def gate_weights(self) -> dict[tuple[str, tuple[int, ...]], float]:
        """Survival by name and qubits."""
        return {key: gate_survival(gate.error, len(gate.qubits)) for key, gate in self.gate_table.items()}


@dataclass(frozen=True)
class Survival:
    """What calibration predicts for one transpiled circuit on one device.

    Attributes:
        gate_weight: probability that no gate made an error, in [0, 1].
        idle_weight: probability that no waiting qubit made one that shows.
        readout_weight: probability that every bit was read right.
        duration_s: of one shot's instructions, without the pause between shots; 0 for an ideal simulator.
        num_active_qubits: qubits that something acts on.
    """

    gate_weight: float
    idle_weight: float
    readout_weight: float
    duration_s: float
    num_active_qubits: int

    @property
    def weight(self) -> float:
        """Prior of the mixture weight w: all three together."""
        return self.gate_weight * self.idle_weight * self.readout_weight


def gate_survival(error: float, num_qubits: int) -> float:
    """Probability that a depolarising gate error with this average infidelity is the identity.

    F_e = 1 - r (d + 1) / d,  d = 2^n        [Nielsen 2002, Phys. Lett. A 303 249; second-hand]

    F_e is the entanglement fidelity, that of the channel written as random Pauli errors. The other parameter in use,
    lambda = 1 - r d / (d - 1) of ``lambda rho + (1 - lambda) I/d``, also counts the identity that hides in I/d as an
    error; multiplied over many gates it is too pessimistic. Clipped at 0.

    Args:
        error: r, average gate infidelity, in [0, 1].
        num_qubits: n, >= 1.
    """
    dimension = 2.0**num_qubits
    return max(0.0, 1.0 - error * (dimension + 1.0) / dimension)


def idle_survival(duration_s: float, t1_s: float, t2_s: float, *, then_measured: bool = False) -> float:
    """Probability that a waiting qubit made no error, from its relaxation written as random Pauli errors.

    F_e = (1 + exp(-t/T1) + 2 exp(-t/T2)) / 4                                                     (ours)
    F   = (1 + exp(-t/T1)) / 2    just before a readout, where a lost phase no longer shows       (ours)

    Relaxation shrinks z by exp(-t/T1), and x and y by exp(-t/T2); a Pauli channel with the same three factors has this
    weight on the identity, or on identity and Z. Decay counts as if the qubit were excited half of the time. T2 is
    capped at 2 T1, as physics demands and published fits sometimes do not.
    """
    kept = math.exp(-duration_s / t1_s)
    if then_measured:
        return (1.0 + kept) / 2.0
    return (1.0 + kept + 2.0 * math.exp(-duration_s / min(t2_s, 2.0 * t1_s))) / 4.0


def survival(circuit: QuantumCircuit, device: Device) -> Survival:
    """What calibration predicts for a circuit that was transpiled to ``device``.

    Weights multiply over gates, waits and readouts: any one error is taken to turn the whole result uniform (ours).
    An ideal simulator has weights 1.

    Raises:
        CalibrationMissing: the circuit has a gate that the device's calibration does not list.
    """
    calibration = device.calibration
    active = {bit for item in circuit.data if item.name not in ("barrier", "delay") for bit in item.qubits}
    if calibration is None:
        return Survival(1.0, 1.0, 1.0, 0.0, len(active))
    plan = schedule(circuit, calibration)
    weights, qubits = calibration.gate_weights, calibration.qubits
    idle = 1.0
    for wait in plan.waits:
        qubit = qubits[wait.qubit]
        idle *= idle_survival(wait.duration_s, qubit.t1_s, qubit.t2_s, then_measured=wait.then_measured)
    return Survival(
        gate_weight=math.prod(weights[key] for key in plan.gates),
        idle_weight=idle,
        readout_weight=math.prod(1.0 - qubits[qubit].readout_error for qubit in plan.measured),
        duration_s=plan.duration_s,
        num_active_qubits=len(active),
    )

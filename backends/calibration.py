"""Calibration: what a device publishes about its own errors, at a stated time. Frozen, plain JSON."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class QubitCalibration:
    """One qubit. Times in seconds; ``readout_error`` is the assignment error in [0, 1]."""

    t1_s: float
    t2_s: float
    readout_error: float
    readout_duration_s: float


@dataclass(frozen=True)
class GateCalibration:
    """One gate on one ordered tuple of qubits. ``error`` is the average gate infidelity in [0, 1]."""

    gate: str
    qubits: tuple[int, ...]
    error: float
    duration_s: float


@dataclass(frozen=True)
class Calibration:
    """Everything measured at ``taken_at`` (seconds since the epoch, UTC). Dead edges are not listed."""

    taken_at: float
    qubits: tuple[QubitCalibration, ...]
    gates: tuple[GateCalibration, ...]

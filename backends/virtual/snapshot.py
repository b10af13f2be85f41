"""What a virtual QPU is made from: one device at one time, whoever published it."""

from __future__ import annotations

from dataclasses import dataclass

from backends.calibration import Calibration, QubitCalibration

DEAD_EDGE_ERROR = 0.5
"""A gate published with this error or more is out of order (IBM writes 1.0 where calibration failed)."""

DEAD_READOUT_ERROR = 0.5
"""A qubit read wrong this often is out of order: its bit says nothing."""

DEAD_QUBIT = QubitCalibration(t1_s=1e-9, t2_s=1e-9, readout_error=0.5, readout_duration_s=0.0)
"""Stands where a device has a qubit that is out of order, so that the others keep their numbers. No gate acts on it."""


@dataclass(frozen=True)
class Snapshot:
    """One device at one time.

    Attributes:
        num_qubits: size, qubits that are out of order among them.
        basis_gates: native gates, reset among them.
        coupling: undirected pairs with at least one live two-qubit gate.
        dynamic: it branches on measured bits.
        calibration: published errors, without dead edges and without gates on dead qubits.
    """

    num_qubits: int
    basis_gates: tuple[str, ...]
    coupling: tuple[tuple[int, int], ...]
    dynamic: bool
    calibration: Calibration

"""Qiskit: the hub itself. Order of qubits and bits, and everything else, is what ``circuits.lowering`` makes of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from qiskit import QuantumCircuit

    from circuits.program import Limits


def read(circuit: QuantumCircuit, limits: Limits) -> QuantumCircuit:  # noqa: ARG001  # of the shape of its siblings
    """The circuit as it is; its limits are looked at where it is written as text."""
    return circuit

"""Gates as a distributed circuit sees them: what is diagonal on a qubit commutes with a copy of it made by a pair.

A CX is a CZ between two Hadamard gates on its target, so that in the basis here every gate of two qubits is diagonal on
both, and either of its ends can be the one that is shared. That is the form of Andrés-Martínez and Heunen, Phys. Rev. A
100 032308 (2019), second-hand.
"""

from __future__ import annotations

from qiskit import QuantumCircuit, transpile
from qiskit.circuit import CircuitInstruction

from circuits.errors import InvalidProgram
from circuits.structure import is_dynamic

ONE_QUBIT = ("id", "x", "y", "z", "h", "s", "sdg", "t", "tdg", "sx", "sxdg", "rx", "ry", "rz", "p", "u")
TWO_QUBIT = ("cz", "cp", "rzz")
BASIS = (*ONE_QUBIT, *TWO_QUBIT)
"""Of a circuit that is distributed."""

_COMMUTING = frozenset({"id", "z", "s", "sdg", "t", "tdg", "rz", "p", "barrier", "delay", *TWO_QUBIT})


def lower(circuit: QuantumCircuit) -> QuantumCircuit:
    """The circuit in :data:`BASIS`, Hadamard gates that meet taken away. Free parameters stay free.

    Raises:
        InvalidProgram: it is dynamic.
    """
    if is_dynamic(circuit):
        raise InvalidProgram(
            f"circuit {circuit.name!r}: wanted one that measures at its end, to be distributed; it measures in "
            "mid-circuit, resets or branches: run it on one QPU"
        )
    return transpile(circuit, basis_gates=[*BASIS], optimization_level=1, seed_transpiler=7)


def is_joint(item: CircuitInstruction) -> bool:
    """Whether it is a gate of two qubits."""
    return item.operation.name in TWO_QUBIT


def commutes(item: CircuitInstruction) -> bool:
    """Whether it leaves alone what is known of its qubits in the computational basis."""
    return item.operation.name in _COMMUTING


def check_basis(circuit: QuantumCircuit) -> None:
    """Refuse what :func:`lower` would not have left.

    Raises:
        InvalidProgram: the message names the gate.
    """
    known = {*BASIS, "measure", "barrier", "delay", "reset"}
    for item in circuit.data:
        if item.operation.name not in known:
            raise InvalidProgram(
                f"circuit {circuit.name!r}: wanted gates of {', '.join(BASIS)}, got {item.operation.name!r}: lower it "
                "with circuits.distributed.gates.lower first"
            )

"""How entangled a circuit can be, bounded from its gates alone: what a tensor network of it will cost.

The qubits stand in a line, in their order. Across each cut of the line a gate multiplies the bond dimension by at most
its operator Schmidt rank; fewer qubits than that on either side bound it, too. Bounds are in qubits: a bond of b qubits
has dimension 2**b. They are loose where gates undo each other, as in a Fourier transform of a basis state.

Source: G. Vidal, Phys. Rev. Lett. 91 147902 (2003), second-hand, for the cost of matrix product states; sums and bounds
are ours.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from qiskit import QuantumCircuit
from qiskit.circuit import ControlledGate, Operation

from circuits.facts import Bonds
from circuits.structure import NOT_GATES, active_qubits

_RANK_TWO = frozenset({"rxx", "ryy", "rzz", "rzx", "ecr"})
"""Gates of two qubits that are no controlled ones and yet the sum of two products."""

_WIDEST = 60
"""Qubits beyond which a bond counts as so wide: sums of its powers stay finite."""


@dataclass
class _Line:
    """The bounds as they grow, gate by gate."""

    bonds: np.ndarray
    most: np.ndarray
    gate_work: float = 0.0

    def cross(self, places: list[int], ranks: list[int]) -> None:
        """A gate on these places, ascending, whose rank across the cut after each but the last is given, in qubits."""
        for left, right, rank in zip(places, places[1:], ranks, strict=False):
            cuts = slice(left, right)
            self.bonds[cuts] = np.minimum(self.bonds[cuts] + rank, self.most[cuts])
            self.gate_work += float(np.sum(8.0 ** self.bonds[cuts]))


def bonds(circuit: QuantumCircuit) -> Bonds:
    """Bounds on the bonds of the circuit's matrix product state. A block of control flow counts as one gate."""
    place = {circuit.qubits[qubit]: position for position, qubit in enumerate(active_qubits(circuit))}
    cuts = np.arange(1, max(len(place), 1))
    line = _Line(np.zeros(len(cuts)), np.minimum(np.minimum(cuts, len(place) - cuts), _WIDEST))
    for item in circuit.data:
        if len(item.qubits) > 1 and item.operation.name not in NOT_GATES:
            places = sorted(place[qubit] for qubit in item.qubits)
            line.cross(places, _ranks(item.operation, len(places)))
    widest = int(line.bonds.max(initial=0.0))
    return Bonds(widest, gate_work=line.gate_work, cut_work=float(np.sum(4.0**line.bonds)))


def _ranks(operation: Operation, num_qubits: int) -> list[int]:
    """Operator Schmidt rank across each cut between a gate's qubits, in qubits: log2, rounded up.

    A controlled gate with one target is the identity plus one product. Anything else has at most as many terms as there
    are operators on the smaller side.
    """
    simple = isinstance(operation, ControlledGate) and num_qubits - operation.num_ctrl_qubits == 1
    if simple or operation.name in _RANK_TWO:
        return [1] * (num_qubits - 1)
    return [2 * min(left, num_qubits - left) for left in range(1, num_qubits)]

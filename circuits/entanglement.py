"""How entangled a circuit can be, bounded from its gates alone: what a tensor network of it will cost.

The qubits stand in a line, in their order. Across each cut of the line a gate multiplies the bond dimension by at most
its operator Schmidt rank. No bond exceeds the qubits on its smaller side that gates have connected so far, and a qubit
that is still in a definite basis state, as those of a Fourier transform of a number are, takes no part. All this is an
upper bound; gates that undo each other make it loose. Bonds are in qubits: one of b has dimension 2**b.

Source: G. Vidal, Phys. Rev. Lett. 91 147902 (2003), second-hand, for what matrix product states cost; the bounds are
ours.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from qiskit import QuantumCircuit
from qiskit.circuit import ControlledGate, Operation

from circuits.facts import Bonds
from circuits.structure import NOT_GATES, active_qubits

if TYPE_CHECKING:
    from numpy.typing import NDArray

_DIAGONAL = frozenset({"id", "z", "s", "sdg", "t", "tdg", "p", "u1", "rz"})
_FLIPPING = frozenset({"x", "y"})
_RANK_TWO = frozenset({"rxx", "ryy", "rzz", "rzx", "ecr"})
"""Gates of two qubits that are no controlled ones and yet the sum of two products."""


def bonds(circuit: QuantumCircuit) -> Bonds:
    """Bounds on the bonds of the circuit's matrix product state. A block of control flow counts as one gate."""
    place = {circuit.qubits[qubit]: position for position, qubit in enumerate(active_qubits(circuit))}
    line = _Line(len(place))
    for item in circuit.data:
        if item.operation.name not in NOT_GATES:
            line.apply(item.operation, [place[qubit] for qubit in item.qubits])
    return Bonds(int(line.bonds.max(initial=0.0)), line.gate_work, float(np.sum(4.0**line.bonds)))


class _Line:
    """The bounds as they grow, gate by gate.

    Attributes:
        bonds: of each cut, float (num_qubits - 1,).
        gate_work: see :class:`circuits.facts.Bonds`.
    """

    def __init__(self, num_qubits: int) -> None:
        self.bonds: NDArray[np.float64] = np.zeros(max(num_qubits - 1, 0))
        self.gate_work = 0.0
        self._most = np.zeros_like(self.bonds)
        self._cluster = np.arange(num_qubits)
        self._definite = np.ones(num_qubits, dtype=bool)

    def apply(self, operation: Operation, places: Sequence[int]) -> None:
        """One gate on these places."""
        num = len(places)
        controlled = isinstance(operation, ControlledGate) and num - operation.num_ctrl_qubits == 1
        name = operation.base_gate.name if controlled else operation.name
        if controlled or name == "rzz" or num == 1:
            self._product_sum(places, diagonal=name in _DIAGONAL or name == "rzz", flips=name in _FLIPPING)
        elif name == "swap":
            self._swap(*places)
        else:
            rank_two = name in _RANK_TWO
            self._definite[list(places)] = False
            self._entangle(sorted(places), [1 if rank_two else 2 * min(left, num - left) for left in range(1, num)])

    def _product_sum(self, places: Sequence[int], *, diagonal: bool, flips: bool) -> None:
        """A gate on the last place that the others control: what is definite controls as a constant."""
        target = places[-1]
        involved = [one for one in places[:-1] if not self._definite[one]]
        if diagonal:
            involved += [] if self._definite[target] else [target]
        else:
            self._definite[target] = bool(flips and not involved and self._definite[target])
            involved.append(target)
        self._entangle(sorted(involved), [1] * (len(involved) - 1))

    def _swap(self, first: int, second: int) -> None:
        for labels in (self._cluster, self._definite):
            labels[[first, second]] = labels[[second, first]]
        self._connected()
        self._grow(sorted((first, second)), [2])

    def _entangle(self, places: list[int], ranks: list[int]) -> None:
        """A gate on these places, ascending, whose rank across the cut after each but the last is given, in qubits."""
        if len(places) > 1:
            touched = np.unique(self._cluster[places])
            if len(touched) > 1:
                self._cluster[np.isin(self._cluster, touched)] = touched[0]
                self._connected()
            self._grow(places, ranks)

    def _grow(self, places: list[int], ranks: list[int]) -> None:
        for left, right, rank in zip(places, places[1:], ranks, strict=False):
            cuts = slice(left, right)
            self.bonds[cuts] = np.minimum(self.bonds[cuts] + rank, self._most[cuts])
            self.gate_work += float(np.sum(8.0 ** self.bonds[cuts]))

    def _connected(self) -> None:
        """Across each cut, the qubits on the smaller side of every cluster, summed."""
        members = self._cluster == np.unique(self._cluster)[:, None]
        left = np.cumsum(members, axis=1)[:, :-1]
        self._most = np.minimum(left, members.sum(axis=1)[:, None] - left).sum(axis=0).astype(float)

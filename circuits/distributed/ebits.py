"""Which gates need a pair: gates between QPUs, those that share a qubit grouped to one pair each.

A pair and two classical bits give another QPU a copy of a qubit in the computational basis (the cat-entangler of
Eisert, Jacobs, Papadopoulos and Plenio, Phys. Rev. A 62 052317 (2000), and of Yimsiriwattana and Lomonaco 2004). While
nothing but diagonal gates acts on the qubit, any number of gates there may use the copy: k CX that share a control,
uninterrupted on it, cost one pair. Which end of a gate is shared is chosen as we go: the one with more gates ahead that
the same copy serves (ours; not always the least number).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from qiskit import QuantumCircuit
from qiskit.circuit import CircuitInstruction

from circuits.distributed.gates import check_basis, commutes, is_joint


@dataclass(frozen=True)
class Ebit:
    """One entangled pair and what it is for.

    Attributes:
        qubit: index of the qubit that is shared.
        home: QPU that holds it.   away: QPU that gets the copy.
        gates: indices into the circuit's instructions, ascending, that use the copy.
    """

    qubit: int
    home: int
    away: int
    gates: tuple[int, ...]

    @property
    def ends(self) -> tuple[int, int]:
        """The two QPUs, in order: pairs have no direction."""
        return min(self.home, self.away), max(self.home, self.away)


def ebits(circuit: QuantumCircuit, parts: Sequence[int]) -> tuple[Ebit, ...]:
    """The pairs that a circuit needs, in the order of their first gates.

    Args:
        circuit: in the basis of :mod:`circuits.distributed.gates`.   parts: QPU of each qubit.

    Raises:
        InvalidProgram: a gate is not of that basis.
    """
    check_basis(circuit)
    place = {qubit: index for index, qubit in enumerate(circuit.qubits)}
    wires = [[place[qubit] for qubit in item.qubits] for item in circuit.data]
    ahead = _Ahead(circuit, wires, parts)
    found: list[Ebit] = []
    shared: dict[tuple[int, int], int] = {}  # qubit and QPU -> the pair that serves it now
    for index, item in enumerate(circuit.data):
        if not commutes(item):
            for key in [key for key in shared if key[0] in wires[index]]:
                del shared[key]
        elif is_joint(item) and parts[wires[index][0]] != parts[wires[index][1]]:
            one, other = wires[index]
            ways = ((one, parts[other]), (other, parts[one]))
            way = next((way for way in ways if way in shared), None)
            if way is None:
                way = max(ways, key=lambda one: ahead.served(one[0], one[1], index))
                shared[way] = len(found)
                found.append(Ebit(way[0], parts[way[0]], way[1], ()))
            pair = shared[way]
            found[pair] = replace(found[pair], gates=(*found[pair].gates, index))
    return tuple(found)


class _Ahead:
    """What comes on each qubit: the gates to other QPUs, and the next thing that a copy does not survive."""

    def __init__(self, circuit: QuantumCircuit, wires: Sequence[Sequence[int]], parts: Sequence[int]) -> None:
        self._lines: list[list[tuple[int, int | None]]] = [[] for _ in parts]  # index, other QPU; None breaks a copy
        for index, item in enumerate(circuit.data):
            for qubit in wires[index]:
                if not commutes(item):
                    self._lines[qubit].append((index, None))
                elif is_joint(item):
                    (other,) = (wire for wire in wires[index] if wire != qubit)
                    self._lines[qubit].append((index, parts[other]))

    def served(self, qubit: int, qpu: int, index: int) -> int:
        """Gates from ``index`` on that a copy of the qubit on that QPU serves."""
        number = 0
        for when, where in self._lines[qubit]:
            if when >= index:
                if where is None:
                    break
                number += where == qpu
        return number


def remote(circuit: QuantumCircuit, parts: Sequence[int]) -> list[CircuitInstruction]:
    """The gates between QPUs: what would have to be cut, or would cost a pair each if none were shared."""
    place = {qubit: index for index, qubit in enumerate(circuit.qubits)}
    return [item for item in filter(is_joint, circuit.data) if len({parts[place[qubit]] for qubit in item.qubits}) > 1]

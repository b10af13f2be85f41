"""The circuit with teleported gates: communication qubits, measurement in mid-circuit, corrections by measured bits.

For each pair (a at home, b away), made by H and CX with a place for its error: CX from the shared qubit to a, a is
measured, X on b if it was 1; then b is the copy. After the last gate: H on b, b is measured, Z on the shared qubit if
that was 1. Both are reset and used again. A Pauli error on b stands for any Bell-diagonal pair: that of Werner with
fidelity F has none with probability F, each other with (1 - F)/3; a remote CX has process fidelity F.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from qiskit import ClassicalRegister, QuantumCircuit, QuantumRegister
from qiskit.circuit import Qubit
from qiskit.circuit.library import IGate, XGate, YGate, ZGate

from circuits.distributed.ebits import Ebit, ebits

PAULIS = (IGate, XGate, YGate, ZGate)
"""Errors of a pair, by number."""

_LABEL = "qorch pair "


@dataclass(frozen=True)
class Teleported:
    """A distributed circuit as it runs.

    Attributes:
        circuit: first the original's qubits and classical bits, then communication qubits and the bits of corrections.
        pairs: what it consumes, in order.
        num_clbits: of the original; they are the rightmost characters of an outcome.
        comm_qubits: communication qubits of each QPU, by its number.
    """

    circuit: QuantumCircuit
    pairs: tuple[Ebit, ...]
    num_clbits: int
    comm_qubits: dict[int, int]


Seat = tuple[int, int]
"""A QPU and the number of a communication qubit there."""


class _Desk:
    """Communication qubits of all QPUs: the least number that is enough, used again once they are free."""

    def __init__(self) -> None:
        self.used: dict[int, int] = defaultdict(int)
        self._free: dict[int, list[int]] = defaultdict(list)

    def take(self, qpu: int) -> Seat:
        if not self._free[qpu]:
            self._free[qpu].append(self.used[qpu])
            self.used[qpu] += 1
        return qpu, self._free[qpu].pop()

    def give(self, seat: Seat) -> None:
        self._free[seat[0]].append(seat[1])


def _seats(pairs: Sequence[Ebit]) -> tuple[list[tuple[Seat, Seat]], dict[int, int]]:
    """Seats of both halves of each pair, and how many each QPU needs. The near half is free once the copy is made."""
    desk = _Desk()
    seats: list[tuple[Seat, Seat]] = []
    ends: dict[int, list[int]] = defaultdict(list)
    starts: dict[int, list[int]] = defaultdict(list)
    for number, pair in enumerate(pairs):
        starts[pair.gates[0]].append(number)
        ends[pair.gates[-1]].append(number)
    for index in sorted({*starts, *ends}):
        for number in starts[index]:
            near, far = desk.take(pairs[number].home), desk.take(pairs[number].away)
            desk.give(near)
            seats.append((near, far))
        for number in ends[index]:
            desk.give(seats[number][1])
    return seats, dict(desk.used)


def teleport(circuit: QuantumCircuit, parts: Sequence[int]) -> Teleported:
    """The circuit on several QPUs, with every gate between them over a pair.

    Args:
        circuit: in the basis of :mod:`circuits.distributed.gates`.   parts: QPU of each qubit.

    Raises:
        InvalidProgram: a gate is not of that basis.
    """
    pairs = ebits(circuit, parts)
    seats, comm_qubits = _seats(pairs)
    far = circuit.copy_empty_like()
    far._layout = None  # of the transpiler: it knows nothing of the qubits that follow
    lines = {qpu: QuantumRegister(number, f"comm{qpu}") for qpu, number in sorted(comm_qubits.items())}
    bits = ClassicalRegister(2 * len(pairs), "corrections")
    for register in (*lines.values(), *((bits,) if pairs else ())):
        far.add_register(register)
    by_gate = {gate: number for number, pair in enumerate(pairs) for gate in pair.gates}
    for index, item in enumerate(circuit.data):
        number = by_gate.get(index)
        if number is None:
            far._append(item)
            continue
        pair, shared = pairs[number], circuit.qubits[pairs[number].qubit]
        near, copy = (lines[qpu][seat] for qpu, seat in seats[number])
        if pair.gates[0] == index:
            _entangle(far, shared, near, copy, number)
        far.append(item.operation, [copy if qubit == shared else qubit for qubit in item.qubits])
        if pair.gates[-1] == index:
            _disentangle(far, shared, copy, number)
    return Teleported(far, pairs, circuit.num_clbits, comm_qubits)


def _entangle(far: QuantumCircuit, shared: Qubit, near: Qubit, copy: Qubit, number: int) -> None:
    told = far.cregs[-1][2 * number]
    far.h(near)
    far.cx(near, copy)
    far.append(IGate(label=f"{_LABEL}{number}"), [copy])
    far.cx(shared, near)
    far.measure(near, told)
    far.reset(near)
    with far.if_test((told, 1)):
        far.x(copy)


def _disentangle(far: QuantumCircuit, shared: Qubit, copy: Qubit, number: int) -> None:
    told = far.cregs[-1][2 * number + 1]
    far.h(copy)
    far.measure(copy, told)
    far.reset(copy)
    with far.if_test((told, 1)):
        far.z(shared)


def pair_of(label: str | None) -> int | None:
    """Number of the pair whose error stands at an instruction with that label; None elsewhere."""
    found = label.removeprefix(_LABEL) if label and label.startswith(_LABEL) else ""
    return int(found) if found.isdecimal() else None


def with_errors(circuit: QuantumCircuit, paulis: Sequence[int]) -> QuantumCircuit:
    """A teleported circuit whose pairs came with these errors.

    Args:
        circuit: of :func:`teleport`.   paulis: for each pair 0 for none, 1 for X, 2 for Y, 3 for Z.
    """
    wrong = circuit.copy_empty_like()
    for item in circuit.data:
        number = pair_of(item.operation.label)
        if number is None:
            wrong._append(item)
        elif paulis[number]:
            wrong.append(PAULIS[paulis[number]](), item.qubits)
    return wrong

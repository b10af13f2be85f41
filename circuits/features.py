"""Features: what placement and the cost model need to know about a circuit before anything is transpiled.

Counts are of logical instructions. Composite gates are counted by their definitions; both arms of a branch are counted,
a for loop as often as it runs, a while loop once. Depth treats a control-flow block as one instruction as deep as its
deepest body times its turns.
"""

from __future__ import annotations

import math
from collections.abc import Hashable
from dataclasses import dataclass

from qiskit import QuantumCircuit
from qiskit.circuit import ControlFlowOp, Operation, ParameterExpression

from circuits.facts import Features
from circuits.structure import (
    NOT_GATES,
    active_qubits,
    definition_key,
    has_feed_forward,
    is_composite,
    is_dynamic,
    iterations,
)

_CLIFFORD = frozenset(
    {"id", "x", "y", "z", "h", "s", "sdg", "sx", "sxdg", "cx", "cy", "cz", "swap", "iswap", "dcx", "ecr"}
)
_CLIFFORD_AT_QUARTER_TURNS = frozenset({"rx", "ry", "rz", "p", "u1", "u", "u2", "u3", "r", "rxx", "ryy", "rzz", "rzx"})
_CLIFFORD_AT_HALF_TURNS = frozenset({"cp", "cu1"})


@dataclass
class _Tally:
    """What one circuit or block adds up to."""

    depth: int = 0
    two_qubit_depth: int = 0
    num_1q: int = 0
    num_2q: int = 0
    num_multi: int = 0
    num_measurements: int = 0
    clifford: bool = True

    def absorb(self, other: _Tally, times: int) -> None:
        self.num_1q += times * other.num_1q
        self.num_2q += times * other.num_2q
        self.num_multi += times * other.num_multi
        self.num_measurements += times * other.num_measurements
        self.clifford = self.clifford and other.clifford

    def count(self, num_qubits: int) -> None:
        if num_qubits == 1:
            self.num_1q += 1
        elif num_qubits == 2:
            self.num_2q += 1
        elif num_qubits > 2:
            self.num_multi += 1


def features(circuit: QuantumCircuit) -> Features:
    """Features of a circuit, free parameters allowed. Linear in the number of instructions."""
    tally = _tally(circuit, {})
    return Features(
        num_qubits=len(active_qubits(circuit)),
        width=circuit.num_qubits,
        depth=tally.depth,
        two_qubit_depth=tally.two_qubit_depth,
        num_gates=tally.num_1q + tally.num_2q + tally.num_multi,
        num_1q=tally.num_1q,
        num_2q=tally.num_2q,
        num_multi=tally.num_multi,
        num_measurements=tally.num_measurements,
        num_clbits=circuit.num_clbits,
        num_parameters=circuit.num_parameters,
        dynamic=is_dynamic(circuit),
        clifford=tally.clifford,
        feed_forward=has_feed_forward(circuit),
    )


def _tally(circuit: QuantumCircuit, known: dict[Hashable, _Tally]) -> _Tally:
    total = _Tally()
    front: dict[object, tuple[int, int]] = {}  # bit -> (depth, two-qubit depth) reached so far
    for item in circuit.data:
        operation, bits = item.operation, (*item.qubits, *item.clbits)
        steps, two_qubit_steps = 1, int(len(item.qubits) >= 2)
        if operation.name in NOT_GATES:
            total.num_measurements += operation.name == "measure"
            if operation.name not in ("measure", "reset"):
                steps, two_qubit_steps = 0, 0  # a barrier orders its qubits and takes no time
        elif isinstance(operation, ControlFlowOp):
            bodies, times = [_tally(block, known) for block in operation.blocks], iterations(operation)
            for body in bodies:
                total.absorb(body, times)
            steps = times * max((body.depth for body in bodies), default=0)
            two_qubit_steps = times * max((body.two_qubit_depth for body in bodies), default=0)
        elif is_composite(operation):
            key = definition_key(operation)
            body = known.get(key) or known.setdefault(key, _tally(operation.definition, known))
            total.absorb(body, 1)
            steps, two_qubit_steps = body.depth, body.two_qubit_depth
        else:
            total.count(len(item.qubits))
            total.clifford = total.clifford and _is_clifford(operation)
        reached = [front.get(bit, (0, 0)) for bit in bits]
        level = (
            max((depth for depth, _ in reached), default=0) + steps,
            max((depth for _, depth in reached), default=0) + two_qubit_steps,
        )
        for bit in bits:
            front[bit] = level
    total.depth = max((depth for depth, _ in front.values()), default=0)
    total.two_qubit_depth = max((depth for _, depth in front.values()), default=0)
    return total


def _is_clifford(operation: Operation) -> bool:
    """Whether a standard gate is Clifford by its name and angles. Sufficient; a free parameter counts as not."""
    name = operation.name
    if name in _CLIFFORD:
        return True
    turn = math.pi / 2 if name in _CLIFFORD_AT_QUARTER_TURNS else math.pi if name in _CLIFFORD_AT_HALF_TURNS else None
    if turn is None or any(isinstance(angle, ParameterExpression) for angle in operation.params):
        return False
    return all(abs(float(angle) / turn - round(float(angle) / turn)) < 1e-9 for angle in operation.params)

"""A Qiskit circuit in the making, addressed with another SDK's qubits. What every reader shares."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from qiskit import ClassicalRegister, QuantumCircuit
from qiskit.circuit import Clbit
from qiskit.circuit.library import UnitaryGate

from circuits.errors import InvalidProgram
from circuits.lowering import MAX_MATRIX_QUBITS, standard_gates
from circuits.openqasm3_conditions import MAX_CONDITION_BITS

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from circuits.program import Limits


@dataclass
class Draft:
    """A circuit in the making.

    Attributes:
        circuit: what there is so far; classical bits are added as they are measured.
        place: the SDK's qubit -> index of Qiskit's.
        limits: what the program may ask for.
    """

    circuit: QuantumCircuit
    place: dict[Hashable, int]
    limits: Limits

    @classmethod
    def on(cls, qubits: Sequence[Hashable], limits: Limits) -> Draft:
        """An empty circuit on these qubits, in this order.

        Raises:
            InvalidProgram: more of them than a program may declare.
        """
        if len(qubits) > limits.max_width:
            raise InvalidProgram(f"qubits: wanted at most {limits.max_width}, got {len(qubits)}; shrink the circuit")
        return cls(QuantumCircuit(len(qubits)), {qubit: index for index, qubit in enumerate(qubits)}, limits)

    def gate(self, name: str, angles: Iterable[Any], qubits: Iterable[Hashable]) -> None:
        """Append one of Qiskit's standard gates; angles in radians."""
        self._append(standard_gates()[name].base_class(*map(_real, angles)), qubits)

    def controlled(self, name: str, angles: Iterable[Any], values: Sequence[int], qubits: Iterable[Hashable]) -> None:
        """Append a standard gate under controls, which come first in ``qubits`` and act where they have ``values``."""
        gate = standard_gates()[name].base_class(*map(_real, angles))
        on = sum(int(value) << index for index, value in enumerate(values))
        self._append(gate.control(len(values), ctrl_state=on), qubits)

    def matrix(self, matrix: ArrayLike, qubits: Iterable[Hashable], controls: Sequence[int] = ()) -> None:
        """Append a unitary matrix, complex (2**k, 2**k), whose first qubit is the most significant one.

        Args:
            matrix: acts on the last k qubits.
            qubits: those that control come first.
            controls: the value of each of those at which the matrix acts.

        Raises:
            InvalidProgram: it is not unitary, or spans more than ``MAX_MATRIX_QUBITS`` qubits with its controls.
        """
        targets = list(qubits)
        if len(targets) > MAX_MATRIX_QUBITS:
            raise InvalidProgram(
                f"wanted matrices on at most {MAX_MATRIX_QUBITS} qubits, got {len(targets)}; write it as smaller gates"
            )
        block = np.asarray(matrix, dtype=complex)
        whole = np.eye(2 ** len(targets), dtype=complex)
        start = sum(int(value) << index for index, value in enumerate(reversed(controls))) * len(block)
        whole[start : start + len(block), start : start + len(block)] = block
        try:
            gate = UnitaryGate(whole)
        except ValueError as error:
            raise InvalidProgram(f"wanted unitary matrices, got {block.tolist()!s:.200}") from error
        self._append(gate, reversed(targets))

    def barrier(self, qubits: Iterable[Hashable]) -> None:
        """Keep what is before apart from what is after."""
        self.circuit.barrier([self.place[qubit] for qubit in qubits])

    def reset(self, qubit: Hashable) -> None:
        """Return a qubit to 0."""
        self.circuit.reset(self.place[qubit])

    def measure(self, qubit: Hashable) -> Clbit:
        """Measure a qubit into a classical bit of its own, the next one."""
        if self.circuit.num_clbits >= self.limits.max_clbits:
            raise InvalidProgram(f"measurements: wanted at most {self.limits.max_clbits}; measure less")
        bit = Clbit()
        self.circuit.add_bits([bit])
        self.circuit.measure(self.place[qubit], bit)
        return bit

    def branch(self, bits: Sequence[Clbit], holds: Callable[[tuple[int, ...]], bool], body: Callable[[], None]) -> None:
        """Append ``body`` under a condition: one ``if`` a bit, as far as the bits so far do not decide.

        Args:
            bits: what the condition reads.
            holds: whether it is met, by the bits' values.
            body: appends what is done then.

        Raises:
            InvalidProgram: it reads more than ``MAX_CONDITION_BITS`` bits.
        """
        if len(bits) > MAX_CONDITION_BITS:
            raise InvalidProgram(f"wanted conditions on at most {MAX_CONDITION_BITS} bits, got {len(bits)}; split it")
        self._decide(list(bits), holds, body)

    def _decide(self, bits: list[Clbit], holds: Callable[[tuple[int, ...]], bool], body: Callable[[], None]) -> None:
        table = {bool(holds(_digits(value, len(bits)))) for value in range(2 ** len(bits))}
        if table == {True}:
            body()
        if len(table) < 2:
            return
        for value in (1, 0):
            if any(holds((value, *_digits(rest, len(bits) - 1))) for rest in range(2 ** (len(bits) - 1))):
                with self.circuit.if_test((bits[0], value)):
                    self._decide(bits[1:], lambda rest, value=value: holds((value, *rest)), body)  # type: ignore[misc]

    def finished(self) -> QuantumCircuit:
        """The circuit, its classical bits in one register."""
        if self.circuit.num_clbits:
            self.circuit.add_register(ClassicalRegister(bits=self.circuit.clbits, name="c"))
        return self.circuit

    def _append(self, operation: Any, qubits: Iterable[Hashable]) -> None:
        if len(self.circuit.data) >= self.limits.max_gates:
            raise InvalidProgram(f"gates: wanted at most {self.limits.max_gates}; shrink the circuit")
        self.circuit.append(operation, [self.place[qubit] for qubit in qubits])


def _digits(value: int, width: int) -> tuple[int, ...]:
    return tuple(value >> shift & 1 for shift in reversed(range(width)))


def _real(angle: Any) -> float:
    """A plain number of what an SDK calls an angle: a tensor, a NumPy scalar, a constant expression."""
    return float(angle)

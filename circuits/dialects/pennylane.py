"""PennyLane: its words for Qiskit's gates, and its tapes and QNodes read.

Wires come in the order of the QNode's device where that names them; else by number where all are numbers, and in order
of appearance where not. Bits come first from measurements in mid-circuit, then from the wires of ``counts``, ``probs``
and ``sample`` in their order, each once. Whatever PennyLane decomposes into known gates is understood, and so is
``cond``; channels, observables and states as return values, postselection and batched arguments are refused.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pennylane as qml
from pennylane.measurements import CountsMP, ProbabilityMP, SampleMP

from circuits.dialects.draft import Draft
from circuits.errors import InvalidProgram
from circuits.lowering import MAX_MATRIX_QUBITS

if TYPE_CHECKING:
    from qiskit import QuantumCircuit
    from qiskit.circuit import Clbit

    from circuits.program import Limits

_WORDS: dict[str, Callable[..., Any]] = {
    "id": qml.Identity,
    "x": qml.PauliX,
    "y": qml.PauliY,
    "z": qml.PauliZ,
    "h": qml.Hadamard,
    "s": qml.S,
    "t": qml.T,
    "sx": qml.SX,
    "rx": qml.RX,
    "ry": qml.RY,
    "rz": qml.RZ,
    "p": qml.PhaseShift,
    "u": qml.U3,
    "cx": qml.CNOT,
    "cy": qml.CY,
    "cz": qml.CZ,
    "ch": qml.CH,
    "crx": qml.CRX,
    "cry": qml.CRY,
    "crz": qml.CRZ,
    "cp": qml.ControlledPhaseShift,
    "swap": qml.SWAP,
    "iswap": qml.ISWAP,
    "ecr": qml.ECR,
    "rxx": qml.IsingXX,
    "ryy": qml.IsingYY,
    "rzz": qml.IsingZZ,
    "ccx": qml.Toffoli,
    "ccz": qml.CCZ,
    "cswap": qml.CSWAP,
}
_NAMES = {word: name for name, word in _WORDS.items()}
_ADJOINTS = {"s": "sdg", "t": "tdg", "sx": "sxdg"}
_SILENT = (qml.GlobalPhase, qml.Snapshot)


def gates() -> dict[str, Callable[..., Any]]:
    """Qiskit's name -> (angles in radians, wires=...) -> PennyLane's operation, equal with its phase."""

    def adjoint(word: Callable[..., Any]) -> Callable[..., Any]:
        return lambda wires: qml.adjoint(word(wires=wires))

    return _WORDS | {inverse: adjoint(_WORDS[name]) for name, inverse in _ADJOINTS.items()}


def read_qnode(
    qnode: Any, limits: Limits, args: Sequence[Any] = (), keywords: Mapping[str, Any] | None = None
) -> QuantumCircuit:
    """The circuit that a QNode makes of these arguments, as Qiskit's; its own shots and device are not used.

    Raises:
        InvalidProgram: the QNode's function fails, or makes what the module's text excludes.
    """
    try:
        tape = qml.workflow.construct_tape(qnode, level="user")(*args, **(keywords or {}))
    except TypeError as error:
        raise InvalidProgram(
            f"the QNode cannot be called: {error}; use Program.from_qnode(qnode, *arguments)"
        ) from error
    return read(tape, limits, wires=qnode.device.wires)


def read(tape: Any, limits: Limits, *, wires: Sequence[Hashable] | None = None) -> QuantumCircuit:
    """A ``QuantumScript`` or tape as Qiskit's.

    Args:
        tape: what to read.
        limits: what it may ask for.
        wires: of the device, in order; those that the tape leaves idle are kept.

    Raises:
        InvalidProgram: it holds what the module's text excludes, or exceeds a limit.
    """
    if tape.batch_size is not None:
        raise InvalidProgram(f"wanted one circuit, got a batch of {tape.batch_size}; submit them one by one")
    reader = _Reader(Draft.on(_order(tape, wires or ()), limits))
    measured = _measured(tape, list(reader.draft.place))
    for operation in tape.operations:
        reader.add(operation)
    for wire in measured:
        reader.draft.measure(wire)
    return reader.draft.finished()


def _order(tape: Any, wires: Sequence[Hashable]) -> list[Hashable]:
    own = dict.fromkeys(tape.wires)
    own |= dict.fromkeys(wire for operation in tape.operations for wire in getattr(operation, "work_wires", ()))
    if own.keys() <= set(wires):
        return list(wires)
    if all(isinstance(wire, int) for wire in own):
        return sorted(own)
    return list(own)


def _measured(tape: Any, wires: list[Hashable]) -> list[Hashable]:
    """Wires that the return values read, in order, each once."""
    asked: dict[Hashable, None] = {}
    for value in tape.measurements:
        if not isinstance(value, CountsMP | ProbabilityMP | SampleMP) or value.obs is not None:
            raise InvalidProgram(
                f"return value {str(value)[:80]!r} is refused, counts are what comes back: return qml.counts(), rotate"
                " to an observable's basis with gates and compute the rest from the counts"
            )
        if value.mv is None:
            asked |= dict.fromkeys(value.wires or wires)
    return list(asked)


@dataclass
class _Reader:
    """A tape on its way into a draft.

    Attributes:
        draft: the circuit so far.
        bits: measurement in mid-circuit -> its classical bit.
    """

    draft: Draft
    bits: dict[Any, Clbit] = field(default_factory=dict)

    def add(self, operation: Any) -> None:
        """Append one operation, by the first of the ways that fits it."""
        name = _NAMES.get(type(operation))
        if name is not None:
            self.draft.gate(name, operation.parameters, operation.wires)
        elif isinstance(operation, _SILENT):
            return
        elif isinstance(operation, qml.Barrier):
            self.draft.barrier(operation.wires)
        elif isinstance(operation, qml.ops.MidMeasure):
            self._add_measurement(operation)
        elif isinstance(operation, qml.ops.Conditional):
            self._add_conditional(operation)
        elif isinstance(operation, qml.operation.Channel):
            raise InvalidProgram(f"{operation.name} is a channel, which has no gates; leave it out")
        elif not self._add_modified(operation):
            self._add_decomposed(operation)

    def _add_modified(self, operation: Any) -> bool:
        """Append the adjoint or the controlled form of a known gate; False if it is neither."""
        base = _NAMES.get(type(getattr(operation, "base", None)))
        if base in _ADJOINTS and isinstance(operation, qml.ops.Adjoint):
            self.draft.gate(_ADJOINTS[base], (), operation.wires)
        elif base is not None and isinstance(operation, qml.ops.Controlled):
            wires = [*operation.control_wires, *operation.target_wires]
            self.draft.controlled(base, operation.base.parameters, operation.control_values, wires)
        else:
            return False
        return True

    def _add_decomposed(self, operation: Any) -> None:
        """Append what PennyLane makes of it; a matrix says more where the decomposition may be an approximation."""
        narrow = len(operation.wires) <= MAX_MATRIX_QUBITS
        by_matrix = isinstance(operation, qml.QubitUnitary) or (narrow and isinstance(operation, qml.ops.Exp))
        if operation.has_decomposition and not by_matrix:
            for part in operation.decomposition():
                self.add(part)
        elif operation.has_matrix and (narrow or by_matrix):
            self.draft.matrix(operation.matrix(), operation.wires)
        else:
            raise InvalidProgram(
                f"{operation.name} on {len(operation.wires)} wires has neither a decomposition nor a matrix of at most"
                f" {MAX_MATRIX_QUBITS} qubits; write it as gates"
            )

    def _add_measurement(self, operation: Any) -> None:
        if operation.postselect is not None:
            raise InvalidProgram("postselection is refused: select among the counts instead")
        (wire,) = operation.wires
        self.bits[operation] = self.draft.measure(wire)
        if operation.reset:
            self.draft.reset(wire)

    def _add_conditional(self, operation: Any) -> None:
        value = operation.meas_val
        bits = [self.bits[measurement] for measurement in value.measurements]
        self.draft.branch(bits, lambda digits: bool(value.processing_fn(*digits)), lambda: self.add(operation.base))

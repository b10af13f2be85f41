"""Cirq: its words for Qiskit's gates, and its circuits read.

Qubits come in Cirq's default order: ``LineQubit`` by number, ``GridQubit`` by row and column, ``NamedQubit`` by name
with the numbers in it compared as numbers. Bits come by moment, and within a moment by qubit; a key of several qubits
keeps their order. Everything of which Cirq knows a decomposition or a small unitary matrix is understood, and so are
classical controls of every kind and subcircuits; keys that are measured twice, loops that end on a measurement,
channels, qudits and symbols are refused.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import cirq

from circuits.dialects.draft import Draft
from circuits.errors import InvalidProgram
from circuits.lowering import MAX_MATRIX_QUBITS

if TYPE_CHECKING:
    from qiskit import QuantumCircuit
    from qiskit.circuit import Clbit

    from circuits.program import Limits

_FIXED: Mapping[str, Any] = {
    "id": cirq.I,
    "x": cirq.X,
    "y": cirq.Y,
    "z": cirq.Z,
    "h": cirq.H,
    "s": cirq.S,
    "sdg": cirq.S**-1,
    "t": cirq.T,
    "tdg": cirq.T**-1,
    "sx": cirq.X**0.5,
    "cx": cirq.CX,
    "cy": cirq.ControlledGate(cirq.Y),
    "cz": cirq.CZ,
    "swap": cirq.SWAP,
    "iswap": cirq.ISWAP,
    "ccx": cirq.CCX,
    "cswap": cirq.CSWAP,
}
_POWERS = {
    "rx": cirq.XPowGate,
    "ry": cirq.YPowGate,
    "p": cirq.ZPowGate,
    "cp": cirq.CZPowGate,
    "rxx": cirq.XXPowGate,
    "ryy": cirq.YYPowGate,
    "rzz": cirq.ZZPowGate,
}
"""Powers of a gate that are rotations by π times the exponent, up to global phase."""

_NAMES = {gate: name for name, gate in _FIXED.items()}
_SHIFTED = {"rx", "ry", "rxx", "ryy", "rzz"}  # Qiskit's are exp(-i angle/2 P), Cirq's powers have eigenvalue 1


def gates() -> dict[str, Callable[..., Any]]:
    """Qiskit's name -> angles in radians -> Cirq's gate, equal with its phase."""

    def rotation(kind: Any, shift: float) -> Callable[[float], Any]:
        return lambda angle: kind(exponent=angle / math.pi, global_shift=shift)

    rotations = {name: rotation(kind, -0.5 if name in _SHIFTED else 0.0) for name, kind in _POWERS.items()}
    fixed = {name: lambda gate=gate: gate for name, gate in _FIXED.items()}
    return fixed | rotations | {"rz": rotation(cirq.ZPowGate, -0.5)}


def read(circuit: Any, limits: Limits) -> QuantumCircuit:
    """A ``cirq.Circuit`` or ``cirq.FrozenCircuit`` as Qiskit's.

    Raises:
        InvalidProgram: it holds what the module's text excludes, or exceeds a limit.
    """
    if cirq.is_parameterized(circuit):
        names = ", ".join(sorted(cirq.parameter_names(circuit))[:5])
        raise InvalidProgram(f"wanted a circuit without symbols, got {names}; call cirq.resolve_parameters first")
    size = _size(circuit)
    if size > limits.max_gates:
        raise InvalidProgram(f"operations: wanted at most {limits.max_gates}, got {size}; shrink the circuit")
    flat = cirq.unroll_circuit_op(circuit, deep=True, tags_to_check=None)
    qubits = sorted(flat.all_qubits())
    wide = [qubit for qubit in qubits if qubit.dimension != 2]
    if wide:
        raise InvalidProgram(f"wanted qubits, got {wide[0]!r} of dimension {wide[0].dimension}; encode it in qubits")
    draft = Draft.on(qubits, limits)
    keys: dict[str, list[Clbit]] = {}
    for moment in flat:
        for operation in sorted(moment, key=lambda each: each.qubits):
            _add(draft, operation, keys)
    return draft.finished()


def _size(circuit: Any) -> int:
    """Operations with subcircuits written out, found without writing any out."""
    known: dict[int, int] = {}

    def size(part: Any) -> int:
        if id(part) not in known:
            known[id(part)] = sum(weight(operation.untagged) for operation in part.all_operations())
        return known[id(part)]

    def weight(operation: Any) -> int:
        operation = operation.without_classical_controls().untagged
        if not isinstance(operation, cirq.CircuitOperation):
            return 1
        if operation.repeat_until is not None or not isinstance(operation.repetitions, int):
            raise InvalidProgram("wanted subcircuits with a number of repetitions, got repeat_until; write them out")
        return abs(operation.repetitions) * size(operation.circuit)

    return size(circuit)


def _add(draft: Draft, operation: Any, keys: dict[str, list[Clbit]]) -> None:
    """Append one operation, by the first of the ways that fits it."""
    operation, gate = operation.untagged, operation.gate
    if isinstance(operation, cirq.ClassicallyControlledOperation):
        _add_controlled(draft, operation, keys)
    elif isinstance(gate, cirq.MeasurementGate):
        _add_measurement(draft, operation, keys)
    elif isinstance(gate, cirq.ResetChannel):
        draft.reset(operation.qubits[0])
    elif isinstance(gate, cirq.IdentityGate):
        for qubit in operation.qubits:
            draft.gate("id", (), [qubit])
    elif isinstance(gate, cirq.WaitGate) or not operation.qubits:  # nothing but time or global phase
        return
    elif (name := _name(gate)) is not None:
        angles = () if name in _FIXED else (math.pi * gate.exponent,)
        draft.gate(name, angles, operation.qubits)
    elif (parts := cirq.decompose_once(operation, default=None)) is not None:
        for part in parts:
            _add(draft, part, keys)
    elif len(operation.qubits) <= MAX_MATRIX_QUBITS and cirq.has_unitary(operation):
        draft.matrix(cirq.unitary(operation), operation.qubits)
    else:
        raise InvalidProgram(
            f"{str(operation)[:80]!r} has neither a decomposition nor a unitary matrix of at most {MAX_MATRIX_QUBITS}"
            " qubits: channels and gates without definition cannot be sent; write it as gates"
        )


def _name(gate: Any) -> str | None:
    """Qiskit's name, equal up to global phase."""
    try:
        name = _NAMES.get(gate)
    except TypeError:  # a gate of the user's that cannot be hashed
        return None
    if name is None:
        name = next((word for word, kind in _POWERS.items() if isinstance(gate, kind)), None)
    return name


def _add_measurement(draft: Draft, operation: Any, keys: dict[str, list[Clbit]]) -> None:
    key, gate = cirq.measurement_key_name(operation), operation.gate
    if key in keys:
        raise InvalidProgram(f"wanted every key measured once, got {key!r} again; give each measurement its own key")
    if gate.confusion_map:
        raise InvalidProgram(f"measurement {key!r} has a confusion map, which is noise; leave it out")
    keys[key] = []
    for qubit, inverted in zip(operation.qubits, gate.full_invert_mask(), strict=True):
        if inverted:
            draft.gate("x", (), [qubit])
        keys[key].append(draft.measure(qubit))
        if inverted:
            draft.gate("x", (), [qubit])


def _add_controlled(draft: Draft, operation: Any, keys: dict[str, list[Clbit]]) -> None:
    """Append an operation under classical controls: Cirq itself is asked which values meet them."""
    controls = sorted(operation.classical_controls, key=str)
    names = sorted({str(key) for control in controls for key in control.keys})
    if missing := [name for name in names if name not in keys]:
        raise InvalidProgram(
            f"a classical control reads {missing[0]!r}, which is not measured before; measure it first"
        )
    widths = [len(keys[name]) for name in names]

    def holds(values: Sequence[int]) -> bool:
        data, start = cirq.ClassicalDataDictionaryStore(), 0
        for name, width in zip(names, widths, strict=True):
            key = cirq.MeasurementKey.parse_serialized(name)
            data.record_measurement(key, values[start : start + width], cirq.LineQubit.range(width))
            start += width
        return all(control.resolve(data) for control in controls)

    bits = [bit for name in names for bit in keys[name]]
    draft.branch(bits, holds, lambda: _add(draft, operation.without_classical_controls(), keys))

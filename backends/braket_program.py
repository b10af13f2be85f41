"""Programs as Amazon Braket takes them, OpenQASM 3 text, and its results as counts' bit strings. No SDK.

Whoever fetches a result may be another process than the one that handed the program in, and has no circuit. So which
qubit each bit of the program holds is read from the program, which comes back inside its result; and which of the
circuit's bits those are is kept beside it, as the short text of :func:`bits_of`. Braket's own bits have no gaps: a
circuit that measures into bits 1 and 3 becomes a program with bits 0 and 1.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from backends.errors import ExecutionFailed, UnsupportedCircuit

if TYPE_CHECKING:
    from qiskit import QuantumCircuit

SPELLED: Mapping[str, tuple[str, tuple[float, ...]]] = {
    "r": ("prx", ()),
    "rx": ("rx", ()),
    "ry": ("ry", ()),
    "rz": ("rz", ()),
    "sx": ("rx", (math.pi / 2,)),
    "x": ("rx", (math.pi,)),
    "cx": ("cnot", ()),
    "cz": ("cz", ()),
    "iswap": ("iswap", ()),
    "rxx": ("xx", ()),
}
"""Qiskit's name -> Braket's, and the angles, in radians, that are not the gate's own. Equal up to a global phase."""

_SILENT = frozenset({"barrier", "delay", "reset"})  # in a static circuit a reset finds its qubit fresh
_MEASURED = re.compile(r"^\s*b\[(\d+)\]\s*=\s*measure\s+(?:\$|q\[)(\d+)\]?\s*;", re.MULTILINE)


def write_program(circuit: QuantumCircuit, labels: Sequence[int] | None) -> str:
    """OpenQASM 3 text of a transpiled static circuit without free parameters.

    Args:
        circuit: over the gates of ``SPELLED``.
        labels: the provider's number of each qubit: the program names them and is run as written, gate by gate
            (``verbatim``). None leaves gates and qubits to the provider's compiler, and idle qubits out.

    Raises:
        UnsupportedCircuit: a gate outside ``SPELLED``.
    """
    from circuits.structure import active_qubits, measurements

    index = {bit: position for position, bit in enumerate(circuit.qubits)}
    if labels is None:
        names = {qubit: f"q[{place}]" for place, qubit in enumerate(active_qubits(circuit))}
    else:
        names = {qubit: f"${label}" for qubit, label in enumerate(labels)}
    gates = []
    for item in circuit.data:
        name = item.operation.name
        if name in _SILENT or name == "measure":
            continue
        if name not in SPELLED:
            raise UnsupportedCircuit(
                f"circuit {circuit.name!r}: wanted gates of {' '.join(SPELLED)}, got {name!r}: prepare it for this "
                "device first"
            )
        spelled, fixed = SPELLED[name]
        angles = ", ".join(repr(angle) for angle in (*fixed, *map(float, item.operation.params)))
        qubits = ", ".join(names[index[qubit]] for qubit in item.qubits)
        gates.append(f"{spelled}({angles}) {qubits};" if angles else f"{spelled} {qubits};")
    measured = [qubit for _, qubit in sorted(measurements(circuit).items())]
    lines = ["OPENQASM 3.0;", f"bit[{len(measured)}] b;"]
    if labels is None:
        lines += [f"qubit[{len(names)}] q;", *gates]
    elif gates:
        lines += ["#pragma braket verbatim", "box{", *gates, "}"]
    lines += [f"b[{bit}] = measure {names[qubit]};" for bit, qubit in enumerate(measured)]
    return "\n".join(lines)


def bits_of(circuit: QuantumCircuit) -> str:
    """Which classical bits are measured into: their number and a mask, "4:a" for bits 1 and 3 of 4."""
    from circuits.structure import measurements

    return f"{circuit.num_clbits}:{sum(1 << clbit for clbit in measurements(circuit)):x}"


def read_shots(
    source: str, bits: str, measurements: Sequence[Sequence[int]], measured_qubits: Sequence[int]
) -> tuple[str, ...]:
    """Outcomes in Qiskit's order, shot by shot. A bit that nothing is measured into is 0.

    Args:
        source: what :func:`write_program` made, as it came back with the result.
        bits: of :func:`bits_of`.
        measurements: 0 or 1, (shots, len(measured_qubits)).
        measured_qubits: the provider's number of the qubit behind each column.

    Raises:
        ExecutionFailed: the result does not belong to the program.
    """
    column = {qubit: place for place, qubit in enumerate(measured_qubits)}
    held = {int(bit): int(qubit) for bit, qubit in _MEASURED.findall(source)}
    size, _, mask = bits.partition(":")
    num_clbits = int(size)
    clbits = [clbit for clbit in range(num_clbits) if int(mask, 16) >> clbit & 1]
    if sorted(held) != list(range(len(clbits))) or not column.keys() >= set(held.values()):
        raise ExecutionFailed(
            f"wanted the result of the program that was sent, with {len(clbits)} measured bits, got one whose program "
            f"measures qubits {sorted(held.values())} and that holds qubits {sorted(column)}"
        )
    read = {num_clbits - 1 - clbit: column[held[bit]] for bit, clbit in enumerate(clbits)}  # bit 0 is the rightmost
    places = [read.get(place) for place in range(num_clbits)]
    return tuple("".join("0" if place is None else str(shot[place]) for place in places) for shot in measurements)

"""Programs as Amazon Braket takes them, OpenQASM 3 text, and its results as counts' bit strings. No SDK.

Whoever fetches a result may be another process than the one that handed the program in, and has no circuit. So the
program itself says which classical bit holds which qubit, and comes back inside its result.
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
    "cz": ("cz", ()),
    "iswap": ("iswap", ()),
    "rxx": ("xx", ()),
}
"""Qiskit's name -> Braket's, and the angles, in radians, that are not the gate's own. Equal up to a global phase."""

_SILENT = frozenset({"barrier", "delay", "reset"})  # in a static circuit a reset finds its qubit fresh
_DECLARED = re.compile(r"^\s*bit\[(\d+)\]\s*b\s*;", re.MULTILINE)
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
    lines = ["OPENQASM 3.0;", f"bit[{circuit.num_clbits}] b;"]
    if labels is None:
        lines += [f"qubit[{len(names)}] q;", *gates]
    elif gates:
        lines += ["#pragma braket verbatim", "box{", *gates, "}"]
    lines += [f"b[{clbit}] = measure {names[qubit]};" for clbit, qubit in sorted(measurements(circuit).items())]
    return "\n".join(lines)


def read_shots(source: str, measurements: Sequence[Sequence[int]], measured_qubits: Sequence[int]) -> tuple[str, ...]:
    """Outcomes in Qiskit's order, shot by shot. A bit that nothing is measured into is 0.

    Args:
        source: what :func:`write_program` made, as it came back with the result.
        measurements: 0 or 1, (shots, len(measured_qubits)).
        measured_qubits: the provider's number of the qubit behind each column.

    Raises:
        ExecutionFailed: the result does not belong to the program.
    """
    declared = _DECLARED.search(source)
    column = {qubit: place for place, qubit in enumerate(measured_qubits)}
    pairs = [(int(clbit), int(qubit)) for clbit, qubit in _MEASURED.findall(source)]
    missing = sorted(qubit for _, qubit in pairs if qubit not in column)
    if declared is None or not pairs or missing:
        raise ExecutionFailed(
            "wanted a result that holds every measured qubit of the program that was sent, got "
            f"{'none of' if missing else 'no program that measures, and'} qubits {missing or sorted(column)}"
        )
    num_clbits = int(declared[1])
    read = {num_clbits - 1 - clbit: column[qubit] for clbit, qubit in pairs}  # Qiskit's bit 0 is the rightmost
    places = [read.get(place) for place in range(num_clbits)]
    return tuple("".join("0" if place is None else str(shot[place]) for place in places) for shot in measurements)

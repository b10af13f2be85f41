"""What a provider behind Amazon Braket says that it really ran, read for one figure: the survival by its calibration.

IQM answers in OpenQASM 3 on physical qubits, Rigetti in Quil. Names of gates and qubits are all that a calibration
knows, so angles are passed over and nothing is evaluated. A text that cannot be read whole as the device's own gates,
each calibrated where it stands, has no figure. No SDK.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from backends.calibration import survival
from backends.errors import CalibrationMissing

if TYPE_CHECKING:
    from backends.backend import Device

MAX_BYTES = 4_000_000
"""Of a text that is read (ours): a hundred thousand gates."""

_PASSED = re.compile(r"(?:(?:OPENQASM|include|bit|qubit|box|barrier|DECLARE|PRAGMA|HALT|FENCE|RESET)\b|#|//).*|")
_STEP = re.compile(r"(?:\w+\[\d+\]\s*=\s*)?([A-Za-z]\w*)(?:\(.*\))?\s+(\$?\d+(?:[\s,]+\$?\d+)*)(?:\s\w+\[\d+\])?")
"""What counts in both languages: ``prx(0.5, 0) $1``, ``b[0] = measure $1``, ``CZ 1 2``, ``MEASURE 1 ro[0]``."""

_SPELLED = {"prx": "r", "cnot": "cx"}
"""A provider's name of a gate, in lower case -> Qiskit's, where they differ."""


def expected_weight(text: str, labels: Sequence[int], device: Device) -> float | None:
    """The share of shots without error that the device's calibration lets one expect of what really ran.

    Args:
        text: what the provider compiled, OpenQASM 3 or Quil.
        labels: the provider's number of each of the device's qubits.
        device: as last refreshed.

    Returns:
        In [0, 1]; None if the text cannot be read so, or measures nothing.
    """
    from qiskit import QuantumCircuit
    from qiskit.circuit import Gate

    place = {label: qubit for qubit, label in enumerate(labels)}
    steps = None if len(text) > MAX_BYTES else _steps(text)
    num_read = sum(name == "measure" for name, _ in steps or ())
    if steps is None or device.calibration is None or not num_read:
        return None
    known = {gate.gate for gate in device.calibration.gates}
    circuit = QuantumCircuit(device.num_qubits, num_read)
    clbits = iter(range(num_read))
    try:
        for name, numbers in steps:
            qubits = [place[number] for number in numbers]
            if name == "measure":
                circuit.measure(qubits[0], next(clbits))
            else:
                ours = _SPELLED.get(name, name)
                turned = "sx" if ours == "rx" and "rx" not in known else ours  # as our own programs spell it
                circuit.append(Gate(turned, len(qubits), []), qubits)
        return survival(circuit, device).weight
    except (LookupError, CalibrationMissing):
        return None


def _steps(text: str) -> list[tuple[str, list[int]]] | None:
    """Name, in lower case, and provider's qubits of each gate and measurement, in order; None if some is strange."""
    steps = []
    for statement in map(str.strip, re.split(r"[;{}\n]", text)):
        found = _STEP.fullmatch(statement)
        if _PASSED.fullmatch(statement):
            continue
        if found is None:
            return None
        steps.append((found[1].lower(), [int(number) for number in re.findall(r"\d+", found[2])]))
    return steps

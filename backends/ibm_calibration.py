"""IBM's published configuration and properties, from the JSON files that qiskit-ibm-runtime carries. No import of it.

The files are located through the package's import spec and read as text: milliseconds instead of the seconds that the
SDK takes to import. What cannot be a calibration is refused with the file and the entry.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from backends.calibration import Calibration, GateCalibration, QubitCalibration
from backends.errors import CalibrationMissing, DependencyNotInstalled
from backends.virtual.snapshot import DEAD_EDGE_ERROR, DEAD_QUBIT, DEAD_READOUT_ERROR, Snapshot

__all__ = ["DEAD_EDGE_ERROR", "FRACTIONAL", "Snapshot", "parse_snapshot", "read_snapshot"]

FRACTIONAL = frozenset({"rx", "rzz"})
"""Gates that stand beside those that every circuit is translated to: a pair that has rzz alone couples nothing."""

_SECONDS = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9, "": 1.0}


@dataclass(frozen=True)
class _Value:
    name: str
    value: float
    unit: str = ""


@dataclass(frozen=True)
class _Gate:
    gate: str
    qubits: tuple[int, ...]
    parameters: tuple[_Value, ...]


@dataclass(frozen=True)
class _Properties:
    """``/backends/NAME/properties``, as far as it is read here."""

    last_update_date: datetime
    qubits: tuple[tuple[_Value, ...], ...]
    gates: tuple[_Gate, ...]


@dataclass(frozen=True)
class _Configuration:
    """``/backends/NAME/configuration``, as far as it is read here."""

    n_qubits: int
    basis_gates: tuple[str, ...]
    supported_instructions: tuple[str, ...] = field(default=())


_Document = TypeVar("_Document", _Configuration, _Properties)


def read_snapshot(backend: str, device: str) -> Snapshot:
    """Read a fake device's files.

    Args:
        backend: name of the backend that asks, for the message.
        device: IBM's name of the machine, such as "hanoi".

    Raises:
        DependencyNotInstalled: qiskit-ibm-runtime is missing.
        CalibrationMissing: it carries no such device, or its files are no calibration.
    """
    spec = find_spec("qiskit_ibm_runtime")
    if spec is None or not spec.submodule_search_locations:
        raise DependencyNotInstalled(backend, "qiskit_ibm_runtime", "ibm")
    return read_files(backend, Path(spec.submodule_search_locations[0], "fake_provider", "backends", device), device)


def read_files(backend: str, folder: Path, device: str) -> Snapshot:
    """Read ``conf_DEVICE.json`` and ``props_DEVICE.json`` of a folder.

    Raises:
        CalibrationMissing: one is not there, or is no calibration; the message names it and what is wrong.
    """
    configuration = _read(backend, folder / f"conf_{device}.json", _Configuration)
    file = folder / f"props_{device}.json"
    properties = _read(backend, file, _Properties)
    try:
        return _snapshot(configuration, properties)
    except ValueError as error:
        raise CalibrationMissing(f"{backend}: {file}: {error}") from error


def _read(backend: str, file: Path, kind: type[_Document]) -> _Document:
    try:
        return msgspec.json.decode(file.read_bytes(), type=kind)
    except FileNotFoundError as error:
        raise CalibrationMissing(f"{backend}: wanted {file}, which qiskit-ibm-runtime lacks") from error
    except (msgspec.DecodeError, OSError) as error:
        raise CalibrationMissing(f"{backend}: wanted IBM's {kind.__name__[1:].lower()} in {file}: {error}") from error


def parse_snapshot(configuration: Mapping[str, Any], properties: Mapping[str, Any]) -> Snapshot:
    """Turn IBM's two documents into our records. Pure.

    Args:
        configuration: as the service's ``/backends/NAME/configuration`` gives it.
        properties: as ``/backends/NAME/properties`` gives it.

    Raises:
        CalibrationMissing: they are no calibration; the message says what was wanted and what was got, and where.
    """
    try:
        return _snapshot(
            msgspec.convert(configuration, _Configuration), msgspec.convert(properties, _Properties, strict=False)
        )
    except (msgspec.ValidationError, ValueError) as error:
        raise CalibrationMissing(
            f"wanted a device's configuration and properties as IBM publishes them: {error}"
        ) from error


def _snapshot(configuration: _Configuration, properties: _Properties) -> Snapshot:
    """Raises: ValueError, for figures that no device has."""
    size = len(properties.qubits)
    if size != configuration.n_qubits or size < 1:
        raise ValueError(f"wanted {configuration.n_qubits} qubits as configured, got {size}")
    qubits = [_qubit(index, entries) for index, entries in enumerate(properties.qubits)]
    dead = {index for index, qubit in enumerate(qubits) if qubit is DEAD_QUBIT}
    alive = [
        gate
        for gate in (_gate(entry, size) for entry in properties.gates)
        if gate.error < DEAD_EDGE_ERROR and dead.isdisjoint(gate.qubits)
    ]
    whole = {_pair(gate.qubits) for gate in alive if len(gate.qubits) == 2 and gate.gate not in FRACTIONAL}
    gates = tuple(
        gate for gate in alive if gate.gate not in FRACTIONAL or len(gate.qubits) < 2 or _pair(gate.qubits) in whole
    )
    if not any(len(gate.qubits) == 2 for gate in gates) and size > 1:
        raise ValueError(f"wanted a two-qubit gate with an error below {DEAD_EDGE_ERROR}, got none: it is out of order")
    listed = {gate.gate for gate in gates}
    basis = dict.fromkeys([*configuration.basis_gates, "reset"])
    return Snapshot(
        num_qubits=size,
        basis_gates=tuple(name for name in basis if name in listed),
        coupling=tuple(sorted({_pair(gate.qubits) for gate in gates if len(gate.qubits) == 2})),
        dynamic="if_else" in configuration.supported_instructions,
        calibration=Calibration(taken_at=properties.last_update_date.timestamp(), qubits=tuple(qubits), gates=gates),
    )


def _pair(qubits: tuple[int, ...]) -> tuple[int, int]:
    return min(qubits), max(qubits)


def _gate(entry: _Gate, size: int) -> GateCalibration:
    """A gate without published error (reset) counts as free of error."""
    values = _values(entry.parameters)
    error, duration_s = values.get("gate_error", 0.0), values.get("gate_length", 0.0)
    if not 0.0 <= error <= 1.0 or not 0.0 <= duration_s < math.inf:
        raise ValueError(f"gate {entry.gate} on {entry.qubits}: wanted an error in [0, 1] and a length, got {values}")
    if not entry.qubits or len(set(entry.qubits)) < len(entry.qubits) or not set(entry.qubits) <= set(range(size)):
        raise ValueError(f"gate {entry.gate}: wanted different qubits in 0..{size - 1}, got {entry.qubits}")
    return GateCalibration(gate=entry.gate, qubits=entry.qubits, error=error, duration_s=duration_s)


def _qubit(index: int, entries: Sequence[_Value]) -> QubitCalibration:
    """A qubit that lacks a figure was not calibrated and is out of order, like one whose readout says nothing."""
    values = _values(entries)
    calibrated = {"T1", "T2", "readout_error"} <= values.keys() and values.get("operational", 1.0) != 0.0
    if not calibrated or values["readout_error"] >= DEAD_READOUT_ERROR:
        return DEAD_QUBIT
    qubit = QubitCalibration(
        t1_s=values["T1"],
        t2_s=values["T2"],
        readout_error=values["readout_error"],
        readout_duration_s=values.get("readout_length", 0.0),
    )
    if not (0.0 < qubit.t1_s < math.inf and 0.0 < qubit.t2_s < math.inf and qubit.readout_error >= 0.0):
        raise ValueError(f"qubit {index}: wanted T1 and T2 above 0 and a readout error in [0, 1], got {values}")
    return qubit


def _values(entries: Sequence[_Value]) -> dict[str, float]:
    """Name -> value; times in seconds, frequencies (which nothing here reads) as published."""
    return {entry.name: entry.value * _SECONDS.get(entry.unit, 1.0) for entry in entries}

"""IBM's published configuration and properties, from the JSON files that qiskit-ibm-runtime carries. No import of it.

The files are located through the package's import spec and read as text: milliseconds instead of the seconds that the
SDK takes to import.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from backends.calibration import Calibration, GateCalibration, QubitCalibration
from backends.errors import CalibrationMissing, DependencyNotInstalled

DEAD_EDGE_ERROR = 0.5
"""A two-qubit gate published with this error or more is out of order (IBM writes 1.0 where calibration failed)."""

_QUBIT_FIGURES = ("T1", "T2", "readout_error", "readout_length")

_OUT_OF_ORDER = QubitCalibration(t1_s=1e-6, t2_s=1e-6, readout_error=0.5, readout_duration_s=1e-6)
"""What is said of a qubit that nothing is to use: bad enough that no layout takes it (ours)."""

_SECONDS = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9, "": 1.0}


@dataclass(frozen=True)
class Snapshot:
    """One device at one time.

    Attributes:
        num_qubits: size.
        basis_gates: native gates, reset among them.
        coupling: undirected pairs with at least one live two-qubit gate.
        dynamic: it branches on measured bits.
        calibration: published errors, dead edges dropped.
    """

    num_qubits: int
    basis_gates: tuple[str, ...]
    coupling: tuple[tuple[int, int], ...]
    dynamic: bool
    calibration: Calibration


def read_snapshot(backend: str, device: str) -> Snapshot:
    """Read a fake device's files.

    Args:
        backend: name of the backend that asks, for the message.
        device: IBM's name of the machine, such as "hanoi".

    Raises:
        DependencyNotInstalled: qiskit-ibm-runtime is missing.
        CalibrationMissing: it carries no such device.
    """
    spec = find_spec("qiskit_ibm_runtime")
    if spec is None or not spec.submodule_search_locations:
        raise DependencyNotInstalled(backend, "qiskit_ibm_runtime", "ibm")
    folder = Path(spec.submodule_search_locations[0], "fake_provider", "backends", device)
    try:
        configuration = json.loads((folder / f"conf_{device}.json").read_text(encoding="utf-8"))
        properties = json.loads((folder / f"props_{device}.json").read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise CalibrationMissing(f"{backend}: wanted {error.filename}, which qiskit-ibm-runtime lacks") from error
    return parse_snapshot(configuration, properties)


def parse_snapshot(configuration: Mapping[str, Any], properties: Mapping[str, Any]) -> Snapshot:
    """Turn IBM's two documents into our records. Pure.

    Args:
        configuration: as the service's ``/backends/NAME/configuration`` gives it.
        properties: as ``/backends/NAME/properties`` gives it. Qubits that are out of order, or of which a figure is
            missing, keep their number and lose their gates.

    Raises:
        CalibrationMissing: no qubit is in order.
    """
    dead = {number for number, entries in enumerate(properties["qubits"]) if not _in_order(entries)}
    if len(dead) == len(properties["qubits"]):
        raise CalibrationMissing(f"wanted {', '.join(_QUBIT_FIGURES)} of at least one working qubit, got none")
    gates = tuple(
        gate
        for gate in map(_gate, (entry for entry in properties["gates"] if dead.isdisjoint(entry["qubits"])))
        if len(gate.qubits) < 2 or gate.error < DEAD_EDGE_ERROR
    )
    listed = {gate.gate for gate in gates}
    basis = dict.fromkeys([*configuration["basis_gates"], "reset"])
    return Snapshot(
        num_qubits=configuration["n_qubits"],
        basis_gates=tuple(name for name in basis if name in listed),
        coupling=tuple(sorted({_pair(gate.qubits) for gate in gates if len(gate.qubits) == 2})),
        dynamic="if_else" in configuration.get("supported_instructions", ()),
        calibration=Calibration(
            taken_at=datetime.fromisoformat(properties["last_update_date"]).timestamp(),
            qubits=tuple(
                _OUT_OF_ORDER if number in dead else _qubit(entries)
                for number, entries in enumerate(properties["qubits"])
            ),
            gates=gates,
        ),
    )


def _pair(qubits: tuple[int, ...]) -> tuple[int, int]:
    return min(qubits), max(qubits)


def _gate(entry: Mapping[str, Any]) -> GateCalibration:
    """A gate without published error (reset) counts as free of error."""
    values = _values(entry["parameters"])
    return GateCalibration(
        gate=entry["gate"],
        qubits=tuple(entry["qubits"]),
        error=values.get("gate_error", 0.0),
        duration_s=values.get("gate_length", 0.0),
    )


def _in_order(entries: Sequence[Mapping[str, Any]]) -> bool:
    values = _values(entries)
    return values.get("operational", 1.0) != 0.0 and all(name in values for name in _QUBIT_FIGURES)


def _qubit(entries: Sequence[Mapping[str, Any]]) -> QubitCalibration:
    values = _values(entries)
    return QubitCalibration(
        t1_s=values["T1"],
        t2_s=values["T2"],
        readout_error=values["readout_error"],
        readout_duration_s=values["readout_length"],
    )


def _values(entries: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Name -> value; times in seconds, frequencies (which nothing here reads) as published."""
    return {entry["name"]: float(entry["value"]) * _SECONDS.get(entry.get("unit", ""), 1.0) for entry in entries}

"""Google's published calibrations of three processors, from the compact copies that ``backends/data`` ships.

``examples/google_calibrations.py`` makes them from cirq-google, which is not needed here. They become the same records
as IBM's:

- Error of a gate: the published Pauli error r_P, which is one minus the entanglement fidelity, times d / (d + 1). A
  cycle of the cross-entropy benchmark holds one-qubit gates, too; like Cirq's noise model we give all of its error to
  the two-qubit gate.
- T2: 1/T2 = 1/(2 T1) + 1/T_phi with T_phi = t / (3 (e - t / (3 T1))) from the incoherent error e of a one-qubit gate of
  length t, as Cirq's ``noise_properties_from_calibration`` has it; no dephasing where that is negative.
- Two-qubit gate: CZ on willow_pink. On rainbow and weber, where no CZ was calibrated, sqrt-iSWAP: it makes a CZ of two,
  exactly, and is the one of their two gates for which all angles of the coherent error are published.
- Readout: the errors of qubits read one at a time, since those of qubits read together are not published of all three.

A coupler's angles zeta and gamma are published for one order of its qubits. Cirq 1.7 loses them on some couplers, 8 of
32 on rainbow, where its loader overwrites one order by the other; we keep them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from importlib.resources import files
from typing import Any

from backends.calibration import Calibration, GateCalibration, QubitCalibration
from backends.virtual.snapshot import Snapshot


def read_processor(processor: str) -> Snapshot:
    """One of "rainbow" (23 qubits), "weber" (53) and "willow_pink" (105)."""
    return parse_processor(_document(processor))


def read_grid(processor: str) -> list[tuple[int, int]]:
    """Row and column of each qubit, as Cirq's ``GridQubit`` names it."""
    return [(row, column) for row, column, *_ in _document(processor)["qubits"]]


def _document(processor: str) -> dict[str, Any]:
    text = files("backends.data").joinpath(f"google_{processor}.json").read_text(encoding="utf-8")
    document: dict[str, Any] = json.loads(text)
    return document


def parse_processor(document: Mapping[str, Any]) -> Snapshot:
    """Turn a compact copy into our records. Pure.

    Qubits are numbered by row, then by column.
    """
    gate, durations_ns = document["two_qubit_gate"], document["durations_ns"]
    qubits = [dict(zip(document["qubit_columns"], row, strict=True)) for row in document["qubits"]]
    couplers = [dict(zip(document["coupler_columns"], row, strict=True)) for row in document["couplers"]]
    return Snapshot(
        num_qubits=len(qubits),
        basis_gates=("u", "rz", gate),
        coupling=tuple((coupler["first"], coupler["second"]) for coupler in couplers),
        dynamic=False,
        calibration=Calibration(
            taken_at=document["taken_at"],
            qubits=tuple(_qubit(qubit, durations_ns) for qubit in qubits),
            gates=(
                *_one_qubit_gates(qubits, durations_ns["u"] * 1e-9),
                *_two_qubit_gates(couplers, gate, durations_ns[gate] * 1e-9),
            ),
        ),
    )


def _qubit(qubit: Mapping[str, float], durations_ns: Mapping[str, float]) -> QubitCalibration:
    t1_s, gate_s = qubit["t1_us"] * 1e-6, durations_ns["u"] * 1e-9
    dephasing = qubit["incoherent_error"] - gate_s / (3.0 * t1_s)
    rate_hz = max(0.0, 3.0 * dephasing / gate_s)
    return QubitCalibration(
        t1_s=t1_s,
        t2_s=1.0 / (1.0 / (2.0 * t1_s) + rate_hz),
        readout_error=(qubit["p00_error"] + qubit["p11_error"]) / 2.0,
        readout_duration_s=durations_ns["measure"] * 1e-9,
        readout_bias=qubit["p11_error"] - qubit["p00_error"],
    )


def _one_qubit_gates(qubits: list[dict[str, float]], duration_s: float) -> Iterator[GateCalibration]:
    """Any rotation is one pulse; rotations around z are done in software."""
    for index, qubit in enumerate(qubits):
        yield GateCalibration("u", (index,), qubit["pauli_error"] * 2.0 / 3.0, duration_s)
        yield GateCalibration("rz", (index,), 0.0, 0.0)


def _two_qubit_gates(couplers: list[dict[str, Any]], gate: str, duration_s: float) -> Iterator[GateCalibration]:
    """Both orders of each coupler: what happens on it is the same, told from its other end."""
    for coupler in couplers:
        pair, error = (coupler["first"], coupler["second"]), coupler["pauli_error"] * 4.0 / 5.0
        theta, phi, zeta, gamma = (coupler[angle] for angle in ("theta", "phi", "zeta", "gamma"))
        yield GateCalibration(gate, pair, error, duration_s, (theta, phi, zeta, gamma))
        yield GateCalibration(gate, pair[::-1], error, duration_s, (theta, phi, -zeta, gamma))

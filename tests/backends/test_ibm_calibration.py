"""IBM's documents become our records: units, dead edges, directions, dates."""

from __future__ import annotations

from typing import Any

import pytest

from backends import load
from backends.errors import CalibrationMissing
from backends.ibm_calibration import parse_snapshot, read_snapshot


def parameter(name: str, value: float, unit: str = "") -> dict[str, Any]:
    return {"name": name, "value": value, "unit": unit}


def gate(name: str, qubits: list[int], error: float, length_ns: float) -> dict[str, Any]:
    parameters = [parameter("gate_error", error), parameter("gate_length", length_ns, "ns")]
    return {"gate": name, "qubits": qubits, "parameters": parameters}


QUBIT = [
    parameter("T1", 100.0, "us"),
    parameter("T2", 0.08, "ms"),
    parameter("frequency", 5.1, "GHz"),
    parameter("readout_error", 0.02),
    parameter("readout_length", 800.0, "ns"),
]
CONFIGURATION = {"n_qubits": 3, "basis_gates": ["cx", "id", "sx"], "supported_instructions": ["sx", "cx"]}
PROPERTIES = {
    "last_update_date": "2021-04-20T07:26:31+02:00",
    "qubits": [QUBIT] * 3,
    "gates": [
        gate("sx", [0], 3e-4, 35.5),
        gate("cx", [0, 1], 0.01, 400.0),
        gate("cx", [1, 0], 1.0, 430.0),
        gate("cx", [1, 2], 1.0, 300.0),
        gate("cx", [2, 1], 0.5, 300.0),
    ],
}


def test_units_become_seconds_and_dates_seconds_since_the_epoch() -> None:
    calibration = parse_snapshot(CONFIGURATION, PROPERTIES).calibration
    qubit = calibration.qubits[2]
    assert (qubit.t1_s, qubit.t2_s, qubit.readout_duration_s) == pytest.approx((1e-4, 8e-5, 8e-7))
    assert qubit.readout_error == 0.02
    assert calibration.gate_table["sx", (0,)].duration_s == pytest.approx(35.5e-9)
    assert calibration.taken_at == 1_618_896_391.0


def test_a_dead_direction_is_dropped_and_an_edge_dies_with_its_last_one() -> None:
    snapshot = parse_snapshot(CONFIGURATION, PROPERTIES)
    assert [gate.qubits for gate in snapshot.calibration.gates if gate.gate == "cx"] == [(0, 1)]
    assert snapshot.coupling == ((0, 1),)
    assert snapshot.basis_gates == ("cx", "sx"), "a gate without calibration is not offered"


def test_feed_forward_is_announced_only_where_it_is_supported() -> None:
    assert not parse_snapshot(CONFIGURATION, PROPERTIES).dynamic
    branching = CONFIGURATION | {"supported_instructions": ["sx", "if_else"]}
    assert parse_snapshot(branching, PROPERTIES).dynamic


def test_hanoi_keeps_its_edges_without_the_two_dead_directions() -> None:
    device = load("fake_hanoi").device()
    assert device.calibration is not None
    directed = [gate.qubits for gate in device.calibration.gates if gate.gate == "cx"]
    assert (device.num_qubits, len(directed), len(device.coupling or ())) == (27, 54, 28)
    assert (5, 8) not in directed
    assert (8, 5) in directed
    assert max(gate.error for gate in device.calibration.gates) < 0.5


def test_guadalupe_is_the_smaller_and_the_older() -> None:
    old, new = (load(name).device() for name in ("fake_guadalupe", "fake_hanoi"))
    assert (old.num_qubits, new.num_qubits) == (16, 27)
    assert old.calibration is not None
    assert new.calibration is not None
    assert old.calibration.taken_at < new.calibration.taken_at
    assert not old.dynamic
    assert new.dynamic


def test_a_machine_that_is_not_carried_is_named() -> None:
    with pytest.raises(CalibrationMissing, match="conf_atlantis"):
        read_snapshot("fake_atlantis", "atlantis")

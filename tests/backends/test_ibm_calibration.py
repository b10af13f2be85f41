"""IBM's documents become our records: units, dead edges, directions, dates."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from backends import BACKENDS, load
from backends.errors import CalibrationMissing
from backends.ibm_calibration import parse_snapshot, read_files, read_snapshot


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


def test_a_pair_whose_only_gate_is_a_fractional_one_is_no_coupling() -> None:
    gates = [*PROPERTIES["gates"], gate("rzz", [0, 1], 0.01, 300.0), gate("rzz", [1, 2], 0.01, 300.0)]
    configuration = CONFIGURATION | {"basis_gates": [*CONFIGURATION["basis_gates"], "rzz"]}
    snapshot = parse_snapshot(configuration, PROPERTIES | {"gates": gates})
    assert snapshot.coupling == ((0, 1),)
    assert [each.qubits for each in snapshot.calibration.gates if each.gate == "rzz"] == [(0, 1)]


@pytest.mark.parametrize(
    "qubit",
    [
        [entry for entry in QUBIT if entry["name"] != "T1"],
        [*QUBIT[:3], parameter("readout_error", 0.5), QUBIT[4]],
    ],
    ids=["never calibrated", "read by chance"],
)
def test_a_dead_qubit_loses_its_gates_and_the_others_keep_their_numbers(qubit: list[dict[str, Any]]) -> None:
    gates = [*PROPERTIES["gates"], gate("cx", [1, 2], 0.01, 300.0), gate("sx", [2], 1e-4, 30.0)]
    snapshot = parse_snapshot(CONFIGURATION, PROPERTIES | {"qubits": [QUBIT, QUBIT, qubit], "gates": gates})
    assert snapshot.num_qubits == len(snapshot.calibration.qubits) == 3
    assert list(snapshot.calibration.working) == [0, 1]
    assert snapshot.coupling == ((0, 1),)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"last_update_date": "yesterday"}, r"RFC3339.*\$\.last_update_date"),
        ({"qubits": [QUBIT] * 2}, "wanted 3 qubits as configured, got 2"),
        ({"qubits": [[*QUBIT, parameter("T1", -1.0)]] * 3}, "qubit 0: wanted T1 and T2 above 0"),
        ({"gates": [gate("cx", [0, 7], 0.1, 1.0)]}, r"gate cx: wanted different qubits in 0\.\.2, got \(0, 7\)"),
        ({"gates": [gate("cx", [0, 1], -0.1, 1.0)]}, r"gate cx on \(0, 1\): wanted an error in \[0, 1\]"),
        ({"gates": [gate("cx", [0, 1], 1.0, 1.0)]}, "wanted a two-qubit gate with an error below 0.5, got none"),
        ({"gates": [{"gate": "cx"}]}, r"missing required field `qubits`.*gates"),
        ({"gates": 3}, r"Expected `array`, got `int` - at `\$\.gates`"),
    ],
)
def test_what_is_no_calibration_is_refused_in_words(wrong: dict[str, Any], words: str, tmp_path: Path) -> None:
    with pytest.raises(CalibrationMissing, match=words):
        parse_snapshot(CONFIGURATION, PROPERTIES | wrong)
    (tmp_path / "conf_x.json").write_text(json.dumps(CONFIGURATION))
    (tmp_path / "props_x.json").write_text(json.dumps(PROPERTIES | wrong))
    with pytest.raises(CalibrationMissing, match=rf"mine: .*props_x\.json: .*{words}"):
        read_files("mine", tmp_path, "x")


def test_a_file_that_is_no_json_is_named(tmp_path: Path) -> None:
    (tmp_path / "conf_x.json").write_text("{")
    with pytest.raises(CalibrationMissing, match=r"mine: wanted IBM's configuration in .*conf_x\.json: .*truncated"):
        read_files("mine", tmp_path, "x")


@pytest.mark.parametrize("name", [name for name in BACKENDS if name.startswith("virtual_")])
def test_every_machine_keeps_most_of_its_qubits_and_edges(name: str) -> None:
    device = load(name).device()
    assert device.calibration is not None
    assert len(device.calibration.working) >= 0.98 * device.num_qubits
    assert len(device.coupling or ()) >= 0.9 * (device.num_qubits - 1)
    assert all(gate.error < 0.5 for gate in device.calibration.gates)
    assert set(device.basis_gates) >= {"rz", "sx", "x"} or set(device.basis_gates) >= {"rz", "u"}


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

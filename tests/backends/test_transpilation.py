"""The door: targets from records, layouts from errors, refusals that name wanted and got."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from qiskit import QuantumCircuit
from qiskit.circuit import Parameter
from qiskit.quantum_info import Operator

from backends import load
from backends.backend import Device, TranspileOptions
from backends.calibration import Calibration, GateCalibration, QubitCalibration
from backends.errors import UnsupportedCircuit
from backends.transpilation import build_target, rejection, target_version, transpile
from circuits.features import features


def line(errors: list[float]) -> Device:
    """A line of qubits whose edges have these CX errors."""
    num_qubits = len(errors) + 1
    qubit = QubitCalibration(t1_s=1e-4, t2_s=1e-4, readout_error=0.01, readout_duration_s=1e-6)
    gates = [GateCalibration(name, (q,), 1e-4, 5e-8) for q in range(num_qubits) for name in ("sx", "x", "rz")]
    gates += [GateCalibration("cx", (q, q + 1), error, 3e-7) for q, error in enumerate(errors)]
    return replace(
        load("fake_guadalupe").device(),
        num_qubits=num_qubits,
        max_active_qubits=num_qubits,
        basis_gates=("cx", "rz", "sx", "x"),
        coupling=tuple((q, q + 1) for q in range(num_qubits - 1)),
        calibration=Calibration(0.0, (qubit,) * num_qubits, tuple(gates)),
    )


def bell() -> QuantumCircuit:
    circuit = QuantumCircuit(2)
    circuit.h(0)
    circuit.cx(0, 1)
    circuit.measure_all()
    return circuit


@pytest.mark.parametrize("best", [0, 2, 4])
def test_the_layout_goes_where_the_published_errors_are_smallest(best: int) -> None:
    errors = [0.1] * 5
    errors[best] = 0.001
    fitted = transpile(line(errors), [bell()])[0]
    edges = [{fitted.find_bit(qubit).index for qubit in item.qubits} for item in fitted.get_instructions("cx")]
    assert edges == [{best, best + 1}]


def test_a_target_says_what_the_record_says() -> None:
    device = load("fake_guadalupe").device()
    target = build_target(device)
    assert device.calibration is not None
    assert target.num_qubits == 16
    assert set(device.basis_gates) <= set(target.operation_names)
    assert target["cx"][0, 1].error == device.calibration.gate_table["cx", (0, 1)].error
    assert target["measure"][7,].duration == device.calibration.qubits[7].readout_duration_s
    assert target.qubit_properties[3].t1 == device.calibration.qubits[3].t1_s
    assert not target.instruction_supported("if_else")


def test_the_version_follows_target_and_calibration_and_nothing_else() -> None:
    device = line([0.01, 0.02])
    assert device.target_version == target_version(line([0.01, 0.02]))
    assert target_version(replace(device, power_w=1.0, name="other", sdk_version="0")) == device.target_version
    assert target_version(line([0.01, 0.03])) != device.target_version
    assert target_version(replace(device, basis_gates=("cx", "rz", "sx"))) != device.target_version


def test_multi_controlled_gates_stay_native_on_the_state_vector_alone() -> None:
    circuit = QuantumCircuit(9, 1)
    circuit.mcx(list(range(8)), 8)
    circuit.mcp(0.3, [0, 1, 2, 3], 4)
    circuit.measure(8, 0)
    assert transpile(load("aer_statevector").device(), [circuit])[0].count_ops()["mcx"] == 1
    narrow = transpile(load("aer_mps").device(), [circuit])[0]
    assert max(len(item.qubits) for item in narrow.data) == 2


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["rx", "ry", "rz", "p", "rzz", "rxx"]), st.integers(-9, 9)), max_size=10))
def test_clifford_angles_become_exact_clifford_gates(steps: list[tuple[str, int]]) -> None:
    circuit = QuantumCircuit(2, 2)
    for name, turns in steps:
        getattr(circuit, name)(turns * math.pi / 2, *((0, 1) if len(name) == 3 else (turns % 2,)))
    unitary = circuit.copy()
    circuit.measure([0, 1], [0, 1])
    fitted = transpile(load("aer_stabilizer").device(), [circuit])[0]
    assert not fitted.get_instructions("rz")
    assert features(fitted).clifford
    fitted.remove_final_measurements()
    assert Operator(fitted) == Operator(unitary)


def test_a_delay_in_machine_units_is_refused_where_time_counts() -> None:
    circuit = QuantumCircuit(1, 1)
    circuit.x(0)
    circuit.delay(160, 0, unit="dt")
    circuit.measure(0, 0)
    assert transpile(load("aer_statevector").device(), [circuit])[0].count_ops()["delay"] == 1
    with pytest.raises(UnsupportedCircuit, match="dt"):
        transpile(load("fake_hanoi").device(), [circuit])


def test_refusals_before_and_after_are_one_set_of_rules() -> None:
    device = replace(line([0.01] * 4), max_active_qubits=3, max_gates=6)
    wide = QuantumCircuit(4)
    wide.x(range(4))
    wide.measure_all()
    reason = rejection(device, features(wide))
    assert reason is not None
    assert "at most 3 active qubits" in reason
    with pytest.raises(UnsupportedCircuit) as refused:
        transpile(device, [wide])
    assert reason in str(refused.value)
    short = QuantumCircuit(2)
    short.cry(0.3, 0, 1)
    short.measure_all()
    assert rejection(device, features(short)) is None
    with pytest.raises(UnsupportedCircuit, match=r"once transpiled.*at most 6 gates"):
        transpile(device, [short])


def test_free_parameters_are_no_clifford_gates() -> None:
    circuit = QuantumCircuit(1, 1)
    circuit.rz(Parameter("t"), 0)
    circuit.measure(0, 0)
    assert "Clifford" in str(rejection(load("aer_stabilizer").device(), features(circuit)))


def test_a_layout_must_name_one_qubit_of_the_device_for_each_declared_one() -> None:
    for layout in ((0,), (0, 0), (0, 7)):
        with pytest.raises(UnsupportedCircuit, match="initial layout of 2 different qubits"):
            transpile(line([0.01, 0.01]), [bell()], TranspileOptions(initial_layout=layout))

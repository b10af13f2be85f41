"""Noise built from records is the device model that Aer builds from IBM's own object."""

from __future__ import annotations

import numpy as np
import pytest
from qiskit.quantum_info import DensityMatrix, SuperOp, average_gate_fidelity
from qiskit_aer.noise import NoiseModel

from backends import load
from backends.calibration import Calibration, QubitCalibration
from backends.noise import gate_error, noise_model, relaxation


@pytest.fixture(scope="module")
def calibration() -> Calibration:
    published = load("fake_guadalupe").device().calibration
    assert published is not None
    return published


@pytest.fixture(scope="module")
def vendors() -> dict[str, dict[tuple[int, ...], SuperOp]]:
    provider = pytest.importorskip("qiskit_ibm_runtime.fake_provider", reason="pip install 'qorch[ibm]'")
    errors = NoiseModel.from_backend(provider.FakeGuadalupeV2())._local_quantum_errors
    return {name: {qubits: SuperOp(error) for qubits, error in errors[name].items()} for name in ("sx", "cx", "id")}


@pytest.mark.parametrize(
    ("name", "qubits"), [("sx", (3,)), ("id", (0,)), ("cx", (0, 1)), ("cx", (1, 0)), ("cx", (8, 11))]
)
def test_a_gates_channel_is_the_vendors(
    calibration: Calibration,
    vendors: dict[str, dict[tuple[int, ...], SuperOp]],
    name: str,
    qubits: tuple[int, ...],
) -> None:
    there = tuple(calibration.qubits[qubit] for qubit in qubits)
    ours = gate_error(calibration.gate_table[name, qubits], there, one_map=True)
    assert np.allclose(SuperOp(ours).data, vendors[name][qubits].data, atol=2e-4)


def test_a_gates_channel_has_the_published_infidelity(calibration: Calibration) -> None:
    for gate in calibration.gates:
        if gate.gate == "cx":
            qubits = tuple(calibration.qubits[qubit] for qubit in gate.qubits)
            channel = SuperOp(gate_error(gate, qubits))
            relaxed = gate_error(type(gate)(gate.gate, gate.qubits, 0.0, gate.duration_s), qubits)
            floor = 1.0 - average_gate_fidelity(SuperOp(relaxed))
            assert 1.0 - average_gate_fidelity(channel) == pytest.approx(max(gate.error, floor), rel=1e-6)


def test_both_forms_of_an_error_are_the_same_channel_where_the_mixture_is_exact() -> None:
    calibration = load("fake_hanoi").device().calibration
    assert calibration is not None
    gates = [gate for gate in calibration.gates if gate.gate == "cx"]
    exact = [
        gate for gate in gates if all(calibration.qubits[q].t2_s <= calibration.qubits[q].t1_s for q in gate.qubits)
    ]
    assert exact
    for gate in exact:
        qubits = tuple(calibration.qubits[qubit] for qubit in gate.qubits)
        mixture, one_map = gate_error(gate, qubits), gate_error(gate, qubits, one_map=True)
        assert np.allclose(SuperOp(mixture).data, SuperOp(one_map).data)


def test_elsewhere_the_mixture_has_no_kraus_map_and_the_same_fidelity(calibration: Calibration) -> None:
    gate = calibration.gate_table["cx", (12, 13)]
    qubits = (calibration.qubits[12], calibration.qubits[13])
    assert any(qubit.t2_s > qubit.t1_s for qubit in qubits)
    mixture, one_map = gate_error(gate, qubits), gate_error(gate, qubits, one_map=True)
    assert not any(item.operation.name == "kraus" for circuit in mixture.circuits for item in circuit.data)
    assert average_gate_fidelity(SuperOp(mixture)) == pytest.approx(average_gate_fidelity(SuperOp(one_map)))


def test_waiting_decays_at_the_published_rates_in_both_forms() -> None:
    qubit, wait_s = QubitCalibration(100e-6, 150e-6, 0.0, 0.0), 20e-6
    plus, minus = np.array([1, 1]) / np.sqrt(2), np.array([1, -1]) / np.sqrt(2)
    for exact in (True, False):
        channel = SuperOp(relaxation(qubit, wait_s, exact=exact))
        coherence = DensityMatrix(plus).evolve(channel).data[0, 1].real * 2
        assert coherence == pytest.approx(np.exp(-wait_s / qubit.t2_s), rel=1e-6)
        assert DensityMatrix(minus).evolve(channel).data[0, 1].real * 2 == pytest.approx(-coherence)
    excited = DensityMatrix([0, 1]).evolve(SuperOp(relaxation(qubit, wait_s, exact=True)))
    assert excited.data[1, 1].real == pytest.approx(np.exp(-wait_s / qubit.t1_s), rel=1e-6)


def test_a_slice_has_the_errors_of_its_own_qubits_relabelled(calibration: Calibration) -> None:
    model = noise_model(calibration, (8, 11, 14), one_map=True)
    assert set(model._local_quantum_errors["cx"]) == {(0, 1), (1, 0), (1, 2), (2, 1)}
    flips = [model._local_readout_errors[position,].probabilities[0][1] for position in range(3)]
    assert flips == pytest.approx([calibration.qubits[qubit].readout_error for qubit in (8, 11, 14)])

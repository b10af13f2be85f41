"""The autoencoder: its state, its trained angles, its estimators, and the certificate beside them."""

import numpy as np
import pytest
from qiskit.quantum_info import Operator, Statevector

from circuits.autoencoder import Autoencoder, encoder, real_state_preparation, so4_block, tfim_ground_state
from circuits.fidelity import ideal_distribution
from circuits.program import Program


def test_ground_state_has_the_lowest_energy() -> None:
    paulis = {"ZZI": -1.0, "IZZ": -1.0, "XII": -0.7, "IXI": -0.7, "IIX": -0.7, "ZII": -0.01, "IZI": -0.01, "IIZ": -0.01}
    matrix = sum(weight * Operator.from_label(label).data for label, weight in paulis.items())
    state = tfim_ground_state(3, 0.7)
    assert state @ matrix @ state == pytest.approx(np.linalg.eigvalsh(matrix)[0])


@pytest.mark.parametrize("num_qubits", [1, 2, 5])
def test_state_preparation_is_exact_and_short(num_qubits: int) -> None:
    amplitudes = np.sqrt(np.random.default_rng(num_qubits).dirichlet(np.ones(2**num_qubits)))
    circuit = real_state_preparation(amplitudes)
    np.testing.assert_allclose(Statevector(circuit).data, amplitudes, atol=1e-12)
    assert circuit.count_ops().get("cx", 0) <= 2**num_qubits - 2


def test_block_matrix_is_a_rotation_of_real_space() -> None:
    block = so4_block(np.linspace(0.1, 2.0, 6))
    np.testing.assert_allclose(block @ block.T, np.eye(4), atol=1e-12)
    assert np.linalg.det(block) == pytest.approx(1.0)


@pytest.mark.parametrize("field", [0.22, 0.513, 0.97, 1.04, 1.39, 1.97])
def test_unseen_states_are_compressed(field: float) -> None:
    assert Autoencoder(field=field).ideal_score >= 0.998


def test_training_record_keeps_to_the_bound() -> None:
    family = Autoencoder()
    assert family.ky_fan_bound() == pytest.approx(1.0, abs=1e-6)
    assert family.ideal_score <= family.ky_fan_bound()
    assert encoder(6, 3).count_ops()["cx"] == 40


@pytest.mark.parametrize(("estimator", "num_qubits"), [("direct", 6), ("swap", 10)])
def test_both_estimators_measure_the_trash_fidelity(estimator: str, num_qubits: int) -> None:
    family = Autoencoder(field=0.4, estimator=estimator)
    exact = ideal_distribution(family.build())
    assert exact is not None
    assert family.build().num_qubits == num_qubits
    assert family.score(exact) == pytest.approx(family.ideal_score, abs=1e-9)  # type: ignore[arg-type]


def test_it_lowers_to_openqasm2_with_few_cx() -> None:
    program = Program.from_any(Autoencoder().build())
    assert program.language == "openqasm2"
    assert program.load().build().count_ops()["cx"] <= 102


def test_scores_of_given_counts() -> None:
    assert Autoencoder().score({"000": 3, "010": 1}) == 0.75
    assert Autoencoder(estimator="swap").score({"0": 3, "1": 1}) == 0.5
    assert Autoencoder(estimator="swap").score({"0": 1, "1": 3}) == 0.0

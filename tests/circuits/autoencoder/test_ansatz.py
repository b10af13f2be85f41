"""The encoder: blocks, their place, and three ways to apply them that agree."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from qiskit.quantum_info import Operator, Statevector

from circuits.autoencoder.ansatz import apply_blocks, brickwork, encode, encoder_circuit, num_angles, so4_blocks
from circuits.autoencoder.estimators import trash_fidelities
from circuits.autoencoder.preparation import real_state_preparation


def random_states(num_states: int, num_qubits: int, seed: int) -> np.ndarray:
    rows = np.random.default_rng(seed).normal(size=(num_states, 2**num_qubits))
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True))


def test_a_block_is_a_rotation_of_real_space() -> None:
    blocks = so4_blocks(np.random.default_rng(0).uniform(-4, 4, (5, 6)))
    np.testing.assert_allclose(blocks @ blocks.swapaxes(1, 2), np.broadcast_to(np.eye(4), (5, 4, 4)), atol=1e-12)
    np.testing.assert_allclose(np.linalg.det(blocks), 1.0)


def test_a_block_reaches_all_rotations() -> None:
    angles = np.random.default_rng(1).normal(size=6)
    steps = 1e-6 * np.eye(6)
    tangents = (so4_blocks(angles + steps) - so4_blocks(angles - steps)).reshape(6, 16)
    assert np.linalg.matrix_rank(tangents, tol=1e-9) == 6  # the dimension of SO(4)


@settings(max_examples=30)
@given(st.integers(2, 6), st.data())
def test_matrices_and_gates_agree(num_qubits: int, data: st.DataObject) -> None:
    num_latent = data.draw(st.integers(1, num_qubits - 1))
    num_layers, seed = data.draw(st.integers(1, 5)), data.draw(st.integers(0, 99))
    angles = np.random.default_rng(seed).normal(size=num_angles(num_qubits, num_latent, num_layers))
    states = random_states(2, num_qubits, seed)
    circuit = encoder_circuit(num_qubits, num_latent, num_layers, angles)
    by_gates = [Statevector(state).evolve(circuit).data for state in states]
    np.testing.assert_allclose(encode(states, num_latent, num_layers, angles), by_gates, atol=1e-12)


def test_what_is_left_out_cannot_be_seen() -> None:
    assert brickwork(6, 4, 4) == [0, 2, 4, 1, 3, 2, 4, 3], "without (0, 1) of the third layer and (1, 2) of the fourth"
    rng = np.random.default_rng(2)
    angles = rng.normal(size=(8, 6))
    states = random_states(3, 6, 4)
    kept = trash_fidelities(encode(states, 4, 4, angles), 4)
    everywhere = [0, 2, 4, 1, 3, 0, 2, 4, 1, 3]
    whole = np.insert(angles, [5, 7], rng.normal(size=(2, 6)), axis=0)
    np.testing.assert_allclose(trash_fidelities(apply_blocks(so4_blocks(whole), states, everywhere), 4), kept)


def test_the_inverse_decodes() -> None:
    angles = np.random.default_rng(3).normal(size=num_angles(4, 2, 3))
    circuit = encoder_circuit(4, 2, 3, angles)
    assert Operator(circuit.compose(circuit.inverse())).equiv(Operator(np.eye(16)))


@pytest.mark.parametrize("num_qubits", [1, 2, 5])
def test_state_preparation_is_exact_and_short(num_qubits: int) -> None:
    (amplitudes,) = random_states(1, num_qubits, num_qubits)
    amplitudes[0] = 0.0
    amplitudes /= np.linalg.norm(amplitudes)
    circuit = real_state_preparation(amplitudes)
    np.testing.assert_allclose(Statevector(circuit).data, amplitudes, atol=1e-12)
    assert circuit.count_ops().get("cx", 0) <= 2**num_qubits - 2


@given(st.integers(0, 15))
def test_a_basis_state_is_prepared(index: int) -> None:
    amplitudes = -np.eye(16)[index]
    np.testing.assert_allclose(Statevector(real_state_preparation(amplitudes)).data, amplitudes, atol=1e-12)

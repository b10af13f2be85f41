"""PennyLane and torch agree on cost and gradient, and a QNode of one's own can be trained."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pennylane as qml
import pytest
import torch

from circuits.autoencoder.ansatz import num_angles
from circuits.autoencoder.reference import brickwork_encoder, cost_and_gradient, train_qnode, trash_qnode
from circuits.autoencoder.states import ensemble
from circuits.autoencoder.training import Problem, configure
from circuits.errors import InvalidParameter


@pytest.mark.parametrize(
    ("states", "num_qubits", "num_latent", "num_layers"), [("tfim", 5, 2, 4), ("hubbard", 6, 3, 3)]
)
def test_it_agrees_with_torch(states: str, num_qubits: int, num_latent: int, num_layers: int) -> None:
    data = ensemble(states, num_qubits)
    problem = Problem(data, configure(data, num_latent, num_layers=num_layers))
    angles = np.random.default_rng(3).normal(size=num_angles(num_qubits, num_latent, num_layers))
    qnode = trash_qnode(brickwork_encoder(num_qubits, num_latent, num_layers), num_qubits, num_latent)
    by_torch = problem.cost_and_gradient(angles, 0.5)
    by_pennylane = cost_and_gradient(qnode, angles, problem.vectors.numpy(), problem.weights(0.5).numpy())
    assert by_pennylane[0] == pytest.approx(by_torch[0], abs=1e-9)
    np.testing.assert_allclose(by_pennylane[1], by_torch[1], atol=1e-7)


def test_the_local_cost_agrees_with_torch() -> None:
    data = ensemble("tfim", 4)
    problem = Problem(data, configure(data, 2, num_layers=2))
    angles = np.random.default_rng(4).normal(size=(1, num_angles(4, 2, 2)))
    by_torch = problem.cost(torch.tensor(angles), problem.weights(1.0), problem.local_projector)
    qnode = trash_qnode(brickwork_encoder(4, 2, 2), 4, 2, cost="local")
    cost, _ = cost_and_gradient(qnode, angles[0], problem.vectors.numpy(), problem.weights(1.0).numpy())
    assert cost == pytest.approx(float(by_torch[0]), abs=1e-9)


def test_an_encoder_of_ones_own_is_trained_on_complex_states() -> None:
    def encoder(angles: Any, wires: Sequence[int]) -> None:
        for layer in angles:
            for wire, (y, z) in zip(wires, layer, strict=True):
                qml.RY(y, wires=wire)
                qml.RZ(z, wires=wire)
            qml.CNOT(wires=[wires[0], wires[1]])
            qml.CNOT(wires=[wires[1], wires[2]])

    # two states with complex relative phases: one latent qubit holds them exactly
    rng = np.random.default_rng(6)
    pair = np.linalg.qr(rng.normal(size=(8, 2)) + 1j * rng.normal(size=(8, 2)))[0].T
    mixed = rng.normal(size=(5, 2)) @ pair
    mixed /= np.linalg.norm(mixed, axis=1, keepdims=True)
    heard: list[float] = []
    found = train_qnode(
        encoder,
        0.1 * rng.normal(size=(4, 3, 2)),
        mixed,
        1,
        stages=(("local", 0.5, 10), ("global", 1.0, 60)),
        tell=lambda _, cost: heard.append(cost),
    )
    assert found.bound == pytest.approx(1.0)
    assert found.parameters.shape == (4, 3, 2)
    assert found.train_fidelities.mean() > 0.99
    assert np.all(found.train_fidelities <= 1.0 + 1e-9)
    assert heard


def test_what_cannot_be_trained_is_refused() -> None:
    encoder = brickwork_encoder(2, 1, 1)
    with pytest.raises(InvalidParameter, match=r"num_latent: wanted an integer in \[1, 1\], got 2"):
        train_qnode(encoder, np.zeros(6), np.eye(4), 2)
    with pytest.raises(InvalidParameter, match="norms"):
        train_qnode(encoder, np.zeros(6), 2 * np.eye(4), 1)

"""The same cost in PennyLane: what the torch training is tested against, and how an encoder of your own is trained.

A QNode on lightning.qubit gives the trash fidelity of one state, its gradient by the adjoint method. Qubit i is wire i.
Slower than :mod:`circuits.autoencoder.training` per state, but the encoder may be any quantum function, and states may
be complex.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from circuits.autoencoder.ansatz import brickwork, trash_qubits
from circuits.autoencoder.states import checked_states, ky_fan, num_qubits_of, spectrum
from circuits.errors import DependencyNotInstalled, InvalidParameter

try:
    import pennylane as qml
except ImportError as error:
    raise DependencyNotInstalled("the reference of the autoencoder", "pennylane", "learn") from error

Array = NDArray[np.float64]
Encoder = Callable[[Any, Sequence[int]], None]
"""(parameters, wires) -> applies gates on the wires, as the body of a QNode does."""

STAGES = (("local", 0.2, 40), ("global", 0.2, 100), ("global", 0.5, 100), ("global", 1.0, 200))
"""See :func:`train_qnode`; why so: :mod:`circuits.autoencoder.training`."""


@dataclass(frozen=True)
class TrainedQNode:
    """What :func:`train_qnode` found.

    Attributes:
        parameters: of the encoder, in the shape that it was given.
        train_fidelities: trash fidelity of each training state, in [0, 1].        float64 (batch,)
        bound: Ky Fan bound of their mean.
    """

    parameters: Array
    train_fidelities: Array
    bound: float


def brickwork_encoder(num_qubits: int, num_latent: int, num_layers: int) -> Encoder:
    """The encoder of :func:`circuits.autoencoder.ansatz.encoder_circuit` as a quantum function of a flat array."""
    firsts = brickwork(num_qubits, num_latent, num_layers)

    def encoder(angles: Any, wires: Sequence[int]) -> None:
        position = 0
        for first in firsts:
            for step in range(3):
                if step:
                    qml.CNOT(wires=[wires[first], wires[first + 1]])
                qml.RY(angles[position], wires=wires[first])
                qml.RY(angles[position + 1], wires=wires[first + 1])
                position += 2

    return encoder


def trash_qnode(encoder: Encoder, num_qubits: int, num_latent: int, *, cost: str = "global") -> Any:
    """QNode (parameters, state) -> trash fidelity.

    Args:
        cost: "global" is P(all trash qubits 0), "local" the mean over trash qubits of P(this one 0).
    """
    trash = trash_qubits(num_qubits, num_latent)
    if cost == "global":
        observable = qml.Projector([0] * len(trash), wires=trash)
    else:
        weights = [0.5, *(0.5 / len(trash) for _ in trash)]
        observable = qml.dot(weights, [qml.Identity(trash[0]), *(qml.PauliZ(wire) for wire in trash)])
    wires = range(num_qubits)

    def fidelity(parameters: Any, state: Any) -> Any:
        qml.StatePrep(state, wires=wires[::-1])  # the first wire is the highest index bit there
        encoder(parameters, wires)
        return qml.expval(observable)

    return qml.QNode(fidelity, qml.device("lightning.qubit", wires=num_qubits), diff_method="adjoint")


def cost_and_gradient(qnode: Any, parameters: Array, states: NDArray[Any], weights: Array) -> tuple[float, Array]:
    """1 - sum_j w_j p0(state_j) and its gradient by the parameters, which has their shape."""
    leaf = qml.numpy.array(parameters, requires_grad=True)
    differentiate = qml.grad(qnode, argnums=0)
    cost, gradient = 1.0, np.zeros(np.shape(parameters))
    for weight, state in zip(weights, states, strict=True):
        gradient -= weight * np.asarray(differentiate(leaf, state))
        cost -= weight * float(differentiate.forward)
    return cost, gradient


def train_qnode(
    encoder: Encoder,
    parameters: Array,
    states: NDArray[Any],
    num_latent: int,
    *,
    stages: Sequence[tuple[str, float, int]] = STAGES,
    tell: Callable[[int, float], None] = lambda *_: None,
) -> TrainedQNode:
    """Train an encoder of your own.

    Args:
        encoder: applies your gates; see :data:`Encoder`. Every gate needs a gradient by the adjoint method.
        parameters: to start from; small ones are a good choice.    float64, any shape
        states: to train on, index bit i is qubit i.                float64 or complex128 (batch, 2^n)
        num_latent: qubits kept, 1 <= num_latent < n.
        stages: cost ("local" or "global"), power of the eigenvalues as weights, L-BFGS iterations; in turn.
        tell: hears the number of the step and its cost.

    Raises:
        InvalidParameter: states that are none, or num_latent outside its range.
    """
    from scipy.optimize import minimize

    rows = checked_states(states, "states", real=False)
    num_qubits = num_qubits_of(rows)
    if not 1 <= num_latent < num_qubits:
        raise InvalidParameter(f"num_latent: wanted an integer in [1, {num_qubits - 1}], got {num_latent}")
    values, vectors = spectrum(rows, num_latent)
    found, shape, step = np.asarray(parameters, dtype=np.float64), np.shape(parameters), 0
    for cost, alpha, num_steps in stages:
        qnode = trash_qnode(encoder, num_qubits, num_latent, cost=cost)
        weights = values**alpha / np.sum(values**alpha)

        def flat(vector: Array, qnode: Any = qnode, weights: Array = weights) -> tuple[float, Array]:
            value, gradient = cost_and_gradient(qnode, vector.reshape(shape), vectors, weights)
            return value, gradient.ravel()

        def heard(intermediate_result: Any) -> None:
            nonlocal step
            step += 1
            tell(step, float(intermediate_result.fun))

        options = {"maxiter": num_steps, "ftol": 1e-15, "gtol": 1e-9}
        found = minimize(flat, found.ravel(), jac=True, method="L-BFGS-B", callback=heard, options=options).x
    qnode = trash_qnode(encoder, num_qubits, num_latent)
    fidelities = np.array([float(qnode(found.reshape(shape), state)) for state in rows])
    return TrainedQNode(found.reshape(shape), fidelities, ky_fan(rows, num_latent))

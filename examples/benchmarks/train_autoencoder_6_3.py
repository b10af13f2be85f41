"""Train the 6 -> 3 quantum autoencoder whose angles ship in circuits/data/autoencoder_6_3.json.

The cost is linear in the ensemble's density matrix, so it is trained on its leading eigenvectors alone; their weights
are flattened to lambda^alpha with alpha 0.2, 0.5, 1 in turn, and a first stage follows the local cost (each trash qubit
by itself). Gradients are exact (reverse sweep over 4x4 blocks). Ours; the problem is Romero et al. 2017.

Run from the repository root, about a minute on one core:
    python examples/benchmarks/train_autoencoder_6_3.py [--seeds 6] [--output circuits/data/autoencoder_6_3.json]
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from circuits.autoencoder import brickwork, ky_fan, so4_block, tfim_ground_state, trash_qubits

Array = NDArray[np.float64]
NUM_QUBITS, NUM_LATENT, NUM_LAYERS = 6, 3, 8
TRAIN_FIELDS = np.linspace(0.2, 2.0, 24)
TEST_FIELDS = np.linspace(0.2, 2.0, 39)[1::2]  # 19 fields in between: the training set has none of them


def block_gradient(angles: Array, environment: Array) -> Array:
    """Gradient of tr(environment^T block) by the angles of one SO(4) block; float64 (6,)."""
    gradient = np.empty(6)
    for index in range(6):
        shifted = angles.copy()
        shifted[index] += np.pi  # d RY(a)/da = RY(a + pi)/2
        gradient[index] = 0.5 * np.sum(environment * so4_block(shifted))
    return gradient


def apply_block(states: Array, block: Array, first: int) -> Array:
    """Apply a 4x4 matrix on qubits (first, first + 1); states: float64 (batch, 2^n), index bit i is qubit i."""
    batch = states.shape[0]
    view = states.reshape(batch, -1, 4, 2**first)
    applied: Array = np.einsum("ab,xybz->xyaz", block, view).reshape(batch, -1)
    return applied


def cost_and_gradient(angles: Array, states: Array, weights: Array, projector: Array) -> tuple[float, Array]:
    """1 - sum_j w_j <psi_j| U^T P U |psi_j> and its gradient.

    Args:
        angles: float64 (num_blocks * 6,), radians.
        states: float64 (batch, 2^n).
        weights: float64 (batch,), sum 1.
        projector: diagonal of P.        float64 (2^n,)
    """
    blocks = brickwork(NUM_QUBITS, NUM_LAYERS)
    table = angles.reshape(-1, 6)
    matrices = [so4_block(row) for row in table]
    history = [states]
    for first, matrix in zip(blocks, matrices, strict=True):
        history.append(apply_block(history[-1], matrix, first))
    final = history[-1]
    cost = 1.0 - float(np.sum(weights[:, None] * projector * final**2))
    adjoint = -2.0 * weights[:, None] * projector * final
    gradient = np.empty_like(table)
    for index in range(len(blocks) - 1, -1, -1):
        first = blocks[index]
        left = adjoint.reshape(len(states), -1, 4, 2**first)
        right = history[index].reshape(len(states), -1, 4, 2**first)
        environment = np.einsum("xyaz,xybz->ab", left, right)
        gradient[index] = block_gradient(table[index], environment)
        adjoint = apply_block(adjoint, matrices[index].T, first)
    return cost, gradient.ravel()


def local_projector(trash: tuple[int, ...]) -> Array:
    """Diagonal of the mean over trash qubits of |0><0|; float64 (2^n,)."""
    index = np.arange(2**NUM_QUBITS)
    diagonal: Array = np.mean([(index >> qubit & 1) == 0 for qubit in trash], axis=0)
    return diagonal


def global_projector(trash: tuple[int, ...]) -> Array:
    """Diagonal of the projector onto all trash qubits 0; float64 (2^n,)."""
    index = np.arange(2**NUM_QUBITS)
    diagonal: Array = np.all([(index >> qubit & 1) == 0 for qubit in trash], axis=0).astype(np.float64)
    return diagonal


def train(seed: int, ensemble: Array) -> tuple[Array, float]:
    """One start: local cost, then the global one with flattened and true weights. Returns angles and p0."""
    trash = trash_qubits(NUM_QUBITS, NUM_LATENT)
    values, vectors = np.linalg.eigh(ensemble.T @ ensemble / len(ensemble))
    values, vectors = values[::-1][: 2**NUM_LATENT], vectors[:, ::-1][:, : 2**NUM_LATENT]
    values = np.clip(values, 1e-14, None)
    angles = np.random.default_rng(seed).normal(0.0, 0.1, 6 * len(brickwork(NUM_QUBITS, NUM_LAYERS)))
    stages: list[tuple[Callable[[tuple[int, ...]], Array], float, int]] = [
        (local_projector, 0.2, 150),
        (global_projector, 0.2, 600),
        (global_projector, 0.5, 600),
        (global_projector, 1.0, 1500),
    ]
    for projector, alpha, steps in stages:
        weights = values**alpha / np.sum(values**alpha)
        result: Any = minimize(
            cost_and_gradient, angles, (vectors.T.copy(), weights, projector(trash)), jac=True, method="L-BFGS-B",
            options={"maxiter": steps, "ftol": 1e-15, "gtol": 1e-9},
        )  # fmt: skip
        angles = result.x
    return angles, float(np.mean(trash_fidelities(angles, ensemble)))


def trash_fidelities(angles: Array, states: Array) -> Array:
    """Trash fidelity p0 of each state; float64 (batch,)."""
    for first, row in zip(brickwork(NUM_QUBITS, NUM_LAYERS), angles.reshape(-1, 6), strict=True):
        states = apply_block(states, so4_block(row), first)
    kept: Array = np.sum(global_projector(trash_qubits(NUM_QUBITS, NUM_LATENT)) * states**2, axis=1)
    return kept


def main() -> None:
    """Train from several seeds, keep the best on the training fields, report on unseen ones."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=6)
    parser.add_argument("--output", type=Path, default=Path("circuits/data/autoencoder_6_3.json"))
    options = parser.parse_args()
    ensemble = np.array([tfim_ground_state(NUM_QUBITS, field) for field in TRAIN_FIELDS])
    unseen = np.array([tfim_ground_state(NUM_QUBITS, field) for field in TEST_FIELDS])
    bound = ky_fan(ensemble, NUM_LATENT)
    best: tuple[float, int, Array] | None = None
    for seed in range(options.seeds):
        start = time.perf_counter()
        angles, fidelity = train(seed, ensemble)
        print(f"seed {seed}: train trash fidelity {fidelity:.6f}, {time.perf_counter() - start:.1f} s", flush=True)
        if best is None or fidelity > best[0]:
            best = fidelity, seed, angles
    if best is None:
        parser.error("wanted --seeds >= 1")
    fidelity, seed, angles = best
    on_test = trash_fidelities(angles, unseen)
    record = {
        "num_qubits": NUM_QUBITS,
        "num_latent": NUM_LATENT,
        "num_layers": NUM_LAYERS,
        "seed": seed,
        "ensemble": {"model": "tfim", "train_fields": TRAIN_FIELDS.tolist(), "test_fields": TEST_FIELDS.tolist()},
        "train_trash_fidelity": fidelity,
        "test_trash_fidelity": float(np.mean(on_test)),
        "test_trash_fidelity_min": float(np.min(on_test)),
        "ky_fan_bound": bound,
        "angles_rad": [round(float(angle) % (4 * np.pi), 12) for angle in angles],
    }
    options.output.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    print(f"train {fidelity:.6f}  test {np.mean(on_test):.6f} (min {np.min(on_test):.6f})  Ky Fan bound {bound:.9f}")


if __name__ == "__main__":
    main()

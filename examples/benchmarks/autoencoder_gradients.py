"""What a gradient costs: batched torch against PennyLane's lightning.qubit with the adjoint method.

    python examples/benchmarks/autoencoder_gradients.py

The same cost of the same encoder, of 8 eigenvectors of the Ising ensemble at once, at random angles: torch takes them
as one batch, a QNode one by one. Both on one thread, in turns; median and the 2.5 and 97.5 percentiles of the processor
time of single calls. "difference" is the largest one between the two gradients.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import torch
from evidence import results

from circuits.autoencoder.ansatz import num_angles
from circuits.autoencoder.reference import brickwork_encoder, cost_and_gradient, trash_qnode
from circuits.autoencoder.states import ensemble
from circuits.autoencoder.training import Problem, configure

SEED = 1
NUM_ROUNDS = 25
COLUMNS = (
    "n k layers angles states torch_ms torch_low torch_high pennylane_ms pennylane_low pennylane_high ratio difference"
)


def times_ms(*calls: Callable[[], object]) -> list[tuple[float, float, float]]:
    """Median and 95 % range of the processor time of each call, taken in turns, after a round that does not count."""
    durations: list[list[float]] = [[] for _ in calls]
    for _ in range(NUM_ROUNDS + 1):
        for call, taken in zip(calls, durations, strict=True):
            began = time.process_time()
            call()
            taken.append(1e3 * (time.process_time() - began))
    ranges = [np.percentile(taken[1:], [50.0, 2.5, 97.5]) for taken in durations]
    return [(float(median), float(low), float(high)) for median, low, high in ranges]


def main() -> None:
    """Measure, write, print."""
    torch.set_num_threads(1)
    packages = ("torch", "pennylane", "pennylane-lightning", "numpy")
    with results("autoencoder_gradients", COLUMNS.split(), seeds=str(SEED), packages=packages) as table:
        for num_qubits in (6, 7, 8, 9):
            data = ensemble("tfim", num_qubits)
            config = configure(data, 3)
            problem = Problem(data, config)
            angles = np.random.default_rng(SEED).normal(size=num_angles(*config.shape))
            qnode = trash_qnode(brickwork_encoder(*config.shape), num_qubits, 3)
            states, weights = problem.vectors.numpy(), problem.weights(1.0).numpy()

            def by_torch(problem: Problem = problem, angles: np.ndarray = angles) -> np.ndarray:
                return problem.cost_and_gradient(angles, 1.0)[1]

            def by_pennylane(
                qnode: object = qnode, angles: np.ndarray = angles, states: np.ndarray = states, w: np.ndarray = weights
            ) -> np.ndarray:
                return cost_and_gradient(qnode, angles, states, w)[1]

            difference = float(np.abs(by_torch() - by_pennylane()).max())
            fast, slow = times_ms(by_torch, by_pennylane)
            ratio = slow[0] / fast[0]
            shape = (*config.shape, len(angles), len(states))
            table.writerow([*shape, *(f"{value:.3f}" for value in (*fast, *slow, ratio)), f"{difference:.1e}"])
            print(f"{num_qubits} -> 3: torch {fast[0]:.1f} ms, PennyLane {slow[0]:.1f} ms, {ratio:.0f} x", flush=True)


if __name__ == "__main__":
    main()

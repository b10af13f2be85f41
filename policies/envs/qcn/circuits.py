"""Qubits and gates of an autoencoder's circuit, and the work to simulate it: by formula, or of circuits really built.

Source: QCN paper, Section V: states of n in 6..9 qubits are compressed onto k in 3..5 by circuits of 2n - k + 1 qubits.
It says nothing of gates; these are ours. By the formula there are four layers of 4n gates, a SWAP test with n - k
controlled swaps of 17 gates each, two Hadamard gates and a measurement. "compiled" are circuits of
:mod:`circuits.autoencoder` (the encoder trained for transverse-field Ising states and the SWAP test; states are input,
so their preparation is left out) in CX and single-qubit gates.
"""

from __future__ import annotations

DATA_QUBITS = range(6, 10)
"""n.        [paper, V]"""

LATENT_QUBITS = range(3, 6)
"""k.        [paper, V]"""

FLOP_PER_GATE = 6.0
"""Of each amplitude in a simulation of the state vector (ours)."""

AMPLITUDE_BIT = 64.0
"""An amplitude of the input as complex64 (ours)."""


def num_qubits(data: int, latent: int) -> int:
    """2n - k + 1        [QCN, V]."""
    return 2 * data - latent + 1


def formula(data: int, latent: int) -> int:
    """Gates by formula, G = 16 n + 2 + 17 (n - k) + 1 (ours)."""
    return 16 * data + 2 + 17 * (data - latent) + 1


COMPILED: dict[tuple[int, int], int] = {
    (6, 3): 165,
    (6, 4): 149,
    (6, 5): 109,
    (7, 3): 242,
    (7, 4): 226,
    (7, 5): 186,
    (8, 3): 331,
    (8, 4): 315,
    (8, 5): 275,
    (9, 3): 432,
    (9, 4): 416,
    (9, 5): 376,
}
"""Gates by (n, k), as :func:`compiled` finds them with Qiskit 2.3."""

GATES: dict[str, dict[tuple[int, int], int]] = {
    "paper": {size: formula(*size) for size in COMPILED},
    "compiled": COMPILED,
}
"""Gates by (n, k): "paper" is the formula for the paper's sizes."""


def compiled(data: int, latent: int) -> int:
    """Gates of the circuit, its measurement included, built and compiled now."""
    from qiskit import QuantumCircuit, transpile

    from circuits.autoencoder import Autoencoder
    from circuits.autoencoder.estimators import ESTIMATORS

    encoder = Autoencoder(num_qubits=data, num_latent=latent, estimator="swap").encoder().circuit()
    circuit = ESTIMATORS["swap"].measured(QuantumCircuit(data), encoder, latent)
    found: int = transpile(circuit, basis_gates=["cx", "u"], optimization_level=1, seed_transpiler=7).size()
    return found

"""Three circuits that say how well a state is compressed, what their counts mean, and the exact values beside them.

"direct" measures the trash: P(0...0) is the trash fidelity p0, on n qubits.
"swap" compares the trash with |0...0> by a SWAP test on 2n - k + 1 qubits: P(auxiliary = 0) = (1 + p0)/2.
"decode" decodes with fresh trash and undoes the preparation, on 2n - k qubits: P(0...0) is the decode fidelity.

[direct and swap: Romero, Olson, Aspuru-Guzik 2017, QST 2 045001; decode is ours.] The reference of the SWAP test being
|0...0>, "direct" measures the same number on fewer qubits with about half the variance.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from qiskit import QuantumCircuit

from circuits.autoencoder.ansatz import trash_qubits
from circuits.counts import clopper_pearson, probabilities
from circuits.errors import InvalidParameter
from circuits.family import Counts

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Estimate:
    """A fidelity estimated from counts, with its exact confidence interval; all in [0, 1]."""

    value: float
    low: float
    high: float
    shots: int


@dataclass(frozen=True)
class Estimator:
    """One way to measure.

    Attributes:
        measured: (preparation, encoder, num_latent) -> the circuit with its measurements.
        fidelity: probability that all measured bits are 0 -> the fidelity; increasing.
    """

    measured: Callable[[QuantumCircuit, QuantumCircuit, int], QuantumCircuit]
    fidelity: Callable[[float], float]


def direct_circuit(preparation: QuantumCircuit, encoder: QuantumCircuit, num_latent: int) -> QuantumCircuit:
    """Prepare, encode, measure the trash."""
    trash = trash_qubits(encoder.num_qubits, num_latent)
    circuit = QuantumCircuit(encoder.num_qubits, len(trash), name="autoencoder")
    circuit.compose(preparation.compose(encoder), inplace=True)
    circuit.measure(trash, range(len(trash)))
    return circuit


def swap_circuit(preparation: QuantumCircuit, encoder: QuantumCircuit, num_latent: int) -> QuantumCircuit:
    """Prepare, encode, compare the trash with as many fresh qubits, measure the auxiliary one."""
    trash = trash_qubits(encoder.num_qubits, num_latent)
    auxiliary = encoder.num_qubits + len(trash)
    circuit = QuantumCircuit(auxiliary + 1, 1, name="autoencoder")
    circuit.compose(preparation.compose(encoder), qubits=range(encoder.num_qubits), inplace=True)
    circuit.h(auxiliary)
    for one, reference in zip(trash, range(encoder.num_qubits, auxiliary), strict=True):
        circuit.cswap(auxiliary, one, reference)
    circuit.h(auxiliary)
    circuit.measure(auxiliary, 0)
    return circuit


def decode_circuit(preparation: QuantumCircuit, encoder: QuantumCircuit, num_latent: int) -> QuantumCircuit:
    """Prepare, encode, decode with fresh trash, undo the preparation, measure."""
    num_qubits = encoder.num_qubits
    fresh = [*range(num_latent), *range(num_qubits, 2 * num_qubits - num_latent)]
    circuit = QuantumCircuit(2 * num_qubits - num_latent, num_qubits, name="autoencoder")
    circuit.compose(preparation.compose(encoder), qubits=range(num_qubits), inplace=True)
    circuit.compose(encoder.inverse().compose(preparation.inverse()), qubits=fresh, inplace=True)
    circuit.measure(fresh, range(num_qubits))
    return circuit


def _same(probability: float) -> float:
    return probability


def _unswapped(probability: float) -> float:
    return max(0.0, 2.0 * probability - 1.0)


ESTIMATORS = {
    "direct": Estimator(direct_circuit, _same),
    "swap": Estimator(swap_circuit, _unswapped),
    "decode": Estimator(decode_circuit, _same),
}


def fidelity(estimator: str, counts: Counts) -> float:
    """The fidelity that counts, or probabilities, of this estimator's circuit speak for; in [0, 1]."""
    zero = sum(weight for bits, weight in probabilities(counts).items() if "1" not in bits)
    return ESTIMATORS[estimator].fidelity(zero)


def estimate(estimator: str, counts: Counts, *, confidence: float = 0.95) -> Estimate:
    """The fidelity from counts, with the Clopper-Pearson interval carried over from the measured probability.

    Raises:
        InvalidParameter: there is no such estimator.
        CircuitError: counts without a shot, or confidence outside (0, 1).
    """
    if estimator not in ESTIMATORS:
        raise InvalidParameter(f"estimator: wanted one of {', '.join(ESTIMATORS)}, got {estimator[:80]!r}")
    shots = sum(counts.values())
    zeros = sum(number for bits, number in counts.items() if "1" not in bits)
    value, low, high = map(
        ESTIMATORS[estimator].fidelity, (zeros / max(1, shots), *clopper_pearson(zeros, shots, confidence))
    )
    return Estimate(value, low, high, shots)


# ── exact values ──────────────────────────────────────────────────────────────────────────────────────────────────────
def trash_fidelities(encoded: Array, num_latent: int) -> Array:
    """p0 of each encoded state: the weight where all trash qubits are 0; float64 (batch, 2^n) -> (batch,)."""
    weights: Array = np.sum(encoded[:, : 2**num_latent] ** 2, axis=1)
    return np.minimum(weights, 1.0)


def decode_fidelities(encoded: Array, num_latent: int) -> Array:
    """F_rec of each encoded state once it is decoded with fresh trash; float64 (batch, 2^n) -> (batch,).

    F_rec = sum_j <phi_0|phi_j>^2 with phi_j the unnormalised latent state beside trash j; p0^2 <= F_rec <= p0.  (ours)
    """
    branches = encoded.reshape(len(encoded), -1, 2**num_latent)
    overlaps = np.einsum("bjl,bl->bj", branches, branches[:, 0])
    recovered: Array = np.sum(overlaps**2, axis=1)
    return np.minimum(recovered, 1.0)

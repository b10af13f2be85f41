"""Quantum autoencoder: six qubits into three, judged by how empty the discarded ones are.

Source: Romero, Olson, Aspuru-Guzik, "Quantum autoencoders for efficient compression of quantum data", Quantum Science
and Technology 2 (2017) 045001. The encoder is trained beforehand (``examples/benchmarks/train_autoencoder_6_3.py``) and
its angles ship in ``circuits/data``; nothing is trained here. Deviation: the paper compares the trash with a reference
state by a SWAP test; where that reference is |0...0>, measuring the trash gives the same number on fewer qubits with
about half the variance, so this is the default and the SWAP test an option.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import Any

import numpy as np
from numpy.typing import NDArray
from qiskit import QuantumCircuit
from qiskit.quantum_info import Statevector

from circuits.counts import probabilities
from circuits.errors import InvalidParameter
from circuits.family import Counts
from circuits.parameters import choice, integer, real, refuse, validate

Array = NDArray[np.float64]
LONGITUDINAL_FIELD = 0.01  # ours: lifts the ground state's degeneracy in the ordered phase


@dataclass(frozen=True)
class Autoencoder:
    """Compress one ground state of the transverse-field Ising chain and look at the trash qubits.

    Attributes:
        num_qubits: size of the chain.
        num_latent: qubits that are kept; with ``num_qubits`` it selects the trained encoder.
        field: transverse field h of the state that is compressed, in units of the coupling.
        estimator: "direct" measures the trash (``num_qubits`` qubits); "swap" runs the SWAP test against |0...0> on
            2 num_qubits - num_latent + 1 qubits.
    """

    num_qubits: int = integer(6, low=2, high=12, doc="qubits of the chain")
    num_latent: int = integer(3, low=1, high=11, doc="qubits kept")
    field: float = real(1.0, low=0.2, high=2.0, doc="transverse field of the compressed state")
    estimator: str = choice("direct", "direct", "swap", doc="how the trash is compared with |0...0>")

    def __post_init__(self) -> None:
        validate(self)
        if self.num_latent >= self.num_qubits:
            refuse(self, "num_latent", f"less than num_qubits = {self.num_qubits}", self.num_latent)
        _trained(self.num_qubits, self.num_latent)

    def build(self) -> QuantumCircuit:
        """State preparation, encoder, and the estimator's measurement."""
        trash = trash_qubits(self.num_qubits, self.num_latent)
        if self.estimator == "direct":
            circuit = QuantumCircuit(self.num_qubits, len(trash), name="autoencoder")
            circuit.compose(self._encoded(), inplace=True)
            circuit.measure(trash, range(len(trash)))
            return circuit
        reference = range(self.num_qubits, self.num_qubits + len(trash))
        auxiliary = self.num_qubits + len(trash)
        circuit = QuantumCircuit(auxiliary + 1, 1, name="autoencoder")
        circuit.compose(self._encoded(), qubits=range(self.num_qubits), inplace=True)
        circuit.h(auxiliary)
        for one, other in zip(trash, reference, strict=True):
            circuit.cswap(auxiliary, one, other)
        circuit.h(auxiliary)
        circuit.measure(auxiliary, 0)
        return circuit

    def score(self, counts: Counts) -> float:
        """Estimated trash fidelity p0 in [0, 1].

        direct: P(trash = 0...0).  swap: max(0, 2 P(auxiliary = 0) - 1).        [paper, its eq. for the SWAP test]
        """
        zero = sum(weight for bits, weight in probabilities(counts).items() if "1" not in bits)
        return zero if self.estimator == "direct" else max(0.0, 2.0 * zero - 1.0)

    @property
    def ideal_score(self) -> float:
        """Exact trash fidelity of this state under the shipped encoder."""
        return _trash_fidelity(self.num_qubits, self.num_latent, self.field)

    def ky_fan_bound(self) -> float:
        """Best mean trash fidelity that any encoder can reach on the training ensemble (Ky Fan's theorem)."""
        fields = _trained(self.num_qubits, self.num_latent)["ensemble"]["train_fields"]
        return ky_fan(np.array([tfim_ground_state(self.num_qubits, each) for each in fields]), self.num_latent)

    def _encoded(self) -> QuantumCircuit:
        circuit = real_state_preparation(tfim_ground_state(self.num_qubits, self.field))
        return circuit.compose(encoder(self.num_qubits, self.num_latent))


def trash_qubits(num_qubits: int, num_latent: int) -> tuple[int, ...]:
    """The discarded qubits: the last ones of the chain."""
    return tuple(range(num_latent, num_qubits))


def brickwork(num_qubits: int, num_layers: int) -> list[int]:
    """First qubit of each two-qubit block, in time order: even bonds, odd bonds, even bonds, ..."""
    return [first for layer in range(num_layers) for first in range(layer % 2, num_qubits - 1, 2)]


def encoder(num_qubits: int, num_latent: int) -> QuantumCircuit:
    """The trained real brickwork: per block RY RY, CX, RY RY, CX, RY RY, which reaches all of SO(4) (ours)."""
    record = _trained(num_qubits, num_latent)
    circuit = QuantumCircuit(num_qubits)
    angles = iter(record["angles_rad"])
    for first in brickwork(num_qubits, record["num_layers"]):
        for step in range(3):
            if step:
                circuit.cx(first, first + 1)
            circuit.ry(next(angles), first)
            circuit.ry(next(angles), first + 1)
    return circuit


def so4_block(angles: Array) -> Array:
    """Matrix of one block; index bit 0 is the first qubit; float64 (4, 4)."""
    layers = []
    for low, high in np.asarray(angles, dtype=np.float64).reshape(3, 2):
        layers.append(np.kron(_ry(high), _ry(low)))
    return layers[2] @ _CX @ layers[1] @ _CX @ layers[0]


def tfim_ground_state(num_qubits: int, field: float) -> Array:
    """Ground state of H = -sum Z_i Z_{i+1} - h sum X_i - 0.01 sum Z_i on an open chain, with positive amplitudes.

    Returns:
        Amplitudes; index bit i is qubit i.        float64 (2^num_qubits,)
    """
    index = np.arange(2**num_qubits)
    spins = 1.0 - 2.0 * (index[:, None] >> np.arange(num_qubits) & 1)
    diagonal = -np.sum(spins[:, :-1] * spins[:, 1:], axis=1) - LONGITUDINAL_FIELD * np.sum(spins, axis=1)
    matrix = np.diag(diagonal)
    for qubit in range(num_qubits):
        matrix[index, index ^ (1 << qubit)] -= field
    state: Array = np.abs(np.linalg.eigh(matrix)[1][:, 0])  # Perron-Frobenius: all amplitudes share one sign
    return state


def ky_fan(ensemble: Array, num_latent: int) -> float:
    """Sum of the 2^k largest eigenvalues of the ensemble's density matrix; ensemble: float64 (batch, 2^n)."""
    values = np.linalg.eigvalsh(ensemble.T @ ensemble / len(ensemble))
    return min(1.0, float(np.sum(values[-(2**num_latent) :])))


def real_state_preparation(amplitudes: Array) -> QuantumCircuit:
    """Prepare non-negative amplitudes with 2^n - 2 CX: one multiplexed RY per qubit, from the highest down.

    [Mottonen et al. 2004, PRL 93 130502; the Gray-code form of a uniformly controlled rotation]
    """
    num_qubits = int(np.log2(len(amplitudes)))
    circuit = QuantumCircuit(num_qubits)
    weights = np.asarray(amplitudes, dtype=np.float64) ** 2
    for qubit in range(num_qubits - 1, -1, -1):
        halves = weights.reshape(-1, 2, 2**qubit).sum(axis=2)  # one row per value of the qubits above
        angles = 2.0 * np.arctan2(np.sqrt(halves[:, 1]), np.sqrt(halves[:, 0]))
        _multiplexed_ry(circuit, angles, qubit)
    return circuit


def _multiplexed_ry(circuit: QuantumCircuit, angles: Array, target: int) -> None:
    """RY(angles[v]) on ``target`` where v is the value of the qubits above it."""
    size = len(angles)
    index = np.arange(size)
    gray = index ^ (index >> 1)
    parity = np.array([[(int(v) & int(g)).bit_count() & 1 for v in index] for g in gray])
    for step, angle in enumerate(((1.0 - 2.0 * parity) @ angles) / size):
        circuit.ry(float(angle), target)
        if size > 1:
            flipped = int(gray[step] ^ gray[(step + 1) % size])
            circuit.cx(target + flipped.bit_length(), target)


def _ry(angle: float) -> Array:
    cosine, sine = np.cos(angle / 2), np.sin(angle / 2)
    return np.array([[cosine, -sine], [sine, cosine]])


_CX: Array = np.array([[1.0, 0, 0, 0], [0, 0, 0, 1], [0, 0, 1, 0], [0, 1, 0, 0]])  # control: index bit 0


@lru_cache
def _trained(num_qubits: int, num_latent: int) -> dict[str, Any]:
    resource = files("circuits").joinpath("data", f"autoencoder_{num_qubits}_{num_latent}.json")
    if not resource.is_file():
        raise InvalidParameter(
            f"Autoencoder: wanted num_qubits and num_latent of a trained encoder (6 and 3), got {num_qubits} and"
            f" {num_latent}; train one with examples/benchmarks/train_autoencoder_6_3.py as the pattern"
        )
    record: dict[str, Any] = json.loads(resource.read_text(encoding="utf-8"))
    return record


@lru_cache(maxsize=256)
def _trash_fidelity(num_qubits: int, num_latent: int, field: float) -> float:
    state = Statevector(tfim_ground_state(num_qubits, field)).evolve(encoder(num_qubits, num_latent))
    return float(state.probabilities(trash_qubits(num_qubits, num_latent))[0])

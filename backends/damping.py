"""What a device's noise leaves of a circuit's output: each parity of the measured bits, damped by what it meets.

A distribution over m bits is as good as its 2^m parities, the expectations of products of Z on the measured qubits.
Followed backwards through the circuit (Heisenberg's picture) such a product is a sum of Pauli strings, and noise
written as random Paulis multiplies a string by a factor wherever the two meet. So a phase error before a readout, or
any error outside of the light cone of what is measured, costs nothing, and a bit flip moves an outcome to its
neighbours instead of to everywhere. The method is ours; the pieces are textbook.

Of a small circuit all strings are followed, which is exact. Else they are sampled: where gates turn one into several, a
path takes one of them with its squared amplitude. That is exact for Clifford gates; elsewhere it neglects that paths
interfere, and ``branching`` says how often it did. Blind to
coherent errors, crosstalk and leakage, like all that calibration says. Control flow and mid-circuit measurements are
not covered.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from backends.pauli_course import Array, Course, Gate, transfers

Codes = NDArray[np.uint8]

MAX_BITS = 10
"""Most measured bits of which all parities are followed; of wider outputs only a sample is (ours)."""

NUM_PATHS = 1024
"""Fewest paths; twice as many change predictions by less than a tenth of their error (ours)."""

MAX_FOLLOWED = 2**24
"""Gates times strings up to which all strings are followed: some 0.2 s of one core at most (ours)."""

_SURE = 1.0 - 1e-6


@dataclass(frozen=True)
class Damping:
    """What the noise of gates and waits leaves of parities.

    Attributes:
        kept: factor on each, float64 (N,); in [0, 1] but where decay feeds one.
        branching: mean entropy of the branches that a path took, in nats; 0 for Clifford gates.
    """

    kept: Array
    branching: float


@dataclass(frozen=True)
class Expectation:
    """What a device is expected to answer, over the measured qubits; the first one is index bit 0.

    Attributes:
        ideal, noisy: probabilities, float64 (2^m,) each.
        branching: see :class:`Damping`.
    """

    ideal: Array
    noisy: Array
    branching: float

    @property
    def fidelity(self) -> float:
        """Hellinger fidelity of the two."""
        return min(1.0, float(np.sqrt(self.ideal * self.noisy).sum()) ** 2)


def expected(made: Course, ideal: Mapping[str, float], seed: int = 0) -> Expectation:
    """What to expect of a circuit with at most ``MAX_BITS`` measured qubits.

    Args:
        made: the circuit on its device.
        ideal: exact probabilities by bit string, of the logical circuit.
        seed: of the paths.
    """
    num_bits = len(made.measured)
    values = np.fromiter((int(bits, 2) for bits in ideal), dtype=np.int64, count=len(ideal))
    places = np.zeros_like(values)
    for clbit, seat in made.bits.items():
        places |= (values >> clbit & 1) << seat
    weights = np.fromiter(ideal.values(), dtype=np.float64)
    law = np.asarray(np.bincount(places, weights, minlength=2**num_bits), dtype=np.float64)
    branching = 0.0
    if len(made.gates) * 4**made.num_qubits <= MAX_FOLLOWED:
        parities = followed(made)
    else:
        repeats = max(1, NUM_PATHS >> num_bits)
        chosen = np.repeat(np.arange(2**num_bits), repeats) >> np.arange(num_bits)[:, None] & 1
        found = damping(made, chosen.astype(bool), np.random.default_rng(seed))
        parities, branching = _walsh(law) * found.kept.reshape(-1, repeats).mean(axis=1), found.branching
    noisy = _walsh(parities) / 2**num_bits
    for seat, (up, down) in enumerate(made.flips):
        noisy = (np.array([[1.0 - up, down], [up, 1.0 - down]]) @ noisy.reshape(-1, 2, 2**seat)).reshape(-1)
    noisy = np.clip(noisy, 0.0, None)
    return Expectation(law, noisy / noisy.sum(), branching)


def weight(made: Course, ideal: Mapping[str, float] | None, seed: int = 0) -> tuple[float, float]:
    """Weight w of ``w ideal + (1 - w) uniform`` that comes closest to what is expected, and ``branching``.

    w = sum_s kept_s q_s^2 / sum_s q_s^2 over random parities s with ideal expectation q_s                      (ours)

    so that the mixture overlaps with the ideal distribution as what is expected does. Readout errors count with their
    symmetric part. Without a known ideal distribution all parities count alike.

    Args:
        made: the circuit on its device.
        ideal: exact probabilities by bit string; None if they are not known.
        seed: of parities and paths.
    """
    rng = np.random.default_rng(seed)
    parities = rng.random((len(made.measured), NUM_PATHS)) < 0.5
    found = damping(made, parities, rng)
    read = np.array([max(0.0, 1.0 - up - down) for up, down in made.flips])
    kept = found.kept * np.prod(np.where(parities, read[:, None], 1.0), axis=0)
    strengths = np.ones(NUM_PATHS) if ideal is None else _expectations(made, ideal, parities) ** 2
    total = float(strengths.sum())
    return (float(np.clip(kept @ strengths / total, 0.0, 1.0)) if total > 0.0 else 1.0), found.branching


def followed(made: Course) -> Array:
    """Expectation of every parity before the readout, float64 (2^m,), by following all Pauli strings forwards."""
    n = made.num_qubits
    state = np.ones(1)
    for _ in range(n):
        state = np.multiply.outer(np.array([1.0, 0.0, 0.0, 1.0]), state).ravel()  # I and Z are 1 in the ground state
    state = state.reshape((4,) * n)
    for gate, transfer in zip(made.gates, transfers([gate.matrix for gate in made.gates]), strict=True):
        axes = [n - 1 - qubit for qubit in reversed(gate.qubits)]
        view = np.moveaxis(state, axes, range(len(axes)))
        moved = (_noise(gate) @ transfer) @ view.reshape(len(transfer), -1)
        state = np.moveaxis(moved.reshape(view.shape), range(len(axes)), axes)
    others = tuple(0 if n - 1 - axis not in made.measured else slice(0, 4, 3) for axis in range(n))
    return np.ascontiguousarray(state[others]).ravel()


def _noise(gate: Gate) -> Array:
    """Pauli transfer matrix of the noise behind a gate: factors, then decay, which takes Z to (1 - g) Z + g I."""
    decay: Array = np.eye(1)
    for lost in gate.decayed:
        one = np.diag([1.0, 1.0, 1.0, 1.0 - lost])
        one[3, 0] = lost
        decay = np.asarray(np.kron(one, decay), dtype=np.float64)
    noise: Array = decay * np.exp(gate.log_kept)
    return noise


def damping(made: Course, parities: NDArray[np.bool_], rng: np.random.Generator) -> Damping:
    """Follow parities back to the start; each column is one path.

    Args:
        made: the circuit on its device.
        parities: which of the measured qubits are in it, bool (m, N).
        rng: chooses branches.
    """
    codes: Codes = np.zeros((made.num_qubits, parities.shape[1]), dtype=np.uint8)
    codes[list(made.measured)] = parities * np.uint8(3)
    log_kept, branching = np.zeros(parities.shape[1]), 0.0
    for step in reversed(made.steps):
        first, *second = (codes[qubit] for qubit in step.qubits)
        met = first | second[0] << 2 if second else first
        log_kept += step.log_kept[met]
        turned = np.square(step.transfer)
        if turned.max(axis=1).min() > _SURE:
            gone = turned.argmax(axis=1).astype(np.uint8)[met]
        else:
            passed = np.cumsum(turned, axis=1, dtype=np.float32)[:, :-1]
            lots = rng.random(len(met), dtype=np.float32)
            gone = (lots[:, None] > passed[met]).sum(axis=1, dtype=np.uint8)
            branching += float(step.branching[met].mean())
        codes[step.qubits[0]] = gone & 3
        if second:
            codes[step.qubits[1]] = gone >> 2
    return Damping(np.exp(log_kept), branching)


def _expectations(made: Course, ideal: Mapping[str, float], parities: NDArray[np.bool_]) -> Array:
    """Ideal expectation of each parity, float64 (N,)."""
    clbit_of = {seat: clbit for clbit, seat in made.bits.items()}
    clbits = [clbit_of[seat] for seat in range(len(made.measured))]
    outcomes = np.array([[bits[-1 - clbit] == "1" for clbit in clbits] for bits in ideal], dtype=np.float64)
    odd = (outcomes @ parities.astype(np.float64)).astype(np.int64) & 1
    signed: Array = np.fromiter(ideal.values(), dtype=np.float64) @ (1.0 - 2.0 * odd)
    return signed


def _walsh(values: Array) -> Array:
    """Walsh-Hadamard transform, float64 (2^m,)."""
    for bit in range(len(values).bit_length() - 1):
        pairs = values.reshape(-1, 2, 2**bit)
        values = np.stack([pairs[:, 0] + pairs[:, 1], pairs[:, 0] - pairs[:, 1]], axis=1).reshape(-1)
    return values

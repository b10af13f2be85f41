"""Steane's seven-qubit code: keep one logical qubit through rounds of syndrome extraction and decode it.

Sources: A. M. Steane, "Multiple-particle interference and quantum error correction", Proc. R. Soc. A 452 (1996) 2551;
parity checks of the Hamming code. Ours: one bare ancilla a check (not fault-tolerant: a fault on an ancilla may spread
to two data qubits; verified ancilla blocks need 28 ancillas a round), and the decoder, which looks up the change of the
syndrome from round to round, so that a wrong syndrome bit cancels itself. What a concatenated code costs is in
``circuits.concatenation``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from qiskit import QuantumCircuit

from circuits.counts import probabilities
from circuits.family import Counts
from circuits.parameters import choice, integer, validate

CHECKS: tuple[tuple[int, ...], ...] = ((0, 2, 4, 6), (1, 2, 5, 6), (3, 4, 5, 6))
"""Support of the Z-type and of the X-type checks: qubit q is in check b where bit b of q + 1 is 1."""

NUM_DATA = 7


@dataclass(frozen=True)
class Steane:
    """A memory experiment: encode, extract syndromes, measure all data qubits, decode.

    Classical bits: six a round (Z-type checks, then X-type ones), then the seven data qubits.

    Attributes:
        rounds: rounds of syndrome extraction.
        basis: "z" keeps a logical 0 or 1, "x" a logical + or -.
        logical: the logical value that is kept.
        ancillas: "fresh" takes six new ancillas a round (7 + 6 rounds qubits, static); "reset" measures and resets
            the same six (13 qubits, dynamic).
    """

    rounds: int = integer(1, low=1, high=8, doc="rounds of syndrome extraction")
    basis: str = choice("z", "z", "x", doc="basis of the logical state")
    logical: int = choice(0, 0, 1, doc="logical value that is kept")
    ancillas: str = choice("fresh", "fresh", "reset", doc="new ancillas every round, or reset ones")

    def __post_init__(self) -> None:
        validate(self)

    def build(self) -> QuantumCircuit:
        """Encoder, barrier, rounds, transversal measurement."""
        fresh = self.ancillas == "fresh"
        num_ancillas = 6 * (self.rounds if fresh else 1)
        circuit = QuantumCircuit(NUM_DATA + num_ancillas, 6 * self.rounds + NUM_DATA, name="steane")
        circuit.compose(encoder(), qubits=range(NUM_DATA), inplace=True)
        if self.logical:
            circuit.x(range(NUM_DATA))  # X on all seven is the logical X
        if self.basis == "x":
            circuit.h(range(NUM_DATA))  # H on all seven is the logical H
        circuit.barrier()
        for turn in range(self.rounds):
            ancillas = range(NUM_DATA + (6 * turn if fresh else 0), NUM_DATA + (6 * turn if fresh else 0) + 6)
            if turn and not fresh:
                circuit.reset(ancillas)
            extract_syndromes(circuit, ancillas)
            if not fresh:
                circuit.measure(ancillas, range(6 * turn, 6 * turn + 6))
        if self.basis == "x":
            circuit.h(range(NUM_DATA))
        if fresh:
            circuit.measure(range(NUM_DATA, NUM_DATA + num_ancillas), range(6 * self.rounds))
        circuit.measure(range(NUM_DATA), range(6 * self.rounds, 6 * self.rounds + NUM_DATA))
        return circuit

    def score(self, counts: Counts) -> float:
        """Fraction of shots whose decoded logical value is the one that was kept, in [0, 1]."""
        right = (weight for bits, weight in probabilities(counts).items() if self.decode(bits) == self.logical)
        return min(1.0, math.fsum(right))

    @property
    def ideal_score(self) -> float:
        """1: without noise every syndrome is trivial and the data are a code word."""
        return 1.0

    def decode(self, bits: str) -> int:
        """Logical value of one shot: every change of the syndrome flips the data qubit that it points to."""
        value = int(bits, 2)
        data = value >> 6 * self.rounds & 0x7F
        shift = 0 if self.basis == "z" else 3  # only these checks see the errors that this basis suffers from
        parity, previous = data.bit_count(), 0
        for turn in range(self.rounds):
            seen = value >> (6 * turn + shift) & 7
            parity += (seen ^ previous) != 0  # the lookup: syndrome s points to qubit s - 1, whose flip flips Z_L
            previous = seen
        parity += (syndrome(data) ^ previous) != 0
        return parity & 1


def encoder() -> QuantumCircuit:
    """Logical |0> from seven |0>: three H and nine CX, one pivot a check."""
    circuit = QuantumCircuit(NUM_DATA)
    for pivot, check in zip((0, 1, 3), CHECKS, strict=True):
        circuit.h(pivot)
        for qubit in check:
            if qubit != pivot:
                circuit.cx(pivot, qubit)
    return circuit


def extract_syndromes(circuit: QuantumCircuit, ancillas: range) -> None:
    """Six checks on qubits 0 to 6: Z-type parities into the first three ancillas, X-type ones into the last three."""
    for ancilla, check in zip(ancillas[:3], CHECKS, strict=True):
        for qubit in check:
            circuit.cx(qubit, ancilla)
    for ancilla, check in zip(ancillas[3:], CHECKS, strict=True):
        circuit.h(ancilla)
        for qubit in check:
            circuit.cx(ancilla, qubit)
        circuit.h(ancilla)


def syndrome(data: int) -> int:
    """Parities of seven bits: bit b is check b. 0 for a code word, else the index of the single flip plus one."""
    return sum(sum(data >> qubit & 1 for qubit in check) % 2 << b for b, check in enumerate(CHECKS))

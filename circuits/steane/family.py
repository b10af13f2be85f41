"""The circuit family: keep one logical qubit through rounds of syndrome extraction and decode it.

What a concatenated code costs is in ``circuits.concatenation``.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from qiskit import QuantumCircuit

from circuits.family import Counts
from circuits.parameters import choice, integer, validate
from circuits.steane.code import NUM_DATA, Rows, encoder
from circuits.steane.extraction import SCHEMES, Bench, decode


@dataclass(frozen=True)
class Steane:
    """A memory experiment: encode, extract syndromes, measure all data qubits, decode.

    Classical bits: those of each round in the order of its scheme (``circuits.steane.extraction``), then the seven
    data qubits. The score is the logical success among the shots that are kept; :meth:`acceptance` is their share,
    by which the shots of a verified job have to be multiplied.

    Attributes:
        rounds: rounds of syndrome extraction.
        basis: "z" keeps a logical 0 or 1, "x" a logical + or -.
        logical: the logical value that is kept.
        ancillas: "fresh" takes new ancillas whenever it needs some (static, except with flags); "reset" measures and
            resets the same ones: 13, 35 and 9 qubits for bare, steane and flag.
        scheme: "bare" takes six ancillas a round and is not fault-tolerant; "steane" takes 28 and discards shots whose
            verification fails; "flag" takes two, used again and again, and feed-forward.
    """

    rounds: int = integer(1, low=1, high=8, doc="rounds of syndrome extraction")
    basis: str = choice("z", "z", "x", doc="basis of the logical state")
    logical: int = choice(0, 0, 1, doc="logical value that is kept")
    ancillas: str = choice("fresh", "fresh", "reset", doc="new ancillas every time, or reset ones")
    scheme: str = choice("bare", *SCHEMES, doc="how syndromes are extracted")

    def __post_init__(self) -> None:
        validate(self)

    def build(self) -> QuantumCircuit:
        """Encoder, barrier, rounds, transversal measurement."""
        return memory_circuit(self.scheme, self.rounds, self.basis, self.logical, fresh=self.ancillas == "fresh")[0]

    def score(self, counts: Counts) -> float:
        """Fraction of the shots kept whose decoded logical value is the right one, in [0, 1]; 0 if none is kept."""
        value, kept, weights = self._judged(counts)
        total = float(np.sum(weights[kept]))
        return min(1.0, float(np.sum(weights[kept & (value == self.logical)])) / total) if total else 0.0

    def acceptance(self, counts: Counts) -> float:
        """Fraction of the shots that are kept, in [0, 1]: 1 except where ancillas are verified."""
        _, kept, weights = self._judged(counts)
        return float(np.sum(weights[kept]) / np.sum(weights))

    @property
    def ideal_score(self) -> float:
        """1: without noise every syndrome is trivial and the data are a code word."""
        return 1.0

    def decode(self, bits: str) -> int:
        """Logical value of one shot, kept or not."""
        return int(decode(SCHEMES[self.scheme], rows_of([bits]), self.rounds, self.basis)[0][0])

    def _judged(self, counts: Counts) -> tuple[NDArray[np.bool_], NDArray[np.bool_], NDArray[np.float64]]:
        value, kept = decode(SCHEMES[self.scheme], rows_of(counts), self.rounds, self.basis)
        return value, kept, np.array(list(counts.values()), dtype=np.float64)


def memory_circuit(
    scheme: str, rounds: int, basis: str, logical: int = 0, *, fresh: bool = False, reset_all: bool = False
) -> tuple[QuantumCircuit, range]:
    """The whole circuit, and which of its instructions belong to the rounds.

    Args:
        scheme: key of ``SCHEMES``.
        rounds: >= 1.
        basis: "z" or "x".
        logical: 0 or 1.
        fresh: new ancillas every time.
        reset_all: reset ancillas before their first use, too, as a device has to that was used before.
    """
    made = SCHEMES[scheme]
    num_ancillas = made.num_fresh * rounds if fresh else made.num_ancillas
    circuit = QuantumCircuit(NUM_DATA + num_ancillas, made.num_bits * rounds + NUM_DATA, name="steane")
    data = range(NUM_DATA)
    circuit.compose(encoder(), qubits=data, inplace=True)
    if logical:
        circuit.x(data)  # X on all seven is the logical X
    if basis == "x":
        circuit.h(data)  # H on all seven is the logical H
    circuit.barrier()
    first = len(circuit.data)
    used = set(range(num_ancillas)) if reset_all else set()
    bench = Bench(circuit, fresh=fresh, put_off=fresh and not made.feed_forward, used=used)
    for _ in range(rounds):
        made.extract(bench)
    after = len(circuit.data)
    if basis == "x":
        circuit.h(data)
    bench.settle()
    circuit.measure(data, range(made.num_bits * rounds, made.num_bits * rounds + NUM_DATA))
    return circuit, range(first, after)


def rows_of(outcomes: Iterable[str]) -> Rows:
    """Bit strings as rows; bool (bits, outcomes)."""
    listed = list(outcomes)
    letters = np.frombuffer("".join(listed).encode(), dtype=np.uint8).reshape(len(listed), -1)
    return np.ascontiguousarray((letters[:, ::-1] == ord("1")).T)

"""What errors of pairs do to the result, without communication qubits: the same circuit with Pauli errors in it.

An error X of a pair flips the copy: the gates that use it see the shared qubit flipped. An error Z becomes a Z on the
shared qubit where the copy ends. So every error is one on the original circuit's own qubits (exact).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import combinations, product

from qiskit import QuantumCircuit

from circuits.counts import hellinger_fidelity
from circuits.distributed.ebits import Ebit

MOST_WORK = 2.0**23
"""Gates times amplitudes, of all circuits that are looked at, above which fewer errors are looked at (ours)."""

MOST_PATTERNS = 160
"""Circuits that are looked at for one figure: at some 5 ms each (ours)."""

Law = Mapping[str, float]
Ideal = Callable[[QuantumCircuit], Law | None]
"""Exact distribution of a circuit, such as ``circuits.fidelity.ideal_distribution``."""


def process_fidelity(fidelities: Sequence[float], local: float = 1.0) -> float:
    """Product of the pairs' fidelities and of what is done locally.

    Exact for Werner pairs as long as no two errors undo each other, which they do with a probability of the order of
    (1 - F)²/3 for two pairs; then it is a lower bound. What is local is taken to fail by itself (an approximation).
    """
    return local * math.prod(fidelities)


def average_fidelity(process: float, num_qubits: int) -> float:
    """Average gate fidelity, (d F + 1)/(d + 1) with d = 2^n: (4 F + 1)/5 of a remote CX (Nielsen 2002)."""
    dimension = 2.0**num_qubits
    return (dimension * process + 1.0) / (dimension + 1.0)


def with_errors(circuit: QuantumCircuit, pairs: Sequence[Ebit], paulis: Sequence[int]) -> QuantumCircuit:
    """The original circuit, as it acts when pairs come with these errors (0 none, 1 X, 2 Y, 3 Z)."""
    flipped: dict[int, int] = {}
    turns: dict[int, list[int]] = {}
    for pair, pauli in zip(pairs, paulis, strict=True):
        if pauli in (1, 2):
            flipped |= dict.fromkeys(pair.gates, pair.qubit)
        if pauli in (2, 3):
            turns.setdefault(pair.gates[-1], []).append(pair.qubit)
    wrong = circuit.copy_empty_like()
    for index, item in enumerate(circuit.data):
        if index in flipped:
            wrong.x(flipped[index])
        wrong._append(item)
        if index in flipped:
            wrong.x(flipped[index])
        for qubit in turns.get(index, ()):
            wrong.z(qubit)
    return wrong


def counts_fidelity(circuit: QuantumCircuit, pairs: Sequence[Ebit], fidelities: Sequence[float], ideal: Ideal) -> float:
    """Hellinger fidelity to expect of the counts, relative to the ideal.

    Shots with no error, with one, and with two where that is not too much work, are worked out exactly; the others are
    taken to be spread like those with an error (ours). Where even one is too much, or nothing exact is known, it is the
    product of fidelities: a lower bound.
    """
    clean, num = math.prod(fidelities), len(pairs)
    work = len(circuit.data) * 2.0**circuit.num_qubits
    sizes = {most: _num_patterns(num, most) for most in (2, 1)}
    errors = next((most for most, size in sizes.items() if size <= MOST_PATTERNS and size * work <= MOST_WORK), 0)
    right = ideal(circuit) if pairs and errors and clean > 0.0 else None
    if right is None:
        return clean
    wrong: list[tuple[float, Law]] = []
    for paulis in _patterns(num, errors):
        law = ideal(with_errors(circuit, pairs, paulis))
        if law is None:
            return clean
        odds = ((1.0 - f) / 3.0 if pauli else f for f, pauli in zip(fidelities, paulis, strict=True))
        wrong.append((math.prod(odds), law))
    return hellinger_fidelity(_mixed(clean, right, wrong), right)


def _patterns(num: int, most: int) -> Iterator[list[int]]:
    """Errors of so many pairs, at least one and at most so many of them wrong."""
    for errors in range(1, most + 1):
        for places in combinations(range(num), errors):
            for kinds in product((1, 2, 3), repeat=errors):
                at = dict(zip(places, kinds, strict=True))
                yield [at.get(place, 0) for place in range(num)]


def _num_patterns(num: int, most: int) -> int:
    return sum(math.comb(num, errors) * 3**errors for errors in range(most + 1))


def _mixed(clean: float, right: Law, wrong: Sequence[tuple[float, Law]]) -> dict[str, float]:
    """All shots: those that are right, and the wrong ones, as many as are left."""
    known = math.fsum(weight for weight, _ in wrong)
    scale = (1.0 - clean) / known if known > 0.0 else 0.0
    mixed = {bits: clean * chance for bits, chance in right.items()}
    for weight, law in wrong:
        for bits, chance in law.items():
            mixed[bits] = mixed.get(bits, 0.0) + scale * weight * chance
    return mixed

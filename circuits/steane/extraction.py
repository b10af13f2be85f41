"""Three ways to read the syndrome of a block, each with the way its bits are understood.

- ``bare``: one ancilla a check. Not fault-tolerant: a fault on an ancilla may spread to two data qubits (ours).
- ``steane``: two ancilla blocks in logical |0>, each verified against a second one: 28 ancillas.  [A. M. Steane, Phys.
  Rev. Lett. 78 (1997) 2252; the count: MEQC paper, Appendix C]  A shot whose verification fails is to be discarded.
- ``flag``: one ancilla and one flag a check; only if any of the twelve bits is set, all checks are read again without
  flags and the block is restored, so it needs feed-forward. [R. Chao, B. Reichardt, Phys. Rev. Lett. 121 (2018)
  050502; ours: all flagged checks are read before anything is done about them, and what a flag says about the logical
  value is kept for the decoder]

A scheme appends its measurements in a fixed order; ``observe`` reads the rows of one round.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from qiskit import QuantumCircuit
from qiskit.circuit.classical import expr

from circuits.steane.code import CHECKS, NUM_DATA, Rows, encoder, matches, parity, syndrome_rows

DATA = range(NUM_DATA)


@dataclass
class Bench:
    """A circuit under construction, whose ancillas are new ones or the same ones again.

    Attributes:
        circuit: seven data qubits, then ancillas.
        fresh: every ancilla is a new qubit, and a static scheme measures all of them at the end.
        put_off: measurements wait for :meth:`settle`.
        used: slots that hold something, so that taking them again resets them.
    """

    circuit: QuantumCircuit
    fresh: bool
    put_off: bool = False
    used: set[int] = field(default_factory=set)
    _num_fresh: int = 0
    _num_bits: int = 0
    _waiting: list[tuple[int, int]] = field(default_factory=list)

    def take(self, slots: Sequence[int]) -> list[int]:
        """Ancillas in |0>."""
        if self.fresh:
            first = NUM_DATA + self._num_fresh
            self._num_fresh += len(slots)
            return list(range(first, first + len(slots)))
        for slot in slots:
            if slot in self.used:
                self.circuit.reset(NUM_DATA + slot)
        self.used.update(slots)
        return [NUM_DATA + slot for slot in slots]

    def measure(self, qubits: Sequence[int]) -> list[int]:
        """Measure into the next classical bits; their indices."""
        bits = list(range(self._num_bits, self._num_bits + len(qubits)))
        self._num_bits += len(qubits)
        if self.put_off:
            self._waiting += zip(qubits, bits, strict=True)
        else:
            self.circuit.measure(qubits, bits)
        return bits

    def settle(self) -> None:
        """Do the measurements that were put off."""
        for qubit, bit in self._waiting:
            self.circuit.measure(qubit, bit)
        self._waiting.clear()


@dataclass(frozen=True)
class Observed:
    """What the bits of one round say about the errors that a basis suffers from; all bool (..., shots).

    Attributes:
        syndrome: (3,) checks that are violated now and stay so, since nothing was done about it.
        flip: whether the round itself turned the logical value.
        rejected: whether the shot is to be discarded.
    """

    syndrome: Rows
    flip: NDArray[np.bool_]
    rejected: NDArray[np.bool_]


@dataclass(frozen=True)
class Scheme:
    """A way to extract syndromes.

    Attributes:
        num_ancillas: if they are used again.
        num_fresh: ancillas a round if they are not.
        num_bits: measured in a round.
        feed_forward: whether later gates depend on measured bits.
        extract: appends one round.
        observe: rows of one round (num_bits, shots) and 0 or 1 for basis z or x -> what they say.
    """

    num_ancillas: int
    num_fresh: int
    num_bits: int
    feed_forward: bool
    extract: Callable[[Bench], None]
    observe: Callable[[Rows, int], Observed]


def bare_round(bench: Bench) -> None:
    """Six checks with one ancilla each: Z-type parities first, then X-type ones."""
    ancillas = bench.take(range(6))
    for number, (letter, check) in enumerate((letter, check) for letter in "zx" for check in CHECKS):
        couple(bench.circuit, letter, check, ancillas[number])
    bench.measure(ancillas)


def observe_bare(rows: Rows, half: int) -> Observed:
    """Bits: three Z-type checks, three X-type ones."""
    never = np.zeros(rows.shape[1], dtype=np.bool_)
    return Observed(rows[3 * half : 3 * half + 3], never, never)


def steane_round(bench: Bench) -> None:
    """Two verified blocks: one takes up the bit flips of the data, the other their phase flips."""
    circuit = bench.circuit
    for half in (0, 1):
        block = verified_zero(bench, 14 * half)
        if half == 0:
            circuit.h(block)
            circuit.cx(DATA, block)
        else:
            circuit.cx(block, DATA)
            circuit.h(block)
        bench.measure(block)


def verified_zero(bench: Bench, first: int) -> list[int]:
    """A logical |0> on seven ancillas, and its witness measured on seven more, from slot ``first`` on; the former.

    The witness takes up bit flips, the errors of a logical |0> that could spread when it is used.
    """
    block, witness = (bench.take(range(start, start + NUM_DATA)) for start in (first, first + NUM_DATA))
    for each in (block, witness):
        bench.circuit.compose(encoder(), qubits=each, inplace=True)
    bench.circuit.cx(block, witness)
    bench.measure(witness)
    return block


def refused(witness: Rows) -> NDArray[np.bool_]:
    """Whether a witness shows any error; witness: bool (7, shots). Returns bool (shots,)."""
    found: NDArray[np.bool_] = parity(witness) | np.any(syndrome_rows(witness), axis=0)
    return found


def observe_steane(rows: Rows, half: int) -> Observed:
    """Bits: witness and block of the bit flips, then of the phase flips; seven each."""
    rejected = refused(rows[0:7]) | refused(rows[14:21])
    block = rows[14 * half + 7 : 14 * half + 14]
    return Observed(syndrome_rows(block), np.zeros_like(rejected), rejected)


def flag_round(bench: Bench) -> None:
    """Six flagged checks; where any of their bits is set, six bare ones and Paulis that restore the code space."""
    circuit = bench.circuit
    bits: list[int] = []
    for letter in "zx":
        for check in CHECKS:
            ancilla, flag = bench.take((0, 1))
            couple(circuit, letter, check, ancilla, flag)
            bits += bench.measure((ancilla, flag))
    with circuit.if_test(_any(circuit, bits)):
        for letter in "zx":
            seen: list[int] = []
            for check in CHECKS:
                (ancilla,) = bench.take((0,))
                couple(circuit, letter, check, ancilla)
                seen += bench.measure((ancilla,))
            for qubit in DATA:
                with circuit.if_test(_equals(circuit, seen, qubit + 1)):
                    (circuit.x if letter == "z" else circuit.z)(qubit)


def observe_flag(rows: Rows, half: int) -> Observed:
    """Bits: (check, flag) of three Z-type and three X-type checks; then three and three of the second look.

    A bit flip on the ancilla of an X-type check (a, b, c, d), halfway through, flips c and d. Its syndrome points to
    one other qubit, whose flip restores the code space and, with c and d, makes up a logical X: the flag tells.
    """
    flags = rows[[7, 9, 11]] if half == 0 else rows[[1, 3, 5]]  # of the checks whose ancillas spread these errors
    seen = rows[12 + 3 * half : 15 + 3 * half]
    flip = np.any([flag & matches(seen, pair) for flag, pair in zip(flags, PAIRS, strict=True)], axis=0)
    return Observed(np.zeros_like(seen), flip, np.zeros_like(flip))


PAIRS = tuple((check[2] + 1) ^ (check[3] + 1) for check in CHECKS)
"""Syndrome that flips of the last two qubits of each check show."""


def couple(circuit: QuantumCircuit, letter: str, check: Sequence[int], ancilla: int, flag: int | None = None) -> None:
    """Write the parity of a Z-type or X-type check into an ancilla; a flag is coupled after one and after three."""
    plus = ancilla if letter == "x" else flag
    if plus is not None:
        circuit.h(plus)
    for number, qubit in enumerate(check):
        if flag is not None and number in (1, 3):
            circuit.cx(*((ancilla, flag) if letter == "x" else (flag, ancilla)))
        circuit.cx(*((ancilla, qubit) if letter == "x" else (qubit, ancilla)))
    if plus is not None:
        circuit.h(plus)


def _any(circuit: QuantumCircuit, bits: Sequence[int]) -> Any:
    condition = expr.lift(circuit.clbits[bits[0]])
    for bit in bits[1:]:
        condition = expr.logic_or(condition, circuit.clbits[bit])
    return condition


def _equals(circuit: QuantumCircuit, bits: Sequence[int], value: int) -> Any:
    terms = [
        expr.lift(circuit.clbits[bit]) if value >> place & 1 else expr.logic_not(circuit.clbits[bit])
        for place, bit in enumerate(bits)
    ]
    condition = terms[0]
    for term in terms[1:]:
        condition = expr.logic_and(condition, term)
    return condition


SCHEMES: dict[str, Scheme] = {
    "bare": Scheme(6, 6, 6, False, bare_round, observe_bare),
    "steane": Scheme(28, 28, 28, False, steane_round, observe_steane),
    "flag": Scheme(2, 18, 18, True, flag_round, observe_flag),
}


def decode(scheme: Scheme, rows: Rows, rounds: int, basis: str) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Logical value and whether the shot is kept, for many shots.

    Every change of the syndrome from one round to the next flips the data qubit that it points to, so a wrong syndrome
    bit cancels itself (ours).

    Args:
        scheme: how the syndromes were read.
        rows: bits of each round, then the seven data qubits.        bool (num_bits * rounds + 7, shots)
        rounds: of extraction.
        basis: "z" or "x".
    """
    half = "zx".index(basis)
    data = rows[scheme.num_bits * rounds :]
    value, rejected = parity(data), np.zeros(rows.shape[1], dtype=np.bool_)
    previous: Rows = np.zeros((3, rows.shape[1]), dtype=np.bool_)
    for turn in range(rounds):
        found = scheme.observe(rows[scheme.num_bits * turn : scheme.num_bits * (turn + 1)], half)
        value = value ^ found.flip ^ np.any(found.syndrome ^ previous, axis=0)
        rejected = rejected | found.rejected
        previous = found.syndrome
    return value ^ np.any(syndrome_rows(data) ^ previous, axis=0), ~rejected

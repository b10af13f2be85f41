"""The code: encoders, transversal gates, syndromes, and the decoder that many shots share."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from qiskit import QuantumCircuit
from qiskit.quantum_info import Pauli, StabilizerState, Statevector

from circuits.steane import CHECKS, Steane, syndrome
from circuits.steane.code import (
    INPUT_QUBIT,
    TRANSVERSAL,
    encoder,
    parity,
    state_encoder,
    syndrome_rows,
    transversal,
)
from circuits.steane.extraction import PAIRS, SCHEMES, decode, refused

WORDS = [word for word in range(128) if syndrome(word) == 0]
ANGLES = st.floats(-3.2, 3.2)


def rows(*columns: str) -> np.ndarray[tuple[int, int], np.dtype[np.bool_]]:
    """Shots whose bits are written with bit 0 first, as rows."""
    return np.array([[letter == "1" for letter in column] for column in columns]).T


def bits(value: int, width: int = 7) -> str:
    return format(value, f"0{width}b")[::-1]


def encoded(first: tuple[float, float, float], second: tuple[float, float, float] | None = None) -> QuantumCircuit:
    """One block, or two, that hold a qubit turned by three angles each."""
    states = [first] if second is None else [first, second]
    circuit = QuantumCircuit(7 * len(states))
    for block, angles in enumerate(states):
        circuit.u(*angles, INPUT_QUBIT + 7 * block)
        circuit.compose(state_encoder(), qubits=range(7 * block, 7 * block + 7), inplace=True)
    return circuit


def test_the_state_encoder_has_eleven_cx_and_agrees_with_the_other_one_on_zero() -> None:
    assert state_encoder().count_ops() == {"cx": 11, "h": 3}
    assert encoder().count_ops() == {"cx": 9, "h": 3}
    assert Statevector(state_encoder()).equiv(Statevector(encoder()))


@pytest.mark.parametrize(("letter", "wanted"), [("X", "IIXXIXI"), ("Z", "IIIIZZZ")])
def test_where_the_state_encoder_takes_paulis(letter: str, wanted: str) -> None:
    circuit = QuantumCircuit(7)
    if letter == "X":
        circuit.h(INPUT_QUBIT)
    state = StabilizerState(circuit.compose(state_encoder()))
    support = {"X": (2, 4, 5), "Z": (0, 1, 2)}[letter]
    label = "".join(letter if qubit in support else "I" for qubit in range(6, -1, -1))
    assert state.expectation_value(Pauli(label)) == 1
    assert state.expectation_value(Pauli(letter * 7)) == 1, "the same logical Pauli"


@given(st.tuples(ANGLES, ANGLES, ANGLES), st.sampled_from(sorted(set(TRANSVERSAL) - {"cx"})))
def test_a_transversal_gate_is_the_logical_gate_on_any_state(angles: tuple[float, float, float], gate: str) -> None:
    logical = QuantumCircuit(7)
    logical.u(*angles, INPUT_QUBIT)
    getattr(logical, gate)(INPUT_QUBIT)
    expected = Statevector(logical.compose(state_encoder()))
    assert Statevector(encoded(angles).compose(transversal(gate))).equiv(expected)


def test_s_on_all_seven_is_not_the_logical_s() -> None:
    plain = QuantumCircuit(7)
    plain.s(range(7))
    angles = (1.1, 0.3, 0.2)
    assert not Statevector(encoded(angles).compose(plain)).equiv(Statevector(encoded(angles).compose(transversal("s"))))


def test_cx_between_blocks_is_the_logical_cx() -> None:
    first, second = (0.7, 0.2, 1.9), (2.1, -0.4, 0.6)
    logical = QuantumCircuit(14)
    logical.u(*first, INPUT_QUBIT)
    logical.u(*second, INPUT_QUBIT + 7)
    logical.cx(INPUT_QUBIT, INPUT_QUBIT + 7)
    for block in (0, 7):
        logical.compose(state_encoder(), qubits=range(block, block + 7), inplace=True)
    assert Statevector(encoded(first, second).compose(transversal("cx"))).equiv(Statevector(logical))


def test_every_error_on_one_or_two_qubits_is_seen() -> None:
    for first in range(7):
        for second in range(first, 7):
            assert syndrome(1 << first | 1 << second & ~(1 << first)) or first == second
            assert syndrome(1 << first ^ (1 << second if second != first else 0)) != 0


@given(st.lists(st.integers(0, 127), min_size=1, max_size=20))
def test_rows_say_what_integers_say(values: list[int]) -> None:
    found = rows(*map(bits, values))
    weights = syndrome_rows(found).T @ np.array([1, 2, 4])
    assert weights.tolist() == [syndrome(value) for value in values]
    assert parity(found).tolist() == [value.bit_count() % 2 == 1 for value in values]


@given(
    logical=st.integers(0, 1),
    word=st.sampled_from([word for word in WORDS if word.bit_count() % 2 == 0]),
    errors=st.lists(st.one_of(st.none(), st.integers(0, 6)), min_size=2, max_size=5),
    basis=st.sampled_from("zx"),
    scheme=st.sampled_from(["bare", "steane"]),
    noise=st.integers(0, 2**60),
)
def test_one_flip_between_any_two_looks_is_corrected(
    logical: int, word: int, errors: list[int | None], basis: str, scheme: str, noise: int
) -> None:
    """One data flip before each round and one before the readout; the other basis's half of a round is noise."""
    data, column = word ^ (127 * logical), ""
    half = "zx".index(basis)
    for error in errors[:-1]:
        data ^= 0 if error is None else 1 << error
        other, noise = noise % 8, noise // 8
        if scheme == "bare":
            halves = [bits(syndrome(data), 3), bits(other, 3)]
        else:
            block = WORDS[noise % 16] ^ data  # the ancilla's random code word, and what the data copied into it
            halves = [bits(0) + bits(block), bits(0) + bits(other)]
        column += "".join(halves if half == 0 else halves[::-1])
    data ^= 0 if errors[-1] is None else 1 << errors[-1]
    value, kept = decode(SCHEMES[scheme], rows(column + bits(data)), len(errors) - 1, basis)
    assert (value.tolist(), kept.tolist()) == ([bool(logical)], [True])


def test_a_witness_passes_exactly_as_a_word_of_logical_zero() -> None:
    passed = [value for value in range(128) if not refused(rows(bits(value)))[0]]
    assert passed == [word for word in WORDS if word.bit_count() % 2 == 0]
    assert len(passed) == 8


def test_the_pair_behind_a_flag_is_the_single_flip_up_to_a_logical_x() -> None:
    for check, pair in zip(CHECKS, PAIRS, strict=True):
        together = 1 << check[2] | 1 << check[3] | 1 << (pair - 1)
        assert syndrome(together) == 0
        assert together.bit_count() % 2 == 1, "a word of odd weight is a logical X"


@pytest.mark.parametrize(("ancillas", "num_qubits"), [("fresh", 7 + 2 * 28), ("reset", 35)])
@pytest.mark.parametrize("basis", ["z", "x"])
def test_a_refused_witness_discards_the_shot(ancillas: str, num_qubits: int, basis: str) -> None:
    family = Steane(rounds=2, basis=basis, ancillas=ancillas, scheme="steane")
    assert family.build().num_qubits == num_qubits
    good, bad = "0" * 63, "0" * 62 + "1"
    assert family.acceptance({good: 3, bad: 1}) == 0.75
    assert family.score({good: 3, bad: 1}) == 1.0
    assert family.score({bad: 1}) == 0.0, "nothing is known of what was not kept"
    wrong = "1" * 7 + "0" * 56
    assert family.score({good: 3, wrong: 1}) == 0.75

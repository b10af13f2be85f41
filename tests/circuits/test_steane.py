"""Steane's code: noiseless rounds are silent and every single error on a data qubit is corrected."""

import pytest
from qiskit import QuantumCircuit
from qiskit.quantum_info import StabilizerState
from qiskit_aer import AerSimulator

from circuits.steane import CHECKS, Steane, encoder, syndrome

SIMULATOR = AerSimulator(method="stabilizer", max_parallel_threads=1, seed_simulator=7)


def with_error(circuit: QuantumCircuit, pauli: str, qubit: int, after_barrier: bool = True) -> QuantumCircuit:
    """The circuit with one Pauli right after the encoder."""
    broken = circuit.copy_empty_like()
    for item in circuit.data:
        broken.append(item)
        if item.operation.name == "barrier":
            getattr(broken, pauli)(qubit)
    return broken


def score(family: Steane, circuit: QuantumCircuit) -> float:
    return family.score(SIMULATOR.run(circuit, shots=40).result().get_counts())


def test_encoder_prepares_the_code_state() -> None:
    state = StabilizerState(encoder())
    for check in CHECKS:
        for letter in "XZ":
            label = "".join(letter if qubit in check else "I" for qubit in range(6, -1, -1))
            assert state.expectation_value(_pauli(label)) == 1
    assert state.expectation_value(_pauli("Z" * 7)) == 1


def _pauli(label: str) -> object:
    from qiskit.quantum_info import Pauli

    return Pauli(label)


@pytest.mark.parametrize("basis", ["z", "x"])
@pytest.mark.parametrize("logical", [0, 1])
@pytest.mark.parametrize("ancillas", ["fresh", "reset"])
def test_noiseless_score_is_one(basis: str, logical: int, ancillas: str) -> None:
    family = Steane(rounds=2, basis=basis, logical=logical, ancillas=ancillas)
    circuit = family.build()
    assert circuit.num_qubits == (19 if ancillas == "fresh" else 13)
    assert score(family, circuit) == pytest.approx(family.ideal_score)


@pytest.mark.parametrize("basis", ["z", "x"])
@pytest.mark.parametrize("rounds", [1, 2])
@pytest.mark.parametrize("pauli", ["x", "y", "z"])
def test_every_single_error_is_corrected(basis: str, rounds: int, pauli: str) -> None:
    family = Steane(rounds=rounds, basis=basis)
    for qubit in range(7):
        assert score(family, with_error(family.build(), pauli, qubit)) == pytest.approx(1.0)


def test_two_errors_defeat_it() -> None:
    family = Steane()
    assert score(family, with_error(with_error(family.build(), "x", 0), "x", 1)) == 0.0


def test_a_wrong_syndrome_bit_or_readout_is_harmless() -> None:
    family = Steane(rounds=3)
    clean = next(iter(SIMULATOR.run(family.build(), shots=1).result().get_counts()))
    for position in range(len(clean)):
        flipped = clean[:position] + ("0" if clean[position] == "1" else "1") + clean[position + 1 :]
        assert family.decode(flipped) == 0


def test_errors_in_different_rounds_are_told_apart() -> None:
    family = Steane(rounds=1)
    # Qubit 0 flips before the round (syndrome 1 is seen), qubit 1 after it: the data show both.
    assert family.decode(format((0b11 << 6) | 1, "013b")) == 0
    assert family.decode(format(0b11 << 6, "013b")) == 1  # both at once look like a third one


def test_syndrome_points_to_the_flip() -> None:
    assert [syndrome(1 << qubit) for qubit in range(7)] == [1, 2, 3, 4, 5, 6, 7]
    assert syndrome(0) == syndrome(0b1111111) == 0

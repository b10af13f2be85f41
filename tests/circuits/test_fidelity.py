"""Judging: exact distributions with their bit order, Hellinger for users, scores for families, mixtures in between."""

import pytest
from qiskit import QuantumCircuit
from qiskit.circuit.random import random_circuit
from qiskit.quantum_info import Statevector

from circuits.autoencoder import Autoencoder
from circuits.family import Outcome
from circuits.fidelity import ideal_distribution, judge, judge_outcome, mixture_fidelity
from circuits.program import UserCircuit
from circuits.raytracing import RayTracing
from circuits.steane import Steane


@pytest.mark.parametrize("seed", range(5))
def test_random_circuits_agree_with_the_state_vector(seed: int) -> None:
    circuit = random_circuit(4, 5, max_operands=3, seed=seed)
    expected = {bits: value for bits, value in Statevector(circuit).probabilities_dict().items() if value >= 1e-12}
    found = ideal_distribution(circuit.measure_all(inplace=False))
    assert found == pytest.approx(expected, abs=1e-9)


def test_measurement_map_is_honoured() -> None:
    circuit = QuantumCircuit(30, 4)  # 30 qubits declared, 3 of them active
    circuit.reset(20)
    circuit.x(20)
    circuit.h(7)
    circuit.cx(7, 2)
    circuit.measure(20, 0)
    circuit.measure(7, 3)
    circuit.measure(7, 1)
    assert ideal_distribution(circuit) == pytest.approx({"0001": 0.5, "1011": 0.5})


def test_what_cannot_be_computed_gives_none() -> None:
    dynamic, wide, flat = QuantumCircuit(1, 1), QuantumCircuit(21), QuantumCircuit(13)
    dynamic.measure(0, 0)
    dynamic.x(0)
    wide.x(range(21))
    flat.h(range(13))
    assert ideal_distribution(dynamic) is None
    assert ideal_distribution(wide.measure_all(inplace=False)) is None
    assert ideal_distribution(flat.measure_all(inplace=False)) is None
    assert ideal_distribution(flat) is None


def test_a_user_circuit_is_judged_by_hellinger_fidelity() -> None:
    family = UserCircuit(QuantumCircuit(1))
    verdict = judge(family, {"0": 50, "1": 50}, {"0": 1.0})
    assert (verdict.kind, verdict.score) == ("hellinger", None)
    assert verdict.fidelity == pytest.approx(0.5)
    assert verdict.floor == pytest.approx(1.0)
    assert judge(family, {"0": 1}, None).fidelity is None
    assert judge(family, {"0": 1}, None).kind == "estimated"


def test_a_family_is_judged_by_its_score() -> None:
    verdict = judge(Autoencoder(), {"000": 50, "001": 50}, None)
    assert (verdict.kind, verdict.score) == ("score", 0.5)
    assert verdict.fidelity == pytest.approx(0.5 / Autoencoder().ideal_score)
    assert judge(Autoencoder(), {"000": 1}, None).fidelity == 1.0  # above its ideal by luck: clipped
    assert judge_outcome(RayTracing(), Outcome(0.75, None, 1)).fidelity == 0.75


def test_mixture_goes_from_noise_to_ideal() -> None:
    assert mixture_fidelity(Steane(), 1.0, None, 13) == 1.0
    assert mixture_fidelity(Steane(), 0.0, None, 13) == pytest.approx(0.5)  # a coin flip is right half the time
    assert mixture_fidelity(Steane(rounds=4), 0.0, None, 31) == pytest.approx(0.5, abs=0.02)
    user = UserCircuit(QuantumCircuit(2))
    assert mixture_fidelity(user, 0.3, None, 2) is None
    assert mixture_fidelity(user, 1.0, {"00": 0.5, "11": 0.5}, 2) == pytest.approx(1.0)
    assert mixture_fidelity(user, 0.0, {"00": 0.5, "11": 0.5}, 2) == pytest.approx(0.5)


def test_gates_that_one_simulator_lacks_are_lowered_for_it() -> None:
    circuit = QuantumCircuit(2, 2)
    circuit.x(0)
    circuit.ch(0, 1)
    circuit.measure([0, 1], [0, 1])
    assert ideal_distribution(circuit) == pytest.approx({"01": 0.5, "11": 0.5})

"""The three estimators: what they measure, their intervals, and how the two fidelities bound each other."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from qiskit_aer import AerSimulator

from circuits.autoencoder.ansatz import encode, encoder_circuit, num_angles
from circuits.autoencoder.estimators import ESTIMATORS, decode_fidelities, estimate, fidelity, trash_fidelities
from circuits.autoencoder.preparation import real_state_preparation
from circuits.counts import clopper_pearson
from circuits.errors import CircuitError, InvalidParameter
from circuits.fidelity import ideal_distribution


@settings(max_examples=15)
@given(st.integers(2, 4), st.data())
def test_circuits_measure_what_the_formulas_say(num_qubits: int, data: st.DataObject) -> None:
    num_latent = data.draw(st.integers(1, num_qubits - 1))
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    state = rng.normal(size=2**num_qubits)
    state /= np.linalg.norm(state)
    angles = rng.normal(size=num_angles(num_qubits, num_latent, 2))
    encoded = encode(state[None], num_latent, 2, angles)
    exact = {name: trash_fidelities(encoded, num_latent)[0] for name in ("direct", "swap")}
    exact["decode"] = decode_fidelities(encoded, num_latent)[0]
    assert exact["direct"] ** 2 - 1e-12 <= exact["decode"] <= exact["direct"] + 1e-12
    widths = {"direct": num_qubits, "swap": 2 * num_qubits - num_latent + 1, "decode": 2 * num_qubits - num_latent}
    encoder = encoder_circuit(num_qubits, num_latent, 2, angles)
    for name, estimator in ESTIMATORS.items():
        circuit = estimator.measured(real_state_preparation(state), encoder, num_latent)
        outcomes = ideal_distribution(circuit)
        assert outcomes is not None
        assert circuit.num_qubits == widths[name]
        assert fidelity(name, outcomes) == pytest.approx(exact[name], abs=1e-9)  # type: ignore[arg-type]


def test_intervals_are_those_of_the_measured_probability() -> None:
    low, high = clopper_pearson(90, 100, 0.9)
    direct = estimate("direct", {"000": 90, "010": 10}, confidence=0.9)
    swap = estimate("swap", {"0": 90, "1": 10}, confidence=0.9)
    assert (direct.value, direct.low, direct.high, direct.shots) == (0.9, low, high, 100)
    assert (swap.value, swap.low, swap.high) == pytest.approx((0.8, 2 * low - 1, 2 * high - 1))


def test_the_interval_of_a_perfect_result_is_one_sided_and_of_a_hopeless_one_empty_of_negatives() -> None:
    perfect = estimate("swap", {"0": 1000})
    assert perfect.high == perfect.value == 1.0
    assert 0.99 < perfect.low < 1.0
    assert estimate("swap", {"1": 5}).value == estimate("swap", {"1": 5}).low == 0.0


def test_bad_input_is_refused() -> None:
    with pytest.raises(InvalidParameter, match=r"direct, swap, decode.*'tomography'"):
        estimate("tomography", {"0": 1})
    with pytest.raises(CircuitError, match="shots >= 1"):
        estimate("direct", {})


def test_intervals_cover_the_exact_value_as_often_as_they_say() -> None:
    rng = np.random.default_rng(5)
    exact, shots, covered = 0.97, 500, 0
    for zeros in rng.binomial(shots, (1 + exact) / 2, 400):
        found = estimate("swap", {"0": int(zeros), "1": shots - int(zeros)}, confidence=0.9)
        covered += found.low <= exact <= found.high
    assert covered >= 0.87 * 400  # Clopper-Pearson covers at least 90 %; 0.87 is two standard deviations below


def test_sampled_counts_agree() -> None:
    state = np.full(8, 8**-0.5)
    encoder = encoder_circuit(3, 1, 2, np.linspace(-1, 1, num_angles(3, 1, 2)))
    exact = trash_fidelities(encode(state[None], 1, 2, np.linspace(-1, 1, num_angles(3, 1, 2))), 1)[0]
    device = AerSimulator(seed_simulator=3, max_parallel_threads=1)
    for name in ("direct", "swap"):
        circuit = ESTIMATORS[name].measured(real_state_preparation(state), encoder, 1)
        found = estimate(name, device.run(circuit, shots=4000).result().get_counts(), confidence=0.999)
        assert found.low <= exact <= found.high

"""Counts: merging, bit order, Hellinger fidelity against known values, its floor against Monte Carlo."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from circuits.counts import (
    clopper_pearson,
    finite_shot_floor,
    hellinger_fidelity,
    marginal,
    merge,
    probabilities,
    reverse_bits,
    to_bits,
)
from circuits.errors import CircuitError

distributions = st.dictionaries(st.text("01", min_size=4, max_size=4), st.integers(1, 1000), min_size=1)


def test_merge_adds_shots_and_joins_registers() -> None:
    assert merge({"0 1": 3}, {"01": 2, "11": 1}) == {"01": 5, "11": 1}


def test_bit_zero_is_the_rightmost_character() -> None:
    assert to_bits(1, 3) == "001"
    assert marginal({"100": 4, "001": 1}, [2]) == {"1": 4, "0": 1}
    assert marginal({"100": 4}, [2, 0]) == {"01": 4}
    assert reverse_bits({"100": 4}) == {"001": 4}


def test_hellinger_fidelity_of_a_known_pair() -> None:
    assert hellinger_fidelity({"0": 1, "1": 1}, {"0": 1.0}) == pytest.approx(0.5)
    assert hellinger_fidelity({"0": 5}, {"1": 1.0}) == 0.0


@given(distributions, distributions)
def test_hellinger_fidelity_is_symmetric_and_bounded(one: dict[str, int], other: dict[str, int]) -> None:
    forward = hellinger_fidelity(one, other)
    assert 0.0 <= forward <= 1.0
    assert forward == pytest.approx(hellinger_fidelity(other, one))
    assert hellinger_fidelity(one, one) == pytest.approx(1.0)


@pytest.mark.parametrize("weights", [{}, {"0": 0}, {"0": -1, "1": 3}, {"0": math.nan}])
def test_weights_that_are_no_distribution_are_refused(weights: dict[str, float]) -> None:
    with pytest.raises(CircuitError, match="wanted counts"):
        probabilities(weights)


@pytest.mark.parametrize("shots", [1, 10, 100, 4000])
@pytest.mark.parametrize("name", ["point", "coin", "uniform64", "skewed", "wide"])
def test_floor_agrees_with_monte_carlo(shots: int, name: str) -> None:
    generator = np.random.default_rng(1)
    weights = {
        "point": np.array([1.0]),
        "coin": np.array([0.5, 0.5]),
        "uniform64": np.full(64, 1 / 64),
        "skewed": np.array([0.97, 0.02, 0.01]),
        "wide": generator.dirichlet(np.full(200, 0.3)),
    }[name]
    samples = generator.multinomial(shots, weights, size=3000) / shots
    simulated = np.mean(np.sum(np.sqrt(samples * weights), axis=1) ** 2)
    floor = finite_shot_floor({str(i): float(w) for i, w in enumerate(weights)}, shots)
    assert floor == pytest.approx(simulated, abs=0.006)


def test_floor_is_exact_for_one_shot_and_grows_with_shots() -> None:
    ideal = {"00": 0.5, "01": 0.25, "10": 0.25}
    assert finite_shot_floor(ideal, 1) == pytest.approx(0.25 + 2 * 0.0625, abs=1e-9)  # sum of q^2: one string is seen
    floors = [finite_shot_floor(ideal, shots) for shots in (1, 10, 100, 10_000, 10**8)]
    assert floors == sorted(floors)
    assert floors[-1] == pytest.approx(1.0, abs=1e-6)


def test_clopper_pearson_matches_the_published_extremes() -> None:
    assert clopper_pearson(0, 100)[0] == 0.0
    assert clopper_pearson(0, 100)[1] == pytest.approx(1 - 0.025 ** (1 / 100))  # closed form without successes
    assert clopper_pearson(100, 100)[1] == 1.0
    with pytest.raises(CircuitError):
        clopper_pearson(5, 4)


@settings(max_examples=50)
@given(st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_clopper_pearson_contains_the_frequency(pair: tuple[int, int]) -> None:
    successes, shots = pair
    low, high = clopper_pearson(successes, shots)
    assert 0.0 <= low <= successes / shots <= high <= 1.0

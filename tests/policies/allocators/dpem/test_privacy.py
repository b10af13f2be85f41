"""Epsilon: three accountants, another library, and values in print."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from circuits.errors import InvalidParameter
from policies.allocators.dpem.privacy import (
    account,
    composed_mu,
    gaussian_delta,
    gaussian_epsilon,
    gaussian_mu,
    sigma_for,
    together,
    update_sigma,
)

ROUNDS = 40
EXACT = {1.0: 38.7, 5.0: 4.2, 10.0: 1.8, 20.0: 0.78}
"""Epsilon of 40 rounds at delta = 1e-3."""


@pytest.mark.parametrize("sigma", EXACT)
def test_exact_epsilon_is_the_printed_one(sigma: float) -> None:
    assert gaussian_epsilon(gaussian_mu(sigma, ROUNDS), 1e-3) == pytest.approx(EXACT[sigma], rel=0.02)


@pytest.mark.parametrize(("sigma", "delta"), [(1.0, 1e-5), (5.0, 1e-5), (20.0, 1e-3)])
def test_upper_bounds_are_above_the_exact_epsilon(sigma: float, delta: float) -> None:
    pytest.importorskip("dp_accounting", reason="pip install 'qorch[privacy]'")
    found = account(sigma, ROUNDS, delta)
    assert found.exact <= found.pld * (1 + 1e-6)
    assert found.pld == pytest.approx(found.exact, rel=1e-3)
    assert found.exact < found.renyi < 1.25 * found.exact


@pytest.mark.parametrize(("sigma", "sampled", "delta"), [(20.0, 1.0, 1e-3), (10.0, 1.0, 1e-5), (2.0, 0.2, 1e-5)])
def test_opacus_counts_the_same(sigma: float, sampled: float, delta: float) -> None:
    pytest.importorskip("dp_accounting", reason="pip install 'qorch[privacy]'")
    accountants = pytest.importorskip("opacus.accountants", reason="pip install 'qorch[dev]'")
    theirs = accountants.RDPAccountant()
    theirs.history = [(sigma, sampled, ROUNDS)]
    assert account(sigma, ROUNDS, delta, sampled).renyi == pytest.approx(theirs.get_epsilon(delta), rel=5e-3)


def test_sampling_is_told_apart() -> None:
    pytest.importorskip("dp_accounting", reason="pip install 'qorch[privacy]'")
    few = account(2.0, ROUNDS, 1e-5, 0.2)
    assert math.isnan(few.exact)
    assert few.pld < account(2.0, ROUNDS, 1e-5).pld / 3


@given(st.floats(0.05, 20.0), st.sampled_from([1e-3, 1e-5, 1e-7]), st.integers(1, 1000))
def test_noise_for_an_epsilon_gives_that_epsilon(epsilon: float, delta: float, rounds: int) -> None:
    sigma = sigma_for(epsilon, delta, rounds)
    assert gaussian_epsilon(gaussian_mu(sigma, rounds), delta) == pytest.approx(epsilon, rel=1e-4)


@given(st.floats(0.01, 5.0), st.floats(0.0, 10.0))
def test_delta_falls_with_epsilon(mu: float, epsilon: float) -> None:
    less, more = (gaussian_delta(mu, each) for each in (epsilon + 0.1, epsilon))
    assert 0.0 <= less <= more + 1e-12
    assert more <= 1.0


@given(st.floats(0.1, 50.0), st.floats(1.01, 100.0))
def test_updates_and_count_together_cost_what_was_asked(sigma: float, times: float) -> None:
    count = times * sigma / 2
    both = composed_mu([1 / update_sigma(sigma, count), 1 / (2 * count)])  # a bit of ±1/2 moves the count by 1/2
    assert both == pytest.approx(1 / sigma, rel=1e-6)


@pytest.mark.parametrize("epsilon", [0.0, -1.0, math.nan, math.inf])
def test_an_epsilon_that_is_none_is_refused(epsilon: float) -> None:
    with pytest.raises(InvalidParameter, match="epsilon: wanted"):
        sigma_for(epsilon, 1e-5, 10)


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("sigma", (0.0, 40, 1e-5)),
        ("rounds", (1.0, 0, 1e-5)),
        ("delta", (1.0, 40, 0.0)),
        ("sampled", (1.0, 40, 1e-5, 0.0)),
    ],
)
def test_bad_numbers_are_named(name: str, arguments: tuple[float, int, float]) -> None:
    with pytest.raises(InvalidParameter, match=f"{name}: wanted"):
        account(*arguments)


def test_a_count_that_costs_all_is_refused() -> None:
    with pytest.raises(InvalidParameter, match="count_sigma"):
        update_sigma(10.0, 5.0)


def test_trainings_cost_more_together_than_each() -> None:
    trainings = [(10.0, 40, 1.0), (20.0, 100, 1.0)]
    exact = together(trainings, 1e-5)
    assert exact == pytest.approx(gaussian_epsilon(composed_mu([gaussian_mu(10.0, 40), gaussian_mu(20.0, 100)]), 1e-5))
    assert exact > max(together([each], 1e-5) for each in trainings)
    assert math.isinf(together([(0.0, 5, 1.0), (1.0, 5, 0.5)], 1e-5))
    assert together([(10.0, 40, 0.5), (20.0, 100, 1.0)], 1e-5) < exact


def test_no_noise_is_no_privacy() -> None:
    assert math.isinf(gaussian_epsilon(gaussian_mu(0.0, 5), 1e-5))

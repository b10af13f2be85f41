"""The estimators on logs whose true value is known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies import off_policy
from policies.off_policy import Rows, difference, estimate

NUM_BACKENDS = 4
SHIFT = np.array([1.0, 3.0, 0.5, 2.0])
"""Of the mean cost on each backend."""

JUDGED = np.array([0.05, 0.05, 0.85, 0.05])
LOGGED = np.full(NUM_BACKENDS, 0.25)
TRUTH = float(JUDGED @ SHIFT) + 0.5
"""Contexts are uniform in [0, 1] and add their value to the cost."""


def log(num_jobs: int, seed: int, *, batch_size: int = 1, model_error: float = 0.0) -> Rows:
    """Jobs that were placed at random; jobs of a batch share half of their noise.

    Args:
        model_error: what the model says too much of the backend that is judged to be the best.
    """
    generator = np.random.default_rng(seed)
    context = generator.uniform(size=num_jobs)
    taken = generator.choice(NUM_BACKENDS, size=num_jobs, p=LOGGED)
    batch = np.arange(num_jobs) // batch_size
    shared = generator.normal(scale=0.3, size=batch[-1] + 1)[batch]
    cost = SHIFT[taken] + context + shared + generator.normal(scale=0.3, size=num_jobs)
    model = SHIFT + np.array([0.0, 0.0, model_error, 0.0])
    return Rows(
        cost=cost,
        weight=JUDGED[taken] / LOGGED[taken],
        said=model[taken] + context,
        said_policy=float(JUDGED @ model) + context,
        uncovered=np.zeros(num_jobs),
        batch=batch,
    )


def values(name: str, num_logs: int, **made: float) -> list[float]:
    return [estimate(log(200, seed, **made), num_resamples=2).values[name].value for seed in range(num_logs)]  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["inverse_propensity", "doubly_robust"])
def test_weighted_estimates_are_unbiased_even_under_a_wrong_model(name: str) -> None:
    found = values(name, 400, model_error=2.0)
    assert np.mean(found) == pytest.approx(TRUTH, abs=4 * np.std(found) / np.sqrt(len(found)))


def test_the_direct_estimate_is_as_wrong_as_its_model_and_the_narrowest() -> None:
    assert np.mean(values("direct", 100, model_error=2.0)) == pytest.approx(TRUTH + 2.0 * JUDGED[2], abs=0.05)
    spread = {name: np.std(values(name, 100)) for name in ("direct", "doubly_robust", "inverse_propensity")}
    assert spread["direct"] < spread["doubly_robust"] < spread["inverse_propensity"]


@pytest.mark.parametrize("batch_size", [1, 4])
def test_an_interval_holds_the_truth_as_often_as_it_says(batch_size: int) -> None:
    """95 % of 300 logs are 285; 270 would be 3.9 standard deviations fewer, beyond 297 hardly any interval fails."""
    logs = (log(400, seed, batch_size=batch_size, model_error=1.0) for seed in range(300))
    found = [estimate(one, num_resamples=300).values for one in logs]
    for name in ("inverse_propensity", "self_normalised", "doubly_robust"):
        assert 270 <= sum(one[name].low <= TRUTH <= one[name].high for one in found) <= 297, name


def test_a_bootstrap_over_jobs_would_be_too_narrow() -> None:
    whole = log(400, 1, batch_size=20)
    alone = replace(whole, batch=np.arange(400))
    by_batch, by_job = (difference(one.cost, np.zeros(400), one.batch) for one in (whole, alone))
    assert by_batch.high - by_batch.low > 1.3 * (by_job.high - by_job.low)


def test_without_overlap_only_the_direct_estimate_is_given() -> None:
    found = estimate(replace(log(100, 1), uncovered=np.linspace(0.0, 0.2, 100)))
    assert set(found.values) == {"direct"}
    assert "10.0% of its placements" in found.refused
    assert "cost model" in found.refused
    nowhere = estimate(replace(log(100, 1), weight=np.zeros(100)))
    assert set(nowhere.values) == {"direct"}
    assert "no job went where" in nowhere.refused
    assert nowhere.effective_jobs == 0.0
    with pytest.raises(ValueError, match="at least one"):
        estimate(log(1, 1).__class__(*(np.zeros(0) for _ in range(5)), batch=np.zeros(0, dtype=np.int64)))


@given(st.lists(st.floats(0.0, 1e3), min_size=1, max_size=30), st.integers(0, 100))
def test_the_logs_own_policy_is_worth_what_was_measured(costs: list[float], seed: int) -> None:
    spent = np.array(costs)
    said = np.random.default_rng(seed).uniform(size=len(costs))
    rows = Rows(spent, np.ones(len(costs)), said, said, np.zeros(len(costs)), np.arange(len(costs)))
    found = estimate(rows, num_resamples=50)
    assert found.refused == ""
    assert found.effective_jobs == pytest.approx(len(costs))
    for name in ("inverse_propensity", "self_normalised", "doubly_robust"):
        assert found.values[name].value == pytest.approx(spent.mean(), abs=1e-9)
        assert found.values[name].low <= found.values[name].value + 1e-9


def test_the_same_seed_gives_the_same_interval(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = log(50, 3)
    whole = estimate(rows)
    with monkeypatch.context() as small:
        small.setattr(off_policy, "DRAWS_HELD", 999)
        assert estimate(rows).values["direct"].low == pytest.approx(whole.values["direct"].low)
    assert estimate(rows, seed=1) == estimate(rows, seed=1)
    assert estimate(rows, seed=1).values["doubly_robust"] != estimate(rows, seed=2).values["doubly_robust"]

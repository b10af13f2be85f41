"""Statistics of few runs, held to their definitions."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import trim_mean

from circuits.errors import InvalidParameter
from policies.learners.kit.statistics import (
    Floats,
    interquartile_mean,
    performance_profile,
    probability_of_improvement,
    resampled,
    stratified_bootstrap,
)

numbers = st.floats(-1e6, 1e6, width=32)
tables = st.tuples(st.integers(1, 9), st.integers(1, 4)).flatmap(
    lambda shape: arrays(np.float64, shape, elements=numbers)
)


@given(tables)
def test_the_interquartile_mean_is_that_of_the_middle_half(scores: Floats) -> None:
    found = float(interquartile_mean(scores))
    assert found == pytest.approx(float(trim_mean(scores, 0.25, axis=None)), rel=1e-9, abs=1e-6)
    assert scores.min() - 1e-6 <= found <= scores.max() + 1e-6


def test_one_bad_run_of_ten_does_not_move_it() -> None:
    assert float(interquartile_mean([1.0] * 9 + [-1e9])) == 1.0


@given(tables)
@settings(max_examples=20)
def test_an_interval_lies_within_the_scores_and_comes_again(scores: Floats) -> None:
    low, high = stratified_bootstrap(scores, num_resamples=50)
    assert scores.min() - 1e-6 <= low <= high <= scores.max() + 1e-6
    assert (low, high) == stratified_bootstrap(scores, num_resamples=50)


def test_runs_are_drawn_anew_within_their_task_alone() -> None:
    apart = np.array([[0.0, 100.0]] * 5)  # all runs alike: no chance is left, however different the tasks are
    assert stratified_bootstrap(apart, num_resamples=50) == (50.0, 50.0)


def test_an_interval_covers_the_mean_about_as_often_as_it_says() -> None:
    chance = np.random.default_rng(3)
    covered = 0
    for trial in range(200):
        low, high = stratified_bootstrap(chance.normal(size=(20, 1)), np.mean, num_resamples=200, seed=trial)
        covered += low <= 0.0 <= high
    assert 0.85 <= covered / 200 <= 0.99


@given(tables, st.lists(numbers, min_size=2, max_size=5).map(sorted))
def test_a_profile_falls_and_counts(scores: Floats, thresholds: list[float]) -> None:
    found = performance_profile(scores, thresholds)
    assert np.all(np.diff(found) <= 0.0)
    assert found == pytest.approx([float((scores > each).mean()) for each in thresholds])


@given(tables, st.integers(1, 5))
def test_who_improves_on_whom_adds_up_to_one(scores: Floats, num_runs: int) -> None:
    others = np.repeat(scores[:1], num_runs, axis=0)
    assert probability_of_improvement(scores, others) + probability_of_improvement(others, scores) == pytest.approx(1.0)
    assert probability_of_improvement(scores, scores) == pytest.approx(0.5)
    assert probability_of_improvement(scores + 1e7, scores) == 1.0


def test_what_varies_with_the_slots_alone_cancels_between_policies() -> None:
    slots = np.random.default_rng(1).lognormal(3.0, 2.0, size=(1, 500))
    value, draws = resampled({"one": slots, "twice": 2.0 * slots})
    assert value["twice"] == pytest.approx(2.0 * value["one"])
    assert draws["twice"] / draws["one"] == pytest.approx(2.0)  # paired: an interval of no width
    assert draws["one"].std() > 0.0


def test_different_runs_widen_the_interval() -> None:
    slots = np.ones((1, 50))
    _, draws = resampled({"alike": np.ones((6, 50)), "apart": slots * np.arange(1.0, 7.0)[:, None]})
    assert draws["alike"].std() == pytest.approx(0.0, abs=1e-12)
    assert draws["apart"].std() > 0.1


@pytest.mark.parametrize("scores", [[1.0], [[float("nan")]], [[]], [[[1.0]]]])
def test_what_are_no_scores_is_refused(scores: object) -> None:
    with pytest.raises(InvalidParameter, match="scores: wanted finite numbers"):
        stratified_bootstrap(scores)  # type: ignore[arg-type]


def test_scores_of_other_tasks_are_refused() -> None:
    with pytest.raises(InvalidParameter, match="wanted 2 tasks"):
        probability_of_improvement([[1.0, 2.0]], [[1.0]])

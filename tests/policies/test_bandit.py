"""Bandits: what they draw follows the chances that they state, and they explore only where it does no harm."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.job import Estimate, JobSpec, Limits, Objective
from orchestrator.placement import Backlog, Request, Scales
from policies.bandit import LowerConfidence, Thompson
from policies.quadrature import chances_of_least
from policies.table import Table
from tests.policies.batches import APART, PROGRAM, around, one

TIME_ALONE = Objective(latency=1.0, fidelity=0.0, price=0.0)


def known(service_s: float, factor: float, num_observations: float = 0.0, fidelity: float = 0.9) -> Estimate:
    return around(Estimate(service_s, fidelity, 0.0, 0.0, num_observations), factor)


def jobs(number: int, limits: Limits | None = None, **of: Estimate) -> list[Request]:
    """The same job with that many seeds."""
    spec = JobSpec(program=PROGRAM, objective=TIME_ALONE, limits=limits or Limits())
    return [one(seed, spec=replace(spec, seed=seed), **of) for seed in range(number)]


def drawn(asked: list[Request], policy: Thompson | None = None) -> list[str]:
    """Where each would go, were it alone."""
    alone = (Table.of([request], Scales()) for request in asked)
    return [next(iter((policy or Thompson()).decide(table, Backlog(APART))[0])) for table in alone]


def test_draws_follow_the_chances() -> None:
    asked = jobs(1500, a=known(1.0, 3.0), b=known(1.2, 3.0), c=known(1.5, 1.2), d=known(9.0, 2.0))
    (chances,) = Thompson().chances(Table.of(asked[:1], Scales()), Backlog(APART))
    places = drawn(asked)
    for name in "abcd":
        assert places.count(name) / len(places) == pytest.approx(chances.get(name, 0.0), abs=0.04)
    assert 0.2 < chances["b"] < chances["a"]


def test_what_was_measured_often_is_not_explored() -> None:
    new = {"a": known(1.0, 3.0), "b": known(1.5, 3.0)}
    old = {"a": known(1.0, 3.0, 400.0), "b": known(1.5, 3.0, 400.0)}
    assert set(drawn(jobs(60, **new))) == {"a", "b"}
    assert set(drawn(jobs(60, **old))) == {"a"}


def test_without_intervals_a_factor_of_e_is_explored() -> None:
    plain = {"a": Estimate(1.0, 0.9, 0.0, 0.0), "b": Estimate(2.0, 0.9, 0.0, 0.0), "c": Estimate(5e4, 0.9, 0.0, 0.0)}
    assert set(drawn(jobs(80, **plain))) == {"a", "b"}


def test_what_might_break_a_limit_is_never_explored() -> None:
    of = {"a": known(1.0, 2.0), "b": known(1.05, 2.0, fidelity=0.85)}
    limits = Limits(min_fidelity=0.75)  # b is expected at 0.85 and may be at 0.70
    assert set(drawn(jobs(60, **of))) == {"a", "b"}
    assert set(drawn(jobs(60, limits, **of))) == {"a"}
    swapped = {"a": of["b"], "b": of["a"]}
    limited = jobs(60, limits, **swapped | {"a": known(0.9, 2.0, fidelity=0.85)})
    assert set(drawn(limited)) == {"a", "b"}, "the cheapest expected takes part, at its expected cost"
    (chances,) = Thompson().chances(Table.of(limited[:1], Scales()), Backlog(APART))
    assert chances["a"] == pytest.approx(0.5987, abs=1e-3), "P(1.0 exp(sigma z) > 0.9), sigma = log(4) / 3.29"


def test_the_optimist_draws_nothing() -> None:
    asked = jobs(20, a=known(1.0, 1.1), b=known(1.2, 3.0))
    assert drawn(asked, LowerConfidence()) == ["b"] * 20
    assert LowerConfidence().chances(Table.of(asked[:1], Scales()), Backlog(APART)) == [{"b": 1.0}]


def test_chances_are_those_at_the_turn_of_each_job() -> None:
    asked = jobs(4, a=known(1.0, 1.5), b=known(1.0, 1.5))
    table = Table.of(asked, Scales())
    choices, chances = Thompson().decide(table, Backlog(APART)), Thompson().chances(table, Backlog(APART))
    first = next(iter(choices[0]))
    assert chances[0][first] == pytest.approx(0.5)
    assert chances[1].get(first, 0.0) < 0.1, "there it waits"


@st.composite
def costs(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    num = draw(st.integers(1, 6))
    each = st.lists(st.sampled_from([0.0, 0.5, 1.0, 3.0]), min_size=num, max_size=num)
    sigma = st.lists(st.sampled_from([0.0, 1e-4, 0.05, 0.5, 2.0]), min_size=num, max_size=num)
    own = st.lists(st.floats(0.01, 10.0), min_size=num, max_size=num)
    return np.array(draw(each)), np.array(draw(own)), np.array(draw(sigma))


@settings(max_examples=25)
@given(costs())
def test_the_quadrature_agrees_with_counting(of: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    known, own, sigma = of
    chances = chances_of_least(known, own, sigma)
    assert chances.sum() == pytest.approx(1.0)
    draws = known + own * np.exp(sigma * np.random.default_rng(3).standard_normal((20_000, len(known))))
    assert np.bincount(draws.argmin(axis=1), minlength=len(known)) / 20_000 == pytest.approx(chances, abs=0.02)


def test_two_equals_have_equal_chances() -> None:
    for sigma in (0.01, 0.5, 2.0):
        chances = chances_of_least(np.full(2, 0.3), np.ones(2), np.full(2, sigma))
        assert chances == pytest.approx([0.5, 0.5], abs=1e-9)
    assert chances_of_least(np.zeros(2), np.ones(2), np.zeros(2)).tolist() == [1.0, 0.0], "of certain ones, the first"

"""Intervals of 90 % hold what they promise: whatever the errors look like, at the start, and after a change."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import backends
from orchestrator.cost_model.model import CostModel
from orchestrator.cost_model.spreads import PRIOR_SCORES, WINDOW, Scores
from orchestrator.job import Estimate, Interval, Intervals, Measurement
from orchestrator.telemetry import Observation

SIMULATOR, QPU = (backends.load(name).device() for name in ("aer_statevector", "fake_hanoi"))
PRIOR = Estimate(service_s=0.1, fidelity=0.8, energy_j=1.0, cost_usd=0.02)
FIGURES = ("elapsed_s", "fidelity", "energy_j", "cost_usd")
Draw = Callable[[np.random.Generator, int], float]


def lived(draw: Draw, number: int, *, seed: int = 0, device: object = QPU) -> list[tuple[Intervals, Measurement]]:
    """What was said of each of so many jobs of many programs, and what came, folded in one after the other."""
    generator, model, found = np.random.default_rng(seed), CostModel(), []
    for count in range(1, number + 1):
        program = str(int(generator.integers(20)))
        said = model.estimate(PRIOR, device, "program", program)
        assert said.intervals is not None
        off = math.exp(draw(generator, count))
        fidelity = math.exp(-0.22 * math.exp(draw(generator, count)))
        met = Measurement(0.0, 0.0, 0.2 * off, 0.2 * off, 0.2 * off, fidelity, "hellinger", None, None, off, 0.02)
        met = replace(met, device_s=None if device is SIMULATOR else 0.5)
        one = Observation("a", "j", device.name, "v", "program", program, 3, 9, 100, PRIOR, said, 0.0, met, 0.0)
        model = model.fold([(count, one)])
        found.append((said.intervals, met))
    return found


def inside(found: list[tuple[Intervals, Measurement]], figure: str) -> float:
    values = [met.service_s if figure == "elapsed_s" else getattr(met, figure) for _, met in found]
    ends: list[Interval] = [getattr(around, figure) for around, _ in found]
    return float(np.mean([end.low <= v <= end.high for end, v in zip(ends, values, strict=True)]))


@pytest.mark.parametrize(
    "draw",
    [
        lambda g, _: g.normal(0.0, 0.05),
        lambda g, _: g.normal(0.0, 1.0),
        lambda g, _: g.exponential(0.5),
        lambda g, _: 0.2 * g.standard_t(2.5),
    ],
    ids=["narrow", "wide", "skewed", "heavy tails"],
)
def test_nine_in_ten_lie_inside_whatever_the_errors_look_like(draw: Draw) -> None:
    found = lived(draw, 700)[150:]
    for figure in ("elapsed_s", "fidelity", "energy_j"):
        assert 0.86 < inside(found, figure) < 0.95, figure
    assert inside(found, "cost_usd") == 1.0, "a price that follows from the schedule is always right"


def test_at_the_start_they_are_wide_and_hold() -> None:
    starts = [lived(lambda g, _: g.normal(0.0, 0.7), 8, seed=seed, device=SIMULATOR) for seed in range(30)]
    first = [start[0][0].elapsed_s for start in starts]
    assert all(end.high / end.low > 100.0 for end in first), "nothing was ever seen there"
    assert inside([one for start in starts for one in start], "elapsed_s") > 0.88


def test_they_narrow_as_predictions_prove_right() -> None:
    found = lived(lambda g, _: g.normal(0.0, 0.1), 300)
    widths = [math.log(around.elapsed_s.high / around.elapsed_s.low) for around, _ in found]
    assert widths[0] > 4.0 > 0.6 > float(np.median(widths[-50:]))


def test_after_a_change_they_hold_again() -> None:
    found = lived(lambda g, count: g.normal(1.5 if count > 300 else 0.0, 0.2), 520)
    assert inside(found[-150:], "elapsed_s") > 0.8


def test_nearness_says_what_was_learned_from() -> None:
    found = lived(lambda g, _: g.normal(0.0, 0.1), 60)
    assert found[0][0].nearness == 0
    assert {around.nearness for around, _ in found[1:]} == {2, 3}


@settings(max_examples=50, deadline=None)
@given(
    st.floats(1e-6, 1e6),
    st.floats(0.0, 1.0),
    st.floats(0.0, 1e6),
    st.floats(0.0, 1e6),
    st.lists(st.floats(1e-3, 1e3), max_size=8),
)
def test_what_is_said_lies_inside(
    service_s: float, fidelity: float, energy_j: float, cost_usd: float, factors: list[float]
) -> None:
    model = CostModel()
    for number, factor in enumerate(factors, start=1):
        met = Measurement(0.0, 0.0, factor, factor, factor, 0.5, "hellinger", None, None, factor, factor)
        one = Observation("a", "j", QPU.name, "v", "program", "p", 3, 9, 100, PRIOR, PRIOR, 0.0, met, 0.0)
        model = model.fold([(number, one)])
    said = model.estimate(Estimate(service_s, fidelity, energy_j, cost_usd), QPU, "program", "p")
    for figure in FIGURES:
        around = getattr(said.intervals, figure)
        assert around.low <= getattr(said, figure) <= around.high
    assert said.intervals.fidelity.low >= 0.0
    assert said.intervals.fidelity.high <= 1.0


def test_a_prior_has_no_intervals_and_only_the_latest_scores_count() -> None:
    assert PRIOR.intervals is None
    scores = Scores()
    for _ in range(3 * WINDOW):
        scores = scores.add(1e9)
    assert len(scores.latest) == WINDOW
    assert len(PRIOR_SCORES) == 19
    assert Scores().ends == (PRIOR_SCORES[0], PRIOR_SCORES[-1])

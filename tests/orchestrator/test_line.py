"""The regression that learns one observation at a time finds a line, follows it, and never explodes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.cost_model.line import NOISE, Line

BEFORE = Line.around((0.0, 0.0), (1.5, 0.5))


def after(points: list[tuple[float, float]], line: Line = BEFORE) -> Line:
    for x, value in points:
        line = line.add((1.0, x), value)
    return line


def test_without_forgetting_it_is_ridge_regression(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("orchestrator.cost_model.line.FORGETTING", 1.0)
    generator = np.random.default_rng(0)
    x = np.column_stack([np.ones(30), generator.normal(size=30)])
    y = x @ [0.4, -0.2] + generator.normal(0.0, 0.1, 30)
    found = after(list(zip(x[:, 1].tolist(), y.tolist(), strict=True)))
    penalty = np.diag([NOISE / 1.5**2, NOISE / 0.5**2])
    assert found.weights == pytest.approx(np.linalg.solve(x.T @ x + penalty, x.T @ y), rel=1e-9)


def test_it_follows_a_line_that_moves() -> None:
    xs = np.random.default_rng(1).uniform(-1.0, 1.0, 600).tolist()
    first = after([(x, 1.0 + 0.5 * x) for x in xs])
    assert first.at((1.0, 1.0)) == pytest.approx(1.5, abs=0.02)
    then = after([(x, -1.0 - 0.5 * x) for x in xs], first)
    assert then.at((1.0, 1.0)) == pytest.approx(-1.5, abs=0.05)


@given(st.lists(st.tuples(st.floats(-3.0, 3.0), st.floats(-1e3, 1e3)), max_size=60))
def test_it_stays_within_what_it_has_seen_and_never_knows_less_than_nothing(points: list[tuple[float, float]]) -> None:
    line = after(points)
    rows = np.array(line.covariance)
    assert np.allclose(rows, rows.T)
    assert np.linalg.eigvalsh(rows).min() > 0.0
    assert rows.trace() <= line.ignorance * (1.0 + 1e-9)
    assert np.isfinite(line.weights).all()


def test_one_wild_value_does_not_carry_it_away() -> None:
    line = after([(0.1, 0.2)] * 50)
    assert abs(after([(0.1, 1e6)], line).at((1.0, 0.1)) - 0.2) < 0.3

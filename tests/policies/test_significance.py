"""What is significant, against values that are known and against scipy's own."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from circuits.errors import InvalidParameter
from policies.significance import anova, blocks, holm, line, not_inferior, paired, ratio, tukey

TUKEY = {
    "a": [24.5, 23.5, 26.4, 27.1, 29.9],
    "b": [28.4, 34.2, 29.5, 32.2, 30.1],
    "c": [26.1, 28.3, 24.3, 26.2, 27.8],
}
"""Minutes of relief by three brands, an example of SAS's manual; its table of Tukey's test is below."""


def test_anova_gives_fishers_ratio() -> None:
    found = anova({"a": [1.0, 2.0, 3.0], "b": [2.0, 3.0, 4.0], "c": [5.0, 6.0, 7.0]})
    assert found.f == pytest.approx(13.0)  # between 26/2, within 6/6
    assert found.p == pytest.approx(stats.f.sf(13.0, 2, 6))
    assert found.explained == pytest.approx(26.0 / 32.0)


def test_tukey_gives_the_published_table() -> None:
    found = tukey(TUKEY)
    for pair, row in {
        ("a", "b"): (-4.6, -8.2491, -0.9509, 0.014),
        ("a", "c"): (-0.26, -3.909, 3.389, 0.980),
        ("b", "c"): (4.34, 0.6909, 7.989, 0.020),
    }.items():
        each = found[pair]
        assert (each.mean, each.low, each.high, each.p) == pytest.approx(row, abs=1e-3)


def test_blocks_show_what_one_way_anova_drowns() -> None:
    draws = np.random.default_rng(3)
    worlds = draws.normal(0.7, 0.05, 20)
    ours, theirs = worlds + 0.01 + draws.normal(0.0, 0.005, 20), worlds
    assert anova({"ours": ours, "theirs": theirs}).p > 0.3
    found = paired(ours, theirs)
    assert found.p < 1e-6
    assert found.low < 0.01 < found.high
    assert found.p == pytest.approx(stats.ttest_1samp(ours - theirs, 0.0).pvalue)


def test_seeds_of_one_world_are_no_samples_of_worlds() -> None:
    few = np.random.default_rng(0).normal(size=(5, 2))
    many = np.repeat(few, 50, axis=1)
    assert paired(many[:, :50], many[:, 50:]).p == pytest.approx(paired(few[:, 0], few[:, 1]).p)
    assert blocks("scores", many).shape == (5,)


def test_equal_scores_are_neither_better_nor_undefined() -> None:
    same = [0.5, 0.6, 0.7]
    assert paired(same, same).p == 1.0
    assert anova({"a": [1.0, 1.0], "b": [1.0, 1.0]}).p == 1.0
    assert anova({"a": [1.0, 1.0], "b": [2.0, 2.0]}).p == 0.0
    assert not_inferior(same, same, 0.01) < 0.01
    assert not_inferior([1.0, 1.0], [1.0, 1.0], 0.0) == 1.0


def test_holm_gives_known_values() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.8]) == pytest.approx([1.0, 1.0])
    assert holm([]) == []


@given(st.lists(st.floats(0.0, 1.0), min_size=1, max_size=12))
def test_holm_lies_between_nothing_and_bonferroni_and_keeps_the_order(p: list[float]) -> None:
    adjusted = holm(p)
    for raw, more in zip(p, adjusted, strict=True):
        assert raw <= more <= min(1.0, len(p) * raw) + 1e-12
    by_raw = [adjusted[place] for place in np.argsort(p, kind="stable")]
    assert by_raw == sorted(by_raw)


def test_ratio_is_that_of_the_means_and_its_interval_holds_scipys() -> None:
    draws = np.random.default_rng(1)
    theirs = draws.uniform(0.4, 0.6, 30)
    ours = 1.25 * theirs + draws.normal(0.0, 0.01, 30)
    found = ratio(ours, theirs)
    assert found.gain == pytest.approx(ours.mean() / theirs.mean() - 1.0)
    reference = stats.bootstrap(
        (ours, theirs),
        lambda a, b, axis=-1: a.mean(axis=axis) / b.mean(axis=axis) - 1.0,
        paired=True,
        method="percentile",
        rng=np.random.default_rng(2),
    ).confidence_interval
    assert (found.low, found.high) == pytest.approx((reference.low, reference.high), abs=2e-4)


def test_ratio_of_proportional_scores_has_no_width() -> None:
    found = ratio([0.5, 1.0, 1.5], [0.4, 0.8, 1.2])
    assert (found.gain, found.low, found.high) == pytest.approx((0.25, 0.25, 0.25))


def test_a_margin_makes_the_difference() -> None:
    draws = np.random.default_rng(5)
    theirs = draws.uniform(0.6, 0.8, 20)
    ours = 0.995 * theirs + draws.normal(0.0, 0.002, 20)
    assert not_inferior(ours, theirs, 0.01) < 0.01
    assert not_inferior(ours, theirs, 0.0) > 0.5


@pytest.mark.parametrize(
    ("name", "call"),
    [
        ("groups", lambda: anova({"a": [1.0, 2.0]})),
        ("b", lambda: tukey({"a": [1.0, 2.0], "b": [1.0]})),
        ("values", lambda: paired([1.0, float("nan")], [1.0, 2.0])),
        ("values", lambda: paired(["x", "y"], [1.0, 2.0])),
        ("others", lambda: paired([1.0, 2.0], [1.0, 2.0, 3.0])),
        ("others", lambda: ratio([1.0, 2.0], [0.0, 0.0])),
        ("margin", lambda: not_inferior([1.0, 2.0], [1.0, 2.0], 1.0)),
        ("p_values", lambda: holm([0.5, 1.5])),
    ],
)
def test_what_cannot_be_judged_is_refused_by_name(name: str, call: object) -> None:
    with pytest.raises(InvalidParameter, match=f"^{name}:"):
        call()  # type: ignore[operator]


def test_a_line_is_found_with_its_certainty() -> None:
    x = np.arange(20.0)
    exact = line(x, 3.0 - 0.5 * x)
    assert (exact.slope, exact.intercept, exact.r2) == pytest.approx((-0.5, 3.0, 1.0))
    noisy = 3.0 - 0.5 * x + np.random.default_rng(0).normal(0.0, 2.0, 20)
    found = line(x, noisy)
    assert found.r2 == pytest.approx(1.0 - np.var(noisy - found.intercept - found.slope * x) / np.var(noisy))
    assert abs(found.slope + 0.5) < found.slope_pm
    for bad in ([1.0, 1.0, 1.0], [1.0, 2.0], [1.0, 2.0, 3.0, 4.0]):
        with pytest.raises(InvalidParameter, match=r"^x:"):
            line(bad, [1.0, 2.0, 3.0])

"""Forecasts of requests: nothing from the future, simple ones right where they can be, and a network that learns."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from circuits.errors import InvalidParameter
from policies.allocators.dpem.federation import Federation
from policies.allocators.dpem.forecast import (
    SIMPLE,
    Config,
    Forecaster,
    clocked,
    fit,
    fit_federated,
    mean_rate,
    new_forecaster,
    poisson_nll,
    r_squared,
    seasonal_naive,
)

SMALL = Config(width=6, embedding=3, horizon=4, window=12, pieces=4, steps=60, rate=0.02)


def windows(num_pairs: int = 6, length: int = 600, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Pairs that ask in a third of every 120 s alone, and what they asked, in bins of a second."""
    chance = np.random.default_rng(seed)
    offsets = chance.uniform(0.0, 120.0, num_pairs)
    inside = (np.arange(length)[None] + offsets[:, None]) % 120.0 < 40.0
    rates = np.where(inside, 1.5, 0.05) * chance.uniform(0.5, 1.5, num_pairs)[:, None]
    return rates, chance.poisson(rates).astype(np.float64)


def every(counts: np.ndarray, model: Forecaster) -> dict[str, np.ndarray]:
    simple = {name: rule(counts, 1.0, SMALL.horizon) for name, rule in SIMPLE.items()}
    return {**simple, "gru": model.rates_hz(counts)}


def test_forecasts_know_nothing_of_the_future() -> None:
    _, counts = windows(length=400)
    later = counts.copy()
    later[:, 200:] += 7.0
    model = new_forecaster(SMALL, counts, 1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.1
    before, after = every(counts, model), every(later, model)
    for name, made in before.items():
        assert np.allclose(made[:, :200], after[name][:, :200]), name
        assert not np.allclose(made[:, 200:], after[name][:, 200:]), name


def test_untrained_it_forecasts_the_mean() -> None:
    _, counts = windows()
    made = new_forecaster(SMALL, counts, 1).rates_hz(counts)
    assert np.allclose(made, counts.mean(1)[:, None, None], rtol=1e-4)


def test_what_recurs_is_foreseen_by_season_and_network() -> None:
    rates, counts = windows()
    model = new_forecaster(SMALL, counts, 1)
    losses: list[float] = []
    fit(model, counts, 1, tell=lambda _, loss: losses.append(loss))
    r2 = {name: r_squared(made, rates, 240) for name, made in every(counts, model).items()}
    assert np.mean(losses[-10:]) < np.mean(losses[:10])
    assert r2["seasonal_naive"] > 0.6
    assert r2["gru"] > r2["ewma_60_s"]
    assert r2["gru"] > r2["mean"] + 0.2


def test_the_truth_has_an_r_squared_of_one() -> None:
    rates, _ = windows(length=100)
    ahead = np.stack([np.roll(rates, -step, axis=1) for step in range(1, 5)], axis=2)
    assert r_squared(ahead, rates, 0) == pytest.approx(1.0)


def test_the_truth_is_the_likeliest() -> None:
    rates, counts = windows(length=300)
    ahead = np.stack([np.roll(rates, -step, axis=1) for step in range(1, 5)], axis=2)
    best = poisson_nll(ahead, counts, 1.0, 0)
    assert all(best < poisson_nll(ahead * factor, counts, 1.0, 0) for factor in (0.7, 1.4))
    assert best < poisson_nll(mean_rate(counts, 1.0, 4), counts, 1.0, 0)


def test_the_first_season_is_the_mean_so_far() -> None:
    _, counts = windows(length=200)
    assert np.allclose(seasonal_naive(counts, 1.0, 4)[:, :100], mean_rate(counts, 1.0, 4)[:, :100])


def test_nodes_learn_together_and_keep_what_is_theirs() -> None:
    _, counts = windows()
    model = new_forecaster(SMALL, counts, 1)
    before = {name: each.detach().clone() for name, each in model.named_parameters()}
    source = np.array([0, 0, 1, 3, 3, 3])
    figures = fit_federated(model, counts, source, 5, Federation(clip=1.0, local_rate=0.5), 1)
    assert figures["clip"] == 1.0
    assert all(not torch.equal(each, before[name]) for name, each in model.named_parameters())
    assert model.rates_hz(counts).min() > 0.0


def test_a_pair_is_forecast_by_its_own_history_alone() -> None:
    _, counts = windows(length=60)
    model = new_forecaster(SMALL, counts, 1)
    other = counts.copy()
    other[1:] = 0.0
    assert np.allclose(model.rates_hz(counts)[0], model.rates_hz(other)[0])


def test_the_clock_comes_back_after_its_longest_period() -> None:
    bins = torch.arange(5.0)
    assert torch.allclose(clocked(bins, 1.0), clocked(bins + 600.0, 1.0), atol=1e-4)


def test_too_short_a_history_is_refused() -> None:
    with pytest.raises(InvalidParameter, match="history: wanted at least 16 bins"):
        new_forecaster(SMALL, np.zeros((3, 10)), 1)

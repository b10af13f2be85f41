"""Tariffs say where they come from, and a price adds up."""

from __future__ import annotations

import pytest

from backends import BACKENDS, load
from backends.pricing import TARIFFS, Price
from tests.here import is_here


def test_a_price_is_tasks_plus_shots_plus_seconds() -> None:
    price = Price(per_task_usd=0.30, per_shot_usd=0.00145, per_second_usd=1.60)
    assert price.cost_usd(num_tasks=2, shots=200, run_s=0.5) == pytest.approx(0.60 + 0.29 + 0.80)


def test_every_tariff_names_its_source_and_none_claims_to_be_fetched() -> None:
    for name, price in TARIFFS.items():
        assert "ours" in price.source or "second-hand" in price.source, name


def test_the_better_emulated_device_costs_more_and_simulators_nothing() -> None:
    prices = {
        name: load(name).device().price.cost_usd(num_tasks=1, shots=1000, run_s=1.0)
        for name in BACKENDS
        if is_here(name)
    }
    assert prices["fake_hanoi"] > prices["fake_guadalupe"] > 0.0
    assert all(price == 0.0 for name, price in prices.items() if load(name).device().kind == "simulator")

"""The optimum is the optimum: against brute force, and in what must follow from it."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import pytest
from hypothesis import given, settings

from policies.envs.meqc.cost import evaluate
from policies.envs.meqc.instance import Instance
from policies.envs.meqc.model import MODES, Model
from policies.envs.meqc.optimum import optimum
from tests.policies.envs.meqc.cases import READINGS, drawn, instances

LINEAR = sorted(name for name, model in READINGS.items() if model.is_linear)
CURVED = sorted(set(READINGS) - set(LINEAR))


def brute_force(model: Model, instance: Instance, grid: tuple[float, ...]) -> float:
    """The least cost over all servers and the grid's shares."""
    ways = [(0, 1.0), *product(range(instance.num_servers), [share for share in grid if share < 1.0])]
    return min(
        evaluate(model, instance, [way[0] for way in each], [way[1] for way in each]).total
        for each in product(ways, repeat=instance.num_users)
    )


@pytest.mark.parametrize("reading", LINEAR)
@pytest.mark.parametrize("seed", range(4))
def test_it_is_what_brute_force_finds(reading: str, seed: int) -> None:
    weights = ((0.5, 0.5), (1.0, 0.0), (0.2, 0.8), (0.8, 0.2))[seed]
    instance = drawn(seed, 3, 2, weights)
    found = optimum(READINGS[reading], instance)
    assert found.exact
    assert found.total == pytest.approx(brute_force(READINGS[reading], instance, (0.0, 1.0)), rel=1e-9)


def test_shares_between_are_no_better_in_a_linear_model() -> None:
    for seed in range(3):
        instance = drawn(seed, 2, 2)
        found = optimum(Model(), instance).total
        assert brute_force(Model(), instance, (0.0, 0.25, 0.5, 0.75)) >= found * (1 - 1e-9)


@pytest.mark.parametrize("reading", CURVED)
def test_elsewhere_it_is_between_its_bound_and_brute_force(reading: str) -> None:
    for seed in range(2):
        instance = drawn(seed, 3, 2)
        found = optimum(READINGS[reading], instance)
        coarse = brute_force(READINGS[reading], instance, (0.0, 0.5))
        assert found.lower_bound <= found.total * (1 + 1e-9)
        assert found.total <= coarse * (1 + 1e-9)


@settings(max_examples=20, deadline=None)
@given(instance=instances())
def test_what_follows_from_being_the_least(instance: Instance) -> None:
    best = optimum(Model(), instance)
    own = evaluate(Model(), instance, best.servers, best.shares)
    assert own.total == best.total
    assert best.lower_bound <= best.total
    assert set(best.shares) <= {0.0, 1.0}
    assert best.total <= evaluate(Model(), instance, [0] * instance.num_users, [1.0] * instance.num_users).total
    assert optimum(Model(qpu_use="economic"), instance).total <= best.total * (1 + 1e-9)
    faster = replace(instance, edge_hz=instance.edge_hz * 1.5)
    assert optimum(Model(), faster).total <= best.total * (1 + 1e-9)


@pytest.mark.parametrize("mode", MODES)
def test_it_knows_slots_of_full_size(mode: str) -> None:
    found = optimum(MODES[mode], drawn(7, 10, 10))
    assert found.exact or mode == "physical"
    assert found.lower_bound <= found.total * (1 + 1e-9)

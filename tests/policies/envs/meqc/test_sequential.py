"""MEQC-v2: what is done now changes what comes, and no play is below the bound."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from circuits.errors import InvalidParameter
from policies.envs.contract import Action
from policies.envs.meqc.batch import local
from policies.envs.meqc.hindsight import hindsight
from policies.envs.meqc.model import MODES
from policies.envs.meqc.pricing import MYOPIC, PLAYS, Prices, best_prices, central, episode_costs, selfish
from policies.envs.meqc.sequential import SequentialSetting, SequentialWorld
from policies.envs.meqc.world import World

SMALL = SequentialSetting(users=3, servers=2, episode_slots=10, hold_slots=3, battery_j=2.0)


def everybody(world: SequentialWorld, share: float, *, asks: bool = True) -> Action:
    shape = world.slots.shape[:2]
    return Action(
        torch.zeros(shape, dtype=torch.long),
        torch.full(shape, share, dtype=world.dtype),
        torch.full(shape, asks, dtype=torch.bool),
    )


def test_a_qpu_is_held_for_its_slots_and_then_free() -> None:
    setting = replace(SMALL, episode_slots=50, drift_spread=0.0, model=MODES["calibrated"])
    world = SequentialWorld(setting, 64, seed=1)
    taken = world.step(everybody(world, 0.0)).outcome.on_qpu.any(-1)
    assert taken.any()
    for left in (2, 1):
        assert torch.equal(world.held[:, 0] == left, taken)
        assert torch.equal(world.slots.ready[:, 0] == 0, taken)
        assert torch.equal(world.observe().pair[..., 0, 3] > 0, taken.unsqueeze(-1).expand(64, 3))
        assert not world.step(everybody(world, 0.0, asks=False)).outcome.on_qpu.any()
    assert bool((world.slots.ready == 1).all())


def test_a_task_that_asks_for_nothing_holds_nothing() -> None:
    world = SequentialWorld(SMALL, 64, seed=1)
    done = world.step(everybody(world, 0.0, asks=False))
    assert not done.outcome.on_qpu.any()
    assert bool((world.held == 0).all())


def test_a_battery_pays_for_what_it_can_and_no_more() -> None:
    world = SequentialWorld(SMALL, 200, seed=2, dtype=torch.float64)
    spent = torch.zeros_like(world.charge_j)
    while world.slot < SMALL.episode_slots - 1:
        own_j, before = local(SMALL.model, world.slots)[1], world.charge_j
        done = world.step(everybody(world, 1.0, asks=False))
        used = before - world.charge_j
        assert torch.allclose(used, torch.minimum(before, own_j))
        alone = used >= own_j * (1 - 1e-12)
        assert torch.allclose(done.outcome.energy_j[alone], own_j[alone])
        spent += used
    assert float(spent.max()) == pytest.approx(SMALL.battery_j)
    assert float(world.observe().user[..., 9].min()) == 0.0


def test_an_episode_ends_and_another_begins() -> None:
    world = SequentialWorld(SMALL, 5, seed=3)
    servers = world.slots.qubits
    ends = [world.step(central(world)).terminated for _ in range(20)]
    assert ends == ([False] * 9 + [True]) * 2
    assert not torch.equal(world.slots.qubits, servers), "other servers"
    assert bool((world.charge_j == SMALL.battery_j).all())
    assert bool((world.observe().user[..., 10] == 1.0).all()), "all the time is left"


def test_the_same_seed_gives_the_same_tasks_whatever_is_done() -> None:
    one, other = (SequentialWorld(SMALL, 4, seed=9) for _ in range(2))
    for _ in range(12):
        assert torch.equal(one.slots.size_byte, other.slots.size_byte)
        assert torch.equal(one.slots.error_ratio, other.slots.error_ratio)
        one.step(everybody(one, 0.0))
        other.step(everybody(other, 1.0, asks=False))


def test_quality_wanders_as_it_was_asked_to_and_nobody_sees_it() -> None:
    setting = SequentialSetting(users=1, servers=4, episode_slots=400, drift_memory=0.9, drift_spread=0.3)
    world, seen = SequentialWorld(setting, 200, seed=4, dtype=torch.float64), []
    for _ in range(300):
        seen.append(-torch.log(world.slots.error_ratio))
        world.step(everybody(world, 1.0))
    drift = torch.stack(seen)
    assert float(drift.std()) == pytest.approx(0.3, rel=0.05)
    later = float((drift[1:] * drift[:-1]).mean() / drift.var())
    assert later == pytest.approx(0.9, abs=0.02)
    before = world.observe()
    world.slots = replace(world.slots, error_ratio=world.slots.error_ratio * 5)
    after = world.observe()
    assert torch.equal(before.user, after.user)
    assert torch.equal(before.pair, after.pair)


def test_without_holding_drift_and_batteries_it_is_the_first_world() -> None:
    plain = SequentialSetting(users=5, servers=4, hold_slots=1, drift_spread=0.0, battery_j=1e12)
    world = SequentialWorld(plain, 8, seed=5)
    first = World(replace(World.setting_type(users=5, servers=4), model=plain.model), 8, seed=5)
    first.slots = replace(world.slots, ready=None, error_ratio=None)
    action = everybody(world, 0.25)
    assert torch.equal(world.step(action).reward, first.step(replace(action, asks=None)).reward)


@pytest.mark.parametrize("play", PLAYS)
def test_prices_make_qpus_and_batteries_last(play: str) -> None:
    def used(prices: Prices) -> tuple[float, float]:
        world = SequentialWorld(replace(SMALL, episode_slots=30), 64, seed=6)
        asked = 0.0
        for _ in range(29):
            asked += float(world.step(PLAYS[play](world, prices)).outcome.on_qpu.sum())
        return asked, float(world.charge_j.mean())

    free, dear, thrifty = used(MYOPIC), used(Prices(hold=30.0)), used(Prices(energy=20.0))
    assert dear[0] < free[0]
    assert thrifty[1] > free[1]


def test_nothing_is_worth_holding_in_the_last_slot() -> None:
    world = SequentialWorld(SMALL, 64, seed=6)
    while world.slot < SMALL.episode_slots - 1:
        assert int(central(world, Prices(hold=100.0)).asks.sum()) < int(central(world).asks.sum())
        world.step(everybody(world, 0.0, asks=False))
    assert torch.equal(central(world, Prices(hold=100.0)).asks, central(world).asks)


def test_play_by_prices_is_between_myopic_play_and_the_bound() -> None:
    setting = replace(SMALL, episode_slots=16, battery_j=1.0)
    bounds = np.array([each.cost for each in hindsight(setting, 7, 4)])
    best, tried = best_prices(setting, "central", [7], 4, rounds=1)
    costs = dict(tried)
    assert costs[best] <= costs[MYOPIC]
    paid = episode_costs(setting, "central", best, [7], 4)
    assert paid.mean() == pytest.approx(costs[best])
    assert bool((bounds <= paid * (1 + 1e-9)).all())
    assert bool((bounds <= episode_costs(setting, "local", MYOPIC, [7], 4) * (1 + 1e-9)).all())


def test_the_program_is_at_least_its_relaxation_and_myopic_play_is_best_without_a_future() -> None:
    loose, whole = (hindsight(SMALL, 8, relaxed=relaxed)[0] for relaxed in (True, False))
    assert whole.exact
    assert not loose.exact
    assert loose.cost <= whole.cost * (1 + 1e-6)
    assert whole.cost <= episode_costs(SMALL, "central", MYOPIC, [8], 1)[0] * (1 + 1e-6)
    no_future = replace(SMALL, hold_slots=1, battery_j=1e9, episode_slots=4)
    bounds = [each.cost for each in hindsight(no_future, 8, 3, relaxed=False)]
    assert bounds == pytest.approx(episode_costs(no_future, "central", MYOPIC, [8], 3).tolist(), rel=1e-5)


def test_hindsight_needs_costs_that_are_linear() -> None:
    with pytest.raises(InvalidParameter, match="linear in the shares"):
        hindsight(replace(SMALL, model=MODES["physical"]), 1)


def test_users_without_knowledge_of_quality_do_not_use_it() -> None:
    world = SequentialWorld(SMALL, 50, seed=2)
    plain = selfish(world)
    world.slots = replace(world.slots, error_ratio=torch.full_like(world.slots.error_ratio, 100.0))
    assert torch.equal(selfish(world).asks, plain.asks)
    assert not central(world).asks.any()

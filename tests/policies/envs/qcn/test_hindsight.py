"""What no play of ``QCN-v2`` goes below: held to every play of small episodes, and to rules of large ones."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from policies.envs.contest import OPTIMUM, Cell, costs, lower_bound, rule
from policies.envs.contract import Action
from policies.envs.qcn.batch import Slots, settle
from policies.envs.qcn.hindsight import hindsight
from policies.envs.qcn.known_optima import unhindered
from policies.envs.qcn.rules import RULES
from policies.envs.qcn.sequential import SequentialSetting, SequentialWorld

SHARES = (0.0, 0.05, 0.3, 1.0)
SMALL = SequentialSetting(users=2, servers=3, episode_slots=2, slot_s=0.02)


def least_of_all_plays(setting: SequentialSetting, seed: int) -> float:
    """Mean cost of a slot by the best of all plays whose shares are some of :data:`SHARES`."""
    world = SequentialWorld(setting, 1, seed, dtype=torch.float64)
    servers, shares = (
        torch.tensor(list(product(values, repeat=setting.users))) for values in (range(setting.servers), SHARES)
    )
    num = len(servers) * len(shares)
    actions = Action(servers.repeat_interleave(len(shares), 0), shares.double().repeat(len(servers), 1))
    total, backlog_s = torch.zeros(1, dtype=torch.float64), torch.zeros(1, setting.servers, dtype=torch.float64)
    for _ in range(setting.episode_slots):
        slots, times = world.slots, len(total)
        every = Action(actions.servers.repeat(times, 1), actions.shares.repeat(times, 1))
        waits_s = backlog_s.repeat_interleave(num, 0)
        outcome = settle(setting.model, replace(slots.repeated(num * times), backlog_s=waits_s), every)
        total = total.repeat_interleave(num) + outcome.cost.sum(-1)
        backlog_s = (waits_s.scatter_add(1, outcome.reached, outcome.load_s) - setting.slot_s).clamp(min=0.0)
        world.step(RULES["local"](world, torch.Generator()))
    return float(total.min()) / setting.episode_slots


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from((0.0, 0.02, 0.2)), st.sampled_from(((1.0, 0.0), (0.5, 0.5), (0.2, 0.8))))
def test_no_play_of_a_small_episode_is_below_the_bound(seed: int, slot_s: float, weights: tuple[float, float]) -> None:
    delay, energy = weights
    setting = replace(SMALL, slot_s=slot_s, delay_weight=delay, energy_weight=energy)
    assert hindsight(setting, seed)[0].cost <= least_of_all_plays(setting, seed) * (1.0 + 1e-9)


@pytest.mark.usefixtures("optima")
def test_no_rule_is_below_the_bound_which_is_attained_where_nothing_is_left_behind() -> None:
    setting = SequentialSetting(users=4, servers=3, episode_slots=6)
    cell = Cell("QCN-v2", setting, (7,), 5 * setting.episode_slots)
    bounds = torch.tensor([each.cost for each in hindsight(setting, 7, 5)], dtype=torch.float64)
    assert lower_bound(cell) == pytest.approx(float(bounds.mean()))
    for name in (*RULES, OPTIMUM):
        paid = torch.from_numpy(costs(cell, rule(cell, name))).reshape(setting.episode_slots, 5).mean(0)
        assert (bounds <= paid * (1.0 + 1e-9)).all(), name
    patient = replace(setting, slot_s=1e6)
    attained = replace(cell, setting=patient)
    found = hindsight(patient, 7, 5)
    assert all(each.exact for each in found)
    assert costs(attained, rule(attained, OPTIMUM)).mean() == pytest.approx(sum(each.cost for each in found) / 5)
    assert not any(each.exact for each in hindsight(replace(setting, slot_s=0.0), 7, 5))


def test_some_of_many_episodes_are_the_same() -> None:
    every = hindsight(SMALL, 3, 4)
    assert hindsight(SMALL, 3, 4, first=2) == every[:2]


def test_nothing_costs_more_where_nothing_is_waited_for() -> None:
    world, chance = SequentialWorld(SMALL, 20, 1, dtype=torch.float64), torch.Generator().manual_seed(1)
    world.step(RULES["best_edge"](world, chance))
    action = RULES["random"](world, chance)

    def paid(slots: Slots) -> Tensor:
        return settle(SMALL.model, slots, action).cost

    assert (world.backlog_s > 0.0).any()
    assert (paid(unhindered(world.slots)) <= paid(world.slots)).all()

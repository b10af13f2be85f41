"""MEQC-v1: what is drawn, seen and paid, and how it is asked for."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch

from circuits.errors import InvalidParameter
from policies.envs import ENVS, load
from policies.envs.batched import setting_of
from policies.envs.contract import Action
from policies.envs.meqc.batch import Slots, settle
from policies.envs.meqc.compiled import COMPILED, measured
from policies.envs.meqc.draw import draw_slots
from policies.envs.meqc.instance import CIRCUITS, draw, num_qubits
from policies.envs.meqc.model import MODES
from policies.envs.meqc.sequential import SequentialSetting
from policies.envs.meqc.world import Setting, World


def play(world: World, seed: int = 0) -> Action:
    chance = torch.Generator().manual_seed(seed)
    shape = world.slots.shape[:2]
    servers = torch.randint(world.setting.servers, shape, generator=chance)
    return Action(servers, torch.rand(shape, generator=chance, dtype=world.dtype).mul(3).clamp(0, 1))


def equal(one: Slots, other: Slots) -> bool:
    return all(value is None or torch.equal(value, getattr(other, name)) for name, value in vars(one).items())


def test_slots_are_drawn_as_the_paper_has_them() -> None:
    slots = draw_slots(torch.Generator().manual_seed(1), (2000, 5, 4), dtype=torch.float64)
    scalar = [draw(np.random.default_rng(seed), 5, 4) for seed in range(2000)]
    for name, values in vars(slots).items():
        if values is None:
            continue
        reference = np.stack([getattr(one, name) for one in scalar])
        assert values.shape == reference.shape, name
        assert float(values.min()) == pytest.approx(reference.min(), rel=0.01), name
        assert float(values.max()) == pytest.approx(reference.max(), rel=0.01), name
        if len(np.unique(reference)) < 10:
            assert np.array_equal(values.unique().numpy(), np.unique(reference)), name
        spread = max(float(reference.std()), 1e-12)
        assert abs(float(values.mean()) - reference.mean()) < 0.06 * spread, name


def test_the_same_seed_gives_the_same_slots_whatever_is_done() -> None:
    worlds = [World(Setting(users=4, servers=3), 8, seed=seed) for seed in (5, 5, 6)]
    for number in range(3):
        assert equal(worlds[0].slots, worlds[1].slots)
        assert not equal(worlds[0].slots, worlds[2].slots)
        worlds[0].step(play(worlds[0], seed=number))
        worlds[1].step(play(worlds[1], seed=100 + number))
        worlds[2].step(play(worlds[2]))


@pytest.mark.parametrize("circuits", CIRCUITS)
@pytest.mark.parametrize("name", [name for name in ENVS if name.startswith("MEQC")])
def test_what_is_seen_is_between_0_and_1(name: str, circuits: str) -> None:
    kind = load(name)
    world = kind(kind.setting_type(users=6, servers=4, circuits=circuits), 500, seed=3)
    for _ in range(10):
        observation = world.observe()
        for values in (observation.user, observation.pair):
            assert float(values.min()) >= 0.0
            assert float(values.max()) <= 1.0 + 1e-6
        world.step(play(world))
    assert observation.flat().shape == (500, 6, observation.user.shape[-1] + 4 * observation.pair.shape[-1])


def test_drawn_weights_add_up_and_differ_by_slot() -> None:
    slots = World(Setting(weights="drawn"), 100, seed=1).slots
    assert torch.allclose(slots.delay_weight + slots.energy_weight, torch.ones(()))
    assert torch.equal(slots.delay_weight, slots.delay_weight[:, :1].expand_as(slots.delay_weight))
    assert len(slots.delay_weight.unique()) > 90


def test_own_and_global_rewards_are_costs() -> None:
    own, everybody = (World(Setting(reward=reward), 16, seed=2) for reward in ("own", "global"))
    action = play(own)
    first, second = own.step(action), everybody.step(action)
    assert torch.equal(first.reward, -first.outcome.cost)
    assert torch.allclose(second.reward, first.reward.sum(-1, keepdim=True).expand_as(second.reward))
    assert not first.terminated


@pytest.mark.parametrize("mode", MODES)
def test_the_difference_reward_is_what_a_hand_count_gives(mode: str) -> None:
    world = World(Setting(users=4, servers=2, reward="difference", model=MODES[mode]), 16, seed=2, dtype=torch.float64)
    slots, action = world.slots, play(world)
    done = world.step(action)
    for user in range(4):
        shares = action.shares.clone()
        shares[:, user] = 1.0
        without = settle(MODES[mode], slots, Action(action.servers, shares)).cost.sum(-1)
        assert torch.allclose(done.reward[:, user], without - done.outcome.cost.sum(-1), rtol=1e-9)


def test_users_of_v1_cannot_decline() -> None:
    world = World(Setting(users=2, servers=2), 3)
    action = Action(*vars(play(world)).values())
    with pytest.raises(InvalidParameter, match="cannot decline"):
        world.step(Action(action.servers, action.shares, torch.ones(3, 2, dtype=torch.bool)))


def test_a_setting_comes_from_names() -> None:
    setting = setting_of({"users": 20, "mode": "literal", "overrides": {"gamma_inv": 0.01}, "reward": "own"}, Setting)
    assert (setting.users, setting.servers, setting.reward) == (20, 10, "own")
    assert setting.model.mode == "literal"
    assert setting.model.cryogenics.decay_time_s == 0.01
    assert setting_of({}, Setting) == Setting()
    later = setting_of({"mode": "calibrated", "hold_slots": 2}, SequentialSetting)
    assert later == SequentialSetting(hold_slots=2)
    forced = setting_of({"overrides": {"qpu_use": "forced"}}, SequentialSetting)
    assert forced.model.qpu_use == "forced"


@pytest.mark.parametrize(
    ("asked", "named"),
    [
        ({"users": 0}, "Setting.users"),
        ({"servers": 0}, "Setting.servers"),
        ({"users": 2.5}, "Setting.users"),
        ({"delay_weight": 1.5}, "Setting.delay_weight"),
        ({"energy_weight": math.nan}, "Setting.energy_weight"),
        ({"delay_weight": 0.0, "energy_weight": 0.0}, "delay_weight, energy_weight"),
        ({"reward": "all"}, "Setting.reward"),
        ({"circuits": "real"}, "Setting.circuits"),
        ({"mode": "exact"}, "mode"),
        ({"overrides": {"gamma": 1}}, "overrides"),
        ({"overrides": 3}, "overrides"),
        ({"model": None}, "Setting.model"),
        ({"user": 3}, "no parameter 'user'"),
    ],
)
def test_a_bad_setting_is_refused_by_name(asked: dict[str, Any], named: str) -> None:
    with pytest.raises(InvalidParameter, match=named):
        setting_of(asked, Setting)


def test_no_other_world_is_known() -> None:
    with pytest.raises(InvalidParameter, match="num_worlds: wanted at least 1, got 0"):
        World(Setting(), 0)
    with pytest.raises(InvalidParameter, match="setting: wanted a SequentialSetting"):
        load("MEQC-v2")(Setting())
    with pytest.raises(InvalidParameter, match=r"MEQC-v1"):
        load("MEQC-v9")


def test_compiled_circuits_are_as_wide_as_the_papers_and_much_deeper() -> None:
    for bits, (width, deep) in CIRCUITS["compiled"].items():
        assert width == num_qubits(bits)
        assert deep > 5 * CIRCUITS["paper"][bits][1]
    width, deep = measured(3)
    assert width == COMPILED[3][0]
    assert deep == pytest.approx(COMPILED[3][1], rel=0.1), "compilers change, and this one has since"


def test_compiled_circuits_need_better_codes() -> None:
    """At 2 ms no level-1 code and few level-2 codes carry circuits as deep as those that are really built."""
    from policies.envs.meqc.hardware import hardware

    machine = hardware(MODES["calibrated"])
    carried = {
        level: [bits for bits, size in COMPILED.items() if machine.success(*size, level) >= 2 / 3]
        for level in (1, 2, 3)
    }
    assert carried == {1: [], 2: [3, 4, 5], 3: [3, 4, 5, 6, 7, 8, 9]}

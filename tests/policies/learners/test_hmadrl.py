"""The paper's learner: agents are independent of each other, and it learns."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

from circuits.errors import InvalidParameter
from policies.envs.measured.world import MeasuredSetting
from policies.envs.meqc.world import Setting, World
from policies.learners.hmadrl import HMADRL, Config
from policies.learners.hmadrl_vqc import HmadrlVqc, VqcConfig

SETTING = Setting(users=3, servers=2)
SMALL = Config(width=16, steps=32, batch=16)


@pytest.mark.parametrize(
    "change",
    [
        {"agents": "shared"},
        {"critic": "own"},
        {"critic": "central"},
        {"agents": "shared", "critic": "central"},
        {"head": "beta"},
        {"head": "bernoulli"},
        {"network": "waves"},
        {"network": "features"},
        {"discount": 0.0},
        {"batch": 20},
    ],
    ids=str,
)
def test_every_choice_trains(change: dict[str, Any]) -> None:
    learner = HMADRL(replace(SMALL, **change), SETTING, 1)
    before = learner.state()
    progress = learner.epoch()
    after = learner.state()
    assert progress.slots == SMALL.steps
    trained = [name for name in before if name.startswith("weights.")]
    assert all(bool(torch.isfinite(after[name]).all()) for name in trained)
    assert all(not torch.equal(before[name], after[name]) for name in trained)


@pytest.mark.parametrize("reward", ["global", "own", "difference"])
@pytest.mark.parametrize("weights", ["fixed", "drawn"])
def test_it_trains_in_every_setting(reward: str, weights: str) -> None:
    assert HMADRL(SMALL, replace(SETTING, reward=reward, weights=weights), 1).epoch().cost > 0


def test_an_agents_samples_move_its_own_networks_alone() -> None:
    learner = HMADRL(replace(SMALL, entropy_weight=0.0, critic="own"), SETTING, 1)
    rollout, _ = learner._play()
    silent = rollout.advantage.clone()
    silent[:, 1:] = 0.0  # nothing to learn for actors 1 and 2
    learner._update(rollout._replace(advantage=silent))
    gradients = [each.grad for each in learner._actor.parameters()]
    assert all(bool((each[0] != 0).any()) for each in gradients)
    assert all(bool((each[1:] == 0).all()) for each in gradients)


def test_an_independent_agent_has_the_gradient_that_it_would_have_alone() -> None:
    learner = HMADRL(replace(SMALL, most_gradient=1e6), SETTING, 1)
    rollout, _ = learner._play()
    learner._update(rollout)
    together = [each.grad[1].clone() for each in learner._parameters]
    for name in ("advantage", "target"):
        changed = getattr(rollout, name).clone()
        changed[:, [0, 2]] *= 5.0
        rollout = rollout._replace(**{name: changed})
    fresh = HMADRL(replace(SMALL, most_gradient=1e6), SETTING, 1)
    fresh._update(rollout)
    assert all(torch.equal(one, each.grad[1]) for one, each in zip(together, fresh._parameters, strict=True))


def test_it_learns_to_stay_local_where_everything_else_is_dear() -> None:
    learner = HMADRL(Config(width=32, steps=256, passes=4), Setting(users=2, servers=2, reward="own"), 1)
    costs = [learner.epoch().cost for _ in range(25)]
    assert sum(costs[-5:]) < 0.7 * sum(costs[:5])


def test_where_there_are_episodes_nothing_comes_after_one() -> None:
    learner = HMADRL(SMALL, MeasuredSetting(jobs=5, servers=3), 1)
    rollout, cost = learner._episodes()
    mean, deviation = learner._scale()
    returns = (rollout.target * deviation + mean).unflatten(-1, (5, -1))  # of both critics, by slot and world
    assert returns.shape == (2, 1, 5, 7), "as many worlds as have an epoch's slots"
    torch.testing.assert_close(returns[0, :, -1], returns[1, :, -1])
    assert (returns[0, :, :-1] - returns[1, :, :-1]).abs().min() > 0
    assert cost > 0
    assert learner.epoch().slots == 35


def test_an_actor_refuses_users_that_it_has_no_network_for() -> None:
    seen = World(Setting(users=4, servers=2), 1).observe()
    with pytest.raises(InvalidParameter, match="wanted 3 users and 2 servers, as in training, got 4 and 2"):
        HMADRL(SMALL, SETTING, 1).actor().act(seen)
    shared = HMADRL(replace(SMALL, agents="shared"), SETTING, 1).actor()
    assert shared.act(seen).servers.shape == (1, 4)
    with pytest.raises(InvalidParameter, match="any number of users and 2 servers"):
        shared.act(World(Setting(users=3, servers=5), 1).observe())


def test_the_circuits_learner_is_the_same_learner_on_circuits() -> None:
    defaults = VqcConfig()
    assert (defaults.network, defaults.width) == ("vqc", 64)
    assert replace(Config(), network="vqc", width=64) == Config(**vars(defaults))
    small = replace(defaults, width=16, steps=32, batch=16)
    plain = replace(SMALL, network="vqc")
    assert HmadrlVqc(small, SETTING, 2).epoch() == HMADRL(plain, SETTING, 2).epoch()

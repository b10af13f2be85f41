"""What every registered learner keeps to."""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from importlib import import_module
from typing import Any

import pytest
import torch
from safetensors.torch import load, save

from circuits.errors import InvalidParameter
from circuits.parameters import domains
from policies.envs.meqc.world import Setting, World
from policies.learners import LEARNERS

SETTING = Setting(users=3, servers=2)


@pytest.fixture(scope="module", params=sorted(LEARNERS))
def learner_type(request: pytest.FixtureRequest) -> Any:
    module, _, name = LEARNERS[request.param].partition(":")
    return getattr(import_module(module), name)


def new(learner_type: Any, seed: int = 1) -> Any:
    """Of few slots and narrow networks, whatever its numbers are called."""
    known = domains(learner_type.config_type)
    defaults = learner_type.config_type()
    small = {
        name: max(int(domain.low), min(getattr(defaults, name), 16))
        for name, domain in known.items()
        if domain.kind is int and not domain.choices
    }
    return learner_type(learner_type.config_type(**small), SETTING, seed)


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def test_it_tells_where_training_is(learner_type: Any) -> None:
    learner = new(learner_type)
    first, second = learner.epoch(), learner.epoch()
    assert (first.epoch, second.epoch) == (1, 2)
    assert 0 < first.slots <= second.slots
    assert math.isfinite(first.cost)
    assert first.cost > 0
    assert all(math.isfinite(value) for value in first.figures.values())


def test_it_acts_in_range_and_the_same_again(learner_type: Any) -> None:
    learner = new(learner_type)
    learner.epoch()
    actor, seen = learner.actor(), World(SETTING, 50, seed=3).observe()
    for seed in (None, 5):
        chance, again = (None if seed is None else torch.Generator().manual_seed(seed) for _ in range(2))
        action, repeated = actor.act(seen, chance), actor.act(seen, again)
        assert action.servers.shape == action.shares.shape == (50, 3)
        assert action.servers.dtype == torch.int64
        assert 0 <= int(action.servers.min()) <= int(action.servers.max()) < 2
        assert 0 <= float(action.shares.min()) <= float(action.shares.max()) <= 1
        assert torch.equal(action.servers, repeated.servers)
        assert torch.equal(action.shares, repeated.shares)


def test_an_actor_stays_what_it_was(learner_type: Any) -> None:
    learner, seen = new(learner_type), World(SETTING, 20, seed=3).observe()
    actor = learner.actor()
    before = actor.act(seen, torch.Generator().manual_seed(1))
    learner.epoch()
    after = actor.act(seen, torch.Generator().manual_seed(1))
    assert torch.equal(before.servers, after.servers)
    assert torch.equal(before.shares, after.shares)


def test_the_same_seed_gives_the_same_curve(learner_type: Any) -> None:
    one, same_seed, other = (new(learner_type, seed) for seed in (4, 4, 5))
    curve = [one.epoch() for _ in range(2)]
    assert [same_seed.epoch() for _ in range(2)] == curve
    assert [other.epoch() for _ in range(2)] != curve


def test_it_goes_on_from_its_state_as_if_nothing_had_been(learner_type: Any) -> None:
    learner, restored = new(learner_type, 1), new(learner_type, 2)
    learner.epoch()
    restored.restore(load(save(learner.state())))
    assert same(learner.state(), restored.state())
    assert learner.epoch() == restored.epoch()
    assert same(learner.state(), restored.state())


def test_a_state_is_of_its_time(learner_type: Any) -> None:
    learner = new(learner_type)
    kept = learner.state()
    copies = {name: value.clone() for name, value in kept.items()}
    learner.epoch()
    assert same(kept, copies)


def test_its_config_is_json_and_checked(learner_type: Any) -> None:
    config = learner_type.config_type()
    assert learner_type.config_type(**json.loads(json.dumps(asdict(config)))) == config
    for name, domain in domains(config).items():
        wrong = math.nan if domain.kind is float else -(10**9) if domain.kind is int else "?"
        with pytest.raises(InvalidParameter, match=name):
            learner_type.config_type(**{name: wrong})


def test_what_acts_is_what_is_trained(learner_type: Any) -> None:
    learner = new(learner_type)
    before = {name: value.clone() for name, value in learner.actor().state_dict().items()}
    learner.epoch()
    assert not same(before, learner.actor().state_dict())

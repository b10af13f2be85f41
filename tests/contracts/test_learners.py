"""What every registered learner keeps to, in each world that it plays."""

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
from policies.envs import ENVS
from policies.envs import load as world_of
from policies.learners import LEARNERS

SIZE = {"users": 3, "servers": 2}
SHORT = {"jobs": 9, "episode_slots": 6}
"""Of what worlds have beside it."""


def class_of(name: str) -> Any:
    module, _, attribute = LEARNERS[name].partition(":")
    return getattr(import_module(module), attribute)


def plays(learner_type: Any) -> tuple[str, ...]:
    return tuple(getattr(learner_type, "envs", ("MEQC-v1",)))


PAIRS = [(name, env) for name in sorted(LEARNERS) for env in plays(class_of(name))]


@pytest.fixture(scope="module", params=PAIRS, ids="-".join)
def anywhere(request: pytest.FixtureRequest) -> Any:
    """A learner's class and a world's: every pair."""
    name, env = request.param
    return class_of(name), world_of(env)


@pytest.fixture(scope="module", params=dict(reversed(PAIRS)).items(), ids="-".join)
def played(request: pytest.FixtureRequest) -> Any:
    """The same with one world for each learner, the first that it plays."""
    name, env = request.param
    return class_of(name), world_of(env)


def test_it_plays_worlds_that_there_are() -> None:
    for name in LEARNERS:
        assert set(plays(class_of(name))) <= set(ENVS)


def setting_of(world: Any) -> Any:
    """Of few users and, where slots hang together, short episodes."""
    known = domains(world.setting_type)
    return world.setting_type(**SIZE, **{name: value for name, value in SHORT.items() if name in known})


def new(played: Any, seed: int = 1) -> Any:
    """Of few slots and narrow networks, whatever its numbers are called."""
    learner_type, world = played
    known = domains(learner_type.config_type)
    defaults = learner_type.config_type()
    small = {
        name: max(int(domain.low), min(getattr(defaults, name), 16))
        for name, domain in known.items()
        if domain.kind is int and not domain.choices
    }
    return learner_type(learner_type.config_type(**small), setting_of(world), seed)


def seen_in(played: Any, num_worlds: int) -> Any:
    _, world = played
    return world(setting_of(world), num_worlds, seed=3).observe()


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def test_it_tells_where_training_is(anywhere: Any) -> None:
    learner = new(anywhere)
    first, second = learner.epoch(), learner.epoch()
    assert (first.epoch, second.epoch) == (1, 2)
    assert 0 < first.slots <= second.slots
    assert math.isfinite(first.cost)
    assert first.cost > 0
    assert all(math.isfinite(value) for value in first.figures.values())


def test_it_acts_in_range_and_the_same_again(anywhere: Any) -> None:
    learner = new(anywhere)
    learner.epoch()
    actor, seen = learner.actor(), seen_in(anywhere, 50)
    for seed in (None, 5):
        chance, again = (None if seed is None else torch.Generator().manual_seed(seed) for _ in range(2))
        action, repeated = actor.act(seen, chance), actor.act(seen, again)
        assert action.servers.shape == action.shares.shape == (50, 3)
        assert action.servers.dtype == torch.int64
        assert 0 <= int(action.servers.min()) <= int(action.servers.max()) < 2
        assert 0 <= float(action.shares.min()) <= float(action.shares.max()) <= 1
        assert torch.equal(action.servers, repeated.servers)
        assert torch.equal(action.shares, repeated.shares)
        may_decline = anywhere[1].may_decline
        assert action.asks is None or (may_decline and action.asks.dtype == torch.bool and action.asks.shape == (50, 3))


def test_an_actor_stays_what_it_was(played: Any) -> None:
    learner, seen = new(played), seen_in(played, 20)
    actor = learner.actor()
    before = actor.act(seen, torch.Generator().manual_seed(1))
    learner.epoch()
    after = actor.act(seen, torch.Generator().manual_seed(1))
    assert torch.equal(before.servers, after.servers)
    assert torch.equal(before.shares, after.shares)


def test_the_same_seed_gives_the_same_curve(played: Any) -> None:
    one, same_seed, other = (new(played, seed) for seed in (4, 4, 5))
    curve = [one.epoch() for _ in range(2)]
    assert [same_seed.epoch() for _ in range(2)] == curve
    assert [other.epoch() for _ in range(2)] != curve


def test_it_goes_on_from_its_state_as_if_nothing_had_been(played: Any) -> None:
    learner, restored = new(played, 1), new(played, 2)
    learner.epoch()
    restored.restore(load(save(learner.state())))
    assert same(learner.state(), restored.state())
    assert learner.epoch() == restored.epoch()
    assert same(learner.state(), restored.state())


def test_a_state_is_of_its_time(played: Any) -> None:
    learner = new(played)
    kept = learner.state()
    copies = {name: value.clone() for name, value in kept.items()}
    learner.epoch()
    assert same(kept, copies)


def test_its_config_is_json_and_checked(played: Any) -> None:
    learner_type, _ = played
    config = learner_type.config_type()
    assert learner_type.config_type(**json.loads(json.dumps(asdict(config)))) == config
    for name, domain in domains(config).items():
        wrong = math.nan if domain.kind is float else -(10**9) if domain.kind is int else "?"
        with pytest.raises(InvalidParameter, match=name):
            learner_type.config_type(**{name: wrong})


def test_what_acts_is_what_is_trained(played: Any) -> None:
    learner = new(played)
    before = {name: value.clone() for name, value in learner.actor().state_dict().items()}
    learner.epoch()
    assert not same(before, learner.actor().state_dict())

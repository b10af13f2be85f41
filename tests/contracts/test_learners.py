"""What every registered learner keeps to, in each world that it plays."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from functools import cache
from importlib import import_module
from typing import Any

import pytest
import torch
from safetensors.torch import load, save

from circuits.errors import InvalidParameter
from circuits.parameters import domains
from policies.envs import ENVS
from policies.envs import load as world_of
from policies.envs.contract import Action
from policies.learners import LEARNERS
from policies.learners.learner import Progress

SIZE = {"users": 3, "servers": 2}
SHORT = {"jobs": 9, "episode_slots": 6}
"""Of what worlds have beside it."""
FEW, SEED = 4, 1
MORE = {"batch": 64}
"""Of what makes an epoch longer where it is small."""


def class_of(name: str) -> Any:
    module, _, attribute = LEARNERS[name].partition(":")
    return getattr(import_module(module), attribute)


def plays(learner_type: Any) -> tuple[str, ...]:
    return tuple(getattr(learner_type, "envs", ("MEQC-v1",)))


PAIRS = [(name, env) for name in sorted(LEARNERS) for env in plays(class_of(name))]
FIRST = dict(reversed(PAIRS)).items()
"""One world for each learner, the first that it plays."""


def test_it_plays_worlds_that_there_are() -> None:
    for name in LEARNERS:
        assert set(plays(class_of(name))) <= set(ENVS)


def setting_of(env: str) -> Any:
    """Of few users and, where slots hang together, short episodes."""
    kind = world_of(env).setting_type
    return kind(**SIZE, **{name: value for name, value in SHORT.items() if name in domains(kind)})


def new(name: str, env: str, seed: int = SEED) -> Any:
    """Of few slots and narrow networks, whatever its numbers are called."""
    kind = class_of(name)
    defaults = kind.config_type()
    small = {
        name: max(int(domain.low), min(getattr(defaults, name), MORE.get(name, FEW)))
        for name, domain in domains(kind.config_type).items()
        if domain.kind is int and not domain.choices
    }
    return kind(kind.config_type(**small), setting_of(env), seed)


def seen_in(env: str) -> Any:
    return world_of(env)(setting_of(env), 20, seed=3).observe()


State = dict[str, torch.Tensor]


def same(one: State, other: State) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def copied(state: State) -> State:
    return {name: value.clone() for name, value in state.items()}


@dataclass(frozen=True)
class Trained:
    """A learner after two epochs, and what it was after each: nought, one, two."""

    name: str
    env: str
    progress: list[Progress]
    states: list[State]
    copies: list[State]
    actors: list[Any]
    acted: list[Action]


@cache
def trained(name: str, env: str) -> Trained:
    learner, seen = new(name, env), seen_in(env)
    found = Trained(name, env, [], [], [], [], [])
    for _ in range(3):
        if found.states:
            found.progress.append(learner.epoch())
        found.states.append(learner.state())
        found.copies.append(copied(found.states[-1]))
        found.actors.append(learner.actor())
        found.acted.append(found.actors[-1].act(seen, torch.Generator().manual_seed(1)))
    return found


@pytest.fixture(params=PAIRS, ids="-".join)
def anywhere(request: pytest.FixtureRequest) -> Trained:
    """Every learner in every world that it plays."""
    return trained(*request.param)


@pytest.fixture(params=FIRST, ids="-".join)
def played(request: pytest.FixtureRequest) -> Trained:
    """Every learner in one world."""
    return trained(*request.param)


def test_it_tells_where_training_is(anywhere: Trained) -> None:
    first, second = anywhere.progress
    assert (first.epoch, second.epoch) == (1, 2)
    assert 0 < first.slots <= second.slots
    assert math.isfinite(first.cost)
    assert first.cost > 0
    assert all(math.isfinite(value) for value in first.figures.values())


def test_it_acts_in_range_and_the_same_again(anywhere: Trained) -> None:
    actor, seen = anywhere.actors[1], seen_in(anywhere.env)
    for seed in (None, 5):
        chance, again = (None if seed is None else torch.Generator().manual_seed(seed) for _ in range(2))
        action, repeated = actor.act(seen, chance), actor.act(seen, again)
        assert action.servers.shape == action.shares.shape == (20, 3)
        assert action.servers.dtype == torch.int64
        assert 0 <= int(action.servers.min()) <= int(action.servers.max()) < 2
        assert 0 <= float(action.shares.min()) <= float(action.shares.max()) <= 1
        assert torch.equal(action.servers, repeated.servers)
        assert torch.equal(action.shares, repeated.shares)
        may_decline = world_of(anywhere.env).may_decline
        assert action.asks is None or (may_decline and action.asks.dtype == torch.bool and action.asks.shape == (20, 3))


def test_an_actor_stays_what_it_was(anywhere: Trained) -> None:
    for actor, before in zip(anywhere.actors, anywhere.acted, strict=True):
        after = actor.act(seen_in(anywhere.env), torch.Generator().manual_seed(1))
        assert torch.equal(before.servers, after.servers)
        assert torch.equal(before.shares, after.shares)


def test_a_state_is_of_its_time(anywhere: Trained) -> None:
    assert all(same(state, copy) for state, copy in zip(anywhere.states, anywhere.copies, strict=True))
    assert not same(anywhere.states[0], anywhere.states[1])


def test_what_acts_is_what_is_trained(anywhere: Trained) -> None:
    before, after, _ = (actor.state_dict() for actor in anywhere.actors)
    assert not same(before, after)


def test_the_same_seed_gives_the_same_curve(played: Trained) -> None:
    again, other = new(played.name, played.env), new(played.name, played.env, SEED + 1)
    assert [again.epoch() for _ in range(2)] == played.progress
    assert other.epoch() != played.progress[0]


def test_it_goes_on_from_its_state_as_if_nothing_had_been(played: Trained) -> None:
    restored = new(played.name, played.env, SEED + 1)
    restored.restore(load(save(played.states[1])))
    assert same(played.states[1], restored.state())
    assert restored.epoch() == played.progress[1]
    assert same(played.states[2], restored.state())


@pytest.mark.parametrize("name", sorted(LEARNERS))
def test_its_config_is_json_and_checked(name: str) -> None:
    config_type = class_of(name).config_type
    config = config_type()
    assert config_type(**json.loads(json.dumps(asdict(config)))) == config
    for field, domain in domains(config).items():
        wrong = math.nan if domain.kind is float else -(10**9) if domain.kind is int else "?"
        with pytest.raises(InvalidParameter, match=field):
            config_type(**{field: wrong})

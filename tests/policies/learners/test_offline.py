"""Learners from logged play: they do what was done, ask for what was best, remember, and refuse other logs."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from circuits.errors import InvalidParameter
from policies.envs import of
from policies.envs.contest import learned
from policies.envs.contract import Observation
from policies.envs.meqc.sequential import SequentialSetting, SequentialWorld
from policies.envs.qcn import sequential as qcn
from policies.envs.qcn.observation import NUM_USER_FEATURES
from policies.learners.bc import Bc, BcConfig
from policies.learners.decision_diffuser import DecisionDiffuser, DecisionDiffuserConfig, explained
from policies.learners.decision_transformer import DecisionTransformer, DecisionTransformerConfig
from policies.learners.kit.offline import learnable, ranks
from policies.learners.kit.recording import ANYWHERE, recorded
from policies.learners.kit.sight import Choices, Chooser, chosen_by
from policies.learners.kit.trajectories import save

SETTING = SequentialSetting(users=3, servers=2, episode_slots=16, battery_j=2.0)
BACKLOG = qcn.SequentialSetting(users=3, servers=2, episode_slots=16)
FAST: dict[str, Any] = {"width": 16, "learning_rate": 1e-2, "episodes": 8}
DIGEST = torch.zeros(32, dtype=torch.uint8)


def trained(kind: Any, epochs: int, setting: SequentialSetting = SETTING, **more: Any) -> Any:
    learner = kind(kind.config_type(**{**FAST, "epochs": epochs, **more}), setting, 1)
    progress = [learner.epoch() for _ in range(epochs)]
    return learner, progress


def seen(num: int = 30, slots: int = 3) -> list[Observation]:
    world, found = SequentialWorld(SETTING, num, seed=9), []
    for _ in range(slots):
        found.append(world.observe())
        world.step(ANYWHERE["local"](world, torch.Generator()))
    return found


def test_cloning_one_rule_comes_to_that_rule() -> None:
    learner, progress = trained(Bc, 12, plays="selfish", episodes=24, batch=128)
    assert progress[-1].figures["loss"] < 0.6 * progress[0].figures["loss"]
    assert progress[-1].figures["agreement"] > 0.8
    assert learner.epochs == 12


def test_the_best_part_is_learned_from_alone() -> None:
    log = recorded(SETTING, ["local", "priced:0:8"], 10, seed=1)
    some = learnable(log, BcConfig(best=0.1), DIGEST)
    lead = log.rewards("baseline").mean(-1).sum(1)
    assert some.rank.shape[0] == 2
    assert some.cost == pytest.approx(float(log.cost[lead.topk(2).indices].mean()), rel=1e-5)
    assert some.rank[:, 0].min() >= 0.8


@pytest.mark.parametrize("kind", [DecisionTransformer, DecisionDiffuser])
def test_who_is_asked_for_more_does_otherwise(kind: Any) -> None:
    """Half the log is at home and loses; asked for the worst, one stays there."""
    more = {"context": 4} if kind is DecisionTransformer else {"horizon": 2, "batch": 64}
    learner, _ = trained(kind, 10 if kind is DecisionTransformer else 30, plays="local,selfish", **more)
    actor = learner.actor()
    at_home = []
    for ask in (0.0, 1.0):
        actor.ask = ask
        at_home.append(float((actor.act(seen()[0]).shares == 1.0).float().mean()))
    assert at_home[0] > at_home[1] + 0.15


def test_memory_begins_with_an_episode_and_only_then() -> None:
    learner, _ = trained(DecisionTransformer, 1, context=3)
    actor, before = learner.actor(), seen(slots=5)
    first = actor.act(before[0])
    for _ in range(2):  # the second episode is as the first
        assert torch.equal(actor.act(before[0]).servers, first.servers)
        for each in before[1:]:
            actor.act(each)
            assert len(actor.memory) <= 2
    assert [each.shape[1:] for each in actor.memory] == [(3, 16)] * 2


def test_what_was_seen_before_is_seen_in_training_as_in_play() -> None:
    """Causal: the contexts of a window's slots are those of its beginnings."""
    learner, _ = trained(DecisionTransformer, 1, context=4)
    windows = learner.logged().windows(4, 5, torch.Generator().manual_seed(1))
    whole = learner.learned(windows).logits
    for length in (1, 2, 3):
        names = ("user", "pair", "choice", "shares", "rank")
        part = replace(windows, **{name: getattr(windows, name)[:, :length] for name in names})
        torch.testing.assert_close(learner.learned(part).logits, whole[:, :length], atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("setting", [SETTING, BACKLOG], ids=["MEQC-v2", "QCN-v2"])
def test_played_episode_by_episode_it_forgets_as_one_begins(setting: Any) -> None:
    learner, _ = trained(DecisionTransformer, 1, setting, context=3)
    actor = learner.actor()
    world, player = of(setting)(setting, 4, seed=2, dtype=torch.float64), learned(actor)
    for slot in range(setting.episode_slots + 1):
        world.step(player(world, torch.Generator()))
        assert len(actor.memory) == min(2, slot % setting.episode_slots + 1)


def test_where_work_is_left_over_backlogs_are_planned() -> None:
    learner, progress = trained(DecisionDiffuser, 1, BACKLOG, plays="best_edge,selfish")
    planned = learner.actor().planned.bool()
    assert planned[NUM_USER_FEATURES], "time left"
    assert planned[-1], "backlogs"
    assert not planned[:5].any(), "tasks are drawn afresh"
    assert math.isfinite(progress[0].figures["loss"])


@pytest.mark.parametrize("kind", [Bc, DecisionTransformer, DecisionDiffuser])
def test_worlds_may_be_of_other_sizes(kind: Any) -> None:
    learner, _ = trained(kind, 1)
    actor, setting = learner.actor(), replace(SETTING, users=5, servers=4)
    action = actor.act(SequentialWorld(setting, 6, seed=1).observe(), torch.Generator().manual_seed(1))
    assert action.servers.shape == (6, 5)
    assert action.asks.dtype == torch.bool


def test_another_log_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "play.safetensors"
    digest = save(recorded(SETTING, ["local", "selfish"], 4, seed=1), path)
    config = BcConfig(**{**FAST, "data": str(path), "digest": digest})
    learner = Bc(config, SETTING, 1)
    learner.epoch()
    kept = learner.state()
    with pytest.raises(InvalidParameter, match=r"battery_j: wanted 3\.0, as in the world, got 2\.0"):
        Bc(config, replace(SETTING, battery_j=3.0), 1).epoch()
    save(recorded(SETTING, ["local", "selfish"], 4, seed=2), path)
    with pytest.raises(InvalidParameter, match="digest"):
        Bc(config, SETTING, 1).epoch()
    again = Bc(replace(config, digest=""), SETTING, 1)
    again.restore(kept)
    with pytest.raises(InvalidParameter, match="data: wanted the log that training began with"):
        again.epoch()


@pytest.mark.parametrize(("name", "value"), [("data", "play.pt"), ("digest", "12"), ("plays", "a b"), ("best", 0.0)])
def test_configs_are_refused_by_name(name: str, value: Any) -> None:
    with pytest.raises(InvalidParameter, match=rf"BcConfig\.{name}: wanted"):
        BcConfig(**{name: value})
    with pytest.raises(InvalidParameter, match="width: wanted a multiple of 4"):
        DecisionTransformerConfig(width=18)


@given(arrays("float32", (4, 3, 2), elements=st.integers(-5, 5).map(float)))
def test_ranks_order_returns(values: Any) -> None:
    returns = torch.from_numpy(values)
    found = ranks(returns)
    assert 0.0 <= found.min() <= found.max() <= 1.0
    for slot in range(3):
        mine, rank = returns[:, slot].flatten(), found[:, slot].flatten()
        assert torch.equal(mine[:, None] < mine, rank[:, None] < rank)


@given(st.integers(0, 6), st.integers(2, 3))
def test_choices_are_actions_and_back(choice: int, num_places: int) -> None:
    setting = replace(SETTING, servers=num_places)
    number = torch.tensor([[min(choice, 2 * num_places)]])
    chooser = Chooser(setting, 4, 8)
    choices = Choices(torch.zeros(1, 1, 1 + 2 * num_places), torch.zeros(1, 1, num_places))
    action = chooser.action(choices, number)
    assert torch.equal(chosen_by(setting, action.servers, action.shares, action.asks), number)


def test_what_carries_over_is_told_from_what_is_drawn_afresh() -> None:
    chance = torch.Generator().manual_seed(1)
    fresh = torch.randn(20, 30, 2, 1, generator=chance)
    walk = 0.3 * torch.randn(20, 30, 2, 1, generator=chance).cumsum(1)
    done = (torch.rand(20, 30, 2, 1, generator=chance) < 0.5).float()
    after = torch.cat([torch.zeros_like(done[:, :1]), done[:, :-1]], dim=1)
    found = explained(torch.cat([fresh, walk, after, torch.ones_like(walk)], dim=-1), done)
    assert found[0] < 0.05 < 0.5 < found[1]
    assert found[2] > 0.99
    assert found[3] == 0.0


def test_the_diffuser_plans_what_carries_over() -> None:
    learner, _ = trained(DecisionDiffuser, 1)
    planned = learner.actor().planned
    assert planned[9:12].all()  # battery, time left, whether the last task ran on a QPU
    assert not planned[:7].any()  # the task and the user's link


def test_plans_are_the_same_without_chance_and_differ_with_it() -> None:
    learner, _ = trained(DecisionDiffuser, 1)
    actor = learner.actor()
    own, state = torch.zeros(7, 16), torch.zeros(7, len(actor.planned))
    plain = actor.plan(own, state, None)
    assert plain.shape == (7, DecisionDiffuserConfig().horizon, len(actor.planned))
    assert torch.equal(plain[0], plain[1])
    drawn = actor.plan(own, state, torch.Generator().manual_seed(1))
    assert not torch.equal(drawn[0], drawn[1])
    assert not drawn[..., actor.planned == 0].any()

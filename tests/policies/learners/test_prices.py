"""Learned prices for MEQC-v2, and what is remembered of QPUs."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason='pip install "qorch[learn]"')

from hypothesis import given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402

from circuits.errors import InvalidParameter  # noqa: E402
from policies.envs.contest import learned  # noqa: E402
from policies.envs.contract import Action, Observation  # noqa: E402
from policies.envs.meqc.batch import settle  # noqa: E402
from policies.envs.meqc.model import MODES  # noqa: E402
from policies.envs.meqc.sequential import SequentialSetting, SequentialWorld  # noqa: E402
from policies.learners.kit.belief import (  # noqa: E402
    MEMORIES,
    enough,
    grades,
    informed,
    kept,
    recalled,
    transition,
    unknown,
)
from policies.learners.kit.pricer import Pricer  # noqa: E402
from policies.learners.prices import LearnedPrices, PricesConfig, later, state_of  # noqa: E402

SMALL = SequentialSetting(users=4, servers=3, episode_slots=12, hold_slots=3)


def pricer(memory: str = "own", rounds: int = 0, spread: float = 0.5) -> Pricer:
    """With prices that are far from none."""
    torch.manual_seed(3)
    made = Pricer(SMALL, 8, memory=memory, rounds=rounds)
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.add_(spread * torch.randn_like(parameter))
    return made


def played(world: SequentialWorld, actor: Pricer, num_slots: int, **more: Any) -> list[Action]:
    actions = []
    for _ in range(num_slots):
        actions.append(actor.act(world.observe(), **more))
        world.step(actions[-1])
    return actions


@given(st.floats(0.0, 0.999))
@settings(max_examples=30, deadline=None)
def test_grades_wander_and_stay_as_likely_as_they_were(drift_memory: float) -> None:
    chances = transition(drift_memory)
    assert bool((chances >= 0).all())
    torch.testing.assert_close(chances.sum(-1), torch.ones_like(grades()))
    torch.testing.assert_close(chances.mean(0), torch.full_like(grades(), 1 / len(grades())), atol=0.1, rtol=0)


def test_a_better_grade_takes_all_that_a_worse_one_takes() -> None:
    world = SequentialWorld(replace(SMALL, users=6, servers=6), 50, seed=1)
    good = enough(world.setting, world.slots)
    assert bool((good.diff(dim=-1) >= 0).all())
    assert 0.0 < float(good.mean()) < 1.0


def test_what_was_taken_and_left_alone_tells_of_the_server_that_was_asked() -> None:
    belief, good = unknown((1, 2, 2)), torch.zeros(1, 2, 2, 8)
    good[..., 4:] = 1.0
    asked = Action(torch.tensor([[0, 1]]), torch.zeros(1, 2), torch.tensor([[True, True]]))
    memory = kept(belief, asked, good)
    now = informed(memory, torch.tensor([[True, False]]), torch.tensor([[True, False]]))
    assert float(now[0, 0, 0, 4:].sum()) == pytest.approx(1.0, abs=1e-4), "it was taken: good enough"
    assert float(now[0, 1, 1, :4].sum()) == pytest.approx(1.0, abs=1e-4), "it was left alone: not good enough"
    torch.testing.assert_close(now[0, 0, 1], belief[0, 0, 1])
    torch.testing.assert_close(now[0, 1, 0], belief[0, 1, 0])
    lost = informed(memory, torch.tensor([[False, False]]), torch.tensor([[True, True]]))
    torch.testing.assert_close(lost, belief)
    shared = informed(
        kept(unknown((1, 1, 2)), asked, good), torch.tensor([[True, False]]), torch.tensor([[True, False]])
    )
    torch.testing.assert_close(shared[0, 0], torch.stack([now[0, 0, 0], now[0, 1, 1]]))


@pytest.mark.parametrize("memory", ["own", "shared"])
def test_who_remembers_knows_more_of_what_nobody_sees(memory: str) -> None:
    setting = replace(SMALL, users=6, servers=3, episode_slots=30, drift_memory=0.98)
    world, actor = SequentialWorld(setting, 200, seed=2), Pricer(setting, memory=memory)
    kept_memory, surprise = None, []
    for _ in range(29):
        view = actor.view(world.observe(), kept_memory)
        hidden = -world.slots.error_ratio.log() / setting.drift_spread
        grade = (hidden.unsqueeze(-1) - grades().float()).abs().argmin(-1)
        known = view.belief.gather(-1, grade[:, None, :, None].expand(*view.belief.shape[:-1], 1))
        surprise.append(-float(known.log().mean()))
        action = actor.action(view, actor(view).ways.argmin(-1))
        kept_memory = kept(view.belief, action, view.good)
        world.step(action)
    assert surprise[0] == pytest.approx(torch.tensor(8.0).log().item())
    assert sum(surprise[-10:]) / 10 < surprise[0] - 0.01


def test_a_belief_fades() -> None:
    world = SequentialWorld(SMALL, 1, seed=1)
    nobody = Action(torch.zeros(1, 4, dtype=torch.long), torch.zeros(1, 4), torch.zeros(1, 4, dtype=torch.bool))
    belief = unknown((1, 4, 3))
    belief[..., :-1], belief[..., -1] = 1e-6, 1.0
    for _ in range(300):
        belief = recalled(SMALL, kept(belief, nobody, torch.ones(1, 4, 3, 8)), world.observe())
    torch.testing.assert_close(belief, unknown((1, 4, 3)), atol=0.03, rtol=0)


@pytest.mark.parametrize("memory", MEMORIES)
def test_it_forgets_where_an_episode_begins(memory: str) -> None:
    actor = pricer(memory)
    first, again = (SequentialWorld(SMALL, 5, seed=4) for _ in range(2))
    one = played(first, actor, 8)
    other = played(again, actor, 8)
    assert all(
        torch.equal(a.servers, b.servers) and torch.equal(a.asks, b.asks) for a, b in zip(one, other, strict=True)
    )


def test_without_talk_or_shared_news_nobody_depends_on_what_others_see() -> None:
    actor = pricer()
    seen, other = (SequentialWorld(SMALL, 5, seed=seed).observe() for seed in (4, 5))
    user = torch.cat([seen.user[:, :1], other.user[:, 1:]], dim=1)
    one, changed = actor.act(seen), actor.act(Observation(user, seen.pair))
    assert torch.equal(one.servers[:, 0], changed.servers[:, 0])
    assert torch.equal(one.shares[:, 0], changed.shares[:, 0])


@pytest.mark.parametrize(("users", "servers"), [(1, 1), (1, 4), (9, 2)])
@pytest.mark.parametrize("rounds", [0, 2])
def test_one_network_plays_worlds_of_any_size(users: int, servers: int, rounds: int) -> None:
    world = SequentialWorld(replace(SMALL, users=users, servers=servers), 3, seed=1)
    actor = pricer("shared" if rounds else "own", rounds)
    for action in played(world, actor, 12, **({"ask": world.answers} if rounds else {})):
        assert action.servers.shape == (3, users)
        assert ((action.servers >= 0) & (action.servers < servers)).all()
        assert ((action.shares >= 0.0) & (action.shares <= 1.0)).all()


def test_nobody_asks_for_a_qpu_that_is_held_or_pays_with_an_empty_battery() -> None:
    world, actor = SequentialWorld(replace(SMALL, battery_j=1.0), 20, seed=1), Pricer(SMALL)
    for _ in range(12):
        held, charge = world.held.clone(), world.charge_j.clone()
        action = played(world, actor, 1)[0]
        assert not (action.asks & (held.gather(1, action.servers) > 0)).any()
        assert bool((action.shares[charge == 0] == 0).all())


def test_who_was_refused_asks_elsewhere() -> None:
    setting = replace(SMALL, users=8, servers=4)
    world, talker = SequentialWorld(setting, 100, seed=6), Pricer(setting, memory="shared", rounds=3)
    with torch.no_grad():
        asked = []

        def ask(request: Action) -> torch.Tensor:
            asked.append(request)
            return world.answers(request)

        action = talker.act(world.observe(), ask=ask)
    assert len(asked) == 3
    refused = asked[0].asks & ~world.answers(asked[0])
    again = action.asks & (action.servers == asked[0].servers)
    assert refused.any()
    assert not (refused & again).any()
    admitted = [float(world.answers(one).sum() / one.asks.sum()) for one in (asked[0], action)]
    assert admitted[1] > admitted[0]


def test_an_answer_is_what_would_happen_and_binds_nobody() -> None:
    world = SequentialWorld(SMALL, 50, seed=6)
    action = pricer().act(world.observe())
    before = world.held.clone(), world.charge_j.clone()
    said = world.answers(action)
    assert torch.equal(world.held, before[0])
    assert torch.equal(world.charge_j, before[1])
    assert torch.equal(world.step(action).outcome.on_qpu, said)


def test_talkers_talk_when_they_are_compared() -> None:
    world = SequentialWorld(SMALL, 30, seed=6, dtype=torch.float64)
    silent, talking = (Pricer(SMALL, memory="shared", rounds=rounds) for rounds in (0, 3))
    talking.load_state_dict(silent.state_dict())
    one, other = (learned(actor)(world, torch.Generator()) for actor in (silent, talking))
    assert not torch.equal(one.asks & (one.servers >= 0), other.asks & (other.servers == one.servers))


def test_what_a_choice_adds_is_what_all_pay_more_when_nothing_is_left() -> None:
    setting = replace(SMALL, episode_slots=1)
    learner, world = LearnedPrices(PricesConfig(width=4), setting, 1), SequentialWorld(setting, 40, seed=3)
    actor = learner.networks["actor"]
    with torch.no_grad():
        view = actor.view(world.observe(), None)
        choices = actor(view).ways.argmin(-1)
        action = actor.action(view, choices)
        added = learner._added(world, view, action, state_of(world)) * view.unit.unsqueeze(-1)
    total = settle(setting.model, world.slots, action).cost.sum(-1)
    for choice in range(2 + setting.servers):
        other = choices.clone()
        other[:, 0] = choice
        cost = settle(setting.model, world.slots, actor.action(view, other)).cost.sum(-1)
        mine = added[:, 0].gather(-1, choices[:, :1]).squeeze(-1)
        torch.testing.assert_close(added[:, 0, choice] - mine, cost - total, rtol=1e-3, atol=0.05)


def test_a_slot_later_is_what_the_world_says_when_nobody_does_anything() -> None:
    world = SequentialWorld(replace(SMALL, drift_memory=0.999999), 10, seed=3)
    played(world, Pricer(SMALL), 3)
    before = later(state_of(world), world.setting)
    shape = (10, SMALL.users)
    world.step(Action(torch.zeros(shape, dtype=torch.long), torch.zeros(shape), torch.zeros(shape, dtype=torch.bool)))
    for name, value in vars(state_of(world)).items():
        torch.testing.assert_close(getattr(before, name), value, atol=0.01, rtol=0)


def test_it_learns_to_save_what_myopic_play_wastes() -> None:
    setting = SequentialSetting(users=4, servers=3, episode_slots=24, battery_j=1.5)
    learner = LearnedPrices(PricesConfig(episodes=24, epochs=4, slots=4, fits=30, learning_rate=2e-2), setting, 1)

    def cost(actor: Any) -> float:
        world = SequentialWorld(setting, 200, seed=77)
        return sum(float(world.step(actor.act(world.observe())).outcome.cost.sum(-1).mean()) for _ in range(24)) / 24

    before = cost(learner.actor())
    for _ in range(4):
        progress = learner.epoch()
    assert progress.figures["energy"] > 0.0
    assert cost(learner.actor()) < 0.995 * before


def test_it_needs_costs_that_are_linear() -> None:
    with pytest.raises(InvalidParameter, match="linear in the shares"):
        LearnedPrices(PricesConfig(), replace(SMALL, model=MODES["physical"]), 1)

"""The going actor, what places answer it, and the learners that train it."""

from __future__ import annotations

from itertools import pairwise

import pytest

torch = pytest.importorskip("torch", reason='pip install "qorch[learn]"')

from policies.envs.contract import Action, Observation  # noqa: E402
from policies.envs.qcn.batch import Slots, settle, ways  # noqa: E402
from policies.envs.qcn.observation import observe, slots_of  # noqa: E402
from policies.envs.qcn.world import Setting, World  # noqa: E402
from policies.learners.kit.crowding import answers, prices  # noqa: E402
from policies.learners.kit.goer import Goer  # noqa: E402

SETTING = Setting(users=6, servers=4, weights="drawn")


def slots(seed: int = 0) -> Slots:
    found: Slots = World(SETTING, 40, seed, dtype=torch.float64).slots
    return found


def goer(rounds: int = 0, groups: int = 1) -> Goer:
    """With weights that are far from the first."""
    torch.manual_seed(3)
    made = Goer(SETTING, 16, rounds=rounds, groups=groups)
    with torch.no_grad():
        for parameter in made.network.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return made.double()


def test_an_observation_says_all_of_a_users_own_ways() -> None:
    truth = slots()
    known = slots_of(SETTING.model, observe(SETTING.model, truth))
    for name, value in vars(ways(SETTING.model, truth)).items():
        torch.testing.assert_close(getattr(ways(SETTING.model, known), name), value, rtol=1e-9, atol=0.0)


def test_what_a_choice_adds_is_the_cost_of_all_with_it_less_that_of_the_others_without() -> None:
    truth, model = slots(), SETTING.model
    chance = torch.Generator().manual_seed(1)
    choice = torch.randint(5, (40, 6), generator=chance)
    share = 0.9 * torch.rand(40, 6, 4, generator=chance, dtype=torch.float64)
    known = prices(model, truth)
    told = answers(known, choice, share)
    added = known.cost(share, told.others + 1.0) + told.rise

    def cost(choices: torch.Tensor) -> torch.Tensor:
        at = (choices - 1).clamp(min=0)
        kept = torch.where(choices > 0, share.gather(2, at.unsqueeze(-1)).squeeze(-1), 1.0)
        return settle(model, truth, Action(at, kept)).cost.sum(-1)

    for user in range(6):
        here = choice.clone()
        here[:, user] = 0
        without = cost(here) - known.home[:, user]
        for place in range(4):
            here[:, user] = 1 + place
            torch.testing.assert_close(added[:, user, place], cost(here) - without)


@pytest.mark.parametrize(("rounds", "groups"), [(0, 1), (3, 1), (5, 2)])
def test_edge_nodes_in_another_order_are_chosen_all_the_same(rounds: int, groups: int) -> None:
    actor, seen = goer(rounds, groups), observe(SETTING.model, slots())
    order = torch.tensor([2, 0, 1, 3])
    one, other = actor.act(seen), actor.act(Observation(seen.user, seen.pair[:, :, order]))
    torch.testing.assert_close(one.shares, other.shares)
    goes = one.shares < 1.0
    assert torch.equal(one.servers[goes], order[other.servers][goes])


def test_without_talk_nobody_acts_by_what_others_see() -> None:
    actor, seen = goer(), observe(SETTING.model, slots())
    others = Observation(seen.user.clone(), seen.pair.clone())
    changed = observe(SETTING.model, slots(9))
    others.user[:, 3:, :6] = changed.user[:, 3:, :6]
    one, other = actor.act(seen), actor.act(others)
    assert torch.equal(one.servers[:, :3], other.servers[:, :3])
    assert torch.equal(one.shares[:, :3], other.shares[:, :3])


def test_users_change_their_minds_in_turns() -> None:
    seen = observe(SETTING.model, slots())
    turns = [turn.choice for _, turn in goer(rounds=5, groups=2).rehearsed(seen, torch.Generator().manual_seed(2))]
    for number, (before, now) in enumerate(pairwise(turns), start=1):
        moved = (before != now).any(0)
        assert not moved[torch.arange(6) % 2 != number % 2].any()
    assert torch.equal(turns[-1], turns[-2])
    assert not torch.equal(turns[0], turns[-1])


def test_turns_lower_the_cost_of_all_before_anything_is_learned() -> None:
    truth, model = slots(), SETTING.model
    torch.manual_seed(0)
    cost = [
        settle(model, truth, Goer(SETTING, 8, rounds=rounds, groups=3).double().act(observe(model, truth))).cost.sum()
        for rounds in (0, 8)
    ]
    assert cost[1] < 0.8 * cost[0]

"""The scoring actor and the learners that train it."""

from __future__ import annotations

from dataclasses import replace
from importlib import import_module
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason='pip install "qorch[learn]"')

from circuits.errors import InvalidParameter  # noqa: E402
from policies.envs.contract import Observation  # noqa: E402
from policies.envs.meqc.baselines import BASELINES, priced  # noqa: E402
from policies.envs.meqc.batch import Slots, settle  # noqa: E402
from policies.envs.meqc.draw import draw_slots  # noqa: E402
from policies.envs.meqc.model import MODES  # noqa: E402
from policies.envs.meqc.observation import observe  # noqa: E402
from policies.envs.meqc.world import Setting  # noqa: E402
from policies.learners import LEARNERS  # noqa: E402
from policies.learners.kit.draws import drawn  # noqa: E402
from policies.learners.kit.features import features  # noqa: E402
from policies.learners.kit.scorer import Scorer  # noqa: E402
from policies.learners.scoring import Scoring, ScoringConfig  # noqa: E402

OURS = ("scoring", "bidding", "mappo", "dagger")
SMALL = {
    "scoring": {"width": 8, "slots": 8, "updates": 2},
    "bidding": {"width": 8, "slots": 8, "updates": 2},
    "mappo": {"width": 8, "slots": 8, "updates": 1},
    "dagger": {"width": 8, "slots": 8, "updates": 2, "labelled": 6},
}


def slots(num_slots: int = 5, num_users: int = 6, num_servers: int = 4, seed: int = 0) -> Slots:
    return draw_slots(torch.Generator().manual_seed(seed), (num_slots, num_users, num_servers), None)


def scorer(mode: str = "calibrated", rounds: int = 0) -> Scorer:
    """With weights that are far from the selfish rule."""
    torch.manual_seed(3)
    made = Scorer(Setting(model=MODES[mode]), width=16, rounds=rounds)
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return made


def learner(name: str, mode: str = "calibrated", seed: int = 1) -> Any:
    module, kind = LEARNERS[name].split(":")
    made = getattr(import_module(module), kind)
    setting = Setting(users=4, servers=3, weights="drawn", reward="difference", model=MODES[mode])
    return made(made.config_type(**SMALL[name]), setting, seed)


@pytest.mark.parametrize("rounds", [0, 2])
@pytest.mark.parametrize("mode", list(MODES))
def test_servers_in_another_order_are_chosen_all_the_same(mode: str, rounds: int) -> None:
    actor, seen = scorer(mode, rounds), observe(slots())
    order = torch.tensor([2, 0, 3, 1])
    straight, turned = actor.act(seen), actor.act(Observation(seen.user, seen.pair[:, :, order]))
    away = straight.shares < 1.0
    torch.testing.assert_close(turned.shares, straight.shares, rtol=1e-4, atol=1e-5)
    assert torch.equal(order[turned.servers][away], straight.servers[away])


@pytest.mark.parametrize("rounds", [0, 2])
def test_users_in_another_order_do_what_they_did(rounds: int) -> None:
    actor, seen = scorer(rounds=rounds), observe(slots())
    order = torch.tensor([5, 2, 0, 1, 4, 3])
    straight, turned = actor.act(seen), actor.act(Observation(seen.user[:, order], seen.pair[:, order]))
    assert torch.equal(turned.servers, straight.servers[:, order])
    assert torch.equal(turned.shares, straight.shares[:, order])


def test_without_talk_nobody_depends_on_what_others_see() -> None:
    actor, seen, other = scorer(), observe(slots()), observe(slots(seed=1))
    user, pair = seen.user.clone(), seen.pair.clone()
    user[:, 1:], pair[:, 1:, :, 0] = other.user[:, 1:], other.pair[:, 1:, :, 0]  # levels and qubits are everybody's
    assert torch.equal(actor.act(seen).servers[:, 0], actor.act(Observation(user, pair)).servers[:, 0])


@pytest.mark.parametrize("mode", list(MODES))
@pytest.mark.parametrize(("num_users", "num_servers"), [(1, 1), (1, 5), (7, 1), (30, 20)])
def test_one_network_acts_in_worlds_of_any_size(mode: str, num_users: int, num_servers: int) -> None:
    for rounds in (0, 3):
        action = scorer(mode, rounds).act(observe(slots(3, num_users, num_servers)), torch.Generator().manual_seed(1))
        assert action.servers.shape == action.shares.shape == (3, num_users)
        assert ((action.servers >= 0) & (action.servers < num_servers)).all()
        assert ((action.shares >= 0.0) & (action.shares <= 1.0)).all()
        if MODES[mode].is_linear:
            assert set(action.shares.unique().tolist()) <= {0.0, 1.0}


def mean_cost(actor: Any, world: Slots) -> float:
    return float(settle(MODES["calibrated"], world, actor.act(observe(world))).cost.sum(-1).mean())


def test_it_begins_as_the_selfish_rule() -> None:
    world, model = slots(200, 10, 10), MODES["calibrated"]
    selfish = settle(model, world, BASELINES["selfish"](model, world, torch.Generator())).cost.sum(-1).mean()
    assert mean_cost(Scorer(Setting(model=model)), world) == pytest.approx(float(selfish), rel=0.02)


@pytest.mark.parametrize("name", OURS)
def test_it_learns_where_shares_are_continuous(name: str) -> None:
    progress = learner(name, "physical").epoch()
    assert progress.cost > 0.0
    assert all(abs(value) < float("inf") for value in progress.figures.values())


def test_a_state_of_another_network_is_refused() -> None:
    setting = Setting(users=4, servers=3)
    state = Scoring(ScoringConfig(width=4), setting, 1).state()
    with pytest.raises(InvalidParameter, match="state"):
        Scoring(ScoringConfig(width=8), setting, 1).restore(state)


@pytest.mark.parametrize(("field", "value"), [("width", 0), ("learning_rate", float("nan")), ("rounds", -1)])
def test_bad_configs_are_refused_by_name(field: str, value: float) -> None:
    with pytest.raises(InvalidParameter, match=field):
        replace(ScoringConfig(), **{field: value})


def test_drawn_weights_reach_their_ends_and_fixed_ones_stay() -> None:
    chance = torch.Generator().manual_seed(0)
    some = drawn(Setting(weights="drawn"), chance, 400)
    assert {0.0, 1.0} <= set(some.delay_weight[:, 0].tolist())
    torch.testing.assert_close(some.delay_weight + some.energy_weight, torch.ones_like(some.delay_weight))
    assert (drawn(Setting(delay_weight=0.2), chance, 3).delay_weight == 0.2).all()


@pytest.mark.parametrize("rounds", [0, 1])
def test_a_few_steps_mend_a_spoiled_network(rounds: int) -> None:
    config = ScoringConfig(width=16, slots=32, updates=25, rounds=rounds, learning_rate=1e-2)
    trained, world = Scoring(config, Setting(users=4, servers=4, weights="drawn"), 1), slots(300, 4, 4, seed=5)
    trained.network.load_state_dict(scorer(rounds=rounds).state_dict())
    torch.nn.init.constant_(trained.network.sharpness, -5.0)  # costs hardly count
    began = mean_cost(trained.actor(), world)
    trained.epoch()
    assert mean_cost(trained.actor(), world) < 0.7 * began


def test_it_prices_the_circuits_of_its_world() -> None:
    setting = Setting(circuits="compiled")
    slots = setting.drawn(torch.Generator().manual_seed(3), 200)
    known = features(setting, setting.seen(slots)).known
    torch.testing.assert_close(known.qpu, priced(setting.model, slots).qpu, rtol=1e-4, atol=1e-3)

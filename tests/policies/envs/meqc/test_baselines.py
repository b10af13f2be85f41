"""The baselines are what their names say, and no better than the optimum."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from policies.envs.meqc.baselines import BASELINES, NAIVE, bidding
from policies.envs.meqc.batch import Slots, settle
from policies.envs.meqc.instance import Instance
from policies.envs.meqc.model import MODES, Model
from policies.envs.meqc.optimum import optimum
from tests.policies.envs.meqc.cases import drawn

NUM = 48
SLOTS = Slots.stacked([drawn(seed, 10, 10) for seed in range(NUM)])


@pytest.fixture(scope="module")
def best() -> float:
    return sum(optimum(Model(), drawn(seed, 10, 10)).total for seed in range(NUM))


def cost(name: str, model: Model = MODES["calibrated"], seed: int = 0) -> float:
    action = BASELINES[name](model, SLOTS, torch.Generator().manual_seed(seed))
    return float(settle(model, SLOTS, action).cost.sum())


@pytest.mark.parametrize("name", BASELINES)
@pytest.mark.parametrize("mode", MODES)
def test_they_play_by_the_rules(name: str, mode: str) -> None:
    model = MODES[mode]
    first, again = (BASELINES[name](model, SLOTS, torch.Generator().manual_seed(3)) for _ in range(2))
    assert first.servers.shape == first.shares.shape == (NUM, 10)
    assert 0 <= int(first.servers.min()) <= int(first.servers.max()) < 10
    assert 0.0 <= float(first.shares.min()) <= float(first.shares.max()) <= 1.0
    assert torch.equal(first.servers, again.servers)
    assert torch.equal(first.shares, again.shares)


def test_greedy_is_within_one_percent_of_the_optimum(best: float) -> None:
    assert best <= cost("greedy") <= 1.01 * best


def test_more_knowledge_costs_less(best: float) -> None:
    costs = {name: cost(name) for name in BASELINES}
    assert best < min(costs["greedy"], costs["bidding"]) < costs["selfish"] < min(costs[name] for name in NAIVE)
    assert costs["quantum_blind"] > costs["local"], "forced onto QPUs that it does not see"
    assert costs["selfish"] <= 1.08 * best


def test_naive_ones_do_what_they_say() -> None:
    chance = torch.Generator().manual_seed(1)
    local = BASELINES["local"](Model(), SLOTS, chance)
    assert bool((local.shares == 1).all())
    sent = BASELINES["random_offload"](Model(), SLOTS, chance)
    assert bool((sent.shares == 0).all())
    assert len(sent.servers.unique()) == 10
    near = BASELINES["best_channel"](Model(), SLOTS, chance)
    assert torch.equal(SLOTS.gain.gather(2, near.servers.unsqueeze(-1)).squeeze(-1), SLOTS.gain.amax(-1))
    parts = BASELINES["random_partition"](Model(), SLOTS, chance).shares
    assert 0.45 < float(parts.mean()) < 0.55


def test_rounds_of_bids_help(best: float) -> None:
    def after(rounds: int) -> float:
        action = bidding(Model(), SLOTS, torch.Generator(), rounds=rounds)
        return float(settle(Model(), SLOTS, action).cost.sum())

    assert after(3) < after(1) < after(0)
    assert after(3) < cost("selfish")
    assert after(3) <= 1.01 * best


def test_bidders_know_whom_a_server_takes() -> None:
    """With the other rule of admission, too, the processors that they count on are those that they get."""
    model = Model(qpu_admission="lowest_index")
    best = sum(optimum(model, drawn(seed, 10, 10)).total for seed in range(NUM))
    action = bidding(model, SLOTS, torch.Generator())
    assert float(settle(model, SLOTS, action).cost.sum()) <= 1.05 * best


@pytest.mark.parametrize("name", ["selfish", "quantum_blind", "best_channel"])
def test_who_knows_its_own_observation_decides_by_it_alone(name: str) -> None:
    """What somebody else's task is changes nothing for the first user."""

    def others(instance: Instance) -> Instance:
        size = instance.size_byte.copy()
        size[1:] *= 0.5
        return replace(instance, size_byte=size)

    usual = [drawn(seed, 4, 3) for seed in range(20)]
    plain, changed = Slots.stacked(usual), Slots.stacked([others(each) for each in usual])
    actions = [BASELINES[name](Model(), slots, torch.Generator()) for slots in (plain, changed)]
    assert torch.equal(actions[0].servers[:, 0], actions[1].servers[:, 0])
    assert torch.equal(actions[0].shares[:, 0], actions[1].shares[:, 0])

"""Learners find what is best where that is known, and look ahead where it pays, by the contract alone."""

from dataclasses import replace
from typing import Any

import pytest
import torch

from circuits.errors import InvalidParameter
from circuits.parameters import domains
from policies.envs import ENVS
from policies.envs.contract import Observation
from policies.envs.meqc.world import Setting, World
from policies.learners.kit.checkpoint import learner_type
from tests.policies.learners.chain import ChainSetting, mean_cost

FEW: dict[str, dict[str, Any]] = {
    "ppo": {"slots": 64, "parts": 2, "width": 16, "learning_rate": 1e-2},
    "vqc_pg": {"circuits": 2, "updates": 16, "learning_rate": 0.05},
    "vqc_q": {"circuits": 2, "steps": 24, "learning_rate": 0.02},
    "dqn": {"width": 16, "steps": 24, "learning_rate": 0.01},
    "ddpg": {"width": 16, "steps": 24, "learning_rate": 0.01},
    "pdqn": {"width": 16, "steps": 24, "learning_rate": 5e-3},
    "quantum_rl": {"bits": 2},
}


@pytest.fixture(autouse=True)
def _chain(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ENVS, "Chain", "tests.policies.learners.chain:Chain")


def taught(name: str, setting: Any, epochs: int) -> Any:
    """An actor after some epochs, over which its schedule ends."""
    kind = learner_type(name)
    config = kind.config_type(**FEW[name])
    if "epochs" in domains(kind.config_type):
        config = replace(config, epochs=epochs)
    learner = kind(config, setting, 1)
    for _ in range(epochs):
        learner.epoch()
    return learner.actor()


@pytest.mark.parametrize(
    ("name", "epochs"), [("dqn", 4), ("ddpg", 4), ("pdqn", 8), ("vqc_q", 4), ("vqc_pg", 5), ("quantum_rl", 8)]
)
def test_it_finds_the_cheapest_place(name: str, epochs: int) -> None:
    setting = ChainSetting()
    assert mean_cost(taught(name, setting, epochs), setting) < 11.2  # place 0: 11, home: 12, place 1: 13


@pytest.mark.parametrize(("name", "epochs"), [("ppo", 10), ("dqn", 6), ("vqc_q", 6)])
def test_it_pays_now_to_be_paid_later(name: str, epochs: int) -> None:
    setting = ChainSetting(episode_slots=4)
    # Place 1 and then place 0: (13 + 3 * 7) / 4 = 8.5; who does not look ahead pays 11.
    assert mean_cost(taught(name, setting, epochs), setting) < 9.6


@pytest.mark.parametrize("name", ["vqc_q", "vqc_pg", "quantum_rl"])
def test_joint_actions_are_few_and_of_one_size(name: str) -> None:
    kind = learner_type(name)
    with pytest.raises(InvalidParameter, match="joint actions"):
        kind(kind.config_type(), Setting(users=10, servers=10), 1)
    actor = kind(kind.config_type(), Setting(users=3, servers=2), 1).actor()
    with pytest.raises(InvalidParameter, match="3 users and 2 places"):
        actor.act(World(Setting(users=2, servers=3), 4).observe())


@pytest.mark.parametrize("name", ["vqc_q", "vqc_pg"])
def test_twins_have_as_many_weights(name: str) -> None:
    kind = learner_type(name)
    sizes = {
        network: sum(
            each.numel()
            for each in kind(kind.config_type(network=network), Setting(users=3, servers=2), 1).actor().parameters()
        )
        for network in ("vqc", "waves", "tanh")
    }
    assert len(set(sizes.values())) == 1


def test_a_place_is_valued_by_its_own_share_alone() -> None:
    kind = learner_type("pdqn")
    actor = kind(kind.config_type(width=8), Setting(users=2, servers=3), 1).actor()
    seen = World(Setting(users=2, servers=3), 5, seed=1).observe()
    kept = actor.kept(seen).detach().requires_grad_()
    for place in range(3):
        (slope,) = torch.autograd.grad(actor(seen, kept)[..., 1 + place].sum(), kept)
        others = [other for other in range(3) if other != place]
        assert torch.count_nonzero(slope[:, :, others]) == 0
        assert torch.count_nonzero(slope[:, :, place]) > 0


def test_one_actor_of_many_agents_plays_worlds_of_other_sizes() -> None:
    for name in ("dqn", "ddpg", "pdqn"):
        kind = learner_type(name)
        actor = kind(kind.config_type(width=8), Setting(users=3, servers=2), 1).actor()
        seen = World(Setting(users=7, servers=5), 6).observe()
        order = torch.randperm(5)
        turned = actor.act(Observation(seen.user, seen.pair[:, :, order]))
        assert actor.act(seen).servers.shape == turned.servers.shape == (6, 7)

"""PPO learns in a world that it knows nothing of, whatever its size."""

import pytest
import torch

from policies.envs import load
from policies.envs.contract import Observation
from policies.envs.meqc.world import Setting, World
from policies.learners.kit.ways import action_of, joined
from policies.learners.ppo import PPO, Config, SetActor


def cost_of(act, setting, seed=500_000) -> float:
    world = load("MEQC-v1")(setting, 1000, seed)
    return float(world.step(act(world)).outcome.cost.sum(-1).mean())


def test_it_learns_to_offload() -> None:
    setting = Setting(users=4, servers=3, reward="difference")
    learner = PPO(Config(slots=128, parts=4, epochs=5, learning_rate=1e-2), setting, 1)
    chance = torch.Generator().manual_seed(1)
    before, home = (
        cost_of(lambda world: learner.actor().act(world.observe(), chance), setting),
        cost_of(lambda world: action_of(torch.zeros(1000, 4, dtype=torch.long), torch.ones(1000, 4), 1), setting),
    )
    for _ in range(5):
        learner.epoch()
    after = cost_of(lambda world: learner.actor().act(world.observe()), setting)
    assert after < 0.7 * min(before, home)


@pytest.mark.parametrize("head", ["beta", "bernoulli", "normal"])
def test_what_was_drawn_is_judged_by_the_chance_it_had(head: str) -> None:
    actor = SetActor((9, 3), 8, head, 1)
    seen = World(Setting(users=1, servers=2), 1, seed=1).observe()
    many = Observation(seen.user.expand(20_000, -1, -1), seen.pair.expand(20_000, -1, -1, -1))
    way, share = actor.draw(many, torch.Generator().manual_seed(1))
    log_prob, entropy = actor.judge(many, way, share)
    # The entropy is the mean surprise, both of what was drawn: exact in the mean for the choice and for the share.
    assert -float(log_prob.detach().mean()) == pytest.approx(float(entropy.detach().mean()), abs=0.03)


def test_users_and_places_have_no_order() -> None:
    actor = SetActor((9, 3), 8, "beta", 2)
    seen = World(Setting(users=5, servers=4), 3, seed=1).observe()
    users, places = torch.randperm(5), torch.randperm(4)
    logits, outputs = actor.scores(Observation(seen.user[:, users], seen.pair[:, users][:, :, places]))
    home, place = actor(seen)
    there = place[:, users][:, :, places]
    assert torch.allclose(logits, joined(home[:, users], there[..., :2]), atol=1e-6)
    assert torch.allclose(outputs, there[..., 2:], atol=1e-6)


def test_one_actor_plays_worlds_of_other_sizes() -> None:
    actor = PPO(Config(width=8, slots=4), Setting(users=3, servers=2), 1).actor()
    action = actor.act(World(Setting(users=7, servers=5), 6).observe(), torch.Generator())
    assert action.servers.shape == (6, 7)

"""One world behind PettingZoo's and Gymnasium's interfaces pays what the batched world pays."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest
import torch

from circuits.errors import InvalidParameter
from policies.envs import ENVS, load
from policies.envs.batched import has_model
from policies.envs.contract import Action
from policies.envs.meqc.sequential import SequentialSetting
from policies.envs.meqc.world import Setting

pytest.importorskip("pettingzoo", reason="pip install 'qorch[learn]'")

from policies.envs.parallel_env import CentralWorld, ParallelWorld


@pytest.mark.parametrize("name", ENVS)
def test_agents_are_paid_what_the_world_pays(name: str) -> None:
    kind = load(name)
    setting = kind.setting_type(users=3, servers=2, **({"reward": "own"} if has_model(kind.setting_type) else {}))
    env, central = ParallelWorld(name, setting), CentralWorld(name, setting)
    seen, _ = env.reset(seed=4)
    central.reset(seed=4)
    world = kind(setting, 1, int(np.random.default_rng(4).integers(2**31)))
    assert np.allclose(np.stack([seen[agent]["user"] for agent in env.agents]), world.observe().user[0].numpy())
    env.action_space("user_0").seed(1)
    for _ in range(5):
        agents = list(env.agents)
        actions = {agent: env.action_space("user_0").sample() for agent in agents}
        each = [actions[agent] for agent in agents]
        servers = torch.tensor([[int(one["server"]) for one in each]])
        shares = torch.tensor([[float(one["share"]) for one in each]])
        asks = torch.tensor([[bool(one["ask"]) for one in each]]) if kind.may_decline else None
        done = world.step(Action(servers, shares, asks))
        seen, rewards, _, _, infos = env.step(actions)
        assert [rewards[agent] for agent in agents] == done.reward[0].tolist()
        for known in (item.name for item in fields(done.outcome)):
            assert [infos[agent][known] for agent in agents] == getattr(done.outcome, known)[0].tolist()
        joint = {"servers": servers[0].numpy(), "shares": shares[0].numpy()}
        if asks is not None:
            joint["asks"] = asks[0].numpy().astype(np.int8)
        _, reward, *_ = central.step(joint)
        assert reward == pytest.approx(-float(done.outcome.cost.sum()))


def test_the_first_world_is_cut_off_and_the_second_ends() -> None:
    for name, setting, ends in (
        ("MEQC-v1", Setting(users=2, servers=2), (False, True)),
        ("MEQC-v2", SequentialSetting(users=2, servers=2, episode_slots=6), (True, False)),
    ):
        env = ParallelWorld(name, setting, max_slots=6)
        env.reset(seed=1)
        for number in range(6):
            assert env.agents, number
            done = env.step({agent: env.action_space(agent).sample() for agent in env.agents})
        assert not env.agents
        assert (done[2]["user_0"], done[3]["user_1"]) == ends


@pytest.mark.parametrize(
    ("name", "setting", "max_slots", "named"),
    [
        ("MEQC-v3", None, 10, "no world is called"),
        ("MEQC-v2", Setting(), 10, "setting: wanted a SequentialSetting"),
        ("MEQC-v1", None, 0, "max_slots: wanted an integer"),
        ("MEQC-v1", None, True, "max_slots: wanted an integer"),
    ],
)
def test_what_cannot_be_is_refused(name: str, setting: Setting | None, max_slots: int, named: str) -> None:
    for kind in (ParallelWorld, CentralWorld):
        with pytest.raises(InvalidParameter, match=named):
            kind(name, setting, max_slots)

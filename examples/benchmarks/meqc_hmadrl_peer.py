"""The peer of ``meqc_hmadrl_speed.py``: PPO of Stable-Baselines3 in the same world, in a process of its own.

    python -m venv peers && peers/bin/pip install -e '.[learn]' stable-baselines3==2.9.2
    python examples/benchmarks/meqc_hmadrl_speed.py --peers peers/bin/python

Of qorch only the world is imported. Stable-Baselines3 knows no actions that are partly
discrete: each user has a number in [-1, 1] for each server, of which the largest is chosen, and one for its share.
Prints one JSON object: slots and seconds of training.

``one world``: one agent that sees all and acts for all, in one world, as one begins with Stable-Baselines3.
``50 worlds``: the same in a batch of 50. ``50 worlds, users apart``: every user is an environment of its own, and all
share one network.
"""

from __future__ import annotations

import argparse
import json
import time
from typing import Any

import gymnasium
import numpy as np
import torch
from stable_baselines3 import PPO
from stable_baselines3.common.vec_env import VecEnv

from policies.envs.contract import Action
from policies.envs.meqc.world import Setting, World

USERS = SERVERS = 10
STEPS = 500
WAYS = {"one world": (1, False), "50 worlds": (50, False), "50 worlds, users apart": (50, True)}


class Worlds(VecEnv):
    """A batch of worlds as Stable-Baselines3 wants it; an episode never ends."""

    def __init__(self, num_worlds: int, *, apart: bool) -> None:
        self.world = World(Setting(users=USERS, servers=SERVERS), num_worlds, seed=1)
        self.apart = apart
        agents, users = (USERS, 1) if apart else (1, USERS)
        seen = gymnasium.spaces.Box(-np.inf, np.inf, (users * self.world.observe().flat().shape[-1],), np.float32)
        done = gymnasium.spaces.Box(-1.0, 1.0, (users * (SERVERS + 1),), np.float32)
        super().__init__(num_worlds * agents, seen, done)

    def _seen(self) -> np.ndarray:
        return self.world.observe().flat().reshape(self.num_envs, -1).numpy()

    def reset(self) -> np.ndarray:
        return self._seen()

    def step_async(self, actions: np.ndarray) -> None:
        given = torch.as_tensor(actions).reshape(self.world.num_worlds, USERS, SERVERS + 1)
        self.given = Action(given[..., :SERVERS].argmax(-1), (given[..., SERVERS] + 1.0) / 2.0)

    def step_wait(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, list[dict[str, Any]]]:
        reward = self.world.step(self.given).reward
        paid = (reward.flatten() if self.apart else reward[:, 0]).numpy()
        return self._seen(), paid, np.zeros(self.num_envs, dtype=bool), [{} for _ in range(self.num_envs)]

    def close(self) -> None:
        """Nothing is open."""

    def get_attr(self, attr_name: str, indices: Any = None) -> list[Any]:
        return [None] * self.num_envs

    def set_attr(self, attr_name: str, value: Any, indices: Any = None) -> None:
        """There is none to set."""

    def env_method(self, method_name: str, *args: Any, indices: Any = None, **others: Any) -> list[Any]:
        return [None] * self.num_envs

    def env_is_wrapped(self, wrapper_class: Any, indices: Any = None) -> list[bool]:
        return [False] * self.num_envs


def main() -> None:
    """Train for so many slots and say how long it took."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("way", choices=list(WAYS))
    parser.add_argument("slots", type=int)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    num_worlds, apart = WAYS[asked.way]
    worlds = Worlds(num_worlds, apart=apart)
    agents = worlds.num_envs // num_worlds
    learner = PPO(
        "MlpPolicy",
        worlds,
        n_steps=STEPS // num_worlds,
        batch_size=125 * agents,  # 128 does not divide 500, for which it asks
        n_epochs=2,
        gamma=0.95,
        gae_lambda=0.95,
        learning_rate=1e-3,
        ent_coef=0.01,
        policy_kwargs={"net_arch": [256, 256]},
        device="cpu",
        seed=1,
    )
    learner.learn(STEPS * agents)  # what is done once
    began, spent = time.perf_counter(), time.process_time()
    learner.learn(asked.slots * agents, reset_num_timesteps=False)
    print(
        json.dumps(
            {"slots": asked.slots, "wall_s": time.perf_counter() - began, "process_s": time.process_time() - spent}
        )
    )


if __name__ == "__main__":
    main()

"""The peer of ``meqc_world.py``: Stable-Baselines3 on the same world, in a process of its own.

    python -m venv peers && peers/bin/pip install stable-baselines3==2.9.2 -e '.[learn]'
    python examples/benchmarks/meqc_world.py --peers peers/bin/python

It takes neither dictionaries nor tuples as actions, so that each user's server and share are two numbers of one box.
Writes one JSON object: slots a second of processor time, of each run.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import torch
from evidence import rates

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from stable_baselines3 import PPO
from stable_baselines3.common.vec_env import DummyVecEnv

from policies.envs.parallel_env import CentralWorld

ROLLOUT = 128


class Boxed(gymnasium.ActionWrapper):
    """Actions as one box: servers, then shares, all in [0, 1]."""

    def __init__(self, env: gymnasium.Env) -> None:
        super().__init__(env)
        self._servers = env.action_space["servers"].nvec
        self.action_space = gymnasium.spaces.Box(0.0, 1.0, (2 * len(self._servers),), np.float32)

    def action(self, action: Any) -> dict[str, Any]:
        """The world's own form."""
        servers, shares = np.split(np.asarray(action), 2)
        return {"servers": np.minimum((servers * self._servers).astype(int), self._servers - 1), "shares": shares}


def made() -> gymnasium.Env:
    """The environment that Stable-Baselines3 can take."""
    return gymnasium.wrappers.FlattenObservation(Boxed(CentralWorld(max_slots=100)))


def stepping(num_slots: int) -> Callable[[], int]:
    """Steps of a vectorised environment with actions that were drawn before."""
    env = DummyVecEnv([made])
    env.reset()
    actions = np.random.default_rng(1).random((1, env.action_space.shape[0]), dtype=np.float32)

    def run() -> int:
        for _ in range(num_slots):
            env.step(actions)
        return num_slots

    return run


def training(num_slots: int) -> Callable[[], int]:
    """PPO with networks of two times 256 units: rollouts and four epochs of updates."""
    net = {"net_arch": [256, 256]}
    learner = PPO("MlpPolicy", DummyVecEnv([made]), n_steps=ROLLOUT, batch_size=64, n_epochs=4, policy_kwargs=net)

    def run() -> int:
        learner.learn(num_slots)
        return num_slots

    return run


def main() -> None:
    """Measure and say."""
    torch.set_num_threads(1)
    less = 4 if "--quick" in sys.argv else 1
    found = {
        "SB3 DummyVecEnv": rates(stepping(400 // less), 9 // less),
        "SB3 PPO": rates(training(4 * ROLLOUT // less), 5 // less),
    }
    sys.stdout.write(json.dumps(found))


if __name__ == "__main__":
    main()

"""Policy gradient on variational circuits: one agent for all users of a small world draws joint actions by a softmax.

Source: Jerbi, Gyurik, Marshall, Briegel and Dunjko, "Parametrized quantum policies for reinforcement learning", NeurIPS
2021: softmax-VQC, pi(a|s) = exp(beta <O_a>) / sum, with observables that are weighted sums, and REINFORCE with a value
function as its baseline. Ours: the baseline is linear in what is seen; beta is part of the observables' weights; many
worlds at once; the reward is minus the mean cost of all users, less its running mean and over its deviation. The
circuit, how it differs from the paper's, and its classical twins (``network``): :mod:`policies.learners.kit.joint`.
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from circuits.parameters import choice, integer, real, validate
from policies.envs import ENVS, of
from policies.envs.contract import Action, Observation
from policies.learners.kit.draws import seeded
from policies.learners.kit.gae import advantages
from policies.learners.kit.heads import draw_server, judge_servers
from policies.learners.kit.joint import MIDDLES, JointNetwork, joint_action, num_joint
from policies.learners.kit.ppo import normalised
from policies.learners.kit.running import Running
from policies.learners.kit.schedule import slow_down
from policies.learners.kit.snapshot import resume, snapshot
from policies.learners.kit.ways import horizon, num_requests
from policies.learners.learner import Progress

MOST_REWARD = 10.0
"""Rewards are clipped at so many deviations from their mean, on both sides (ours)."""


@dataclass(frozen=True)
class Config:
    """How to train, and on what.

    Attributes:
        slots: played for a step of gradient, rounded up to whole episodes.   updates: of an epoch.
        epochs: over which step size and entropy bonus fall.
    """

    network: str = choice("vqc", *MIDDLES, doc="circuits, or a twin with as many weights")
    circuits: int = integer(8, low=1, high=1024, doc="circuits of four qubits, side by side")
    slots: int = integer(128, low=1, high=1_000_000, doc="slots played for a step of gradient, at least an episode")
    updates: int = integer(32, low=1, high=1_000_000, doc="steps of gradient of an epoch")
    epochs: int = integer(30, low=1, high=1_000_000, doc="epochs over which step size and entropy bonus fall")
    learning_rate: float = real(1e-2, low=1e-8, high=1.0, doc="first step size of Adam")
    discount: float = real(0.9, low=0.0, high=1.0, doc="gamma, within an episode")
    entropy: float = real(0.01, low=0.0, high=10.0, doc="first weight of the entropy bonus")

    def __post_init__(self) -> None:
        validate(self)


class JointPolicy(nn.Module):  # type: ignore[misc]  # torch is Any to mypy here
    """Softmax over joint actions."""

    def __init__(self, network: JointNetwork, requests: int) -> None:
        super().__init__()
        self.network, self.requests = network, requests

    @torch.no_grad()  # type: ignore[untyped-decorator]
    def draw(self, seen: Observation, chance: torch.Generator | None) -> Tensor:
        """Numbers of joint actions, (B,): drawn, or the most likely ones without ``chance``."""
        return draw_server(self.network(seen), chance)

    def act(self, observation: Observation, chance: torch.Generator | None = None) -> Action:
        """What everybody does."""
        return joint_action(self.draw(observation, chance), observation, self.requests)


class VqcPG:
    """Trains a :class:`JointPolicy`."""

    config_type = Config
    envs = tuple(ENVS)

    def __init__(self, config: Config, setting: Any, seed: int) -> None:
        self.config, self.setting, self._world = config, setting, of(setting)
        self._chance = torch.Generator().manual_seed(seed)
        self._length = horizon(setting)
        self._num_worlds = -(-config.slots // self._length)
        size, features, num = (setting.users, setting.servers), self._world.num_features, num_joint(setting)
        network = seeded(seed, lambda: JointNetwork(size, features, num, config.network, config.circuits, seed))
        self._policy = JointPolicy(network, num_requests(setting))
        self._baseline = seeded(seed + 1, lambda: nn.Linear(network.angles.in_features, 1))
        self._rewards = Running()
        self._modules = nn.ModuleDict({"policy": self._policy, "baseline": self._baseline, "rewards": self._rewards})
        self._optimiser = torch.optim.Adam(self._modules.parameters(), lr=config.learning_rate, fused=True)
        self._epoch = 0

    def actor(self) -> JointPolicy:
        """What has been learned so far."""
        return deepcopy(self._policy)

    def epoch(self) -> Progress:
        """Play and climb, a number of times."""
        left = slow_down(self._optimiser, self.config.learning_rate, self._epoch, self.config.epochs)
        cost, error, entropy = torch.stack([self._update(left) for _ in range(self.config.updates)]).mean(0).tolist()
        self._epoch += 1
        slots = self._epoch * self.config.updates * self._num_worlds * self._length
        return Progress(self._epoch, slots, cost, {"value_error": error, "entropy": entropy})

    @torch.no_grad()  # type: ignore[untyped-decorator]
    def _play(self) -> tuple[Observation, Tensor, Tensor, Tensor]:
        """An episode of every world: what was seen, joint actions, rewards (B, T), mean cost."""
        world = self._world(self.setting, self._num_worlds, int(torch.randint(2**62, (1,), generator=self._chance)))
        slots: list[tuple[Tensor, ...]] = []
        for _ in range(self._length):
            seen = world.observe()
            joint = self._policy.draw(seen, self._chance)
            step = world.step(joint_action(joint, seen, self._policy.requests))
            slots.append((seen.user, seen.pair, joint, -step.outcome.cost.mean(-1), step.outcome.cost))
        user, pair, joint, reward, cost = (torch.cat(each) for each in zip(*slots, strict=True))
        return Observation(user, pair), joint, reward.unflatten(0, (self._length, -1)).T, cost.sum(-1).mean()

    def _update(self, left: float) -> Tensor:
        """One step up the policy gradient; mean cost, error of the baseline, entropy."""
        seen, joint, reward, cost = self._play()
        self._rewards.add(reward)
        scaled = ((reward - self._rewards.mean) / self._rewards.deviation).clamp(-MOST_REWARD, MOST_REWARD)
        nothing = torch.zeros(*scaled.shape[:-1], self._length + 1)
        returns = advantages(scaled, nothing, self.config.discount, 1.0).T.flatten()  # with values of 0 they are sums
        value = self._baseline(seen.flat().flatten(1) - 0.5).squeeze(-1)
        log_prob, entropy = judge_servers(self._policy.network(seen), joint)
        gain = (log_prob * normalised((returns - value).detach())).mean()
        error = (returns - value).square().mean()
        self._optimiser.zero_grad()
        (error - gain - self.config.entropy * left * entropy.mean()).backward()
        self._optimiser.step()
        return torch.stack([cost, error.detach(), entropy.detach().mean()])

    def state(self) -> dict[str, Tensor]:
        """Weights, scales, optimiser, chance and epochs."""
        return snapshot(self._modules, self._optimiser, self._chance, self._epoch)

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Go on from :meth:`state`."""
        self._epoch = resume(state, self._modules, self._optimiser, self._chance)

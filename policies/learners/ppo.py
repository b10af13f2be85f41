"""PPO for any world: one small actor for users and places of any number; with the central critic it is MAPPO.

Source: Schulman et al., "Proximal policy optimization algorithms", arXiv 1707.06347; central critic and normalised
values: Yu et al., "The surprising effectiveness of PPO in cooperative multi-agent games", NeurIPS 2022. Ours: networks
(:mod:`policies.learners.kit.sets`) that score staying and every place, with a density of the share at each; worlds
whose slots are independent are episodes of one slot, so that discount and smoothing matter in sequential ones alone.

A rollout is one episode of many worlds: each has its end in it, and nothing of a world is left over to be saved.
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from circuits.parameters import choice, integer, real, validate
from policies.envs import ENVS, of
from policies.envs.contract import Action, Observation
from policies.learners.kit.draws import seeded
from policies.learners.kit.gae import advantages
from policies.learners.kit.heads import HEADS, draw_server, judge_servers
from policies.learners.kit.ppo import clipped_surrogate, divergence, normalised
from policies.learners.kit.running import Running
from policies.learners.kit.schedule import slow_down
from policies.learners.kit.sets import PlaceNetwork, ValueNetwork
from policies.learners.kit.snapshot import resume, snapshot
from policies.learners.kit.ways import action_of, at_place, horizon, joined, num_requests, rows
from policies.learners.learner import Progress

MOST_REWARD = 10.0
"""Rewards are clipped at so many deviations, as is usual (Engstrom et al., "Implementation matters", ICLR 2020)."""


@dataclass(frozen=True)
class Config:
    """How to train; passes, clip, smoothing and step size as is usual for PPO.

    Attributes:
        slots: played before an update by the same policy, rounded up to whole episodes.
        updates: of an epoch.   passes: over what was played, in ``parts`` minibatches.
        epochs: over which step size and entropy bonus fall.
    """

    width: int = integer(32, low=1, high=4096, doc="width of the hidden layers")
    head: str = choice("beta", *HEADS, doc="distribution of the share")
    critic: str = choice("central", "central", "own", doc="whether the critic sees all users, or each its own alone")
    slots: int = integer(512, low=1, high=1_000_000, doc="slots played before an update, at least an episode")
    updates: int = integer(2, low=1, high=1_000_000, doc="updates of an epoch")
    passes: int = integer(4, low=1, high=100, doc="passes over what was played")
    parts: int = integer(8, low=1, high=1000, doc="minibatches of a pass")
    epochs: int = integer(50, low=1, high=1_000_000, doc="epochs over which step size and entropy bonus fall")
    learning_rate: float = real(3e-3, low=1e-8, high=1.0, doc="first step size of Adam")
    discount: float = real(0.98, low=0.0, high=1.0, doc="gamma, within an episode")
    smoothing: float = real(0.95, low=0.0, high=1.0, doc="lambda of the advantages")
    clip: float = real(0.2, low=1e-3, high=1.0, doc="clip of the probability ratio")
    entropy: float = real(5e-3, low=0.0, high=10.0, doc="first weight of the entropy bonus")
    value_weight: float = real(0.5, low=0.0, high=100.0, doc="weight of the critic's error")
    most_gradient: float = real(0.5, low=1e-6, high=1e6, doc="largest norm of a gradient")

    def __post_init__(self) -> None:
        validate(self)


class SetActor(PlaceNetwork):
    """Scores of staying and of every place, and a share for each place; of any number of users and places.

    Args:
        num_features: F and G.   width: of the hidden layers.   head: of the share.   requests: kinds at a place.
    """

    def __init__(self, num_features: tuple[int, int], width: int, head: str, requests: int) -> None:
        self.head = HEADS[head]
        self.requests = requests
        super().__init__(num_features, width, 1, requests + self.head.num_outputs)

    def scores(self, seen: Observation) -> tuple[Tensor, Tensor]:
        """Logits of all ways (B, U, 1 + E K), and outputs for the share at every place (B, U, E, H)."""
        home, place = self(seen)
        return joined(home, place[..., : self.requests]), place[..., self.requests :]

    def judge(self, seen: Observation, way: Tensor, share: Tensor) -> tuple[Tensor, Tensor]:
        """Log-probability of ways and shares, and entropy, nat: (B, U) each; who stays has no share to choose."""
        logits, outputs = self.scores(seen)
        log_prob, entropy = judge_servers(logits, way)
        there = at_place(outputs, way, self.requests)
        goes = way > 0
        log_prob = log_prob + torch.where(goes, self.head.log_prob(there, share), 0.0)
        return log_prob, entropy + torch.where(goes, self.head.entropy(there), 0.0)

    @torch.no_grad()  # type: ignore[untyped-decorator]
    def draw(self, seen: Observation, chance: torch.Generator | None) -> tuple[Tensor, Tensor]:
        """Ways and shares, (B, U) each: drawn, or the most likely ones without ``chance``."""
        logits, outputs = self.scores(seen)
        way = draw_server(logits, chance)
        return way, self.head.draw(at_place(outputs, way, self.requests), chance)

    def act(self, observation: Observation, chance: torch.Generator | None = None) -> Action:
        """What everybody does."""
        way, share = self.draw(observation, chance)
        return action_of(way, share, self.requests)


class Rollout(NamedTuple):
    """Slots and what was done in them, (S, U, …); advantages have mean 0 and deviation 1, as have targets about."""

    seen: Observation
    way: Tensor
    share: Tensor
    log_prob: Tensor
    advantage: Tensor
    target: Tensor

    def at(self, index: Tensor) -> Rollout:
        """Some of its slots."""
        return Rollout(rows(self.seen, index), *(each[index] for each in self[1:]))


class PPO:
    """Trains a :class:`SetActor` in any world."""

    config_type = Config
    envs = tuple(ENVS)

    def __init__(self, config: Config, setting: Any, seed: int) -> None:
        self.config, self.setting, self._world = config, setting, of(setting)
        self._chance = torch.Generator().manual_seed(seed)
        features, requests = self._world.num_features, num_requests(setting)
        self._actor = seeded(seed, lambda: SetActor(features, config.width, config.head, requests))
        central = config.critic == "central"
        self._critic = seeded(seed + 1, lambda: ValueNetwork(features, config.width, central=central))
        self._rewards, self._returns = Running(), Running()
        self._modules = nn.ModuleDict(
            {"actor": self._actor, "critic": self._critic, "rewards": self._rewards, "returns": self._returns}
        )
        self._optimiser = torch.optim.Adam(self._modules.parameters(), lr=config.learning_rate, fused=True)
        self._epoch = 0
        self._length = horizon(setting)
        self._num_worlds = -(-config.slots // self._length)

    def actor(self) -> SetActor:
        """What has been learned so far."""
        return deepcopy(self._actor)

    def epoch(self) -> Progress:
        """Play and learn, a number of times."""
        left = slow_down(self._optimiser, self.config.learning_rate, self._epoch, self.config.epochs)
        figures = [self._round(left) for _ in range(self.config.updates)]
        self._epoch += 1
        means = {name: sum(each[name] for each in figures) / len(figures) for name in figures[0]}
        slots = self._epoch * self.config.updates * self._num_worlds * self._length
        return Progress(self._epoch, slots, means.pop("cost"), means)

    def _round(self, left: float) -> dict[str, float]:
        """Play with one policy, and passes over what was played."""
        rollout, cost = self._play()
        figures = []
        for _ in range(self.config.passes):
            order = torch.randperm(rollout.way.shape[0], generator=self._chance)
            figures += [self._update(rollout.at(index), left) for index in order.chunk(self.config.parts)]
        means = torch.stack(figures).mean(0).tolist()
        return {"cost": cost} | dict(zip(("value_error", "entropy", "divergence"), means, strict=True))

    @torch.no_grad()  # type: ignore[untyped-decorator]
    def _play(self) -> tuple[Rollout, float]:
        """An episode of every world, and the mean cost of its slots."""
        world = self._world(self.setting, self._num_worlds, int(torch.randint(2**62, (1,), generator=self._chance)))
        slots: list[tuple[Tensor, ...]] = []
        for _ in range(self._length):
            seen = world.observe()
            way, share = self._actor.draw(seen, self._chance)
            step = world.step(action_of(way, share, self._actor.requests))
            slots.append((seen.user, seen.pair, way, share, step.reward, step.outcome.cost))
        user, pair, way, share, reward, cost = (torch.cat(each) for each in zip(*slots, strict=True))
        every = Observation(user, pair)
        advantage, target = self._judged(every, reward.unflatten(0, (self._length, -1)).movedim(0, -1))
        rollout = Rollout(every, way, share, self._actor.judge(every, way, share)[0], advantage, target)
        return rollout, float(cost.sum(-1).mean())

    def _judged(self, seen: Observation, reward: Tensor) -> tuple[Tensor, Tensor]:
        """Advantages and targets of the critic, (T B, U); ``reward`` is (B, U, T)."""
        self._rewards.add(reward)
        scaled = (reward / self._rewards.deviation).clamp(-MOST_REWARD, MOST_REWARD)
        value = self._critic(seen) * self._returns.deviation + self._returns.mean
        value = value.unflatten(0, (self._length, -1)).movedim(0, -1)
        value = torch.cat([value, torch.zeros_like(value[..., :1])], dim=-1)  # nothing comes after an episode
        advantage = advantages(scaled, value, self.config.discount, self.config.smoothing)
        target = advantage + value[..., :-1]
        self._returns.add(target)
        target = (target - self._returns.mean) / self._returns.deviation
        flat, aims = (each.movedim(-1, 0).flatten(0, 1) for each in (advantage, target))
        return normalised(flat.flatten()).view_as(flat), aims

    def _update(self, part: Rollout, left: float) -> Tensor:
        """One step; error of the critic, entropy, divergence from the policy that played."""
        config = self.config
        log_prob, entropy = self._actor.judge(part.seen, part.way, part.share)
        log_ratio = log_prob - part.log_prob
        gain = clipped_surrogate(log_ratio, part.advantage, config.clip)
        error = (self._critic(part.seen) - part.target).square().mean()
        loss = config.value_weight * error - gain.mean() - config.entropy * left * entropy.mean()
        self._optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self._modules.parameters(), config.most_gradient)
        self._optimiser.step()
        return torch.stack([error.detach(), entropy.detach().mean(), torch.tensor(divergence(log_ratio.detach()))])

    def state(self) -> dict[str, Tensor]:
        """Weights, scales, optimiser, chance and epochs."""
        return snapshot(self._modules, self._optimiser, self._chance, self._epoch)

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Go on from :meth:`state`."""
        self._epoch = resume(state, self._modules, self._optimiser, self._chance)

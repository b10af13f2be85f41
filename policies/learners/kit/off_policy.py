"""How learners that keep what they met are trained: explore, keep, draw, step, and move the targets after.

Sources: replay and targets, Mnih et al., "Human-level control through deep reinforcement learning", Nature 518, 2015;
targets that move slowly, Lillicrap et al., arXiv 1509.02971. Ours: many worlds at once; rewards less their running mean
and over their deviation, which changes no order of policies, since episodes have a fixed number of slots; episodes of
one slot where slots are independent. Agents that act for themselves share weights and replay: each learns by its own
observation from what all have met, as if the others belonged to the world.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from circuits.parameters import integer, real, validate
from policies.envs import ENVS, of
from policies.envs.contract import Action, Observation
from policies.learners.kit.draws import seeded
from policies.learners.kit.replay import Met, Replay
from policies.learners.kit.running import Running
from policies.learners.kit.schedule import slow_down
from policies.learners.kit.snapshot import resume, snapshot
from policies.learners.kit.ways import action_of, horizon
from policies.learners.learner import Progress

MOST_REWARD = 10.0
"""Rewards are clipped at so many deviations from their mean, on both sides (ours)."""
LAST_EXPLORATION = 0.02
"""Chance of a random way that is left in the end (ours)."""


@dataclass(frozen=True)
class OffPolicyConfig:
    """How to train.

    Attributes:
        worlds: played at once.   steps: of an epoch, rounded up to whole episodes.   updates: after each step.
        batch: slots drawn for an update.   capacity: slots kept.   epochs: over which step size and exploration fall.
        target_rate: how far targets move with each update.
    """

    width: int = integer(32, low=1, high=4096, doc="width of the hidden layers")
    worlds: int = integer(32, low=1, high=1_000_000, doc="worlds played at once")
    steps: int = integer(32, low=1, high=1_000_000, doc="steps of an epoch, at least an episode")
    updates: int = integer(2, low=1, high=1000, doc="updates after each step")
    batch: int = integer(64, low=1, high=1_000_000, doc="slots drawn for an update")
    capacity: int = integer(8192, low=1, high=100_000_000, doc="slots kept")
    epochs: int = integer(30, low=1, high=1_000_000, doc="epochs over which step size and exploration fall")
    learning_rate: float = real(2e-3, low=1e-8, high=1.0, doc="first step size of Adam")
    actor_rate: float = real(0.1, low=0.0, high=1.0, doc="step size of an actor that climbs a critic, in its critic's")
    discount: float = real(0.9, low=0.0, high=1.0, doc="gamma, within an episode")
    target_rate: float = real(0.01, low=1e-6, high=1.0, doc="how far targets move with each update")
    exploration: float = real(0.5, low=0.0, high=1.0, doc="first chance of a random way; it falls over half the epochs")
    most_gradient: float = real(1.0, low=1e-6, high=1e6, doc="largest norm of a gradient")

    def __post_init__(self) -> None:
        validate(self)


class Chooser(nn.Module, ABC):  # type: ignore[misc]  # torch is Any to mypy here
    """What a learner acts by: networks under ``act``, and numbered ways (:mod:`policies.learners.kit.ways`).

    Args:
        requests: kinds of requests at a place.
    """

    def __init__(self, requests: int) -> None:
        super().__init__()
        self.requests = requests

    @abstractmethod
    def best(self, seen: Observation) -> tuple[Tensor, Tensor]:
        """The best way of each agent, int64 (B, A), and the share that it would keep."""

    def num_ways(self, seen: Observation) -> int:
        """How many each agent has."""
        return int(1 + seen.pair.shape[-2] * self.requests)

    def action(self, seen: Observation, way: Tensor, share: Tensor) -> Action:
        """What ways and shares come to."""
        return action_of(way, share, self.requests)

    @torch.no_grad()  # type: ignore[untyped-decorator]
    def act(self, observation: Observation, chance: torch.Generator | None = None) -> Action:
        """The best that is known; nothing is drawn."""
        return self.action(observation, *self.best(observation))


class OffPolicy(ABC):
    """Trains a :class:`Chooser`; what is learned is in the methods that a page fills in."""

    config_type: ClassVar[type[OffPolicyConfig]] = OffPolicyConfig
    envs: ClassVar[tuple[str, ...]] = tuple(ENVS)
    central: ClassVar[bool] = False
    """Whether one agent acts for all users; it is paid minus their mean cost, whatever the setting pays users."""
    slower: ClassVar[tuple[str, ...]] = ()
    """Networks that climb a value, whose steps are smaller than those of what they climb."""

    def __init__(self, config: Any, setting: Any, seed: int) -> None:
        self.config, self.setting, self._world = config, setting, of(setting)
        self._chance = torch.Generator().manual_seed(seed)
        self._networks = seeded(seed, self._built)
        self._targets = deepcopy(self._networks).requires_grad_(requires_grad=False)
        self._length = horizon(setting)
        num_agents = 1 if self.central else setting.users
        shape, capacity = (setting.users, setting.servers), max(config.capacity, config.worlds)
        self._replay = Replay(capacity, shape, self._world.num_features, num_agents, alone=self._length == 1)
        self._rewards = Running()
        self._modules = nn.ModuleDict(
            {"now": self._networks, "targets": self._targets, "replay": self._replay, "rewards": self._rewards}
        )
        slow = [each for name in self.slower for each in self._networks.get_submodule(name).parameters()]
        fast = [each for each in self._networks.parameters() if not any(each is other for other in slow)]
        groups = [{"params": fast, "part": 1.0}, {"params": slow, "part": config.actor_rate}]
        self._optimiser = torch.optim.Adam(groups, lr=config.learning_rate, fused=True)
        self._epoch = 0

    @abstractmethod
    def _built(self) -> nn.ModuleDict:
        """The networks, fresh; ``act`` is a :class:`Chooser`."""

    @abstractmethod
    def _value(self, after: Observation) -> Tensor:
        """What agents will get from what they see on, (N, A)."""

    @abstractmethod
    def _loss(self, met: Met, aim: Tensor) -> Tensor:
        """To be lowered; ``aim`` is what the value of what was done should be, (N, A)."""

    def actor(self) -> Chooser:
        """What has been learned so far."""
        actor: Chooser = deepcopy(self._networks["act"])
        return actor

    def epoch(self) -> Progress:
        """Play and learn."""
        config = self.config
        slow_down(self._optimiser, config.learning_rate, self._epoch, config.epochs)
        for group in self._optimiser.param_groups:
            group["lr"] *= group["part"]
        world = self._world(self.setting, config.worlds, int(torch.randint(2**62, (1,), generator=self._chance)))
        steps = -(-config.steps // self._length) * self._length
        costs, losses = [], [torch.zeros(())]
        for _ in range(steps):
            costs.append(self._step(world))
            losses += [self._update() for _ in range(config.updates)]
        self._epoch += 1
        slots = self._epoch * steps * config.worlds
        figures = {"loss": float(torch.stack(losses).mean()), "exploration": self._exploration()}
        return Progress(self._epoch, slots, float(torch.stack(costs).mean()), figures)

    def _exploration(self) -> float:
        left = 1.0 - 2.0 * self._epoch / self.config.epochs
        return float(max(self.config.exploration * left, min(LAST_EXPLORATION, self.config.exploration)))

    @torch.no_grad()  # type: ignore[untyped-decorator]
    def _step(self, world: Any) -> Tensor:
        """Act in all worlds and keep what came of it; mean cost."""
        actor, seen = self._networks["act"], world.observe()
        way, share = actor.best(seen)
        strays = torch.rand(way.shape, generator=self._chance) < self._exploration()
        way = torch.where(strays, torch.randint(actor.num_ways(seen), way.shape, generator=self._chance), way)
        share = torch.where(strays, torch.rand(way.shape, generator=self._chance), share)
        step = world.step(actor.action(seen, way, share))
        reward = -step.outcome.cost.mean(-1, keepdim=True) if self.central else step.reward
        self._rewards.add(reward)
        goes_on = torch.full((way.shape[0],), float(self._length > 1 and not step.terminated))
        self._replay.add(Met(seen, way, share, reward, world.observe(), goes_on))
        cost: Tensor = step.outcome.cost.sum(-1).mean()
        return cost

    def _drawn(self) -> Met:
        """What a step learns from."""
        return self._replay.draw(self.config.batch, self._chance)

    def _update(self) -> Tensor:
        """One step; the loss."""
        met = self._drawn()
        aim = ((met.reward - self._rewards.mean) / self._rewards.deviation).clamp(-MOST_REWARD, MOST_REWARD)
        if self._length > 1:
            with torch.no_grad():
                aim = aim + self.config.discount * met.goes_on.unsqueeze(-1) * self._value(met.after)
        loss = self._loss(met, aim)
        self._optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self._networks.parameters(), self.config.most_gradient)
        self._optimiser.step()
        with torch.no_grad():
            moving = zip(self._targets.parameters(), self._networks.parameters(), strict=True)
            for target, now in moving if self._length > 1 else ():  # nothing else asks for targets
                target.lerp_(now, self.config.target_rate)
        return loss.detach()

    def state(self) -> dict[str, Tensor]:
        """Weights, targets, all that was met, optimiser, chance and epochs."""
        return snapshot(self._modules, self._optimiser, self._chance, self._epoch)

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Go on from :meth:`state`."""
        self._epoch = resume(state, self._modules, self._optimiser, self._chance)

"""Placement learned by evolution strategies: whole episodes are compared, on the same jobs and the same luck.

Source: Salimans, Ho, Chen, Sidor and Sutskever, "Evolution strategies as a scalable alternative to reinforcement
learning" (arXiv 1703.03864, 2017): antithetic pairs, and Adam on the estimated gradient

    g = 1 / (2 n sigma) sum_i (F(theta + sigma e_i) - F(theta - sigma e_i)) e_i,        e_i from N(0, I).

Ours: F is the mean over worlds of the logarithm of an episode's cost, so that busy worlds count no more than quiet
ones; all actors of a step meet the same worlds (common random numbers) and act by their best choice, as they will; it
is standardised instead of ranked. There is no critic: what a placement does to those who come later, be it seconds or
minutes afterwards, is in the cost of its episode. In ``Measured-v2``, where jobs may be divided, it learns that as well
(:mod:`policies.learners.kit.divider`).
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.func import functional_call

from circuits.parameters import integer, real, validate
from policies.envs import of
from policies.envs.measured.divided import DividedSetting
from policies.envs.measured.world import MeasuredSetting
from policies.learners.kit.divider import Divider
from policies.learners.kit.draws import seeded
from policies.learners.kit.placer import Placer
from policies.learners.kit.schedule import slow_down
from policies.learners.kit.snapshot import resume, snapshot
from policies.learners.learner import Progress


@dataclass(frozen=True)
class PlacingConfig:
    """How to train.

    Attributes:
        width: of the hidden layer.   worlds: of a step, each met by all actors.   pairs: n.   sigma: of the noise.
        updates: steps of an epoch.   epochs: over which the step size falls.   learning_rate: first of Adam.
    """

    width: int = integer(16, low=1, high=1024, doc="width of the hidden layer")
    worlds: int = integer(48, low=1, high=100_000, doc="worlds of a step")
    pairs: int = integer(16, low=1, high=10_000, doc="antithetic pairs of a step")
    updates: int = integer(5, low=1, high=100_000, doc="steps of an epoch")
    epochs: int = integer(24, low=1, high=1_000_000, doc="epochs over which the step size falls")
    sigma: float = real(0.1, low=1e-6, high=10.0, doc="standard deviation of the noise on the weights")
    learning_rate: float = real(0.02, low=1e-8, high=1.0, doc="first step size of Adam")

    def __post_init__(self) -> None:
        validate(self)


class Placing:
    """Trains a :class:`Placer`, or a :class:`Divider` where jobs may be divided."""

    config_type = PlacingConfig
    envs = ("Measured-v1", "Measured-v2")

    def __init__(self, config: PlacingConfig, setting: MeasuredSetting, seed: int) -> None:
        self.config, self.setting = config, setting
        self.chance = torch.Generator().manual_seed(seed)
        kind = Divider if isinstance(setting, DividedSetting) else Placer
        self.placer = seeded(seed, lambda: kind(config.width))
        self.optimiser = torch.optim.Adam(self.placer.parameters(), lr=config.learning_rate)
        self.epochs = 0

    def epoch(self) -> Progress:
        """A number of steps, each in fresh worlds."""
        slow_down(self.optimiser, self.config.learning_rate, self.epochs, self.config.epochs)
        means = torch.stack([self._update() for _ in range(self.config.updates)]).mean(0).tolist()
        self.epochs += 1
        jobs = self.epochs * self.config.updates * self.config.worlds * self.setting.episode_slots
        return Progress(self.epochs, jobs, means[0], {"against_greedy": means[1], "spread": means[2]})

    def _update(self) -> Tensor:
        """One step; mean cost of a job, cost over that of the untrained actor, and how far actors differ."""
        names = [name for name, _ in self.placer.named_parameters()]
        now = torch.cat([value.detach().flatten() for value in self.placer.parameters()])
        noise = torch.randn(self.config.pairs, len(now), generator=self.chance)
        greedy = torch.cat(
            [
                torch.zeros_like(v).flatten() if n.startswith("last") else v.detach().flatten()
                for n, v in self.placer.named_parameters()
            ]
        )
        actors = torch.cat([now + self.config.sigma * noise, now - self.config.sigma * noise, now[None], greedy[None]])
        costs = self._costs(names, actors)  # (actors, worlds), of a job
        value = costs.log().mean(-1)
        tried = value[:-2]
        spread = tried.std().clamp(min=1e-9)
        better, worse = ((tried - tried.mean()) / spread).chunk(2)
        gradient = ((better - worse)[:, None] * noise).mean(0) / 2.0
        for parameter, part in zip(
            self.placer.parameters(), gradient.split([v.numel() for v in self.placer.parameters()]), strict=True
        ):
            parameter.grad = part.reshape(parameter.shape)
        self.optimiser.step()
        return torch.stack([costs[-2].mean(), (value[-2] - value[-1]).exp(), spread])

    def _costs(self, names: list[str], actors: Tensor) -> Tensor:
        """Mean cost of a job of each actor in each world of one episode."""
        shapes = [value.shape for value in self.placer.parameters()]
        parts = actors.split([shape.numel() for shape in shapes], dim=1)
        weights = {name: part.reshape(-1, *shape) for name, part, shape in zip(names, parts, shapes, strict=True)}
        seed = int(torch.randint(2**40, (1,), generator=self.chance))
        world = of(self.setting)(self.setting, self.config.worlds, seed, copies=len(actors))
        score = torch.vmap(lambda mine, user, pair: functional_call(self.placer, mine, (user, pair)))
        total, done = torch.zeros(world.num_worlds), False
        with torch.no_grad():
            while not done:
                seen = world.observe()
                self.placer.note(seen)
                user, pair = (one.unflatten(0, (len(actors), -1)) for one in (seen.user, seen.pair))
                step = world.step(self.placer.chosen(score(weights, user, pair).flatten(0, 1)))
                total, done = total + step.outcome.cost.sum(-1), step.terminated
        return total.unflatten(0, (len(actors), -1)) / (self.setting.episode_slots * self.setting.users)

    def actor(self) -> Placer:
        """What has been learned so far."""
        return deepcopy(self.placer)

    def state(self) -> dict[str, Tensor]:
        """Weights, ranges, optimiser, chance and epochs."""
        return snapshot(self.placer, self.optimiser, self.chance, self.epochs)

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Go on from :meth:`state`."""
        self.epochs = resume(state, self.placer, self.optimiser, self.chance)

"""Decision Diffuser: plans drawn under a return that is asked for, and the action that leads to their next step.

Source: Ajay et al., "Is conditional generative modeling all you need for decision-making?", ICLR 2023
(arXiv 2211.15657), Algorithm 1 and eqs (6) to (8): diffusion over states alone, classifier-free guidance by the return,
low-temperature sampling, inverse dynamics a = f(s_t, s_t+1); one acts by the plan's first step and plans again.

Deviations (ours): users plan for themselves. Tasks are drawn afresh in every slot, and noise that nobody can plan would
be most of a plan: states are the features, of the user and in the mean over places, of which the log shows that what
was there or what was done explains them (least squares, at least a twentieth of the variance): in ``MEQC-v2`` battery,
time left, whether the last task ran on a QPU, and QPUs held. The present slot, task and all, is a condition. Plans are
a few slots long, so that a residual network takes the place of the temporal U-Net, and DDIM that of DDPM. Returns are
ranks in the log, as for :mod:`policies.learners.decision_transformer`. There is no history before the present slot.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from circuits.errors import InvalidParameter
from circuits.parameters import integer, real
from policies.envs.contract import Action
from policies.learners.kit.diffusion import Denoiser, denoised, noised
from policies.learners.kit.offline import Imitator, Logged, Offline, OfflineConfig
from policies.learners.kit.scorer import chosen
from policies.learners.kit.sight import Choices, Chooser, Scale, disagreement, sizes

LEAST_EXPLAINED = 0.05
"""Part of a feature's variance that has to be explained for it to be planned."""
DROPPED = 0.25
"""How often the return is hidden while one learns [Ajay et al., appendix B]."""


@dataclass(frozen=True)
class DecisionDiffuserConfig(OfflineConfig):
    """As for all that learn from logs.

    Attributes:
        horizon: slots of a plan.   steps: of the way from noise to a plan.   ask: rank of return that is asked for.
        guidance: omega; 1: none, more: away from what is done whatever the return.
        temperature: variance of the noise that plans begin as; where nothing is to be drawn they begin as 0.
    """

    batch: int = integer(128, low=1, high=1_000_000, doc="windows of a step")
    horizon: int = integer(4, low=1, high=256, doc="slots of a plan")
    steps: int = integer(10, low=1, high=100, doc="steps from noise to a plan")
    ask: float = real(1.0, low=0.0, high=1.0, doc="return that is asked for, as a rank in the log; 1: the best")
    guidance: float = real(1.5, low=0.0, high=20.0, doc="weight of the return that is asked for")
    temperature: float = real(0.5, low=0.0, high=1.0, doc="variance of the noise that plans begin as")


class Diffuser(Imitator):
    """Plans, and acts by the first step of the plan."""

    def __init__(self, config: DecisionDiffuserConfig, setting: Any) -> None:
        super().__init__(config, setting)
        self.config, self.window, self.ask = config, config.horizon + 1, config.ask
        width, num = config.width, sum(sizes(setting))
        self.scale = Scale(num)
        self.register_buffer("planned", torch.zeros(num))
        self.of_return, self.no_return = nn.Linear(1, width), nn.Parameter(torch.zeros(width))
        self.denoiser = Denoiser(config.horizon * num, 2 * width + num, 2 * width)
        self.chooser = Chooser(setting, width + 2 * num, width)

    def fit(self, logged: Logged) -> None:
        """Scales of the features, and which of them are planned.

        Raises:
            InvalidParameter: a plan is longer than what follows on an episode's first slot.
        """
        slots = logged.rank.shape[1]
        if self.config.horizon >= slots:
            wanted = f"wanted fewer than the {slots} slots of an episode"
            raise InvalidParameter(f"DecisionDiffuserConfig.horizon: {wanted}, got {self.config.horizon}")
        super().fit(logged)
        states = torch.cat([logged.user, logged.pair.mean(-2)], dim=-1)
        self.scale.fit(states)
        done = torch.stack([logged.choice == 0, logged.choice > logged.pair.shape[-2]], dim=-1).to(states.dtype)
        self.planned.copy_(explained(self.scale(states), done) > LEAST_EXPLAINED)

    def states(self, user: Tensor, pair: Tensor) -> Tensor:
        """What is planned of what is seen, (…, F + G); 0 where it is not."""
        scaled: Tensor = self.scale(torch.cat([user, pair.mean(-2)], dim=-1)) * self.planned
        return scaled

    def loss(self, logged: Logged, chance: torch.Generator) -> dict[str, Tensor]:
        """Of the diffusion and of inverse dynamics together; each of them; how often the latter does what was done."""
        own, places = self.sight(logged.user[:, 0], logged.pair[:, 0])
        states = self.states(logged.user, logged.pair)
        hidden = torch.rand(len(own), 1, generator=chance) < DROPPED
        told = torch.where(hidden, self.no_return, self._asked(logged.rank[:, 0]))
        noisy, velocity, level = noised(states[:, 1:].flatten(1), chance)
        mask = self.planned.repeat(self.config.horizon)
        found = self.denoiser(noisy * mask, level, torch.cat([own, states[:, 0], told], dim=-1))
        denoising = ((found - velocity).square() * mask).sum(-1).mean() / mask.sum().clamp(min=1.0)
        choices: Choices = self.chooser(torch.cat([own, states[:, 0], states[:, 1]], dim=-1), places)
        inverse = disagreement(choices, logged.choice[:, 0], logged.shares[:, 0]).mean()
        agreement = (choices.logits.argmax(-1) == logged.choice[:, 0]).float().mean()
        return {"loss": denoising + inverse, "denoising": denoising, "inverse": inverse, "agreement": agreement}

    def _asked(self, rank: Tensor) -> Tensor:
        asked: Tensor = self.of_return(2.0 * rank.unsqueeze(-1) - 1.0)
        return asked

    def plan(self, own: Tensor, state: Tensor, chance: torch.Generator | None) -> Tensor:
        """States to come, (M, horizon, F + G), of users (M, width) in states (M, F + G)."""
        config = self.config
        mask = self.planned.repeat(config.horizon)
        asked = self._asked(torch.full_like(own[:, 0], self.ask))
        conditions = torch.cat(
            [torch.cat([own, state, each], dim=-1) for each in (asked, self.no_return.expand_as(asked))]
        )

        def velocity(vectors: Tensor, level: Tensor) -> Tensor:
            told, free = self.denoiser((vectors * mask).repeat(2, 1), level.repeat(2), conditions).chunk(2)
            guided: Tensor = free + config.guidance * (told - free)
            return guided

        start = torch.zeros(len(own), len(mask), dtype=own.dtype)
        if chance is not None:
            start = config.temperature**0.5 * torch.randn(start.shape, generator=chance, dtype=own.dtype)
        return (denoised(velocity, start, config.steps) * mask).unflatten(-1, (config.horizon, -1))

    def acted(self, user: Tensor, pair: Tensor, chance: torch.Generator | None) -> Action:
        """The likeliest choice for the plan's first step; plans are drawn with ``chance``."""
        own, places = self.sight(user, pair)
        state = self.states(user, pair)
        after = self.plan(own.flatten(0, 1), state.flatten(0, 1), chance)[:, 0].view_as(state)
        choices = self.chooser(torch.cat([own, state, after], dim=-1), places)
        action: Action = self.chooser.action(choices, chosen(choices.logits, None))
        return action


def explained(states: Tensor, done: Tensor) -> Tensor:
    """Part of the variance of the next slot's states that is linear in those of now and in what was done: (D,).

    Args:
        states: (N, T, U, D), in deviations from their means.   done: (N, T, U, A).
    """
    now = torch.cat([states[:, :-1], done[:, :-1], torch.ones_like(done[:, :-1, :, :1])], dim=-1).flatten(0, 2).double()
    then = states[:, 1:].flatten(0, 2).double()
    if not len(then):
        return torch.zeros(states.shape[-1])
    ridge = 1e-6 * len(now) * torch.eye(now.shape[1], dtype=now.dtype)
    left = then - now @ torch.linalg.solve(now.T @ now + ridge, now.T @ then)
    variance = then.var(0, correction=0)
    part = 1.0 - left.var(0, correction=0) / variance.clamp(min=1e-9)
    return torch.where(variance > 1e-6, part, 0.0).to(states.dtype)


class DecisionDiffuser(Offline):
    """Trains a :class:`Diffuser`."""

    config_type = DecisionDiffuserConfig
    network = Diffuser

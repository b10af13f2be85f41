"""MAPPO: the scoring policy by clipped policy gradients, with a critic that sees all users while it is trained.

Source: Yu et al., "The surprising effectiveness of PPO in cooperative multi-agent games", NeurIPS 2022. Deviations: the
actor is :class:`policies.learners.kit.scorer.Scorer`; the critic is a deep set over users and servers, so that both are
of any size; slots are independent, so that the discount is 0 and the advantage is the reward less the value. Rewards
are measured by what a task costs at home and compressed by asinh, which is linear for usual costs and logarithmic for
the tasks that are forced onto large codes, a hundred times dearer (ours).

It knows no more of the model than what its features are made of: costs are sampled, not counterfactual.
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from circuits.parameters import integer, real, validate
from policies.envs.meqc.batch import Slots, settle
from policies.envs.meqc.world import Setting, rewards
from policies.learners.kit.draws import drawn, seeded
from policies.learners.kit.features import NUM_PAIR, NUM_USER, Features, features, scale
from policies.learners.kit.ppo import clipped_surrogate, normalised
from policies.learners.kit.schedule import slow_down
from policies.learners.kit.scorer import Play, Scorer, chosen
from policies.learners.kit.snapshot import resume, snapshot
from policies.learners.learner import Progress


@dataclass(frozen=True)
class MappoConfig:
    """How to train; ``epochs`` as in :class:`policies.learners.scoring.ScoringConfig`.

    Attributes:
        width: of the hidden layers of actor and critic.   slots: played before an update, with the same policy.
        updates: of an epoch.   passes: over what was played, in ``parts`` minibatches.   clip: of the ratio.
    """

    width: int = integer(64, low=1, high=4096, doc="width of the hidden layers")
    slots: int = integer(512, low=1, high=1_000_000, doc="slots played before an update")
    updates: int = integer(2, low=1, high=1_000_000, doc="updates of an epoch")
    passes: int = integer(4, low=1, high=100, doc="passes over what was played")
    parts: int = integer(4, low=1, high=1000, doc="minibatches of a pass")
    epochs: int = integer(30, low=1, high=1_000_000, doc="epochs over which the step size falls")
    learning_rate: float = real(1e-3, low=1e-8, high=1.0, doc="first step size of Adam")
    clip: float = real(0.2, low=1e-3, high=1.0, doc="clip of the probability ratio")
    entropy: float = real(1e-3, low=0.0, high=10.0, doc="first weight of the entropy bonus")

    def __post_init__(self) -> None:
        validate(self)


LARGEST_GRADIENT = 1.0
BEND = 5.0
"""Rewards r are learned as asinh(5 r) / 5."""
LEAST_SURENESS = 2.0
"""Beta densities of shares have one peak."""


class Critic(nn.Module):  # type: ignore[misc]  # torch is Any to mypy here
    """Value of every user's slot from what all users see: (B, U)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.pair = nn.Sequential(nn.Linear(NUM_PAIR + NUM_USER, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU())
        self.value = nn.Sequential(nn.Linear(5 * width + NUM_USER, width), nn.ReLU(), nn.Linear(width, 1))

    def forward(self, known: Features) -> Tensor:
        """Expected reward of each user."""
        user = known.user.unsqueeze(2).expand(-1, -1, known.pair.shape[2], -1)
        each = self.pair(torch.cat([known.pair, user], dim=-1))  # (B, U, E, width)
        own = torch.cat([each.mean(2), each.amax(2)], dim=-1)
        rest = torch.cat([own.mean(1), each.amax((1, 2))], dim=-1).unsqueeze(1).expand(-1, own.shape[1], -1)
        return self.value(torch.cat([own, rest, known.user], dim=-1)).squeeze(-1)


@dataclass(frozen=True)
class Played:
    """Slots and what was done in them: choices int64 (B, U), shares, log-chances and rewards (B, U)."""

    slots: Slots
    choices: Tensor
    shares: Tensor
    log_chance: Tensor
    reward: Tensor

    def part(self, index: Tensor) -> Played:
        """Some of the slots."""
        return Played(
            self.slots.at(index), *(each[index] for each in (self.choices, self.shares, self.log_chance, self.reward))
        )


class Mappo:
    """Trains a :class:`Scorer` and its critic."""

    config_type = MappoConfig

    def __init__(self, config: MappoConfig, setting: Setting, seed: int) -> None:
        self.config, self.setting = config, setting
        self.chance = torch.Generator().manual_seed(seed)
        self.networks = seeded(
            seed, lambda: nn.ModuleDict({"actor": Scorer(setting, config.width), "critic": Critic(config.width)})
        )
        self.optimiser = torch.optim.Adam(self.networks.parameters(), lr=config.learning_rate)
        self.epochs = 0

    def epoch(self) -> Progress:
        """Play and learn, a number of times."""
        left = slow_down(self.optimiser, self.config.learning_rate, self.epochs, self.config.epochs)
        means = torch.stack([self._update(left) for _ in range(self.config.updates)]).mean(0).tolist()
        self.epochs += 1
        slots = self.epochs * self.config.updates * self.config.slots
        return Progress(
            self.epochs, slots, means[0], dict(zip(("loss", "value_loss", "entropy"), means[1:], strict=True))
        )

    def _update(self, left: float) -> Tensor:
        """One batch of slots; mean cost, loss of the policy, loss of the critic, entropy."""
        played, cost = self._play()
        figures = []
        for _ in range(self.config.passes):
            order = torch.randperm(self.config.slots, generator=self.chance)
            for index in order.chunk(self.config.parts):
                losses = self._losses(played.part(index))
                self.optimiser.zero_grad()
                (losses[0] + losses[1] - self.config.entropy * left * losses[2]).backward()
                nn.utils.clip_grad_norm_(self.networks.parameters(), LARGEST_GRADIENT)
                self.optimiser.step()
                figures.append(losses.detach())
        return torch.cat([cost.reshape(1), torch.stack(figures).mean(0)])

    def _play(self) -> tuple[Played, Tensor]:
        slots = drawn(self.setting, self.chance, self.config.slots)
        with torch.no_grad():
            play = self.networks["actor"](features(self.setting, self.setting.seen(slots)))
        choices = chosen(play.logits, self.chance)
        kept = play.kept if self.setting.model.is_linear else _drawn_shares(play, self.chance)
        action = play.action(choices, kept)
        outcome = settle(self.setting.model, slots, action)
        reward = rewards(self.setting, slots, action, outcome) / scale(slots)
        log_chance, _ = self._log_chance(play, choices, action.shares)
        bent = torch.asinh(BEND * reward) / BEND
        return Played(slots, choices, action.shares, log_chance, bent), outcome.cost.sum(-1).mean()

    def _log_chance(self, play: Play, choices: Tensor, shares: Tensor) -> tuple[Tensor, Tensor]:
        """Log-chance of what was done, and entropy of the choices: (B, U) each."""
        log_chances = torch.log_softmax(play.logits, dim=-1)
        done = log_chances.gather(-1, choices.unsqueeze(-1)).squeeze(-1)
        if not self.setting.model.is_linear:
            server = (choices - 1).clamp(min=0).unsqueeze(-1)
            mean, sure = (each.gather(-1, server).squeeze(-1) for each in (play.kept, _sureness(play)))
            density = torch.distributions.Beta(mean * sure, (1.0 - mean) * sure).log_prob(shares.clamp(1e-4, 1 - 1e-4))
            done = done + torch.where(choices > 0, density, 0.0)
        return done, -(log_chances.exp() * log_chances).sum(-1)

    def _losses(self, played: Played) -> Tensor:
        """Clipped surrogate, squared error of the critic, entropy."""
        known = features(self.setting, self.setting.seen(played.slots))
        value = self.networks["critic"](known)
        advantage = normalised((played.reward - value).detach().flatten()).view_as(value)
        log_chance, entropy = self._log_chance(self.networks["actor"](known), played.choices, played.shares)
        gain = clipped_surrogate(log_chance - played.log_chance, advantage, self.config.clip)
        return torch.stack([-gain.mean(), ((played.reward - value) ** 2).mean(), entropy.mean()])

    def actor(self) -> Scorer:
        """What has been learned so far."""
        actor = self.networks["actor"]
        assert isinstance(actor, Scorer)
        return deepcopy(actor)

    def state(self) -> dict[str, Tensor]:
        """Weights, optimiser, chance and epochs."""
        return snapshot(self.networks, self.optimiser, self.chance, self.epochs)

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Go on from :meth:`state`."""
        self.epochs = resume(state, self.networks, self.optimiser, self.chance)


def _sureness(play: Play) -> Tensor:
    return LEAST_SURENESS + 10.0 * play.sureness


def _drawn_shares(play: Play, chance: torch.Generator) -> Tensor:
    """Beta shares of every pair, as a ratio of gammas drawn with the learner's own chance."""
    sure = _sureness(play)
    seed = int(torch.randint(2**31, (1,), generator=chance))
    with torch.random.fork_rng(devices=[]):  # torch draws gammas only from its global chance
        torch.manual_seed(seed)
        drawn_shares: Tensor = torch.distributions.Beta(play.kept * sure, (1.0 - play.kept) * sure).sample()
    return drawn_shares.clamp(1e-4, 1.0 - 1e-4)

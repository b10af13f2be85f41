"""Networks by which one user sees its task and all places, and chooses among them: for worlds of any size.

Source: ours, of deep sets and pointer networks as :mod:`policies.learners.kit.scorer`, with two differences: whatever
a world's observation has is seen, and a place may be chosen with its QPU or without it where users can decline.

Choices are numbered 0 for home, 1 + e for place e without its QPU, 1 + E + e for place e with it; where nobody can
decline there is 1 + e alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from policies.envs import of
from policies.envs.contract import Action, Observation
from policies.envs.meqc.observation import NUM_PAIR_FEATURES, NUM_USER_FEATURES
from policies.envs.meqc.world import Setting
from policies.learners.kit.features import NUM_PAIR, NUM_USER, features

FURTHEST = 5.0
"""Features are cut off so many deviations from their mean."""
LEAST_SHARE = 0.02
"""Shares below are none: a network that has seen 0 says about 0 (ours)."""


def sizes(setting: Any) -> tuple[int, int]:
    """Of what :func:`seen_by` gives, by user and by pair."""
    user, pair = of(setting).num_features
    if isinstance(setting, Setting):
        return user - NUM_USER_FEATURES + NUM_USER, pair - NUM_PAIR_FEATURES + NUM_PAIR
    return user, pair


def seen_by(setting: Any, seen: Observation) -> Observation:
    """An observation, and in MEQC what an agent can work out from it by the model it knows."""
    if not isinstance(setting, Setting):
        return seen
    known = features(setting, seen)
    return Observation(known.user, torch.cat([known.pair, seen.pair[..., NUM_PAIR_FEATURES:]], dim=-1))


class Scale(nn.Module):  # type: ignore[misc]  # torch is Any to mypy here
    """Features less their mean over their deviation, both taken from data and kept."""

    def __init__(self, num: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(num))
        self.register_buffer("deviation", torch.ones(num))

    def fit(self, values: Tensor) -> None:
        """Of the last axis; what does not vary in the data stays as it is, less its mean."""
        flat = values.flatten(0, -2)
        deviation = flat.std(0, correction=0)
        self.mean.copy_(flat.mean(0))
        self.deviation.copy_(torch.where(deviation > 1e-6, deviation, 1.0))

    def forward(self, values: Tensor) -> Tensor:
        """About standard normal."""
        return ((values - self.mean) / self.deviation).clamp(-FURTHEST, FURTHEST)

    def back(self, scaled: Tensor) -> Tensor:
        """The way back."""
        return scaled * self.deviation + self.mean


class Sight(nn.Module):  # type: ignore[misc]
    """What one user sees, as a vector of its own and one of each place: (…, width) and (…, E, width)."""

    def __init__(self, setting: Any, width: int) -> None:
        super().__init__()
        num_user, num_pair = sizes(setting)
        self.user_scale, self.pair_scale = Scale(num_user), Scale(num_pair)
        self.of_pair, self.of_user = nn.Linear(num_pair, width), nn.Linear(num_user, width, bias=False)
        self.second = nn.Linear(width, width)
        self.pooled = nn.Linear(2 * width + num_user, width)

    def fit(self, user: Tensor, pair: Tensor) -> None:
        """Means and deviations of what is seen in the data."""
        self.user_scale.fit(user)
        self.pair_scale.fit(pair)

    def forward(self, user: Tensor, pair: Tensor) -> tuple[Tensor, Tensor]:
        """Of features (…, F) and (…, E, G)."""
        own, each = self.user_scale(user), self.pair_scale(pair)
        places = torch.relu(self.second(torch.relu(self.of_pair(each) + self.of_user(own).unsqueeze(-2))))
        known = torch.cat([places.mean(-2), places.amax(-2), own], dim=-1)
        return torch.relu(self.pooled(known)), places


@dataclass(frozen=True)
class Choices:
    """Logits of all choices, (…, 1 + ways E), and the share that would be kept at each place, (…, E)."""

    logits: Tensor
    kept: Tensor


class Chooser(nn.Module):  # type: ignore[misc]
    """Scores every choice from a context of the user, (…, C), and the vectors of places."""

    def __init__(self, setting: Any, num_context: int, width: int) -> None:
        super().__init__()
        self.num_ways = 1 + int(of(setting).may_decline)
        self.of_context, self.of_place = nn.Linear(num_context, width), nn.Linear(width, width, bias=False)
        self.home = nn.Sequential(nn.Linear(num_context, width), nn.ReLU(), nn.Linear(width, 1))
        self.place = nn.Linear(width, self.num_ways + 1)

    def forward(self, context: Tensor, places: Tensor) -> Choices:
        """Of (…, C) and (…, E, width)."""
        each = torch.relu(self.of_context(context).unsqueeze(-2) + self.of_place(places))
        scores = self.place(each).unbind(-1)
        return Choices(torch.cat([self.home(context), *scores[:-1]], dim=-1), scores[-1])

    def action(self, choices: Choices, chosen: Tensor) -> Action:
        """What choices come to; who stays home sends what it cannot do itself to the likeliest place without its QPU.

        Args:
            chosen: int64, without the last axis of the logits.
        """
        num_places = choices.kept.shape[-1]
        home = chosen == 0
        overflow = choices.logits[..., 1 : 1 + num_places].argmax(-1)
        servers = torch.where(home, overflow, (chosen - 1) % num_places)
        kept = choices.kept.gather(-1, servers.unsqueeze(-1)).squeeze(-1).clamp(0.0, 1.0)
        shares = torch.where(home, 1.0, torch.where(kept < LEAST_SHARE, 0.0, kept))
        return Action(servers, shares, chosen > num_places if self.num_ways > 1 else None)


def chosen_by(setting: Any, servers: Tensor, shares: Tensor, asks: Tensor) -> Tensor:
    """The numbers of the choices that were made: who keeps all is at home."""
    with_qpu = asks.long() * setting.servers if of(setting).may_decline else 0
    return torch.where(shares >= 1.0, 0, 1 + servers + with_qpu)


def disagreement(choices: Choices, choice: Tensor, shares: Tensor) -> Tensor:
    """Cross-entropy of the choices that were made, and squared error of the shares that went with places: (…)."""
    num_places = choices.kept.shape[-1]
    entropy = cross_entropy(choices.logits.flatten(0, -2), choice.flatten(), reduction="none").view_as(shares)
    at = ((choice - 1).clamp(min=0) % num_places).unsqueeze(-1)
    error = (choices.kept.gather(-1, at).squeeze(-1) - shares).square()
    return entropy + torch.where(choice > 0, error, 0.0)

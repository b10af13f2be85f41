"""A network by which every user of a QCN chooses where to go, and how much to keep; it may talk first.

Source: ours. Each user prices places by the model from its own observation, at a crowd that the network expects there:
its scores begin as -4 log(cost). After each round of talk places answer how many come and by how much these would pay
more (:class:`policies.learners.kit.crowding.Answers`), and scores begin as -4 log of what all would pay more.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from policies.envs.contract import Action, Observation
from policies.envs.qcn.observation import NUM_PAIR_FEATURES, NUM_USER_FEATURES, slots_of
from policies.learners.kit.crowding import Answers, Prices, answers, prices
from policies.learners.kit.heads import draw_server
from policies.learners.kit.sets import PlaceNetwork

FIRST_SHARPNESS = 4.0
"""Scores begin as -4 log(cost): a way that costs twice as much is tried one sixteenth as often (ours)."""
FIRST_CROWD = 0.5
"""Others are expected at a place at first: softplus of it, 0.97 (ours)."""
FIRST_DECISION = 20.0
"""Kept is the share with which device and place end together times sigmoid(20 log(cost with none / cost with it))."""
BARRED = -1e9
"""Logit of what may not be chosen; finite, so that entropies are."""
CROWDS = (1.0, 2.0, 4.0)
NUM_PRICED, NUM_TOLD = len(CROWDS) + 1, 5
LEAST_SHARE = 1e-3
"""Shares below are none, so that what a sigmoid cannot reach is kept by nobody (ours)."""


@dataclass(frozen=True)
class Turn:
    """One round: logits (B, U, 1 + E), shares kept at places (B, U, E), and the choices, 0 home, 1 + e place e."""

    logits: Tensor
    share: Tensor
    choice: Tensor

    def action(self) -> Action:
        """What it comes to."""
        at = (self.choice - 1).clamp(min=0)
        kept = self.share.gather(-1, at.unsqueeze(-1)).squeeze(-1)
        kept = torch.where(kept < LEAST_SHARE, 0.0, kept)
        return Action(at, torch.where(self.choice > 0, kept, 1.0))


class Goer(nn.Module):  # type: ignore[misc]  # torch is Any to mypy here
    """Chooses for all users of many slots.

    Args:
        setting: of the world, whose model agents know and price by.   width: of the hidden layers.
        rounds: of talk before users act.   groups: of users that take turns to change their minds; 1: all may, always.
    """

    def __init__(self, setting: Any, width: int, *, rounds: int = 0, groups: int = 1) -> None:
        super().__init__()
        self.model, self.rounds, self.groups = setting.model, rounds, groups
        num_pair = NUM_PAIR_FEATURES + NUM_PRICED + NUM_TOLD * (rounds > 0)
        self.network = PlaceNetwork((NUM_USER_FEATURES, num_pair), width, 1, 3)
        self.sharpness = nn.Parameter(torch.tensor(FIRST_SHARPNESS).log())
        self.decision = nn.Parameter(torch.tensor(FIRST_DECISION).log())

    def forward(self, seen: Observation, known: Prices, told: Answers | None, done: float) -> tuple[Tensor, Tensor]:
        """Logits and shares of a round; ``done`` is the part of the rounds that is over."""
        home = known.home.unsqueeze(-1)
        pair = [seen.pair, _priced(known)]
        if self.rounds:
            pair.append(_told(known, told, done))
        stay, places = self.network(Observation(seen.user, torch.cat(pair, dim=-1)))
        score, more, part = places.unbind(-1)
        crowd = 1.0 + softplus(FIRST_CROWD + more) if told is None else 1.0 + told.others * torch.exp(more)
        share, none = known.together(crowd), torch.zeros_like(crowd)
        dearer = torch.log(known.cost(none, crowd) / known.cost(share, crowd)).detach()
        share = share * torch.sigmoid(self.decision.exp() * dearer + part)
        cost = known.cost(share.detach(), crowd) + (0.0 if told is None else told.rise)
        score = score - self.sharpness.exp() * torch.log(cost / home)
        return torch.cat([stay, score], dim=-1), share

    def rehearsed(self, seen: Observation, chance: torch.Generator | None = None) -> Iterator[tuple[Prices, Turn]]:
        """Every round of talk, and what is done after them."""
        known, told, before = prices(self.model, slots_of(self.model, seen)), None, None
        for done in range(self.rounds + 1):
            logits, share = self(seen, known, told, done / max(self.rounds, 1))
            if before is not None and self.groups > 1:
                stays = torch.arange(before.shape[1]) % self.groups != done % self.groups
                stays = stays | (done == self.rounds)
                kept = torch.full_like(logits, BARRED).scatter(-1, before.unsqueeze(-1), 0.0)
                logits = torch.where(stays.unsqueeze(-1), kept, logits)
            before = draw_server(logits, chance)
            yield known, Turn(logits, share, before)
            if self.rounds:
                told = answers(known, before)

    def act(self, observation: Observation, chance: torch.Generator | None = None) -> Action:
        """The best choice of each user, or one drawn, after the talk."""
        with torch.no_grad():
            *_, (_, last) = self.rehearsed(observation, chance)
        return last.action()


def _priced(known: Prices) -> Tensor:
    """Features of what places would cost in crowds: (B, U, E, 4)."""
    home = known.home.unsqueeze(-1)
    return torch.stack([*(torch.log(known.least(crowd) / home) for crowd in CROWDS), known.together(1.0)], dim=-1)


def _told(known: Prices, told: Answers | None, done: float) -> Tensor:
    """Features of what places answered: (B, U, E, 5)."""
    if told is None:
        return torch.zeros(*known.way.busy_s.shape, NUM_TOLD, dtype=known.home.dtype)
    home = known.home.unsqueeze(-1)
    crowd = told.others + 1.0
    added = known.least(crowd) + told.rise
    last = torch.full_like(told.mine, done)
    return torch.stack(
        [told.mine, torch.log(crowd), torch.log(added / home), torch.log1p(told.rise / home), last], dim=-1
    )

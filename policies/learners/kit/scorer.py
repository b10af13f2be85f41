"""A network by which every user scores every server and staying local: one for all users, for worlds of any size.

Source: ours, of deep sets (Zaheer et al., NeurIPS 2017) and pointer networks (Vinyals et al., NeurIPS 2015). Servers in
another order get the same scores in that order, and so do users: each sees only itself. Scores begin as the selfish
rule, minus the logarithm of what a way costs; the network learns what to add to them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from policies.envs.contract import Action, Observation
from policies.envs.meqc.baselines import priced
from policies.envs.meqc.observation import slots_of
from policies.envs.meqc.world import Setting
from policies.learners.kit.features import NUM_PAIR, NUM_TOLD, NUM_USER, Features, features
from policies.learners.kit.marginals import told

FIRST_SHARPNESS = 4.0
"""Scores begin as -4 log(cost): a way that costs twice as much is tried one sixteenth as often (ours)."""


@dataclass(frozen=True)
class Play:
    """What users would do.

    Attributes:
        logits: of staying local and of each server, (B, U, 1 + E).
        kept: share that the user would process itself if it chose a server, (B, U, E); 0 in linear models.
        sureness: of ``kept`` where it is drawn, > 0, (B, U, E).
    """

    logits: Tensor
    kept: Tensor
    sureness: Tensor

    def action(self, chosen: Tensor, kept: Tensor | None = None) -> Action:
        """What choices come to: 0 is local, 1 + e is server e; int64 (B, U)."""
        servers = (chosen - 1).clamp(min=0)
        there = (self.kept if kept is None else kept).gather(-1, servers.unsqueeze(-1)).squeeze(-1)
        return Action(servers, torch.where(chosen == 0, 1.0, there))


@dataclass(frozen=True)
class Turn:
    """One round: what was known, what users would do, and what they asked for or did."""

    known: Features
    play: Play
    action: Action


class Scorer(nn.Module):  # type: ignore[misc]  # torch is Any to mypy here
    """Scores of all users of many slots.

    Args:
        setting: of the world, whose model agents know and price by.   width: of the hidden layers.
        rounds: after how many rounds of requests users act; the servers announce who came after each.
    """

    def __init__(self, setting: Setting, width: int = 64, *, rounds: int = 0) -> None:
        super().__init__()
        self.setting, self.rounds = setting, rounds
        self.of_pair = nn.Linear(NUM_PAIR + NUM_TOLD * (rounds > 0), width)
        self.of_user = nn.Linear(NUM_USER, width, bias=False)
        self.second = nn.Linear(width, width)
        self.pooled = nn.Linear(2 * width + NUM_USER, width)
        self.again = nn.Linear(2 * width, width)
        self.server = nn.Linear(width, 3)
        self.home = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 1))
        self.sharpness = nn.Parameter(torch.tensor(FIRST_SHARPNESS).log())
        for last in (self.server, self.home[-1]):
            nn.init.normal_(last.weight, std=0.01)
            nn.init.zeros_(last.bias)

    def forward(self, known: Features) -> Play:
        """What users would do."""
        each = torch.relu(self.of_pair(known.pair) + self.of_user(known.user).unsqueeze(2))
        each = torch.relu(self.second(each))  # (B, U, E, width)
        own = torch.relu(self.pooled(torch.cat([each.mean(2), each.amax(2), known.user], dim=-1)))
        both = torch.cat([each, own.unsqueeze(2).expand_as(each)], dim=-1)
        score, share, sureness = self.server(torch.relu(self.again(both))).unbind(-1)
        servers = score - self.sharpness.exp() * known.way
        return Play(torch.cat([self.home(own), servers], dim=-1), self._kept(share, known), sureness.exp())

    def _kept(self, share: Tensor, known: Features) -> Tensor:
        """Shares: none in a linear model, else about those with which device and server end together."""
        if self.setting.model.is_linear:
            return torch.zeros_like(share)
        return torch.sigmoid(share + torch.logit(known.balanced, eps=1e-6))

    def rehearsed(self, seen: Observation, chance: torch.Generator | None = None) -> Iterator[Turn]:
        """Every round of requests, and what is done after them."""
        said = told(priced(self.setting.model, slots_of(seen, self.setting.deepest)), None) if self.rounds else None
        for done in range(self.rounds + 1):
            known = features(self.setting, seen, said)
            play = self(known)
            action = play.action(chosen(play.logits, chance))
            yield Turn(known, play, action)
            if self.rounds:
                said = told(known.known, action, (done + 1) / self.rounds)

    def act(self, observation: Observation, chance: torch.Generator | None = None) -> Action:
        """The best choice of each user, or one drawn, after the rounds of requests."""
        with torch.no_grad():
            *_, last = self.rehearsed(observation, chance)
        return last.action


def chosen(logits: Tensor, chance: torch.Generator | None) -> Tensor:
    """The largest, or one drawn by the softmax: int64, without the last dimension."""
    if chance is None:
        return logits.argmax(-1)
    noise = torch.empty_like(logits).exponential_(generator=chance)
    return (logits.detach() - noise.log()).argmax(-1)

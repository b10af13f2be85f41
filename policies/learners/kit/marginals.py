"""What every choice of every user would add to the cost of all, and what servers can say of it.

Source: ours; the exact form of what COMA (Foerster et al., AAAI 2018) estimates. In a linear model where a server lets
in whom it saves most, it follows from the two largest savings at every server; elsewhere each choice is settled.

Choices are numbered 0 for staying local and 1 + e for server e.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from policies.envs.contract import Action
from policies.envs.meqc.baselines import Priced, priced
from policies.envs.meqc.batch import Slots, settle
from policies.envs.meqc.model import Model

NOBODY = float("-inf")


def marginals(model: Model, slots: Slots, now: Action, kept: Tensor | None = None) -> Tensor:
    """What the system pays with a user's choice, less what it pays without that user, and up to a constant of the user.

    Args:
        now: what everybody does.
        kept: shares that go with the servers, (B, U, E); None: 0. Gradients pass through them.

    Returns:
        (B, U, 1 + E).
    """
    if kept is None and model.is_linear and model.qpu_admission == "max_saving":
        known = priced(model, slots)
        return torch.cat([known.local.unsqueeze(-1), joined(known, rivals(known, now))], dim=-1)
    return _settled(model, slots, now, kept)


@dataclass(frozen=True)
class Told:
    """What servers announce after a round of requests, as each user understands it.

    Attributes:
        rival: largest saving among the others that came and that the QPU could take, -inf without any, (B, U, E).
        here: whether the user came itself, bool (B, U, E).   others: how many others came, (B, U, E).
        round: how many rounds there have been over how many there will be.
    """

    rival: Tensor
    here: Tensor
    others: Tensor
    round: float


def told(known: Priced, asked: Action | None, done: float = 0.0) -> Told:
    """What is announced of requests; of none before the first round.

    A request names a server, or none, and the saving that its QPU would bring. A server answers to all with the two
    largest savings, whose they are, and how many came.

    Args:
        known: prices.   asked: what everybody asked for, None before the first round.   done: part of the rounds.
    """
    if asked is None:
        nothing = torch.zeros_like(known.cpu)
        return Told(nothing + NOBODY, nothing.bool(), nothing, done)
    here = present(asked, known.cpu.shape[-1])
    others = here.sum(1, keepdim=True) - here.long()
    return Told(rivals(known, asked), here, others.to(known.cpu.dtype), done)


def rivals(known: Priced, now: Action) -> Tensor:
    """The largest saving among the other users whom a server's QPU could take; -inf where there are none: (B, U, E)."""
    num_servers = known.cpu.shape[-1]
    here = present(now, num_servers)
    if now.asks is not None:
        here = here & now.asks.unsqueeze(-1)
    asks = torch.where(here & known.takes, known.cpu - known.qpu, NOBODY)
    if asks.shape[1] == 1:
        return torch.full_like(asks, NOBODY)
    top = asks.topk(2, dim=1)
    mine = torch.arange(asks.shape[1], device=asks.device)[:, None] == top.indices[:, :1]
    return torch.where(mine, top.values[:, 1:], top.values[:, :1])


def present(now: Action, num_servers: int) -> Tensor:
    """Who sends something where, bool (B, U, E)."""
    at = now.servers.unsqueeze(-1) == torch.arange(num_servers, device=now.servers.device)
    return at & (now.shares < 1.0).unsqueeze(-1)


def joined(known: Priced, rival: Tensor) -> Tensor:
    """What all pay more if a user comes where the best of the others would save ``rival``: (B, U, E)."""
    saving = known.cpu - known.qpu
    gained = torch.where(rival == NOBODY, saving, (saving - rival).clamp(min=0.0))
    return known.cpu - torch.where(known.takes, gained, 0.0)


def _settled(model: Model, slots: Slots, now: Action, kept: Tensor | None) -> Tensor:
    """Every choice of every user settled, the others being as they are."""
    num_slots, num_users, num_servers = slots.shape
    choices = 1 + num_servers
    if kept is None:
        kept = torch.zeros_like(slots.gain)
    own = torch.cat([torch.ones_like(kept[..., :1]), kept], dim=-1)  # (B, U, C)
    who = torch.eye(num_users, dtype=torch.bool, device=own.device)[:, None]  # (U, 1, U)
    where = torch.arange(choices, device=own.device).sub(1).clamp(min=0)[:, None]  # (C, 1)
    servers = torch.where(who, where, now.servers[:, None, None])  # (B, U, C, U)
    shares = torch.where(who, own.unsqueeze(-1), now.shares[:, None, None])
    action = Action(servers.reshape(-1, num_users), shares.reshape(-1, num_users))
    total = settle(model, slots.repeated(num_users * choices), action).cost.sum(-1)
    return total.reshape(num_slots, num_users, choices)

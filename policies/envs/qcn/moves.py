"""Who goes where, priced all at once: what each user pays at each place if so many go there, and steps of a descent.

Given how many a place serves, users no longer depend on each other, and each has a best share
(:func:`policies.envs.qcn.alone.priced`). So an action is an assignment of users to places, and its cost a sum over a
table. Every place is the one that does the work: who has to be forwarded gets to the last cloud over its best link.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from policies.envs.contract import Action
from policies.envs.qcn.alone import home_cost, priced
from policies.envs.qcn.batch import Slots, ways
from policies.envs.qcn.model import Model


@dataclass(frozen=True)
class Table:
    """Costs of everybody everywhere; B slots, U users, E places, M = U possible crowds.

    Attributes:
        home: of staying, (B, U).
        cost: of going to a place where m - 1 others go, at the best share, (B, U, E, M); infinite where it cannot work.
        share: that is kept then, (B, U, E, M).   via: the place to choose so as to get there, int64 (B, U, E, M).
    """

    home: Tensor
    cost: Tensor
    share: Tensor
    via: Tensor

    def priced(self, place: Tensor, counts: Tensor) -> Tensor:
        """What each user pays, (B, U).

        Args:
            place: of each user, int64 (B, U), -1 at home.   counts: users at each place, int64 (B, E).
        """
        at = place.clamp(min=0)
        crowd = counts.gather(1, at).clamp(min=1) - 1
        cost = self.cost.gather(2, _pairs(at, self.cost)).squeeze(2).gather(2, crowd.unsqueeze(-1)).squeeze(-1)
        return torch.where(place < 0, self.home, cost)

    def action(self, place: Tensor) -> Action:
        """The assignment with the best shares; int64 (B, U), -1 at home."""
        at = place.clamp(min=0)
        crowd = (counted(place, self.cost.shape[2]).gather(1, at).clamp(min=1) - 1).unsqueeze(-1)
        via, share = (
            values.gather(2, _pairs(at, values)).squeeze(2).gather(2, crowd).squeeze(-1)
            for values in (self.via, self.share)
        )
        return Action(torch.where(place < 0, 0, via), torch.where(place < 0, 1.0, share))


def _pairs(at: Tensor, values: Tensor) -> Tensor:
    return at[..., None, None].expand(-1, -1, 1, values.shape[-1])


def table(model: Model, slots: Slots) -> Table:
    """Prices of every slot."""
    _, num_users, num_servers = slots.shape
    way, device = ways(model, slots), slots.rate_bps.device
    crowd = torch.arange(1, num_users + 1, device=device).to(slots.rate_bps.dtype)
    known = priced(model, slots, crowd, way)
    places = torch.arange(num_servers, device=device)
    via = places[:, None].expand(known.cost.shape)
    own = torch.where((way.reached == places).unsqueeze(-1), known.cost, float("inf"))
    last, over = torch.where((way.reached == num_servers - 1).unsqueeze(-1), known.cost, float("inf")).min(2)
    share = known.share.gather(2, over.unsqueeze(2))
    return Table(
        home_cost(model, slots),
        torch.cat([own[:, :, :-1], last.unsqueeze(2)], dim=2),
        torch.cat([known.share[:, :, :-1], share], dim=2),
        torch.cat([via[:, :, :-1], over.unsqueeze(2)], dim=2),
    )


def counted(place: Tensor, num_servers: int) -> Tensor:
    """Users at each place, int64 (B, E); -1 is at home."""
    counts = torch.zeros(*place.shape[:-1], num_servers + 1, dtype=torch.long, device=place.device)
    return counts.scatter_add_(-1, place + 1, torch.ones_like(place))[..., 1:]


def best_move(known: Table, place: Tensor, user: int) -> Tensor:
    """The assignment after one user has gone where all pay least, the others staying where they are."""
    num_servers = known.cost.shape[2]
    without = place.clone()
    without[:, user] = -1
    counts = counted(without, num_servers)  # (B, E)
    now = counts.clamp(max=known.cost.shape[3] - 1)
    with_one = known.cost[:, user].gather(2, now.unsqueeze(-1)).squeeze(-1)  # (B, E)
    rise = torch.zeros_like(with_one)
    others = torch.arange(num_servers, device=place.device) == without.unsqueeze(-1)  # (B, U, E)
    index = now.unsqueeze(1).unsqueeze(-1).expand(-1, known.cost.shape[1], -1, 1)
    before = (now - 1).clamp(min=0).unsqueeze(1).unsqueeze(-1).expand_as(index)
    pushed = (known.cost.gather(3, index) - known.cost.gather(3, before)).squeeze(-1)
    rise = torch.where(others, pushed, 0.0).sum(1)
    cost, best = (with_one + rise).min(1)
    moved = place.clone()
    moved[:, user] = torch.where(cost < known.home[:, user], best, -1)
    return moved


def descended(known: Table, place: Tensor, sweeps: int = 50) -> Tensor:
    """User after user moves, until nobody gains or the sweeps are over."""
    for _ in range(sweeps):
        before = place
        for user in range(place.shape[1]):
            place = best_move(known, place, user)
        if torch.equal(before, place):
            break
    return place

"""What a user can work out by the model: what its task takes at every place if a given number of users go there."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from policies.envs.qcn.batch import Slots, Ways, local, ways
from policies.envs.qcn.model import Model


@dataclass(frozen=True)
class Priced:
    """The share that costs a user least at each place, and that cost; all of the shape (B, U, E) or (B, U, E, M).

    ``share``: 1 where staying at home is no dearer.   ``cost``: with it.
    """

    share: Tensor
    cost: Tensor


def home_cost(model: Model, slots: Slots) -> Tensor:
    """Of everything on the user's own processor, (B, U)."""
    local_s, local_j = local(model, slots)
    return slots.delay_weight * local_s / model.norm_s + slots.energy_weight * local_j / model.norm_j


def priced(model: Model, slots: Slots, crowd: Tensor | float = 1.0, way: Ways | None = None) -> Priced:
    """The best share at each place, given how many go there.

    The cost is convex and piecewise linear in the share: none, all, or as much as makes device and place end together.

    Args:
        crowd: users at the place, this one included; a number, or (M,) for results of (B, U, E, M).
        way: what :func:`policies.envs.qcn.batch.ways` says, if it is known.
    """
    way = ways(model, slots) if way is None else way
    more = 1 + (isinstance(crowd, Tensor) and crowd.ndim > 0)

    def of_user(values: Tensor) -> Tensor:
        return values[(..., *[None] * more)]

    def of_pair(values: Tensor) -> Tensor:
        return values.unsqueeze(-1) if more > 1 else values

    local_s, local_j = (of_user(whole) for whole in local(model, slots))
    delay, energy = of_user(slots.delay_weight) / model.norm_s, of_user(slots.energy_weight) / model.norm_j
    busy_s, wait_s = of_pair(way.busy_s) * crowd, of_pair(way.wait_s)
    remote_j = of_pair(way.run_j) + of_pair(way.upload_j) * crowd
    home = delay * local_s + energy * local_j
    share = ((busy_s + wait_s) / (busy_s + local_s)).clamp(max=1.0)
    together = delay * share * local_s + energy * (share * local_j + (1.0 - share) * remote_j)
    away = delay * (busy_s + wait_s) + energy * remote_j
    cost = torch.where(share < 1.0, together, home)
    share = torch.where(away < cost, 0.0, share)
    cost = torch.minimum(away, cost)
    return Priced(torch.where(home <= cost, 1.0, share), torch.minimum(home.expand_as(cost), cost))

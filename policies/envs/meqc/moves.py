"""One user's best answer to what the others do: a step of the greedy baseline, and of every descent."""

from __future__ import annotations

import torch
from torch import Tensor

from policies.envs.contract import Action
from policies.envs.meqc.batch import Slots, local, remote, settle
from policies.envs.meqc.model import Model


def best_move(model: Model, slots: Slots, now: Action, user: int) -> Action:
    """The server and share of one user that cost all users least, in every slot.

    Shares tried: none, all and, where device and server work at once, those with which the device ends together with
    the server's processor or with its QPU. In a linear model no other share can be best; elsewhere others may be.

    Args:
        now: what everybody does; all would have the QPU.   user: whose move it is.

    Returns:
        What everybody does after the move.
    """
    num_slots, _, num_servers = slots.shape
    kinds = 2 if model.overlap == "sum" else 4
    where = torch.arange(num_servers, device=now.servers.device).repeat_interleave(kinds)  # (C,)
    kept = _kept(model, slots, now, user, kinds)  # (B, C)
    candidates = len(where)
    servers, shares = (each.repeat_interleave(candidates, 0) for each in (now.servers, now.shares))
    servers[:, user], shares[:, user] = where.repeat(num_slots), kept.reshape(-1)
    cost = settle(model, slots.repeated(candidates), Action(servers, shares)).cost.sum(-1)
    best = torch.arange(num_slots, device=where.device) * candidates + cost.reshape(num_slots, candidates).argmin(1)
    return Action(servers[best], shares[best])


def _kept(model: Model, slots: Slots, now: Action, user: int, kinds: int) -> Tensor:
    """Shares to try, ``kinds`` for each server: (B, kinds E)."""
    num_slots, num_users, num_servers = slots.shape
    kept = [torch.zeros_like(slots.gain[:, user]), torch.ones_like(slots.gain[:, user])]
    if kinds > len(kept):
        device = slots.gain.device
        others = torch.arange(num_users, device=device) != user
        there, local_s = remote(model, slots), local(model, slots)[0][:, user, None]
        at = now.servers.unsqueeze(1) == torch.arange(num_servers, device=device)[:, None]  # (B, E, U)
        crowd = 1.0 + (at & (now.shares.unsqueeze(1) < 1) & others).sum(-1) if model.bandwidth == "shared" else 1.0
        for run_s in (there.cpu_s[:, user], there.qpu_s[:, user]):
            remote_s = there.upload_s[:, user] * crowd + run_s
            kept.append(remote_s / (remote_s + local_s))
    return torch.stack(kept, dim=-1).reshape(num_slots, -1)


def balanced(model: Model, slots: Slots, remote_s: Tensor, remote_j: Tensor) -> tuple[Tensor, Tensor]:
    """Share with which device and server end together, and the cost of the better of that and of sending everything.

    Args:
        remote_s, remote_j: of all of a task at a server, the way there included, (B, U, E).
    """
    local_s, local_j = (whole.unsqueeze(-1) for whole in local(model, slots))
    delay, energy = slots.delay_weight.unsqueeze(-1), slots.energy_weight.unsqueeze(-1)
    share = remote_s / (remote_s + local_s)
    together = delay * share * local_s + energy * (share * local_j + (1.0 - share) * remote_j)
    return share, torch.minimum(together, delay * remote_s + energy * remote_j)

"""What is compared with learned policies: rules that need no training, each with what it has to know.

Source: the QCN paper compares with "the random policy" alone; the others are ours.
"""

# ruff: noqa: ARG001 (all rules have one signature)
from __future__ import annotations

from typing import Any

import torch

from policies.envs.contract import Action, Rules
from policies.envs.qcn.alone import priced
from policies.envs.qcn.moves import best_move, table


def random(world: Any, chance: torch.Generator) -> Action:
    """Everybody sends a random share to a random place. Knows: nothing        [QCN, V]."""
    num_slots, num_users, num_servers = world.slots.shape
    shape, kind = (num_slots, num_users), world.slots.rate_bps.dtype
    servers = torch.randint(num_servers, shape, generator=chance, device=chance.device)
    return Action(servers, torch.rand(shape, generator=chance, dtype=kind, device=chance.device))


def stay_local(world: Any, chance: torch.Generator) -> Action:
    """Everybody does everything itself. Knows: nothing (ours)."""
    shares = torch.ones_like(world.slots.local_flops)
    return Action(torch.zeros_like(shares, dtype=torch.long), shares)


def best_edge(world: Any, chance: torch.Generator) -> Action:
    """Everybody sends everything to the edge node that it reaches fastest. Knows: its own rates (ours)."""
    slots = world.slots
    edges = slots.rate_bps.masked_fill((slots.is_cloud > 0).unsqueeze(1), -1.0)
    return Action(edges.argmax(-1), torch.zeros_like(slots.local_flops))


def all_cloud(world: Any, chance: torch.Generator) -> Action:
    """Everybody sends everything to the last cloud. Knows: nothing (ours)."""
    shares = torch.zeros_like(world.slots.local_flops)
    return Action(torch.full_like(shares, world.slots.shape[2] - 1, dtype=torch.long), shares)


def selfish(world: Any, chance: torch.Generator) -> Action:
    """What would be best for each if nobody else went anywhere. Knows: its own observation (ours)."""
    known = priced(world.setting.model, world.slots)
    servers = known.cost.argmin(-1)
    return Action(servers, known.share.gather(-1, servers.unsqueeze(-1)).squeeze(-1))


def greedy(world: Any, chance: torch.Generator) -> Action:
    """One user after the other goes where the cost of all so far rises least. Knows: everything (ours)."""
    known = table(world.setting.model, world.slots)
    place = torch.full(world.slots.shape[:2], -1, dtype=torch.long, device=world.slots.rate_bps.device)
    for user in range(place.shape[1]):
        place = best_move(known, place, user)
    return known.action(place)


RULES: Rules = {
    "random": random,
    "local": stay_local,
    "best_edge": best_edge,
    "all_cloud": all_cloud,
    "selfish": selfish,
    "greedy": greedy,
}
"""By name; those that know nothing or only their own observation come first."""

SIMPLE = ("local", "best_edge", "all_cloud")
"""The best of these is what learned policies are compared with as "best naive baseline", beside the random one."""

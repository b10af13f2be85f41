"""What is compared with learned policies: rules that need no training, each with what it has to know.

Sources: the MEQC paper (V.C) names local computing, random offloading, random edge partitioning and a "centralized
greedy" without defining the last; :func:`quantum_blind` and :func:`greedy` are the two readings of it (ours). Others
are ours: what users can do with their own observation (:func:`selfish`), and with rounds of bids (:func:`bidding`).
"""

# ruff: noqa: ARG001 (all rules have one signature)
from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from policies.envs.meqc.batch import Action, Slots, local, remote
from policies.envs.meqc.model import Model
from policies.envs.meqc.moves import best_move


@dataclass(frozen=True)
class Priced:
    """Costs of all of a task done in one way: ``local`` (B, U); ``cpu``, ``qpu``, ``takes`` (B, U, E).

    ``takes``: whether the server's QPU would take it if nobody came before.
    """

    local: Tensor
    cpu: Tensor
    qpu: Tensor
    takes: Tensor


def priced(model: Model, slots: Slots) -> Priced:
    """Of every pair, each alone on the channel."""
    there = remote(model, slots)
    delay, energy = slots.delay_weight, slots.energy_weight
    local_s, local_j = local(model, slots)
    delay_of, energy_of = delay.unsqueeze(-1), energy.unsqueeze(-1)
    cpu = delay_of * (there.upload_s + there.cpu_s) + energy_of * (there.upload_j + there.cpu_j)
    qpu = delay_of * (there.upload_s + there.qpu_s) + energy_of * (there.upload_j + there.qpu_j)
    takes = there.fits & (qpu < cpu) if model.qpu_use == "economic" else there.fits
    return Priced(delay * local_s + energy * local_j, cpu, qpu, takes)


def _nobody(slots: Slots) -> Tensor:
    return torch.zeros(slots.shape[:2], dtype=torch.long, device=slots.gain.device)


def _anywhere(slots: Slots, chance: torch.Generator) -> Tensor:
    num_slots, num_users, num_servers = slots.shape
    return torch.randint(num_servers, (num_slots, num_users), generator=chance, device=chance.device)


def stay_local(model: Model, slots: Slots, chance: torch.Generator) -> Action:
    """Everybody does everything itself. Knows: nothing.        [MEQC, V.C]."""
    return Action(_nobody(slots), torch.ones_like(slots.local_hz))


def random_offload(model: Model, slots: Slots, chance: torch.Generator) -> Action:
    """Everybody sends everything to a random server. Knows: nothing.        [MEQC, V.C]."""
    return Action(_anywhere(slots, chance), torch.zeros_like(slots.local_hz))


def random_partition(model: Model, slots: Slots, chance: torch.Generator) -> Action:
    """Everybody sends a random part to a random server. Knows: nothing.        [MEQC, V.C]."""
    shares = torch.rand(slots.shape[:2], generator=chance, dtype=slots.gain.dtype, device=chance.device)
    return Action(_anywhere(slots, chance), shares)


def best_channel(model: Model, slots: Slots, chance: torch.Generator) -> Action:
    """Everybody sends everything over its best channel. Knows: its own gains (ours)."""
    return Action(slots.gain.argmax(-1), torch.zeros_like(slots.local_hz))


def quantum_blind(model: Model, slots: Slots, chance: torch.Generator) -> Action:
    """Local or the cheapest processor, as if there were no QPUs. Knows: its own observation.

    One reading of "centralized greedy" (ours): the greedy schemes of classical edge computing.
    """
    known = priced(model, slots)
    cost, servers = known.cpu.min(-1)
    return Action(servers, (known.local <= cost).to(slots.gain.dtype))


def greedy(model: Model, slots: Slots, chance: torch.Generator) -> Action:
    """One user after the other takes what raises the cost of all so far least. Knows: everything.

    The other reading of "centralized greedy" (ours).
    """
    action = stay_local(model, slots, chance)
    for user in range(slots.shape[1]):
        action = best_move(model, slots, action, user)
    return action


def selfish(model: Model, slots: Slots, chance: torch.Generator) -> Action:
    """The cheapest of local, a processor that no QPU can force away, and a QPU that nobody else may want.

    Knows: its own observation (ours).
    """
    known = priced(model, slots)
    cost, servers = torch.where(known.takes, known.qpu, known.cpu).min(-1)
    return Action(servers, (known.local <= cost).to(slots.gain.dtype))


def bidding(model: Model, slots: Slots, chance: torch.Generator, *, rounds: int = 3) -> Action:
    """Rounds of sealed bids for the QPUs; who has none takes the cheapest way that is open to it.

    Who has none bids for the QPU where it gains most over the highest bid so far, and bids all that it would gain over
    what is open to it now; servers announce highest bids, who made them and what these users save. Knows: its own
    observation and what servers announced (ours). With so few rounds whole gains are better bids than those that leave
    as much as the second best would (Bertsekas, Annals of Operations Research 14, 1988).
    """
    known = priced(model, slots)
    num_slots, num_users, num_servers = slots.shape
    device = known.cpu.device
    users, places = torch.arange(num_users, device=device), torch.arange(num_servers, device=device)
    price = torch.zeros(num_slots, num_servers, dtype=known.cpu.dtype, device=device)
    holder = torch.full((num_slots, num_servers), -1, dtype=torch.long, device=device)
    for _ in range(rounds):
        holds = (holder.unsqueeze(1) == users[:, None]).any(-1)
        otherwise = torch.minimum(known.local, _open_cpu(model, known, holder).amin(-1))
        gain = torch.where(known.takes, otherwise.unsqueeze(-1) - known.qpu, float("-inf"))
        best, wanted = (gain - price.unsqueeze(1)).max(-1)
        bids = (wanted.unsqueeze(-1) == places) & ((best > 0) & ~holds).unsqueeze(-1)
        highest, winner = torch.where(bids, gain, float("-inf")).max(1)
        sold = highest > float("-inf")
        price, holder = torch.where(sold, highest, price), torch.where(sold, winner, holder)
    mine = holder.unsqueeze(1) == users[:, None]  # (B, U, E)
    way = torch.where(mine, known.qpu, _open_cpu(model, known, holder))
    cost, servers = torch.where(mine.any(-1, keepdim=True) & ~mine, float("inf"), way).min(-1)
    return Action(servers, (known.local <= cost).to(slots.gain.dtype))


def _open_cpu(model: Model, known: Priced, holder: Tensor) -> Tensor:
    """Costs of the processors that each user can have, infinite where a QPU would take it, (B, U, E).

    Args:
        holder: the user that has each QPU, or -1, (B, E); processors behind a holder are open to those it precedes.
    """
    if model.qpu_admission == "max_saving":
        saving = known.cpu - known.qpu
        behind = saving < saving.gather(1, holder.clamp(min=0).unsqueeze(1))
    else:
        behind = torch.arange(known.cpu.shape[1], device=holder.device)[:, None] > holder.unsqueeze(1)
    held = (holder >= 0).unsqueeze(1)
    return torch.where(~known.takes | (held & behind), known.cpu, float("inf"))


BASELINES: dict[str, Callable[[Model, Slots, torch.Generator], Action]] = {
    "local": stay_local,
    "random_offload": random_offload,
    "random_partition": random_partition,
    "best_channel": best_channel,
    "quantum_blind": quantum_blind,
    "greedy": greedy,
    "selfish": selfish,
    "bidding": bidding,
}
"""By name; those that know nothing or only their own observation come first."""

NAIVE = ("local", "random_offload", "random_partition", "best_channel")
"""The best of these is what learned policies are compared with as "best naive baseline"."""

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

from policies.envs.contract import Action
from policies.envs.meqc.batch import Slots, local, remote
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


@dataclass(frozen=True)
class Held:
    """What servers announce of their QPUs, (B, E) each.

    Attributes:
        by: the user who holds it, -1 for nobody.   worth: its place in eq. (13b)'s queue, the largest first.
        saving: what the holder would lose without it; 0 where there is none.
    """

    by: Tensor
    worth: Tensor
    saving: Tensor


def bidding(model: Model, slots: Slots, chance: torch.Generator, *, rounds: int = 3) -> Action:
    """Rounds of requests for the QPUs, after which everybody takes its cheapest way (ours).

    A round is one message from each user who wants a QPU and one announcement from each server. A user asks the server
    that would put it before the holder, if what it would pay there and what the holder would lose are less than its
    other ways; a server keeps whom eq. (13b) would admit until a better one comes, and announces whom and its saving
    (deferred acceptance: Gale and Shapley, American Mathematical Monthly 69, 1962). Who has none in the end acts by the
    last announcement: on a processor behind a holder, or on a QPU where it would come first. Knows: its own observation
    and what servers announced.
    """
    known = priced(model, slots)
    num_slots, num_users, num_servers = slots.shape
    saving, users = known.cpu - known.qpu, torch.arange(num_users, device=known.cpu.device)
    worth = saving if model.qpu_admission == "max_saving" else -users[:, None].expand_as(saving).to(saving.dtype)
    nothing = saving.new_zeros(num_slots, num_servers)
    held = Held(torch.full_like(nothing, -1, dtype=torch.long), nothing + float("-inf"), nothing)
    for _ in range(rounds):
        ahead, way = _ways(known, worth, held)
        cost, wanted = way.min(-1)
        at = (
            (wanted.unsqueeze(-1) == torch.arange(num_servers, device=saving.device))
            & ahead
            & (cost < known.local).unsqueeze(-1)
        )
        best, who = torch.where(at, worth, float("-inf")).max(1)
        new = best > held.worth
        its = saving.gather(1, who.unsqueeze(1)).squeeze(1)
        held = Held(*(torch.where(new, *each) for each in ((who, held.by), (best, held.worth), (its, held.saving))))
    cost, servers = _ways(known, worth, held)[1].min(-1)
    return Action(servers, (known.local <= cost).to(slots.gain.dtype))


def _ways(known: Priced, worth: Tensor, held: Held) -> tuple[Tensor, Tensor]:
    """Where users would come before the holder, and what every server would cost them and the holder: (B, U, E)."""
    mine = held.by.unsqueeze(1) == torch.arange(worth.shape[1], device=worth.device)[:, None]
    ahead = known.takes & (worth > held.worth.unsqueeze(1))
    way = torch.where(ahead, known.qpu + held.saving.unsqueeze(1), known.cpu)
    stays = torch.where(mine.any(-1, keepdim=True), float("inf"), way)  # who holds one, asks nobody else
    return ahead, torch.where(mine, known.qpu, stays)


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

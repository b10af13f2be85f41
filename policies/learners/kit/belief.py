"""What users of ``MEQC-v2`` can know of QPUs whose quality nobody sees: a filter over what became of their own tasks.

Source: ours; the forward pass of a hidden Markov model (Rabiner, Proceedings of the IEEE 77, 1989), exact but for its
grid. The hidden state of a server is the logarithm of its decay time, an AR(1) process that the setting describes; the
grid is ``NUM_GRADES`` values as likely as each other in the long run. A task that a QPU took tells that the QPU was
good enough for it, a task that a free QPU left alone that it was not; one that lost to another task tells nothing.

With ``memory = "shared"`` servers announce after each slot which tasks they took and left, so that all know what each
would have learned alone: one message a server. Without memory QPUs are as good as in the long run.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from policies.envs.contract import Action, Observation
from policies.envs.meqc.baselines import priced
from policies.envs.meqc.batch import Slots
from policies.envs.meqc.sequential import SequentialSetting

MEMORIES = ("none", "own", "shared")
"""What is remembered: nothing, what became of one's own tasks, or of everybody's."""

NUM_GRADES = 8
"""Values of a QPU's quality that are told apart (ours)."""

LEAST_CHANCE = 1e-6
"""No grade is ruled out: the grid is coarser than what drifts (ours)."""


@dataclass(frozen=True)
class Memory:
    """What is kept from slot to slot.

    Attributes:
        belief: chance of each grade of each server, (B, U, E, G); (B, 1, E, G) where it is shared.
        asked: who asked for a QPU, bool (B, U).   servers: whose, int64 (B, U).
        enough: with which grades it would have taken the task, (B, U, G).
    """

    belief: Tensor
    asked: Tensor
    servers: Tensor
    enough: Tensor


def _normal() -> torch.distributions.Normal:
    return torch.distributions.Normal(torch.tensor(0.0, dtype=torch.float64), torch.tensor(1.0, dtype=torch.float64))


def grades() -> Tensor:
    """ln(decay time / its mean) over its standard deviation, from worst to best, (G,)."""
    middle = (torch.arange(NUM_GRADES, dtype=torch.float64) + 0.5) / NUM_GRADES
    return _normal().icdf(middle)


def transition(drift_memory: float) -> Tensor:
    """Chance to go from one grade to another in a slot, (G, G)."""
    normal = _normal()
    edges = normal.icdf(torch.arange(1, NUM_GRADES, dtype=torch.float64) / NUM_GRADES)
    step = math.sqrt(1.0 - drift_memory**2)
    below = normal.cdf((edges - drift_memory * grades().unsqueeze(-1)) / step)
    ends = torch.zeros(NUM_GRADES, 1, dtype=torch.float64)
    return torch.diff(torch.cat([ends, below, ends + 1.0], dim=-1))


def enough(setting: SequentialSetting, slots: Slots) -> Tensor:
    """With which grades a free QPU would take which task, (B, U, E, G) of 0 and 1."""
    num_slots, num_users, num_servers = slots.shape
    ratio = torch.exp(-setting.drift_spread * grades()).to(slots.gain)
    each = replace(  # a server of every grade in the place of each server
        slots,
        gain=slots.gain.repeat_interleave(NUM_GRADES, -1),
        level=slots.level.repeat_interleave(NUM_GRADES, -1),
        qubits=slots.qubits.repeat_interleave(NUM_GRADES, -1),
        ready=None,
        error_ratio=ratio.repeat(num_servers).expand(num_slots, -1),
    )
    takes = priced(setting.model, each).takes
    return takes.view(num_slots, num_users, num_servers, NUM_GRADES).to(slots.gain.dtype)


def unknown(shape: tuple[int, int, int]) -> Tensor:
    """The belief of who knows nothing: every grade is as likely, (B, U, E, G)."""
    return torch.full((*shape, NUM_GRADES), 1.0 / NUM_GRADES)


def kept(belief: Tensor, action: Action, good: Tensor) -> Memory:
    """What is remembered of a slot: ``good`` of :func:`enough`, for the server that was asked."""
    assert action.asks is not None
    at = action.servers[..., None, None].expand(-1, -1, 1, NUM_GRADES)
    return Memory(belief, action.asks, action.servers, good.gather(2, at).squeeze(2))


def recalled(setting: SequentialSetting, memory: Memory, seen: Observation) -> Tensor:
    """The belief a slot later, after what is seen of the one before."""
    held = (seen.pair[:, 0, :, 3] * setting.hold_slots).round().gather(1, memory.servers)
    busy = held >= setting.hold_slots - 1  # somebody's task was taken; who holds a QPU for one slot only is not seen
    now = informed(memory, seen.user[..., 11] > 0.5, busy)
    later: Tensor = now @ transition(setting.drift_memory).to(now)
    return later.clamp(min=LEAST_CHANCE)


def informed(memory: Memory, taken: Tensor, busy: Tensor) -> Tensor:
    """The belief after what became of tasks: whether the QPU took it, and whether it took anybody's, bool (B, U)."""
    took, left_alone = ((memory.asked & each).unsqueeze(-1) for each in (taken, ~taken & ~busy))
    likely = torch.where(took, memory.enough, torch.where(left_alone, 1.0 - memory.enough, 1.0))
    told = torch.log(likely.clamp(min=LEAST_CHANCE))
    at = memory.servers.unsqueeze(-1)
    if memory.belief.shape[1] == 1:
        news = torch.zeros_like(memory.belief[:, 0]).scatter_add(1, at.expand_as(told), told).unsqueeze(1)
    else:
        here = at == torch.arange(memory.belief.shape[2], device=at.device)
        news = here.unsqueeze(-1) * told.unsqueeze(2)
    return torch.softmax(memory.belief.log() + news, dim=-1)

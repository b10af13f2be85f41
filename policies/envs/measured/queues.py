"""Workers' queues, thousands side by side: who waits behind whom, and what a placement costs those who wait.

A lane serves its parts in order of rank, the one in service first, ``slots`` times as fast as one slot would (as
``orchestrator.placement.Backlog`` has it). What a part waits behind those before it, and what it makes those behind it
wait, is added up when it is placed; what comes later and overtakes it adds its own. So every second of waiting is
counted once, at whose placement causes it, and the sums are exact.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

DONE_S = 1e-9
"""Less work than this is none."""


@dataclass(frozen=True)
class Added:
    """What parts added: their own wait and work, seconds, and the cost of the others' waiting.   (B,)."""

    wait_s: Tensor
    work_s: Tensor
    delayed: Tensor


class Queues:
    """Lanes of many worlds; entries of a lane stand in the order of service, (B, L, Q).

    Attributes:
        left_s: work that is really left.   told_s: work that is expected to be left.
        weight: cost of a second of waiting.   rank: smaller is served first.

    Args:
        slowed: ln of the factor by which a part on a lane takes longer for each other lane that is busy when it begins,
            (L, L); nothing on its diagonal. What is placed later slows nobody who is there.
    """

    def __init__(
        self, num_worlds: int, slots: Tensor, longest: int, dtype: torch.dtype, slowed: Tensor | None = None
    ) -> None:
        self.slots = slots.to(dtype)
        self.slowed = torch.zeros(len(slots), len(slots), dtype=dtype) if slowed is None else slowed.to(dtype)
        shape = (num_worlds, len(slots), longest)
        self.left_s, self.told_s, self.weight, self.rank = (torch.zeros(shape, dtype=dtype) for _ in range(4))
        self._order = torch.arange(longest)

    def waits_s(self) -> Tensor:
        """Expected waiting time of what is placed on each lane now, as a backlog says it, (B, L)."""
        return self.told_s.sum(-1) / self.slots

    def beside(self, lanes: Tensor, rank: Tensor) -> tuple[Tensor, Tensor]:
        """What parts of such ranks would be between on such lanes, (E,) and (B, U, E): nothing is placed.

        Returns:
            How long each would wait for those before it, as a backlog says it, seconds, and what a second of waiting
            costs those behind it; (B, U, E).
        """
        left_s, told_s, held_rank, weight = (
            each[:, lanes].unsqueeze(1) for each in (self.left_s, self.told_s, self.rank, self.weight)
        )
        taken = left_s > 0.0
        first = taken & ((held_rank <= rank.unsqueeze(-1)) | (self._order == 0))
        return (told_s * first).sum(-1) / self.slots[lanes], (weight * (taken & ~first)).sum(-1)

    def pass_by(self, gone_s: Tensor) -> None:
        """So many seconds pass in each world, (B,)."""
        can_s = gone_s[:, None, None] * self.slots[:, None]
        before_s = self.left_s.cumsum(-1) - self.left_s
        drained_s = torch.minimum((can_s - before_s).clamp(min=0.0), self.left_s)
        left_s = self.left_s - drained_s
        there = left_s > DONE_S
        ends = (self.left_s > 0.0) & ~there
        told_s = torch.where(there, (self.told_s - drained_s).clamp(min=0.0), 0.0)
        places = self._order + ends.sum(-1, keepdim=True)  # those that ended were the first
        inside = places < len(self._order)
        places = places.clamp(max=len(self._order) - 1)

        def moved(held: Tensor) -> Tensor:
            return torch.where(inside, held.gather(-1, places), 0.0)

        self.left_s, self.told_s = moved(torch.where(there, left_s, 0.0)), moved(told_s)
        self.weight, self.rank = moved(self.weight), moved(self.rank)

    def place(
        self,
        lanes: Tensor,
        rank: Tensor,
        weight: Tensor,
        work_s: Tensor,
        told_s: Tensor,
        worlds: Tensor | None = None,
    ) -> Added:
        """One more part in each world, or in some, ``work_s`` if no other lane is busy; all (B,).

        A full lane takes it together with its last.
        """
        worlds = torch.arange(len(lanes)) if worlds is None else worlds
        left_s, held_rank, held_weight = (each[worlds, lanes] for each in (self.left_s, self.rank, self.weight))
        slots = self.slots[lanes]
        taken = left_s > 0.0
        first = taken & ((held_rank <= rank[:, None]) | (self._order == 0))  # who runs is not overtaken
        wait_s = (left_s * first).sum(-1) / slots
        busy = self.left_s[worlds].sum(-1) / self.slots > wait_s[:, None]
        work_s = work_s * torch.exp((self.slowed[lanes] * busy).sum(-1))
        behind = (held_weight * (taken & ~first)).sum(-1)
        at = first.sum(-1).clamp(max=len(self._order) - 1)
        for held, value in ((self.left_s, work_s), (self.told_s, told_s), (self.weight, weight), (self.rank, rank)):
            self._insert(held, worlds, lanes, at, value, adds=held is not self.rank)
        return Added(wait_s, work_s, behind * work_s / slots)

    def _insert(self, held: Tensor, worlds: Tensor, lanes: Tensor, at: Tensor, value: Tensor, *, adds: bool) -> None:
        row = held[worlds, lanes]
        back = row.gather(-1, (self._order - 1).clamp(min=0).expand_as(row))
        new = torch.where(self._order < at[:, None], row, torch.where(self._order == at[:, None], value[:, None], back))
        if adds:
            new[:, -1] += row[:, -1]  # what is pushed out joins the new last
        held[worlds, lanes] = new

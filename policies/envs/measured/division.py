"""What dividing a job between places comes to: what each part pays in full, and what grows with its share.

Source: ours. Of a job that may be divided, estimates are known of all of it and of one item, or shot; what k of them
take lies on the straight line through the two, as :mod:`policies.split` has it. Written once, for the twin and the live
trip.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from orchestrator.placement import figures
from policies.envs.contract import Observation
from policies.table import Array, Table

MOST = 1e30
"""Figures are cut off here, as those of a twin are."""

NUM_PARTS = 2
"""Pair features that tell of dividing: see :func:`divided`."""


@dataclass(frozen=True)
class Figures:
    """Of parts on their places, all of one shape."""

    elapsed_s: Tensor
    service_s: Tensor
    energy_j: Tensor
    cost_usd: Tensor


@dataclass(frozen=True)
class Division:
    """How jobs (R) may be divided between places (E); float32.

    Attributes:
        amount: items or shots; 1 of a job that may not be divided, (R,).
        first: of one of them elapsed_s, service_s, energy_j, cost_usd, by each job's caution, (R, E, 4).
        merge_s: how much later than its last part a divided job ends, ().
    """

    amount: Tensor
    first: Tensor
    merge_s: Tensor

    @staticmethod
    def of(table: Table, merge_s: float = 0.0) -> Division | None:
        """What requests say of it; None if none of them may be divided."""
        requests, width = table.requests, len(table.backends)
        amounts = [one.amount if one.spec.max_parts > 1 else 1 for one in requests]
        if max(amounts) == 1:
            return None
        first = np.zeros((len(requests), width, 4))
        for number, candidate in enumerate(table.candidates):
            row, column = divmod(number, width)
            one = candidate.one_shot or candidate.estimate
            found = figures(one, requests[row].spec.objective.caution)
            first[row, column] = found.elapsed_s, one.service_s, found.energy_j, found.cost_usd
        first = np.clip(np.nan_to_num(first, nan=MOST, posinf=MOST), 0.0, MOST)
        told = (np.array(amounts), np.where(table.feasible[..., None], first, 0.0), np.array(merge_s))
        return Division(*(torch.from_numpy(each.astype(np.float32)) for each in told))

    def taking(self, rows: Tensor, places: Tensor) -> Division:
        """Of some jobs and places alone."""
        return Division(self.amount[rows], self.first[rows][:, places], self.merge_s)

    def held(self) -> dict[str, Tensor]:
        """As a file has it."""
        return {name: getattr(self, name).contiguous() for name in HELD}

    @staticmethod
    def read(held: Mapping[str, Tensor]) -> Division | None:
        """Of a file; None where there is nothing of it."""
        return Division(*(held[name] for name in HELD)) if HELD[0] in held else None


HELD = ("amount", "first", "merge_s")


def part_of(whole: Tensor, first: Tensor, amount: Tensor, num: Tensor | float) -> Tensor:
    """What ``num`` of ``amount`` items take, on the line through one and all of them; all of them as they were told."""
    slope = (whole - first).clamp(min=0.0) / (amount - 1.0).clamp(min=1.0)
    return whole - slope * (amount - num)


def fixed_of(whole: Figures, first: Figures, amount: Tensor, per_j: Tensor, per_usd: Tensor, rest: Tensor) -> Tensor:
    """Which share of the elapsed time and of everything else that a job costs each part pays in full, (…, E, 2).

    Args:
        amount, per_j, per_usd: of jobs, costs of a joule and a dollar, (…, 1).   rest: cost of all but time, (…, E).
    """

    def fixed(name: str) -> Tensor:
        return part_of(getattr(whole, name), getattr(first, name), amount, 0.0).clamp(min=0.0)

    fees = per_j * fixed("energy_j") + per_usd * fixed("cost_usd")
    shares = (fixed("elapsed_s") / whole.elapsed_s.clamp(min=1e-12), fees / rest.clamp(min=1e-12))
    known = torch.stack([each.clamp(0.0, 1.0) for each in shares], dim=-1)
    return torch.where((amount > 1.5).unsqueeze(-1), known, 1.0)


def fixed_in(table: Table) -> Tensor:
    """The same of a batch on each place, (1, U, E, 2)."""
    found = Division.of(table)
    if found is None:
        return torch.ones(1, *table.feasible.shape, NUM_PARTS)

    def seen(figure: Array) -> Tensor:
        return torch.from_numpy(np.where(table.feasible, figure, 0.0)).float().unsqueeze(0)

    whole = Figures(
        seen(table.elapsed_s), seen(table.service_s), seen(table.figure("energy_j")), seen(table.figure("cost_usd"))
    )
    per_j, per_usd = (
        torch.from_numpy(table.weights(name) / scale).float().unsqueeze(0)
        for name, scale in (("energy", table.scales.energy_j), ("price", table.scales.price_usd))
    )
    first = Figures(*found.first.unsqueeze(0).unbind(-1))
    return fixed_of(whole, first, found.amount[None, :, None], per_j, per_usd, seen(table.rest))


def divided(seen: Observation, fixed: Tensor) -> Observation:
    """An observation with :func:`fixed_of` behind its pair features; 0 where a job may not go."""
    return Observation(seen.user, torch.cat([seen.pair, torch.where(seen.pair[..., :1] > 0.5, fixed, 0.0)], dim=-1))

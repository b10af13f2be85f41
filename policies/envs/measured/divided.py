"""``Measured-v2``: ``Measured-v1`` in which a job may be divided between two places, by the share that an action keeps.

Source: ours. A job that may be divided goes to the place that was chosen, and the share phi of its items to the place
that is expected to cost it least beside that one, as a live job does (:func:`policies.split.parted`): with two
candidates, such as the classical algorithm and a QPU, that is the choice of a destination and of phi. Each part pays
its own fixed costs, waits in its own queue, and is off its estimate as a whole job there would be. The job ends with
the later part and what joining them takes, energy and price add up, and its fidelity is the mean over the items. Shares
are rounded to whole items; none is a whole job, all is one at the second place.

The others' waiting is counted as in ``Measured-v1`` but for one thing: of a divided job it is counted on the part that
was expected to end last, since the other one does not hold the job up.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, ClassVar

import torch
from torch import Tensor

from circuits.errors import InvalidParameter
from circuits.parameters import integer, text
from policies.envs.contract import Action, Observation, Step
from policies.envs.measured.division import NUM_PARTS, Division, Figures, divided, fixed_of, part_of
from policies.envs.measured.observation import NUM_PAIR, NUM_USER
from policies.envs.measured.twin import DIVIDED
from policies.envs.measured.world import MeasuredSetting, Ran, World


@dataclass(frozen=True)
class DividedSetting(MeasuredSetting):
    """Of a world whose jobs may be divided; fields as in :class:`~policies.envs.measured.world.MeasuredSetting`."""

    servers: int = integer(7, low=2, high=1000, doc="backends")
    source: str = text(DIVIDED, longest=4096, doc="file of the twin, or divided for the built-in one")


class DividedWorld(World):
    """B worlds at once, in step; see :class:`~policies.envs.measured.world.World`.

    Raises:
        InvalidParameter: no job of the twin may be divided.
    """

    setting_type: ClassVar[type[DividedSetting]] = DividedSetting
    num_features: ClassVar[tuple[int, int]] = (NUM_USER, NUM_PAIR + NUM_PARTS)

    @property
    def division(self) -> Division:
        """How jobs of the twin may be divided."""
        found = self.twin.division
        if found is None:
            raise InvalidParameter(
                f"source: wanted a twin of jobs that may be divided, got {self.setting.source!r}, which has none: "
                "submit some with max_parts above 1 there first"
            )
        return found

    def _begin(self) -> None:
        _ = self.division
        super()._begin()

    def observe(self) -> Observation:
        """What the agents see now: as in ``Measured-v1``, and of each place what a part there pays in full."""
        rows, twin, parts = self._jobs.rows, self.twin, self.division
        weights = (twin.weights[rows] / self._scale).unsqueeze(-2).unbind(-1)
        whole = Figures(twin.elapsed_s[rows], twin.service_s[rows], twin.energy_j[rows], twin.cost_usd[rows])
        one = Figures(*parts.first[rows].unbind(-1))
        rest = weights[1] * whole.energy_j + weights[2] * (1.0 - twin.fidelity[rows]) + weights[3] * whole.cost_usd
        fixed = fixed_of(whole, one, parts.amount[rows].unsqueeze(-1), weights[1], weights[3], rest)
        return divided(super().observe(), self._all(fixed))

    def step(self, action: Action) -> Step:
        """Place the jobs, in order, and go on to the next.

        Raises:
            InvalidParameter: the action asks for QPUs.
        """
        self._shares = action.shares
        return super().step(action)

    def _place(self, user: int, chosen: Tensor) -> tuple[Tensor, ...]:
        """One job of each world, as a whole or in two parts, and what comes of it."""
        rows, amount = self._all(self._jobs.rows[:, user]), self.division.amount
        weights = (self.twin.weights[rows] / self._scale).unbind(-1)
        at = self._allowed(rows, chosen)
        second = self._second(rows, at, weights)
        items = torch.where(second == at, 0.0, (self._shares[:, user] * amount[rows]).round())
        items = torch.where(amount[rows] > 1.5, items, 0.0)
        everything = items == amount[rows]
        at, items = torch.where(everything, second, at), torch.where(everything, 0.0, items)
        told = self._told_of(rows, at, amount[rows] - items)
        there = (items > 0.0).nonzero().squeeze(-1)
        if not len(there):
            return self._paid(weights, self._run(user, at, told, weights[0]))
        beside = self._told_of(rows[there], second[there], items[there])
        waits_s = self.queues.waits_s()
        ends_s = waits_s[there, self._lane[at[there]]] + told.elapsed_s[there]
        later = waits_s[there, self._lane[second[there]]] + beside.elapsed_s > ends_s
        weight = weights[0].index_put((there,), torch.where(later, 0.0, weights[0][there]))
        first = self._run(user, at, told, weight)
        other = self._run(user, second[there], beside, torch.where(later, weights[0][there], 0.0), there)
        return self._paid(weights, self._joined(first, other, there, items[there] / amount[rows[there]]))

    def _second(self, rows: Tensor, at: Tensor, weights: Sequence[Tensor]) -> Tensor:
        """Where else each job is expected to cost least now; where it may go nowhere else, the same place, (B,)."""
        twin = self.twin
        may = twin.feasible[rows] & self._all(self._open)
        may = may & (torch.arange(may.shape[1]) != at.unsqueeze(-1))
        per = [weight.unsqueeze(-1) for weight in weights]
        waits_s = self.queues.waits_s()[:, self._lane]
        cost = per[0] * (waits_s + twin.elapsed_s[rows]) + per[1] * twin.energy_j[rows]
        cost = cost + per[2] * (1.0 - twin.fidelity[rows]) + per[3] * twin.cost_usd[rows]
        return torch.where(may.any(-1), torch.where(may, cost, torch.inf).argmin(-1), at)

    def _told_of(self, rows: Tensor, at: Tensor, num: Tensor) -> Figures:
        """What so many items are told to take there."""
        whole, amount = self._told(rows, at), self.division.amount[rows]
        first = self.division.first[rows, at].unbind(-1)
        names = [item.name for item in fields(Figures)]
        return Figures(
            *(part_of(getattr(whole, name), one, amount, num) for name, one in zip(names, first, strict=True))
        )

    def _joined(self, first: Ran, other: Ran, there: Tensor, share: Tensor) -> Ran:
        """Both parts as one job; ``share``: of the other one."""

        def both(name: str, of: Any) -> Tensor:
            whole = getattr(first, name)
            return whole.index_put((there,), of(whole[there], getattr(other, name)))

        return Ran(
            latency_s=both("latency_s", lambda one, two: torch.maximum(one, two) + self.division.merge_s),
            fidelity=both("fidelity", lambda one, two: (1.0 - share) * one + share * two),
            energy_j=both("energy_j", torch.add),
            cost_usd=both("cost_usd", torch.add),
            delayed=both("delayed", torch.add),
        )

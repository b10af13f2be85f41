"""The baselines: what every learned policy is compared with. All see only feasible candidates.

Each serves the batch in order of rank and books what it places on its copy of the backlog, so that a burst spreads.
None keeps a state: what varies from job to job comes from the job's number and seed, so a decision can be taken again.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence

import numpy as np

from orchestrator.placement import Backlog, Candidate, Choice, Request, Scales, figures
from policies.table import Array, Booking, Table

FEW = 8
"""Batches of fewer jobs are decided one by one (ours, measured): arrays cost more than they save there."""


class OneByOne(ABC):
    """A policy that picks one backend for each job in turn; a subclass says which."""

    @abstractmethod
    def pick(self, request: Request, backlog: Backlog, scales: Scales) -> Candidate:
        """The backend for this job, given the work booked so far."""

    def place(self, requests: Sequence[Request], backlog: Backlog, scales: Scales) -> list[Choice]:
        """See :class:`orchestrator.placement.Policy`."""
        chosen: dict[str, Choice] = {}
        for request in sorted(requests, key=lambda request: (request.rank, request.seq)):
            candidate = self.pick(request, backlog, scales)
            backlog.add(candidate.backend, candidate.estimate.service_s)
            chosen[request.job_id] = {candidate.backend: 1.0}
        return [chosen[request.job_id] for request in requests]


class ByTable(OneByOne):
    """One whose rule is written a second time for arrays, for batches that are not small. Both choose the same."""

    @abstractmethod
    def column(self, table: Table, row: int, waits_s: Array) -> int:
        """What :meth:`pick` picks, as a column of the table."""

    def place(self, requests: Sequence[Request], backlog: Backlog, scales: Scales) -> list[Choice]:
        """See :class:`orchestrator.placement.Policy`."""
        if len(requests) < FEW:
            return super().place(requests, backlog, scales)
        return self.decide(Table.of(requests, scales), backlog)

    def decide(self, table: Table, backlog: Backlog) -> list[Choice]:
        """Place a batch whose estimates stand in arrays already."""
        booking, service_s = Booking(table.backends, backlog), table.service_s
        choices: list[Choice] = [{}] * len(table.requests)
        for row in table.order:
            column = self.column(table, row, booking.waits_s)
            booking.add(column, service_s.item(row, column))
            choices[row] = {table.backends[column]: 1.0}
        return choices


class Random(OneByOne):
    """Any feasible backend with equal chance, drawn from the job's own seed."""

    def pick(self, request: Request, backlog: Backlog, scales: Scales) -> Candidate:
        generator = np.random.default_rng((request.spec.seed, request.seq))
        return request.feasible[int(generator.integers(len(request.feasible)))]

    def chances(self, requests: Sequence[Request], backlog: Backlog, scales: Scales) -> list[Mapping[str, float]]:
        """See :class:`orchestrator.placement.Chancy`."""
        return [dict.fromkeys(names, 1.0 / len(names)) for names in map(_names, requests)]


class RoundRobin(OneByOne):
    """The feasible backends in turn, by the job's number."""

    def pick(self, request: Request, backlog: Backlog, scales: Scales) -> Candidate:
        return request.feasible[request.seq % len(request.feasible)]


class ShortestQueue(OneByOne):
    """The feasible backend with the least work in front of it; among equals, in turn."""

    def pick(self, request: Request, backlog: Backlog, scales: Scales) -> Candidate:
        waits = {
            candidate.backend: backlog.wait_s(candidate.backend) + (candidate.estimate.queue_s or 0.0)
            for candidate in request.feasible
        }
        equals = [candidate for candidate in request.feasible if waits[candidate.backend] == min(waits.values())]
        return equals[request.seq % len(equals)]


class Greedy(ByTable):
    """The lowest expected cost of this job, waiting included, whatever that does to the others."""

    def pick(self, request: Request, backlog: Backlog, scales: Scales) -> Candidate:
        def expected(candidate: Candidate) -> tuple[float, str]:
            return request.cost(candidate, scales, backlog.wait_s(candidate.backend)), candidate.backend

        return min(request.feasible, key=expected)

    def column(self, table: Table, row: int, waits_s: Array) -> int:
        return int(table.costs(row, waits_s).argmin())


class EarliestFinish(ByTable):
    """The earliest expected end, waiting plus service; among equals the cheapest by the job's own objective."""

    def pick(self, request: Request, backlog: Backlog, scales: Scales) -> Candidate:
        feasible, caution = request.feasible, request.spec.objective.caution
        ends_s = [backlog.wait_s(one.backend) + figures(one.estimate, caution).elapsed_s for one in feasible]
        earliest_s = min(ends_s)
        equals = [candidate for candidate, end_s in zip(feasible, ends_s, strict=True) if end_s == earliest_s]
        if len(equals) == 1:
            return equals[0]

        def expected(candidate: Candidate) -> tuple[float, str]:
            return request.cost(candidate, scales, backlog.wait_s(candidate.backend)), candidate.backend

        return min(equals, key=expected)

    def column(self, table: Table, row: int, waits_s: Array) -> int:
        ends_s = waits_s + table.ends_s[row]
        earliest = int(ends_s.argmin())
        equals = ends_s == ends_s[earliest]
        if np.count_nonzero(equals) == 1:
            return earliest
        return int(np.where(equals, table.costs(row, waits_s), np.inf).argmin())


class BestFidelity(OneByOne):
    """First come, first served by the device with the highest expected fidelity; among equals the earliest end."""

    def pick(self, request: Request, backlog: Backlog, scales: Scales) -> Candidate:
        def merit(candidate: Candidate) -> tuple[float, float, str]:
            estimate = candidate.estimate
            return -estimate.fidelity, backlog.wait_s(candidate.backend) + estimate.elapsed_s, candidate.backend

        return min(request.feasible, key=merit)


def _names(request: Request) -> list[str]:
    return [candidate.backend for candidate in request.feasible]

"""The baselines: what every learned policy is compared with. All see only feasible candidates.

Each serves the batch in order of rank and books what it places on its copy of the backlog, so that a burst spreads.
None keeps a state: what varies from job to job comes from the job's number and seed, so a decision can be taken again.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence

import numpy as np

from orchestrator.placement import Backlog, Candidate, Choice, Request, Scales


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


class Random(OneByOne):
    """Any feasible backend with equal chance, drawn from the job's own seed."""

    def pick(self, request: Request, backlog: Backlog, scales: Scales) -> Candidate:
        generator = np.random.default_rng((request.spec.seed, request.seq))
        return request.feasible[int(generator.integers(len(request.feasible)))]

    def chances(self, requests: Sequence[Request], backlog: Backlog, scales: Scales) -> list[Mapping[str, float]]:
        """With which probability each job would go to each backend, before its seed is looked at."""
        return [{one.backend: 1.0 / len(asked.feasible) for one in asked.feasible} for asked in requests]


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


class Greedy(OneByOne):
    """The lowest expected cost of this job, waiting included, whatever that does to the others."""

    def pick(self, request: Request, backlog: Backlog, scales: Scales) -> Candidate:
        def expected(candidate: Candidate) -> tuple[float, str]:
            return request.cost(candidate, scales, backlog.wait_s(candidate.backend)), candidate.backend

        return min(request.feasible, key=expected)


class EarliestFinish(OneByOne):
    """The earliest expected end, waiting plus service; among equals the cheapest by the job's own objective."""

    def pick(self, request: Request, backlog: Backlog, scales: Scales) -> Candidate:
        feasible = request.feasible
        ends_s = [backlog.wait_s(candidate.backend) + candidate.estimate.elapsed_s for candidate in feasible]
        earliest_s = min(ends_s)
        equals = [candidate for candidate, end_s in zip(feasible, ends_s, strict=True) if end_s == earliest_s]
        if len(equals) == 1:
            return equals[0]

        def expected(candidate: Candidate) -> tuple[float, str]:
            return request.cost(candidate, scales, backlog.wait_s(candidate.backend)), candidate.backend

        return min(equals, key=expected)


class BestFidelity(OneByOne):
    """First come, first served by the device with the highest expected fidelity; among equals the earliest end."""

    def pick(self, request: Request, backlog: Backlog, scales: Scales) -> Candidate:
        def merit(candidate: Candidate) -> tuple[float, float, str]:
            estimate = candidate.estimate
            return -estimate.fidelity, backlog.wait_s(candidate.backend) + estimate.elapsed_s, candidate.backend

        return min(request.feasible, key=merit)

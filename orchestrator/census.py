"""Figures about everything in the store, for monitoring. They tell of no single job.

Counts of rare events are kept in the store, written in the transaction of the event itself, so that they hold for all
processes and survive each of them. What happens to every job is not counted there: one row that all have to change
would make them wait for each other. It is counted where it rests, or read from the logs of measurements and decisions.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from orchestrator.job import Assignment, AssignmentState

INCIDENTS = {
    "retries": "Attempts that failed and are made again on the same backend.",
    "replacements": "Assignments whose shots are placed elsewhere: they failed, or nobody serves their backend.",
    "expired_leases": "Attempts whose worker went silent.",
    "stale_writes": "Results that were refused, since the attempt was no longer their worker's.",
    "policy_fallbacks": "Batches that a policy did not decide as it would have, or not all of them.",
    "batches_apart": "Batches that ended early, so that the rest was run one by one.",
}
"""Kinds of rare events that are counted, and what each is."""

LABELS = {"policy_fallbacks": "reason"}
"""What they are counted by, where that is not the backend: reasons are those of ``placement.FALLBACKS``."""

PRUNED = "pruned"
"""Kind under which jobs that were removed are counted by state, so that what has ended never gets less."""


@dataclass(frozen=True)
class Presence:
    """A worker on the roll.

    Attributes:
        silent_s: since it was last heard of.   backends: that it serves.
    """

    worker: str
    slots: int
    silent_s: float
    backends: tuple[str, ...]


@dataclass(frozen=True)
class Queue:
    """What waits for a backend, runs there or is with its provider.

    Attributes:
        state: "waiting", "running" or "sent".   service_s: expected, summed.
    """

    backend: str
    state: str
    number: int
    service_s: float


@dataclass(frozen=True)
class Census:
    """How things stand at one moment.

    Attributes:
        jobs: number by state, of those that are there.   pruned: of those that ended and were removed.
        incidents: number by kind and label, which is a backend unless LABELS says else; empty where there is none.
    """

    jobs: Mapping[str, int]
    pruned: Mapping[str, int]
    queues: Sequence[Queue]
    workers: Sequence[Presence]
    incidents: Mapping[tuple[str, str], int]


@dataclass(frozen=True)
class Sample:
    """What one finished assignment says about times and predictions; see ``telemetry.Observation``."""

    backend: str
    wait_s: float
    service_s: float
    latency_s: float
    fidelity: float | None
    expected_s: float
    expected_fidelity: float


class CensusStore(Protocol):
    """The store as monitoring sees it."""

    def census(self, *, gone_s: float) -> Census:
        """Count. Workers silent for longer than ``gone_s`` seconds are left out."""
        ...

    def ends(self) -> tuple[int, int]:
        """Numbers of the newest measurement and of the newest decision."""
        ...

    def samples(self, after: int, limit: int) -> list[tuple[int, Sample]]:
        """Measurements behind that number, in order."""
        ...

    def decision_times(self, after: int, limit: int) -> list[tuple[int, float]]:
        """Seconds that decisions behind that number took, in order."""
        ...

    def count_incident(self, kind: str, backend: str = "") -> None:
        """One more of a kind that no other method of the store sees."""
        ...


def incidents(before: Assignment, after: Assignment) -> Iterator[tuple[str, str]]:
    """What of INCIDENTS happened to an assignment, each with its backend."""
    new = after.story[len(before.story) :]
    if "Expired" in new:
        yield "expired_leases", after.backend
    if after.state is AssignmentState.REPLACED:
        yield "replacements", after.backend
    elif after.state is AssignmentState.WAITING and new and new[-1] in ("Broken", "Expired"):
        yield "retries", after.backend

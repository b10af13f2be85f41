"""Guardrails: whoever learned, draws or searches decides only where it can be trusted to; elsewhere `eft` does.

The reasons to fall back are ``orchestrator.placement.FALLBACKS``. Three lie in a job: a feature of it is outside
of what the policy was trained on, it may go to a backend that the policy has no place for, or an estimate is no finite
number; the rest of its batch the policy decides before.
Three hold for a whole batch: the policy failed at it, its checkpoint cannot be used, or an earlier batch took too long.
The time is measured after the fact: a late answer still counts, and it is the next batches that go to `eft`, twice as
many each time, until one with which the policy is tried again is in time. So no choice depends on a clock: who took it
is written down, and each can be taken again.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import numpy as np

from orchestrator.defects import DEFECTS
from orchestrator.placement import Backlog, Choice, Instead, Request, Scales
from policies.baselines import EarliestFinish
from policies.table import Array, Table

SLOW_S, SLOW_JOB_S = 1.0, 0.005
"""A batch took too long beyond so many seconds and so many for each of its jobs (ours)."""

REST, MOST_REST = 4, 64
"""Batches that go to the fallback after a slow one, and most of them (ours)."""

FALLBACK = "eft"

UNREADABLE = (OSError, ValueError, LookupError)
"""What a checkpoint raises that is missing, broken or of another version."""

_SENSIBLE = 1e100
"""No cost and no time is as large; what is stands for something that is no number."""

log = logging.getLogger("qorch.guarded")


class Learned(Protocol):
    """What is guarded. One that draws also has ``chances(table, backlog)``, see ``orchestrator.placement.Chancy``.

    One that was made for a fixed fleet also has ``places``, the backends that it knows; one that is to be asked again
    about what waits, ``reconsiders``.
    """

    @property
    def trained_on(self) -> Mapping[str, tuple[float, float]]:
        """Lowest and highest value seen in training of each feature that it looks at: keys in :data:`FEATURES`."""
        ...

    def decide(self, table: Table, backlog: Backlog) -> list[Choice]:
        """One choice for each row, booked on the backlog; only feasible candidates. Same input, same choice."""
        ...


def _best(figure: Callable[[Table], Array]) -> Callable[[Table, Array], Array]:
    return lambda table, _: np.asarray(np.where(table.feasible, figure(table), np.inf).min(axis=1))


FEATURES: dict[str, Callable[[Table, Array], Array]] = {
    "num_jobs": lambda table, _: np.full(len(table.requests), float(len(table.requests))),
    "num_feasible": lambda table, _: table.feasible.sum(axis=1).astype(float),
    "shots": lambda table, _: np.array([float(request.spec.shots) for request in table.requests]),
    "shortest_elapsed_s": _best(lambda table: table.elapsed_s),
    "lowest_rest": _best(lambda table: table.rest),
    "shortest_wait_s": lambda table, waits_s: np.where(table.feasible, waits_s, np.inf).min(axis=1),
    "longest_wait_s": lambda table, waits_s: np.where(table.feasible, waits_s, -np.inf).max(axis=1),
}
"""What a range can be of: from a batch and the waits on its backends, seconds, to a number for each job."""


class Guarded:
    """A policy behind the guardrails of :mod:`policies.guarded`."""

    def __init__(self, make: Callable[[], Learned], clock: Callable[[], float] = time.perf_counter) -> None:
        """``make`` reads the checkpoint, if there is one; while it cannot, it is asked again at each batch."""
        self._make, self._clock = make, clock
        self._policy: Learned | None = None
        self._resting = self._num_slow = 0

    @property
    def reconsiders(self) -> bool:
        """See :class:`orchestrator.placement.Reconsidering`."""
        return bool(getattr(self._live(), "reconsiders", False))

    def place(self, requests: Sequence[Request], backlog: Backlog, scales: Scales) -> list[Choice]:
        """See :class:`orchestrator.placement.Policy`. What the fallback decided is an ``Instead``."""

        def timed(policy: Learned, table: Table, trial: Backlog) -> Sequence[Choice]:
            begun = self._clock()
            choices = policy.decide(table, trial)
            self._judge(self._clock() - begun, len(choices))
            return choices

        resting = self._resting
        found = self._answers(requests, backlog, scales, timed)
        if resting and requests:
            self._resting = resting - 1
        return found

    def chances(self, requests: Sequence[Request], backlog: Backlog, scales: Scales) -> list[Mapping[str, float]]:
        """See :class:`orchestrator.placement.Chancy`. Who has none is certain of what it chooses."""

        def chances(policy: Learned, table: Table, trial: Backlog) -> Sequence[Mapping[str, float]]:
            known: Callable[[Table, Backlog], Sequence[Mapping[str, float]]]
            known = getattr(policy, "chances", policy.decide)
            return known(table, trial)

        return self._answers(requests, backlog, scales, chances)

    def _answers(
        self,
        requests: Sequence[Request],
        backlog: Backlog,
        scales: Scales,
        ask: Callable[[Learned, Table, Backlog], Sequence[Mapping[str, float]]],
    ) -> list[Mapping[str, float]]:
        """Those of the policy where it can be trusted, of the fallback where not."""
        if not requests:
            return []
        table = Table.of(requests, scales)
        policy, reasons = self._live(), self._reasons(table, backlog)
        inside = [row for row, reason in enumerate(reasons) if not reason]
        found: dict[int, Mapping[str, float]] = {}
        if policy is not None and inside:
            trial = backlog.copy()  # what a policy has booked that fails is not booked
            try:
                found = dict(zip(inside, ask(policy, table.take(inside), trial), strict=True))
                backlog.load_s, backlog.warm_up_s = trial.load_s, trial.warm_up_s
            except DEFECTS:
                log.exception("%s failed at %d jobs", type(policy).__name__, len(inside))
                reasons = [reason or "error" for reason in reasons]
        outside = [row for row in range(len(requests)) if row not in found]
        instead = EarliestFinish().decide(table.take(outside), backlog) if outside else ()
        for row, choice in zip(outside, instead, strict=True):
            found[row] = Instead(choice, policy=FALLBACK, reason=reasons[row])
        return [found[row] for row in range(len(requests))]

    def _live(self) -> Learned | None:
        """The policy, as soon as it can be had."""
        if self._policy is None:
            try:
                self._policy = self._make()
            except UNREADABLE as error:
                log.warning("a policy cannot be had: %r", error)
        return self._policy

    def _reasons(self, table: Table, backlog: Backlog) -> list[str]:
        """For each row why the policy is not asked; empty where it is."""
        if self._policy is None or self._resting:
            return ["slow" if self._policy else "checkpoint"] * len(table.requests)
        waits_s = np.array([backlog.wait_s(backend) for backend in table.backends], dtype=np.float64)
        reasons = np.full(len(table.requests), "", dtype=object)
        for name, (low, high) in self._policy.trained_on.items():
            feature = FEATURES[name](table, waits_s)
            reasons[~((low <= feature) & (feature <= high))] = "range"
        if places := getattr(self._policy, "places", ()):
            unknown = np.array([name not in places for name in table.backends])
            reasons[table.feasible[:, unknown].any(axis=1)] = "fleet"
        largest = np.where(table.feasible, table.rest + table.elapsed_s + table.service_s, 0.0).max(axis=1)
        reasons[largest > _SENSIBLE] = "estimates"
        return list(reasons)

    def _judge(self, took_s: float, num_jobs: int) -> None:
        """Whether the next batches go elsewhere, after one that took so long."""
        slow = took_s > max(SLOW_S, SLOW_JOB_S * num_jobs)
        self._num_slow = self._num_slow + 1 if slow else 0
        self._resting = min(MOST_REST, REST * 2 ** (self._num_slow - 1)) if slow else 0
        if slow:
            log.warning("%d jobs took %.2f s; the next %d batches do without", num_jobs, took_s, self._resting)

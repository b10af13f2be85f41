"""Who is served first of jobs that are equally urgent: those that cost most for each second of work that they are.

W. E. Smith, Naval Research Logistics Quarterly 3 (1956) 59: on one machine the weighted sum of ends is least if jobs
are served by w / p, the cost of a second's waiting over the seconds of work. How that becomes seconds of precedence is
ours.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from orchestrator.placement import PRIORITY_STEP_S, Backlog, Choice, Request, Scales, Sooner
from policies.baselines import EarliestFinish
from policies.table import Array

LEAST_S = 1e-9
"""Added to all work: what takes no time goes first, and its index is still a number."""

Real = TypeVar("Real", float, Array)


def by_smith_s(cost_per_s: Real, service_s: Real) -> Real:
    """By how much a job goes before its rank, seconds, from 0 to below PRIORITY_STEP_S.

    PRIORITY_STEP_S * w / (w + p)

    It grows with Smith's index w / p and is half a step where that is 1: where a second's work costs 1 by a second's
    waiting. What has waited longer by the difference goes first all the same, so nobody is overtaken for ever.

    Args:
        cost_per_s: cost of a second of waiting, w.   service_s: work, p, seconds.
    """
    return PRIORITY_STEP_S * cost_per_s / (cost_per_s + service_s + LEAST_S)


class Smith:
    """Each job where `eft` has it, and before those that cost less for their work: what the order alone earns."""

    def place(self, requests: Sequence[Request], backlog: Backlog, scales: Scales) -> list[Choice]:
        """See :class:`orchestrator.placement.Policy`."""
        choices = EarliestFinish().place(requests, backlog, scales)
        return [_ordered(request, choice, scales) for request, choice in zip(requests, choices, strict=True)]


def _ordered(request: Request, choice: Choice, scales: Scales) -> Sooner:
    (service_s,) = [one.estimate.service_s for one in request.feasible if one.backend in choice]
    return Sooner(choice, by_smith_s(request.spec.objective.latency / scales.latency_s, service_s))

"""Asking policies, and what is done when one cannot answer as it would. Every fallback is counted with its reason."""

from __future__ import annotations

import logging
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from operator import attrgetter

from orchestrator.decision import Situation
from orchestrator.defects import DEFECTS, defect
from orchestrator.errors import PlacementError
from orchestrator.job import Failure
from orchestrator.logs import working_on
from orchestrator.placement import FALLBACKS, Backlog, Choice, Instead, Policy, Request, Scales

_policy = attrgetter("spec.policy")

log = logging.getLogger("qorch.choosing")


@dataclass(frozen=True)
class Chosen:
    """An answer. ``policy`` gave it: the one that the job asked for, or what stood in for it."""

    request: Request
    choice: Choice
    policy: str
    situation: Situation


@dataclass(frozen=True)
class Chooser:
    """Asks live policies.

    Attributes:
        policies: a live one by its registered name.
        count: told, once a batch, each reason of a fallback: keys in :data:`orchestrator.placement.FALLBACKS`.
    """

    policies: Callable[[str], Policy]
    scales: Scales
    count: Callable[[str], None]

    def reconsiders(self, policy: str) -> bool:
        """Whether it wants to be asked again about what waits, see :class:`orchestrator.placement.Reconsidering`."""
        try:
            return bool(getattr(self.policies(policy), "reconsiders", False))
        except (PlacementError, *DEFECTS):  # it cannot be had, which is told where it is asked
            return False

    def choose(self, requests: Sequence[Request], backlog: Backlog, failures: dict[str, Failure]) -> Iterator[Chosen]:
        """Answers, policy by policy in the order of their names; jobs without one end among the failures.

        Whoever iterates books each answer on ``backlog``, so that the next policy sees it.
        """
        for policy, group in groupby(sorted(requests, key=_policy), key=_policy):
            for told, answers in self._ask(policy, list(group), backlog, failures):
                reasons = Counter(choice.reason for _, choice in answers if isinstance(choice, Instead))
                for reason, number in sorted(reasons.items()):
                    self.count(reason)
                    log.warning("policy %r did not decide on %d jobs: %s", policy, number, FALLBACKS[reason])
                for request, choice in answers:
                    decided_by = choice.policy if isinstance(choice, Instead) else policy
                    yield Chosen(request, choice, decided_by, told)

    def _ask(
        self, policy: str, requests: Sequence[Request], backlog: Backlog, failures: dict[str, Failure]
    ) -> Iterator[tuple[Situation, list[tuple[Request, Choice]]]]:
        """Ask for all jobs that are not pinned. A policy that fails at them together is asked for each alone."""
        free = [request for request in requests if not request.spec.pin]
        told = Situation.of(uuid.uuid4().hex, policy, len(free), backlog, self.scales)
        try:
            chosen = self.policies(policy).place(free, told.backlog(), told.scales) if free else []
            choices = dict(zip((request.job_id for request in free), chosen, strict=True))
        except (PlacementError, *DEFECTS) as error:
            if len(requests) > 1:
                self.count("error")
                log.warning("policy %r is asked for each of %d jobs alone: %r", policy, len(requests), error)
                for request in requests:
                    yield from self._ask(policy, [request], backlog, failures)
                return
            with working_on([requests[0].job_id]):
                failures[requests[0].job_id] = defect("place", error, f"policy {policy!r}: ")
            return
        answers = [(request, choices.get(request.job_id, request.spec.pin)) for request in requests]
        yield _answered(told, chosen), answers


def _answered(told: Situation, chosen: Sequence[Choice]) -> Situation:
    """Where another policy decided on all jobs, it is the one to be asked again, on the same backlog."""
    others = {(choice.policy, choice.reason) if isinstance(choice, Instead) else None for choice in chosen}
    other = others.pop() if len(others) == 1 else None
    return told if other is None else replace(told, policy=other[0], instead=FALLBACKS[other[1]])

"""A twin of a real service: fitted from its log of decisions and from what was measured of them.

Kept are jobs that a policy was asked about, each with the candidates that are still served, as they were told then. A
job whose shots were shared, or that is not done, is a job of the twin, but no measurement. A pinned job is none, but
measures whatever a policy was asked about too. How far the twin is off is seen by a second one, of the earlier
measurements alone, held against the later ones (:func:`held_out`). All of it is ours.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from circuits.errors import InvalidParameter
from orchestrator.decision import Decision, Situation
from orchestrator.job import Measurement, Times
from orchestrator.placement import Request
from policies.envs.measured.sharing import busy_beside, lane_of
from policies.envs.measured.twin import Error, Measured, Twin, error, fit, work_of

LEAST_MEASURED = 40
"""Fewer measurements say too little about a fleet (ours): the quarter that is held out would not be ten."""

EARLIER = 0.75
"""Part of the measurements that the second twin is made of (ours)."""


@dataclass(frozen=True)
class Logged:
    """What of a log a twin can be made of, in the order of decisions.

    Attributes:
        situation: the last one: whose workers are served, and the scales of the cost.
        asked: what policies were told, by decision.   measured: by decision.
    """

    situation: Situation
    asked: Mapping[int, Request]
    measured: Mapping[int, Measured]

    def twin(self, before: float = math.inf) -> Twin:
        """Of all decisions, or of those before a number."""
        requests = [one for number, one in self.asked.items() if number < before]
        measured = [one for number, one in self.measured.items() if number < before]
        return fit(requests, self.situation.lanes, self.situation.scales, measured)


def read(log: Iterable[Decision], measurements: Mapping[int, Measurement]) -> Logged:
    """Read a log.

    Args:
        log: in order.   measurements: of a decision, where its job went to one backend as a whole and is done.

    Raises:
        InvalidParameter: it says too little to make a twin of.
    """
    last = {one.job_id: one for one in log if one.situation is not None}  # a job that was placed again is one job
    decisions = sorted(last.values(), key=lambda one: one.id)
    if not decisions:
        raise InvalidParameter("log: wanted decisions of policies to make a twin of, got none; submit jobs there first")
    situation = decisions[-1].situation
    assert situation is not None
    served = frozenset(name for lane in situation.lanes for name in lane.backends)
    told = ((one, _still(one.request, served)) for one in decisions if not one.request.spec.pin)
    asked = {one.id: request for one, request in told if request.feasible}
    works = {work_of(request) for request in asked.values()}
    whole = [one for one in decisions if one.id in measurements and len(one.choice) == 1]
    busy = _busy(whole, measurements)
    measured = {
        one.id: _measured(one, measurements[one.id], busy[one.id])
        for one in whole
        if served.issuperset(one.choice) and work_of(one.request) in works
    }
    if len(measured) < LEAST_MEASURED:
        raise InvalidParameter(
            f"log: wanted at least {LEAST_MEASURED} jobs that went as a whole to a backend that is still served, and "
            f"are done, got {len(measured)}; run more of them, with several policies, so that backends can be compared"
        )
    return Logged(situation, asked, measured)


def _still(request: Request, served: frozenset[str]) -> Request:
    return replace(request, candidates=tuple(one for one in request.candidates if one.backend in served))


def _busy(decisions: Sequence[Decision], measurements: Mapping[int, Measurement]) -> dict[int, frozenset[str]]:
    """By decision, who else ran a job when its own began, as the wall clock has it."""
    begun_s = {one.id: one.at + measurements[one.id].wait_s for one in decisions}
    ended_s = {number: at_s + measurements[number].service_s for number, at_s in begun_s.items()}
    return busy_beside(begun_s, ended_s, {one.id: _worker(one) for one in decisions})


def _worker(decision: Decision) -> str:
    """Who served it: the worker of its backend then, or the backend's own name."""
    ((backend, _),) = decision.choice.items()
    lanes = decision.situation.lanes if decision.situation else ()
    number = lane_of(backend, lanes)
    return backend if number is None else lanes[number].worker


def _measured(decision: Decision, found: Measurement, busy: frozenset[str]) -> Measured:
    (backend,) = decision.choice
    estimate = next(one.estimate for one in decision.request.candidates if one.backend == backend)
    trip_s = found.latency_s - decision.request.waited_s - found.wait_s - found.service_s
    return Measured(
        work_of(decision.request),
        backend,
        estimate,
        found.service_s,
        found.fidelity,
        found.energy_j,
        busy,
        max(0.0, trip_s) if found.times is Times.WALL else None,
    )


def held_out(logged: Logged) -> Error:
    """How far a twin of the earlier measurements is off the later ones, of which it has seen nothing."""
    numbers: Sequence[int] = sorted(logged.measured)
    first = numbers[int(EARLIER * len(numbers))]
    unseen = [logged.measured[number] for number in numbers if number >= first]
    earlier = [request for number, request in logged.asked.items() if number < first]
    return error(logged.twin(first), unseen, earlier)

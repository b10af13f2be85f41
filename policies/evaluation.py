"""Another policy on the same log: played through it, and estimated from it (see :mod:`policies.off_policy`).

**Played**: calls come in the order of the log, and the backlog is the policy's own: what it books is there when it is
asked next, less what the workers have done meanwhile, each slot a second a second. What comes of a placement is what
was measured where the log has the same one, and else what the cost model says, as it is now. The log's own choices are
played in the same way: the difference of the two is fairer than either figure, since both share the model's errors.

**Estimated**: from measured costs, weighted by chances. A job counts if it went to one backend as a whole and was
measured there; one that failed, or was shared, is left out and counted.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from orchestrator.decision import Decision
from orchestrator.hindsight import fidelity_of, measured_cost
from orchestrator.job import Estimate, Measurement, Times
from orchestrator.placement import Backlog, Choice, Policy, Request, Scales, cost
from policies.off_policy import Floats, Rows
from policies.replay import Call

Measured = Mapping[int, Measurement]
"""Decision -> what its job came to, of jobs that are done and were not shared."""

Estimates = Callable[[Decision], Mapping[str, Estimate]]
"""What is to be expected of a decision's job on each backend."""


@dataclass(frozen=True)
class Played:
    """A policy played through a log, one row for each job.

    Attributes:
        cost, latency_s, fidelity: float64 (num_jobs,).
        measured: share of the jobs whose outcome was measured and not estimated.
    """

    cost: Floats
    latency_s: Floats
    fidelity: Floats
    measured: float


@dataclass(frozen=True)
class _Outcome:
    """What comes of a choice; ``busy_s`` is how long it keeps the worker of each backend busy."""

    elapsed_s: float
    fidelity: float
    energy_j: float
    cost_usd: float
    busy_s: Mapping[str, float]
    measured: bool = False


def said_then(decision: Decision) -> Mapping[str, Estimate]:
    """What was expected when it was decided: nothing of its job was known then."""
    return {one.backend: one.estimate for one in decision.request.candidates}


# ── played ────────────────────────────────────────────────────────────────────────────────────────────────────────────
Play = Callable[[Call, Sequence[Request], Backlog], Sequence[Choice]]
"""Answers a call on a backlog of its own."""


def as_logged(call: Call, *_: object) -> list[Choice]:
    """The log's own answer."""
    return [one.choice for one in call.decisions]


def answers_of(policy: Policy) -> Play:
    """A policy's answer."""
    return lambda call, requests, backlog: policy.place(requests, backlog.copy(), call.situation.scales)


def play(calls: Iterable[Call], answer: Play, measured: Measured, estimates: Estimates) -> Played:
    """See the module's docstring."""
    world = _World()
    rows: list[tuple[float, float, float, bool]] = []
    for call in calls:
        backlog, scales = world.at(call), call.situation.scales
        requests = [_waiting(one.request, backlog) for one in call.decisions]
        choices = answer(call, requests, backlog)
        for decision, request, choice in zip(call.decisions, requests, choices, strict=True):
            outcome = _outcome(decision, choice, measured, estimates(decision))
            latency_s = request.waited_s + max(map(backlog.wait_s, choice)) + outcome.elapsed_s
            for name, busy_s in outcome.busy_s.items():
                backlog.add(name, busy_s)
            rows.append((_cost(request, scales, outcome, latency_s), latency_s, outcome.fidelity, outcome.measured))
        world.leave(backlog)
    costs, latencies_s, fidelities, was_measured = np.asarray(rows, dtype=np.float64).reshape(-1, 4).T
    return Played(costs, latencies_s, fidelities, float(was_measured.mean()) if rows else 0.0)


class _World:
    """The backlog of a policy between calls: work drains, and a backend is cold until it is used."""

    def __init__(self) -> None:
        self._at = -math.inf
        self._load_s: dict[str, float] = {}
        self._cold_s: dict[str, float] = {}
        self._used: set[str] = set()

    def at(self, call: Call) -> Backlog:
        """As it is when the call comes. Workers that are new bring the load that they had in the log."""
        told, now = call.situation, call.decisions[0].at
        gone_s = max(0.0, now - self._at)
        slots = {lane.worker: lane.slots for lane in told.lanes}
        load_s = {
            worker: max(0.0, self._load_s[worker] - gone_s * slots[worker])
            if worker in self._load_s
            else told.load_s.get(worker, 0.0)
            for worker in slots
        }
        for name, warm_up_s in told.warm_up_s.items():
            if name not in self._used:
                self._cold_s.setdefault(name, warm_up_s)
        self._at = now
        return Backlog(told.lanes, load_s, dict(self._cold_s))

    def leave(self, backlog: Backlog) -> None:
        """After its work was booked."""
        self._used |= set(self._cold_s) - set(backlog.warm_up_s)
        self._load_s, self._cold_s = dict(backlog.load_s), dict(backlog.warm_up_s)


def _waiting(request: Request, backlog: Backlog) -> Request:
    """The job as it would meet this backlog."""
    met = tuple(replace(one, wait_s=backlog.wait_s(one.backend)) for one in request.candidates)
    return replace(request, candidates=met)


def _outcome(decision: Decision, choice: Choice, measured: Measured, estimates: Mapping[str, Estimate]) -> _Outcome:
    """What comes of a choice: as it was measured, if it is the log's."""
    found = measured.get(decision.id)
    if found is None or dict(choice) != dict(decision.choice):
        return _expected(choice, estimates)
    (name,) = choice
    fidelity = fidelity_of(found, estimates[name].fidelity)
    elapsed_s = found.service_s
    if found.times is Times.EMULATED:
        elapsed_s = (found.queue_s or 0.0) + (found.device_s or 0.0)
    return _Outcome(elapsed_s, fidelity, found.energy_j, found.cost_usd, {name: found.service_s}, True)


def _expected(choice: Choice, estimates: Mapping[str, Estimate]) -> _Outcome:
    """Of a job as a whole, or shared: parts run side by side, and each takes its share of time, energy and price."""
    parts = [(share, estimates[name]) for name, share in choice.items()]
    return _Outcome(
        elapsed_s=max(share * one.elapsed_s for share, one in parts),
        fidelity=sum(share * one.fidelity for share, one in parts),
        energy_j=sum(share * one.energy_j for share, one in parts),
        cost_usd=sum(share * one.cost_usd for share, one in parts),
        busy_s={name: share * estimates[name].service_s for name, share in choice.items()},
    )


def _cost(request: Request, scales: Scales, outcome: _Outcome, latency_s: float) -> float:
    return cost(
        request.spec.objective,
        scales,
        latency_s=latency_s,
        energy_j=outcome.energy_j,
        fidelity=outcome.fidelity,
        cost_usd=outcome.cost_usd,
    )


# ── estimated ─────────────────────────────────────────────────────────────────────────────────────────────────────────
Lottery = list[tuple[Choice, float]]
"""Choices and their chances, which add up to 1."""


def lotteries(policy: Policy, call: Call) -> list[Lottery]:
    """With which chance a policy takes which choice for each job; one that names no chances takes the one it takes."""
    chances = getattr(policy, "chances", None)
    if chances is None:
        return [[(choice, 1.0)] for choice in call.ask(policy)]
    told = chances(call.requests, call.situation.backlog(), call.situation.scales)
    return [[({name: 1.0}, chance) for name, chance in one.items() if chance > 0.0] for one in told]


def rows_of(calls: Iterable[Call], policies: Callable[[str], Policy], name: str, measured: Measured) -> Rows:
    """What the estimators need of a log to judge the policy of that name.

    Each call is judged by the chances of whoever answered it. The model is what was expected at the decision, with the
    waits behind whatever of the same call had been booked before.
    """
    rows: list[tuple[float, ...]] = []
    for number, call in enumerate(calls):
        logged, judged = lotteries(policies(call.situation.policy), call), lotteries(policies(name), call)
        waits_s = _waits_s(call)
        for index, decision in enumerate(call.decisions):
            found = measured.get(decision.id)
            if found is None:
                continue
            mu, pi = logged[index], judged[index]
            said = _said(decision, call.situation.scales, waits_s[index])
            taken = _chance(mu, decision.choice)
            never = sum(chance for choice, chance in pi if not _chance(mu, choice))
            fidelity = said_then(decision)[next(iter(decision.choice))].fidelity
            rows.append(
                (
                    measured_cost(decision.request, found, fidelity, call.situation.scales),
                    _chance(pi, decision.choice) / taken if taken else 0.0,
                    said(decision.choice),
                    sum(chance * said(choice) for choice, chance in pi),
                    never,
                    number,
                )
            )
    spent, weight, logged_said, judged_said, uncovered, batch = np.asarray(rows, dtype=np.float64).reshape(-1, 6).T
    return Rows(spent, weight, logged_said, judged_said, uncovered, batch.astype(np.int64))


def _chance(lottery: Lottery, choice: Choice) -> float:
    return math.fsum(chance for one, chance in lottery if dict(one) == dict(choice))


def _waits_s(call: Call) -> list[dict[str, float]]:
    """The wait in front of every backend as each job's turn came, by rank, behind what was booked for those before."""
    backlog, found = call.situation.backlog(), {}
    order = sorted(range(len(call.decisions)), key=lambda i: (call.requests[i].rank, call.requests[i].seq))
    for index in order:
        decision = call.decisions[index]
        told = said_then(decision)
        found[index] = {name: backlog.wait_s(name) for name in told}
        for name, share in decision.choice.items():
            backlog.add(name, share * told[name].service_s)
    return [found[index] for index in range(len(call.decisions))]


def _said(decision: Decision, scales: Scales, waits_s: Mapping[str, float]) -> Callable[[Choice], float]:
    """Expected cost of a choice, by the estimates of the decision."""
    told = said_then(decision)

    def expected(choice: Choice) -> float:
        outcome = _expected(choice, told)
        latency_s = decision.request.waited_s + max(waits_s[name] for name in choice) + outcome.elapsed_s
        return _cost(decision.request, scales, outcome, latency_s)

    return expected

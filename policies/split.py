"""The continuous split: one job shared by several backends, so that it costs least by its own objective.

What is shared are its shots or, of a family that can be divided, the items of its work. A part with the share x of them
on backend b ends after

    T_b(x) = wait_b + fixed_b + x variable_b,        the job with the last of its parts at M = max_b T_b(x_b),

and the job costs (ours; fidelity of merged counts is taken as the mean over the shares)

    w_t (waited + M) / L0 + sum_b (fee_b + x_b rate_b),     sum_b x_b = 1,

where fixed and fee are what each part pays in full, and variable and rate what grows with its share: on the straight
line through the estimates of one shot, or item, and of all of them. For a given end M each backend takes at most
(M - wait_b - fixed_b) / variable_b, and the cheapest by rate are filled first: water-filling. Fees apart, the cost is
convex and piecewise linear in M then, so the best M is where the first k by rate are all filled, or where one of them
can begin:

    M_k = (1 + sum_b (wait_b + fixed_b) / variable_b) / (sum_b 1 / variable_b)

over those of the k that can begin before it. With equal rates this is the least end of all. Which backends take part is
found one by one: the one that saves most comes next, as long as one saves anything and ``max_parts`` allows it; all at
once are tried as well, since two may save together what neither does alone. Parts that a worker has no slot left for
would wait for those it has, so they do not take part.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from orchestrator.placement import Backlog, Candidate, Choice, Request, Scales, Sooner, cost, figures, sooner_s
from policies.baselines import Greedy

_SHORTEST_S = 1e-12
"""What no time is taken to be less than, so that one may divide by it."""


@dataclass(frozen=True)
class Line:
    """What a part would need on one backend, by its share x of the job.

    Attributes:
        begin_s, variable_s: it ends after begin_s + x variable_s.   fee, rate: it costs fee + x rate, time apart.
        fee_usd, rate_usd: of that, the price in USD.
        slots: worker that may serve it -> what it runs at the same time; none if nobody's slots count.
    """

    backend: str
    begin_s: float
    variable_s: float
    fee: float
    rate: float
    fee_usd: float
    rate_usd: float
    slots: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Terms:
    """What a job asks of its parts.

    Attributes:
        per_s: cost of a second until the last part's end.   least: smallest share, that of one shot or item.
        max_usd: highest price of all parts together.
    """

    per_s: float
    least: float = 0.0
    max_usd: float = math.inf


class Split:
    """Shares jobs that allow it (`max_parts`) where that costs them less; otherwise as `greedy`."""

    def place(self, requests: Sequence[Request], backlog: Backlog, scales: Scales) -> list[Choice]:
        """See :class:`orchestrator.placement.Policy`."""
        if all(request.spec.max_parts == 1 for request in requests):
            return Greedy().place(requests, backlog, scales)
        chosen: dict[str, Choice] = {}
        for request in sorted(requests, key=lambda request: (request.rank, request.seq)):
            chosen[request.job_id] = choice = _choice(request, backlog, scales)
            for one in request.feasible:
                if one.backend in choice:
                    backlog.add(one.backend, part_s(one, request.amount, choice[one.backend]))
        return [chosen[request.job_id] for request in requests]


def parted(requests: Sequence[Request], choices: list[Choice], backlog: Backlog, scales: Scales) -> list[Choice]:
    """What another policy chose, but jobs that allow it are shared with the place that costs them least beside its own.

    How much goes where is this policy's rule; where sharing saves nothing, the choice stays. ``backlog`` is as it was
    before these choices; the result is booked on it.
    """
    found = list(choices)
    for row in sorted(range(len(requests)), key=lambda row: (requests[row].rank, requests[row].seq)):
        request, (chosen, *_) = requests[row], choices[row]
        others = [one for one in request.feasible if one.backend != chosen]
        if len(choices[row]) == 1 and request.spec.max_parts > 1 and others:
            second = min(others, key=lambda one: request.cost(one, scales, backlog.wait_s(one.backend)))
            pair = tuple(one for one in request.feasible if one.backend in (chosen, second.backend))
            shares = _shared(replace(request, candidates=pair), backlog, scales)
            found[row] = Sooner(shares, sooner_s(choices[row])) if shares else choices[row]
        for one in request.feasible:
            if one.backend in found[row]:
                backlog.add(one.backend, part_s(one, request.amount, found[row][one.backend]))
    return found


def shared(lines: Sequence[Line], terms: Terms, max_parts: int) -> Mapping[str, float]:
    """Backend -> share of the job, at the least cost that is found; empty if none keeps to the terms."""
    taken: list[Line] = []
    best, shares = math.inf, dict[str, float]()
    while len(taken) < max_parts:
        free = [line for line in lines if line not in taken and _fit([*taken, line])]
        tried = [(*filled_best([*taken, line], terms), line) for line in free]
        if not tried:
            break
        cost_then, shares_then, line = min(tried, key=lambda one: (one[0], one[2].backend))
        if not cost_then < best:
            break
        best, shares = cost_then, shares_then
        taken.append(line)
    cost_then, at_once = filled_best(lines, terms) if lines else (math.inf, {})
    used = [line for line in lines if line.backend in at_once]
    return at_once if cost_then < best and len(used) <= max_parts and _fit(used) else shares


def _fit(lines: Sequence[Line]) -> bool:
    """Whether workers have a slot for each part, taken one after the other by who has most left."""
    taken = Counter[str]()
    for line in lines:
        worker = max(line.slots, key=lambda worker: line.slots[worker] - taken[worker], default=None)
        if worker is not None:
            taken[worker] += 1
            if taken[worker] > line.slots[worker]:
                return False
    return True


def filled_best(lines: Sequence[Line], terms: Terms) -> tuple[float, dict[str, float]]:
    """The least cost of sharing by these backends or some of them, and the shares; infinite if it cannot be."""
    by_rate = sorted(lines, key=lambda line: (line.rate, line.backend))
    ends_s = {level(by_rate[:k]) for k in range(1, len(by_rate) + 1)}
    ends_s |= {line.begin_s + terms.least * line.variable_s for line in lines}
    found = (_priced(by_rate, filled(by_rate, end_s, terms.least), terms) for end_s in sorted(ends_s))
    return min(found, key=lambda one: one[0])


def level(lines: Sequence[Line]) -> float:
    """The earliest end of all parts together, seconds: the water level over the beginnings."""
    inverse = weighted = 0.0
    end_s = math.inf
    for line in sorted(lines, key=lambda line: line.begin_s):
        if line.begin_s >= end_s:
            break
        inverse += 1.0 / max(_SHORTEST_S, line.variable_s)
        weighted += line.begin_s / max(_SHORTEST_S, line.variable_s)
        end_s = (1.0 + weighted) / inverse
    return end_s


def filled(lines: Sequence[Line], end_s: float, least: float) -> dict[str, float]:
    """Shares that end by then, the first filled first; together 1, or none at all. None is smaller than ``least``."""
    left, shares = 1.0, dict[str, float]()
    for line in lines:
        room = (end_s - line.begin_s) / max(_SHORTEST_S, line.variable_s)
        share = min(left, room * (1.0 + 1e-12))
        if share >= max(least * (1.0 - 1e-9), 1e-9):
            shares[line.backend] = share
            left -= share
    if left > 1e-9:
        return {}
    total = sum(shares.values())
    return {backend: share / total for backend, share in shares.items()}


def _priced(lines: Sequence[Line], shares: dict[str, float], terms: Terms) -> tuple[float, dict[str, float]]:
    """What these shares cost the job, waiting until now apart."""
    used = [(line, shares[line.backend]) for line in lines if line.backend in shares]
    usd = sum(line.fee_usd + share * line.rate_usd for line, share in used)
    if not used or usd > terms.max_usd:
        return math.inf, {}
    end_s = max(line.begin_s + share * line.variable_s for line, share in used)
    return terms.per_s * end_s + sum(line.fee + share * line.rate for line, share in used), shares


def _choice(request: Request, backlog: Backlog, scales: Scales) -> Choice:
    return _shared(request, backlog, scales) or {Greedy().pick(request, backlog, scales).backend: 1.0}


def _shared(request: Request, backlog: Backlog, scales: Scales) -> Choice:
    """Shares of a job at the least cost; empty where it may not be shared, or its limits rule everything out."""
    spec = request.spec
    if spec.max_parts == 1 or request.amount == 1:
        return {}
    lines = [_line(one, request, backlog, scales) for one in request.feasible if one.one_shot is not None]
    max_usd = math.inf if spec.limits.max_cost_usd is None else spec.limits.max_cost_usd
    terms = Terms(spec.objective.latency / scales.latency_s, 1.0 / request.amount, max_usd)
    return shared(lines, terms, min(spec.max_parts, request.amount))


def _line(candidate: Candidate, request: Request, backlog: Backlog, scales: Scales) -> Line:
    """The straight line through one shot, or item, and all of them, extended to none."""
    objective, amount = request.spec.objective, request.amount
    one = figures(candidate.one_shot or candidate.estimate, objective.caution)
    whole = figures(candidate.estimate, objective.caution)
    prices = (one.cost_usd, whole.cost_usd)
    costs = [
        cost(objective, scales, latency_s=0.0, energy_j=part.energy_j, fidelity=1.0, cost_usd=part.cost_usd)
        for part in (one, whole)
    ]
    error = cost(objective, scales, latency_s=0.0, energy_j=0.0, fidelity=whole.fidelity, cost_usd=0.0)

    def through(first: float, last: float) -> tuple[float, float]:
        slope = max(0.0, last - first) * amount / (amount - 1)
        return last - slope, slope

    fixed_s, variable_s = through(one.elapsed_s, whole.elapsed_s)
    fee, rate = through(*costs)
    fee_usd, rate_usd = through(*prices)
    slots = {lane.worker: lane.slots for lane in backlog.lanes if candidate.backend in lane.backends}
    begin_s = backlog.wait_s(candidate.backend) + fixed_s
    return Line(candidate.backend, begin_s, variable_s, fee, rate + error, fee_usd, rate_usd, slots)


def part_s(candidate: Candidate, amount: int, share: float) -> float:
    """Seconds of work of a part."""
    if candidate.one_shot is None or amount == 1:
        return candidate.estimate.service_s
    first_s, last_s = candidate.one_shot.service_s, candidate.estimate.service_s
    return first_s + (last_s - first_s) * (share * amount - 1) / (amount - 1)

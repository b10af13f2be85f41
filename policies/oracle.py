"""The best placement in hindsight: what a world's tasks would have cost, had everything been known that was measured.

It places whole jobs, at the looks of the world, wherever a run was recorded, and has them served in the order of their
ranks or in that of :mod:`policies.order`, whichever comes out better. It minds no limits on estimates
(``min_fidelity``, ``max_cost_usd``): what those cost is part of every policy's regret. The problem is unrelated
machines with release dates and weighted flow time, NP-hard, so :func:`hindsight` says how it found what it found:

- "exhaustive": every placement was tried in both orders. The best of these.
- "assignment": unit tasks, all there at once and equally urgent: the optimum of a linear assignment. The best.
- "search": the best schedule of two local searches, which begin at the rounded relaxation and at the best placement
  that is known already, beside a bound that no schedule can beat, not even one that minds no rank: a time-indexed
  linear relaxation (second-hand: Schulz and Skutella, SIAM J. Discrete Math. 15, 2002; its intervals, valued at their
  beginning, and pools of lanes are ours).
- "played": the search found less than a policy did that moved jobs while they waited: what that one did, and the bound.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import product
from operator import attrgetter

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment, linprog
from scipy.sparse import coo_matrix, vstack

from orchestrator.errors import PlacementError
from orchestrator.placement import Lane, rank, ruled_out
from policies.arena import Task, World, Yard
from policies.order import by_smith_s

MOST_TRIED = 4096
"""Placements of a world that is searched exhaustively (ours)."""

INTERVALS = 60
"""Of the relaxation (ours): its bound is lower by about half of one for each job that queues."""

SWEEPS = 4
"""Of the local search over all tasks (ours): the last ones find next to nothing."""


@dataclass(frozen=True)
class Hindsight:
    """What was found.

    Attributes:
        places: backend of each task.   costs: of each task.
        bound: no placement of whole jobs has a lower mean cost; equal to the mean where that is the best.
    """

    method: str
    places: tuple[str, ...]
    costs: tuple[float, ...]
    bound: float

    @property
    def mean_cost(self) -> float:
        """Of the best schedule found."""
        return math.fsum(self.costs) / max(1, len(self.costs))


@dataclass(frozen=True)
class Option:
    """A task on one backend.

    Attributes:
        pool: of lanes that could serve it.   delay_s: at the device, while no lane is busy with it.
        fixed: its cost of fidelity, energy and price.
    """

    backend: str
    pool: int
    service_s: float
    delay_s: float
    fixed: float


def pools(lanes: Sequence[Lane]) -> list[tuple[Lane, ...]]:
    """Lanes in groups that have no backend in common."""
    found: list[tuple[Lane, ...]] = []
    for lane in lanes:
        apart = [pool for pool in found if not any(set(lane.backends) & set(other.backends) for other in pool)]
        joined = [other for pool in found if pool not in apart for other in pool]
        found = [*apart, (*joined, lane)]
    return found


def least_span_s(lanes: Sequence[Lane], services_s: Sequence[Mapping[str, float]]) -> float:
    """The shortest time in which the fleet could do these tasks under the best division of their work, seconds.

    Args:
        services_s: of each task, backend -> seconds there.

    Raises:
        PlacementError: a task can go nowhere.
    """
    groups = pools(lanes)
    entries = []
    for task, times_s in enumerate(services_s):
        least = [
            (number, min(mine))
            for number, pool in enumerate(groups)
            if (mine := [times_s[name] for lane in pool for name in lane.backends if name in times_s])
        ]
        if not least:
            raise PlacementError(f"task {task} was run on no backend of the fleet; leave it out")
        entries += [(task, number, time_s) for number, time_s in least]
    tasks, numbers, times_s_of = (np.array(column) for column in zip(*entries, strict=True))
    columns = np.arange(len(entries))
    slots = [sum(lane.slots for lane in pool) for pool in groups]
    load = coo_matrix((times_s_of, (numbers, columns)), shape=(len(groups), len(entries) + 1)).tolil()
    load[:, -1] = -np.array(slots)[:, None]  # the last variable is the span
    once = coo_matrix((np.ones(len(entries)), (tasks, columns)), shape=(len(services_s), len(entries) + 1))
    costs = np.zeros(len(entries) + 1)
    costs[-1] = 1.0
    found = linprog(costs, load.tocsr(), np.zeros(len(groups)), once.tocsr(), np.ones(len(services_s)), method="highs")
    return float(found.fun)


class Puzzle:
    """A world as numbers: what each task costs where, and when.

    Attributes:
        by_smith: whether what costs most for its work goes before its rank.
    """

    def __init__(self, world: World, *, by_smith: bool = False) -> None:
        self.by_smith = by_smith
        self.lanes = world.fleet.lanes
        self.pools = pools(self.lanes)
        self._pool_of = {name: at for at, pool in enumerate(self.pools) for lane in pool for name in lane.backends}
        self.at_s = [task.at_s for task in world.tasks]
        self.ready_s = [world.looked_at(task) for task in world.tasks]
        self.ranks = [_rank(task) for task in world.tasks]
        self.weights = [
            world.cost(task, latency_s=1.0, fidelity=1.0, energy_j=0.0, cost_usd=0.0) for task in world.tasks
        ]
        self.options = [self._options(world, task) for task in world.tasks]
        for index, options in enumerate(self.options):
            if not options:
                raise PlacementError(f"task {index} was run on no backend of the fleet; leave it out")

    def _options(self, world: World, task: Task) -> dict[str, Option]:
        found = {}
        for name, run in task.runs.items():
            if name in self._pool_of and not any(ruled_out(task.spec, name)):
                fixed = world.cost(
                    task,
                    latency_s=0.0,
                    fidelity=run.fidelity or 0.0,
                    energy_j=run.energy_j,
                    cost_usd=run.cost_usd,
                )
                found[name] = Option(name, self._pool_of[name], run.service_s, run.queue_s or 0.0, fixed)
        return found

    @cached_property
    def useful(self) -> list[list[Option]]:
        """The options of each task that no other of the same pool beats in every respect."""
        return [
            [
                one
                for number, one in enumerate(mine)
                if not any(_beats(other, one, first=place < number) for place, other in enumerate(mine))
            ]
            for options in self.options
            for mine in [list(options.values())]
        ]

    def cost(self, index: int, option: Option, start_s: float) -> float:
        """Of a task that begins there and then."""
        flow_s = start_s + option.service_s + option.delay_s - self.at_s[index]
        return self.weights[index] * flow_s + option.fixed

    def costs(self, places: Sequence[str], among: Iterable[int] | None = None) -> dict[int, float]:
        """Of each task of these pools (all) under a placement."""
        wanted = set(range(len(self.pools)) if among is None else among)
        taken = [(index, self.options[index][name]) for index, name in enumerate(places)]
        taken = [(index, option) for index, option in taken if option.pool in wanted]
        lanes = [lane for pool in sorted(wanted) for lane in self.pools[pool]]
        return {index: self.cost(index, option, start_s) for index, option, start_s in self._served(lanes, taken)}

    def _served(self, lanes: Sequence[Lane], taken: Iterable[tuple[int, Option]]) -> list[tuple[int, Option, float]]:
        jobs = [(self.ready_s[index], self._order(index, option), index, option) for index, option in taken]
        return serve(lanes, jobs)

    def _order(self, index: int, option: Option) -> float:
        return self.ranks[index] - (by_smith_s(self.weights[index], option.service_s) if self.by_smith else 0.0)

    def makespan_s(self, places: Sequence[str]) -> float:
        """When the last task of a placement ends."""
        taken = [(index, self.options[index][name]) for index, name in enumerate(places)]
        return max(start_s + option.service_s for _, option, start_s in self._served(self.lanes, taken))


def _rank(task: Task) -> float:
    deadline_s = task.spec.limits.deadline_s
    deadline_at = None if deadline_s is None else task.at_s + deadline_s
    return rank(submitted_at=task.at_s, priority=task.spec.priority, deadline_at=deadline_at)


def _beats(one: Option, other: Option, *, first: bool) -> bool:
    """At least as good in every respect; of equals the first one is."""
    if one is other or one.pool != other.pool:
        return False
    mine = (one.service_s, one.service_s + one.delay_s, one.fixed)
    its = (other.service_s, other.service_s + other.delay_s, other.fixed)
    return all(a <= b for a, b in zip(mine, its, strict=True)) and (mine != its or first)


def serve(lanes: Sequence[Lane], jobs: Iterable[tuple[float, float, int, Option]]) -> list[tuple[int, Option, float]]:
    """Serve jobs as the arena does.

    Args:
        jobs: (ready_s, rank, number, option) each.

    Returns:
        (number, option, start_s) each.
    """
    yard: Yard[tuple[int, Option]] = Yard(lanes)
    events: list[tuple[float, int, int, int | tuple[float, int, Option]]] = []
    for ready_s, order, number, option in sorted(jobs, key=lambda job: (job[0], job[2])):
        events.append((ready_s, 1, len(events), (order, number, option)))  # sorted is a heap
    begun = []
    numbers = len(events)
    while events:
        now, _, _, what = heapq.heappop(events)
        if isinstance(what, int):
            yard.free(what)
        else:
            order, number, option = what
            yard.wait(option.backend, order, number, (number, option))
            if events and events[0][:2] == (now, 1):
                continue  # what is looked at together is placed before any of it begins
        for lane, (number, option) in yard.begin():
            begun.append((number, option, now))
            numbers += 1
            heapq.heappush(events, (now + option.service_s, 0, numbers, lane))
    return begun


def hindsight(world: World, known: Iterable[Sequence[str]] = (), *, sweeps: int = SWEEPS) -> Hindsight:
    """The best placement of a world's tasks, or the best that was found and a bound.

    Args:
        known: placements that exist already, such as what policies did: a backend for each task.
        sweeps: of the local search.

    Raises:
        PlacementError: a task was run nowhere.
    """
    if not world.tasks:
        return Hindsight("exhaustive", (), (), 0.0)
    puzzles = [Puzzle(world, by_smith=by_smith) for by_smith in (False, True)]
    puzzle = puzzles[0]
    if math.prod(map(len, puzzle.options)) <= MOST_TRIED:
        found = [_told("exhaustive", one, min(product(*one.options), key=partial(_total, one))) for one in puzzles]
        return min(found, key=attrgetter("mean_cost"))
    if _is_assignment(puzzle):
        return _told("assignment", puzzle, _assigned(puzzle))
    begun = [list(places) for places in known]
    rounded, bound = relaxed(puzzle, max((puzzle.makespan_s(places) for places in begun), default=0.0))
    found = []
    for one in puzzles:
        promising = [rounded, *sorted(begun, key=partial(_total, one))[:1]]
        searched = [improved(one, places, sweeps) for places in promising]
        found.append(_told("search", one, min(searched, key=partial(_total, one)), bound))
    return min(found, key=attrgetter("mean_cost"))


def _told(method: str, puzzle: Puzzle, places: Sequence[str], bound: float | None = None) -> Hindsight:
    costs = puzzle.costs(places)
    found = tuple(costs[index] for index in range(len(places)))
    return Hindsight(method, tuple(places), found, math.fsum(found) / len(found) if bound is None else bound)


def _total(puzzle: Puzzle, places: Sequence[str]) -> float:
    return math.fsum(puzzle.costs(places).values())


def _is_assignment(puzzle: Puzzle) -> bool:
    """Unit tasks, all there at once and equally urgent, on lanes that share no backend."""
    times_s = {option.service_s for options in puzzle.options for option in options.values()}
    alike = len(times_s) == len(set(puzzle.weights)) == len(set(puzzle.ready_s)) == 1
    return alike and all(len(pool) == 1 for pool in puzzle.pools)


def _assigned(puzzle: Puzzle) -> list[str]:
    """Each task to a turn on a lane; in which order equally urgent tasks of one length stand there makes no odds."""
    turns = [
        (number, turn // pool[0].slots)
        for number, pool in enumerate(puzzle.pools)
        for turn in range(len(puzzle.options))
    ]
    prices = np.full((len(puzzle.options), len(turns)), np.inf)
    chosen: dict[tuple[int, int], str] = {}
    for index, options in enumerate(puzzle.useful):
        for option in options:
            for column, (number, turn) in enumerate(turns):
                price = puzzle.cost(index, option, puzzle.ready_s[index] + turn * option.service_s)
                if number == option.pool and price < prices[index, column]:
                    prices[index, column] = price
                    chosen[index, number] = option.backend
    rows, columns = linear_sum_assignment(prices)
    return [chosen[int(row), turns[int(column)][0]] for row, column in zip(rows, columns, strict=True)]


def relaxed(puzzle: Puzzle, longest_s: float = 0.0, intervals: int = INTERVALS) -> tuple[list[str], float]:
    """A placement from the relaxation, and the mean cost that none can go below.

    Shares x of a task's work in intervals, of which each begins at some a: whatever interrupts it, it is done no
    earlier than half of its service after the mean time at which it is busy, and than all of it after it is ready,

        done >= sum x (max(a, ready) + service / 2),    done >= sum x (ready + service).

    Each interval of a pool holds no more work than its slots have time; the last one is open for ever.

    Args:
        longest_s: how long a schedule may take; where it ends is where the last interval begins.
    """
    num_tasks, num_pools = len(puzzle.options), len(puzzle.pools)
    span_s = max(longest_s, max(puzzle.ready_s) + least_span_s(puzzle.lanes, _services_s(puzzle)))
    edges_s = np.linspace(min(puzzle.ready_s), span_s, intervals + 1)
    shares = [
        (index, option, interval)
        for index, options in enumerate(puzzle.useful)
        for first in [max(0, int(np.searchsorted(edges_s, puzzle.ready_s[index], side="right")) - 1)]
        for option in options
        for interval in range(first, intervals + 1)
    ]
    task = np.array([index for index, _, _ in shares])
    service_s = np.array([option.service_s for _, option, _ in shares])
    apart = np.array([option.fixed + puzzle.weights[index] * option.delay_s for index, option, _ in shares])
    interval = np.array([interval for _, _, interval in shares])
    ready_s = np.array(puzzle.ready_s)[task]
    columns, closed = np.arange(len(shares)), interval < intervals
    room = np.array([option.pool for _, option, _ in shares]) * intervals + interval
    ends_s = np.arange(len(shares), len(shares) + num_tasks)

    def later_than(times_s: NDArray[np.float64]) -> coo_matrix:
        values = np.concatenate([times_s, -np.ones(num_tasks)])
        where = np.concatenate([task, np.arange(num_tasks)]), np.concatenate([columns, ends_s])
        return coo_matrix((values, where), shape=(num_tasks, len(shares) + num_tasks))

    full = coo_matrix(
        (service_s[closed], (room[closed], columns[closed])), shape=(num_pools * intervals, len(shares) + num_tasks)
    )
    slots = [sum(lane.slots for lane in pool) for pool in puzzle.pools]
    found = linprog(
        np.concatenate([apart, puzzle.weights]),
        vstack(
            [full, later_than(np.maximum(edges_s[interval], ready_s) + service_s / 2), later_than(ready_s + service_s)]
        ),
        np.concatenate([np.repeat(slots, intervals) * (edges_s[1] - edges_s[0]), np.zeros(2 * num_tasks)]),
        coo_matrix((np.ones(len(shares)), (task, columns)), shape=(num_tasks, len(shares) + num_tasks)),
        np.ones(num_tasks),
        method="highs",
    )
    begun = math.fsum(weight * at_s for weight, at_s in zip(puzzle.weights, puzzle.at_s, strict=True))
    return _rounded(puzzle, shares, found.x), (float(found.fun) - begun) / num_tasks


def _services_s(puzzle: Puzzle) -> list[dict[str, float]]:
    return [{name: option.service_s for name, option in options.items()} for options in puzzle.options]


def _rounded(puzzle: Puzzle, shares: Sequence[tuple[int, Option, int]], found: NDArray[np.float64]) -> list[str]:
    """Each task where most of it is done."""
    parts = [dict.fromkeys(options, 0.0) for options in puzzle.options]
    for (index, option, _), share in zip(shares, found, strict=False):
        parts[index][option.backend] += float(share)
    return [max(sorted(mine), key=lambda name: mine[name]) for mine in parts]


def improved(puzzle: Puzzle, places: Sequence[str], sweeps: int = SWEEPS) -> list[str]:
    """A placement that moving no single task makes better, or what so many sweeps over all of them came to."""
    best = list(places)
    of_pool = [puzzle.costs(best, [pool]) for pool in range(len(puzzle.pools))]
    for _ in range(sweeps):
        moved = False
        for index, options in enumerate(puzzle.useful):
            old = puzzle.options[index][best[index]].pool
            for option in options:
                trial = [*best[:index], option.backend, *best[index + 1 :]]
                touched = sorted({old, option.pool})
                before = math.fsum(cost for pool in touched for cost in of_pool[pool].values())
                after = {pool: puzzle.costs(trial, [pool]) for pool in touched}
                if math.fsum(cost for mine in after.values() for cost in mine.values()) < before - 1e-12:
                    best, old, moved = trial, option.pool, True
                    for pool, costs in after.items():
                        of_pool[pool] = costs
        if not moved:
            break
    return best

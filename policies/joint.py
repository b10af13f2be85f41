"""Joint placement: a batch is placed so that the cost of all its jobs together is least, waits included.

Each job pays for its own waiting behind those before it, and for the waiting of those behind it, be they of the batch
or wait already (``Backlog.queue``). Within a level of priority those go first that cost most for their work
(:mod:`policies.order`), whenever they were placed. A lane serves ``slots`` jobs at a time, each as long as its estimate
says (as ``orchestrator.placement.Backlog`` has it):

    total = sum_j own_j(p_j) + w_j / L0 * (sum of service_i / slots over i before j on the lane of p_j)

with own_j(p) everything that does not depend on the rest of the batch. Three steps, all ours:

- Where all tasks of a lane last equally long and waiting costs all jobs the same, the k-th on a lane waits k times as
  long, whoever it is: jobs are assigned to (place, k) by the method of D. F. Crouse, IEEE Trans. Aerosp. Electron.
  Syst. 52 (2016) 1679, which scipy has, and the total is the least there is.
- Otherwise list scheduling begins, which looks ahead: each job goes where it adds least to the total, what it does to
  those that have a place included; once in order of rank, once those first that would lose most by their second choice.
- Local search improves both: a job moves to where the total is least; where no move helps, two jobs exchange places. It
  ends where neither helps, or after a number of rounds; the better end is taken.

No clock is read, so a decision can be taken again. A cold backend is taken to be cold for each job that is placed
there: while the first of them warms it up, the others wait behind it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Set
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from orchestrator.placement import Backlog, Choice, Lane, Queued, Sooner
from policies.order import by_smith_s
from policies.table import Array, Booking, Table

ROUNDS = 50
"""Most rounds of moves and exchanges (ours): random batches of 1 000 jobs on 50 backends end after 10 to 20."""

MOST_EXCHANGED = 2000
"""Larger batches are improved by moves alone: exchanges are worked out for all pairs at once."""

GAIN = 1e-9
"""Smaller improvements of the total are rounding, relative to it."""

Places = NDArray[np.intp]


class Joint:
    """Least cost of the batch as a whole: by assignment where that is exact, by list scheduling and search else."""

    trained_on: ClassVar[Mapping[str, tuple[float, float]]] = {}  # it searches; guarded for the time that this takes
    reconsiders = True

    def decide(self, table: Table, backlog: Backlog) -> list[Choice]:
        """See :class:`policies.guarded.Learned`."""
        plan = Plan(table, backlog)
        return plan.booked(plan.best(), backlog)


class Plan:
    """A batch and what waits already, in order of service on places: pairs of a backend and a worker that serves it.

    Attributes:
        table: what it was made of.
        order: its rows in order of service, as if each job went where it costs least alone.
        turns: of each of them the number among all jobs.   waiting: those of jobs that wait already, each at its place.
        columns: of the table, by place.   lane: of each place.
        alone_s: seconds until each job's end on each place, were none of the others before it.
        own: cost of each job on each place apart from the others, (num_jobs, num_places); infinite where it may not go.
        delay_s: by how much each job would hold up those behind it there, (num_jobs, num_places).
        weight: cost of a second of each job's waiting, (num_jobs,).
    """

    def __init__(self, table: Table, backlog: Backlog) -> None:
        self.table = table
        served = {backend for lane in backlog.lanes for backend in lane.backends}
        unbound = [Lane("", 0, (backend,)) for backend in table.backends if backend not in served]
        lanes = [*backlog.lanes, *unbound]
        pairs = [
            (column, number)
            for column, backend in enumerate(table.backends)
            for number, lane in enumerate(lanes)
            if backend in lane.backends
        ]
        self.columns = np.array([column for column, _ in pairs], dtype=np.intp)
        self.lane = np.array([number for _, number in pairs], dtype=np.intp)
        self.num_lanes = len(lanes)
        slots = np.array([lane.slots or np.inf for lane in lanes])[self.lane]
        queue, queued_at, load_s = _standing(backlog, lanes, set(self.lane.tolist()))
        cold_s = np.array([backlog.warm_up_s.get(backend, 0.0) for backend in table.backends])[self.columns]
        weight = table.weights("latency")[:, 0] / table.scales.latency_s
        self.order, self.turns, self.waiting = _in_order_of_service(table, weight, queue)
        order, jobs = np.array(self.order, dtype=np.intp), (len(self.order) + len(queue), len(pairs))
        self.weight = np.empty(jobs[0])
        self.weight[self.turns], self.weight[self.waiting] = weight[order], [one.per_s for one in queue]
        self.alone_s, self.own, self.delay_s = np.zeros(jobs), np.full(jobs, np.inf), np.empty(jobs)
        at = np.ix_(order, self.columns)
        self.alone_s[self.turns] = alone_s = table.elapsed_s[at] + load_s[self.lane] / slots + cold_s
        self.own[self.turns] = table.rest[at] + self.weight[self.turns, None] * alone_s
        self.delay_s[self.turns] = table.service_s[at] / slots
        self.delay_s[self.waiting] = np.array([one.service_s for one in queue])[:, None] / slots
        places = [int(np.flatnonzero(self.lane == lane)[0]) for lane in queued_at]
        self.own[self.waiting, places] = 0.0

    def best(self) -> Places:
        """The best placement that is found: a place for each row in :attr:`order`, (num_rows,)."""
        if self._is_unit():
            return self._assigned()
        if len(self.turns) == 1:  # nothing is left to search
            return Schedule(self).listed([*self.waiting, *self.turns]).at[self.turns]
        two = np.sort(self.own[self.turns], axis=1)[:, :2]
        by_regret = self.turns[np.argsort(two[:, 0] - two[:, -1], kind="stable")]  # who would lose most comes first
        found = [Schedule(self).listed([*self.waiting, *order]).improved() for order in (self.turns, by_regret)]
        return min(found, key=Schedule.total).at[self.turns]

    def beside(self) -> tuple[Array, Array]:
        """What each row would be beside what waits already, without the rest of the batch, (num_rows, num_backends).

        Returns:
            How long it would wait, seconds, and what it would cost those behind it.
        """
        standing, rows = Schedule(self).listed(self.waiting), np.array(self.order, dtype=np.intp)
        ahead_s, behind = (held[np.ix_(self.lane, self.turns)].T for held in (standing.ahead_s, standing.behind))
        waits_s = self.alone_s[self.turns] - self.table.elapsed_s[np.ix_(rows, self.columns)] + ahead_s
        delayed = behind * self.delay_s[self.turns]
        found = np.full((2, *self.table.feasible.shape), np.inf)
        for place, column in enumerate(self.columns.tolist()):  # of several lanes the one where it begins first
            sooner = waits_s[:, place] < found[0, rows, column]
            found[:, rows[sooner], column] = waits_s[sooner, place], delayed[sooner, place]
        return found[0], found[1]

    def booked(self, places: Places, backlog: Backlog) -> list[Choice]:
        """These places as choices in the order of the requests, booked."""
        table, booking = self.table, Booking(self.table.backends, backlog)
        columns, choices = self.columns[places], list[Choice]([{}] * len(places))
        service_s = table.service_s[self.order, columns]
        by_s = by_smith_s(self.weight[self.turns], service_s)
        for number, (row, column) in enumerate(zip(self.order, columns.tolist(), strict=True)):
            booking.add(column, service_s.item(number))
            choices[row] = Sooner({table.backends[column]: 1.0}, by_s.item(number))
        return choices

    def _is_unit(self) -> bool:
        """Whether all jobs hold up those behind them equally on each lane, and wait at the same cost."""
        bounds = [(np.inf, -np.inf)] * self.num_lanes
        for place, lane in enumerate(self.lane.tolist()):
            known = self.delay_s[np.isfinite(self.own[:, place]), place]
            low, high = known.min(initial=bounds[lane][0]), known.max(initial=bounds[lane][1])
            bounds[lane] = (low, high)
        same = not len(self.waiting) and all(high <= low * (1.0 + GAIN) for low, high in bounds)
        return same and float(np.ptp(self.weight)) <= GAIN * float(self.weight.max(initial=0.0))

    def _assigned(self) -> Places:
        """The least total of unit tasks: jobs against (place, turn on its lane).

        There are as many turns as the optimum may use: were one that is the last of its lane used, more are allowed.
        """
        num_jobs, here = len(self.own), self.lane == np.arange(self.num_lanes)[:, None]
        on_lane = np.stack([np.where(one, self.own, np.inf) for one in here])  # (num_lanes, num_jobs, num_places)
        place, own = on_lane.argmin(axis=2), on_lane.min(axis=2).T
        unit_s = np.where(here & np.isfinite(self.own).any(axis=0), self.delay_s.max(axis=0, initial=0.0), 0.0).max(
            axis=1
        )
        turns = min(num_jobs, 2 + 2 * num_jobs // self.num_lanes) if num_jobs else 0
        while num_jobs:
            late = np.arange(turns) * unit_s[:, None] * self.weight[0]
            costs = (own[:, :, None] + late).reshape(num_jobs, -1)
            try:
                _, taken = linear_sum_assignment(costs)
            except ValueError:  # there are too few turns where the jobs may go
                taken = np.array([turns - 1])
            if turns == num_jobs or (taken % turns).max() < turns - 1:
                return np.asarray(place[taken // turns, np.arange(num_jobs)])
            turns = min(num_jobs, 2 * turns)
        return np.zeros(0, dtype=np.intp)


def _standing(backlog: Backlog, lanes: Sequence[Lane], places: Set[int]) -> tuple[list[Queued], list[int], Array]:
    """What of the queue waits on lanes with a place, which lane's it is, and the load of each without that, seconds.

    Of several lanes that serve a backend it is taken from the one with most left.
    """
    load_s = np.array([backlog.load_s.get(lane.worker, 0.0) for lane in lanes])
    queue, at = [], []
    for one in backlog.queue:
        owners = [number for number in sorted(places) if one.backend in lanes[number].backends]
        if owners:
            owner = max(owners, key=lambda number: load_s[number])
            load_s[owner] = max(0.0, load_s[owner] - one.service_s)
            queue.append(one)
            at.append(owner)
    return queue, at, load_s


def _in_order_of_service(
    table: Table, weight: Array, queue: Sequence[Queued]
) -> tuple[list[int], NDArray[np.intp], NDArray[np.intp]]:
    """Rows in order of service, the turn of each of them, and the turns of what waits."""
    rows = np.arange(len(table.requests))
    likely_s = table.service_s[rows, table.own.argmin(axis=1)]
    by_s = by_smith_s(weight, likely_s)
    jobs = [(one.rank, 0, number) for number, one in enumerate(queue)]
    jobs += [(table.requests[row].rank - by_s[row], 1 + table.requests[row].seq, row) for row in rows.tolist()]
    merged = sorted(jobs, key=lambda job: job[:2])
    turns = np.array([turn for turn, (_, new, _) in enumerate(merged) if new], dtype=np.intp)
    waiting = np.array([turn for turn, (_, new, _) in enumerate(merged) if not new], dtype=np.intp)
    return [row for _, new, row in merged if new], turns, waiting


class Schedule:
    """Where the jobs of a plan are, and what each of them would cost elsewhere.

    Attributes:
        at: place of each job, -1 as long as it has none, (num_jobs,).
        ahead_s: waiting that the jobs before each one cause on each lane, (num_lanes, num_jobs).
        behind: weight of the jobs behind each one on each lane, (num_lanes, num_jobs).
    """

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.at: Places = np.full(len(plan.own), -1, dtype=np.intp)
        self.ahead_s: Array = np.zeros((plan.num_lanes, len(plan.own)))
        self.behind: Array = np.zeros((plan.num_lanes, len(plan.own)))

    def listed(self, order: Iterable[int]) -> Schedule:
        """Give each job in this order the place that is best with those that have one."""
        for job in order:
            self._put(job, int(self._costs(job).argmin()))
        return self

    def put(self, places: Iterable[int]) -> Schedule:
        """Give the jobs these places."""
        for job, place in enumerate(places):
            self._put(job, int(place))
        return self

    def total(self) -> float:
        """Cost of the batch, apart from the waiting until now."""
        jobs, plan = np.arange(len(self.at)), self.plan
        waits_s = self.ahead_s[plan.lane[self.at], jobs]
        return float((plan.own[jobs, self.at] + plan.weight * waits_s).sum())

    def improved(self) -> Schedule:
        """Move and exchange jobs as long as that helps, a number of rounds at most."""
        least = GAIN * max(1.0, self.total())
        for _ in range(ROUNDS):
            if not self._move(least) and not self._exchange(least):
                break
        return self

    def _costs(self, job: int | slice) -> Array:
        """What the total would gain by one job's, or several jobs', being on each place, (…, num_places)."""
        plan, lane = self.plan, self.plan.lane
        ahead_s, behind = self.ahead_s[lane, job].T, self.behind[lane, job].T
        return np.asarray(plan.own[job] + (plan.weight[job] * ahead_s.T).T + behind * plan.delay_s[job])

    def _put(self, job: int, place: int) -> None:
        """Place a job, or move it."""
        plan = self.plan
        for one, sign in ((int(self.at[job]), -1.0), (place, 1.0)):
            if one >= 0:
                lane = plan.lane[one]
                self.ahead_s[lane, job + 1 :] += sign * plan.delay_s[job, one]
                self.behind[lane, :job] += sign * plan.weight[job]
        self.at[job] = place

    def _move(self, least: float) -> int:
        """Move jobs to where the total is least, those first that gain most; how many moved."""
        costs, jobs = self._costs(slice(None)), np.arange(len(self.at))
        gains = costs[jobs, self.at] - costs.min(axis=1)
        moved = 0
        for job in np.argsort(-gains, kind="stable")[: np.count_nonzero(gains > least)].tolist():
            now = self._costs(job)
            place = int(now.argmin())
            if now[self.at[job]] - now[place] > least:
                self._put(job, place)
                moved += 1
        return moved

    def _exchange(self, least: float) -> int:
        """Let pairs of jobs exchange places, those first that gain most, each lane once; how many did."""
        plan, at, jobs = self.plan, self.at, np.arange(len(self.at))
        if len(at) > MOST_EXCHANGED:
            return 0
        costs = self._costs(slice(None))
        own = costs[jobs, at]
        gains = own[:, None] - costs[:, at]  # of a job that moves to another's place, the other being there
        gains += gains.T
        together = plan.weight * (plan.delay_s[:, at] + plan.delay_s[jobs, at][:, None])  # the other is not, then
        gains += np.triu(together, 1) + np.triu(together, 1).T
        lanes = plan.lane[at]
        gains[lanes[:, None] == lanes] = 0.0
        exchanged, touched = 0, set[int]()
        partner = gains.argmax(axis=1)
        for job in np.argsort(-gains[jobs, partner], kind="stable").tolist():
            other = int(partner[job])
            if gains[job, other] <= least:
                break
            pair = {int(lanes[job]), int(lanes[other])}
            if not pair & touched:
                there, here = int(at[other]), int(at[job])
                self._put(job, there)
                self._put(other, here)
                touched |= pair
                exchanged += 1
        return exchanged

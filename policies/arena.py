"""A world in which policies play: jobs arrive, are placed by the real decision code, and take what was measured.

Nothing here is invented but the clock. A task brings what one recorded run of its program gave on each backend; the
requests that a policy sees come from :mod:`orchestrator.deciding` and the cost model, which learns from each result as
it comes. No policy sees the table of runs. An emulated QPU is in this world the device that it emulates: it is busy for
its scheduled time and has a lane of its own (:func:`as_itself`).

Placement looks every ``look_s`` seconds at what has arrived and decides it together. A free slot begins the waiting
part with the smallest rank, as workers do. Policies that want to think again about what waits do so when something
arrives, and when a slot has nothing to do while others have (:mod:`orchestrator.second_thoughts`). Nothing fails, is
cancelled or comes too late: a deadline has its say in placement alone. Same world, same policy: the same ends, bit for
bit.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import count, groupby
from typing import Any, Generic, TypeVar

from backends.backend import Device
from orchestrator import measure
from orchestrator.choosing import Chooser
from orchestrator.cost_model.model import CostModel
from orchestrator.deciding import Scene, parts_of, request_of
from orchestrator.fleet import Fleet
from orchestrator.job import Assignment, AssignmentState, Estimate, Failure, Job, JobSpec, JobState, Measurement, Times
from orchestrator.placement import Choice, Lane, Policy, Request, Scales, cost
from orchestrator.preparer import Known
from orchestrator.second_thoughts import MOST_QUEUED, queue_of, second_thoughts, standing
from orchestrator.store import Outstanding, Waiting

LOOK_S = 0.01
"""Between two looks of placement (ours): about what deciding some jobs takes."""

T = TypeVar("T")


@dataclass(frozen=True)
class Task:
    """One job of a world.

    Attributes:
        at_s: when it arrives, seconds after the world began.
        known: facts of its program, and its fit per backend.
        runs: backend -> what one run of all its shots gave there. A fit without a run can take nothing.
    """

    at_s: float
    spec: JobSpec
    known: Known
    runs: Mapping[str, Measurement]


@dataclass(frozen=True)
class Ended:
    """How one task ended.

    Attributes:
        choice: backend -> share of the shots; empty of one that could not be placed.
        wait_s: from arrival to the start of the last part.   service_s: of the longest part.
        latency_s: from arrival to result.
        cost: of one that could not be placed: what fidelity 0 costs, and the time until it was refused.
        estimates: what the cost model said of each part as it was placed.   priors: what calibration alone said.
    """

    index: int
    cost: float
    latency_s: float
    fidelity: float = 0.0
    energy_j: float = 0.0
    cost_usd: float = 0.0
    wait_s: float = 0.0
    service_s: float = 0.0
    choice: Choice = field(default_factory=dict)
    estimates: Mapping[str, Estimate] = field(default_factory=dict)
    priors: Mapping[str, Estimate] = field(default_factory=dict)
    failure: str = ""


@dataclass(frozen=True)
class World:
    """Tasks in order of arrival, and where they may go.

    Attributes:
        scales: of the cost, frozen before anything is compared.
        look_s: seconds between two looks of placement.
    """

    fleet: Fleet
    tasks: tuple[Task, ...]
    scales: Scales = field(default_factory=Scales)
    look_s: float = LOOK_S

    def looked_at(self, task: Task) -> float:
        """When placement first sees it."""
        return math.ceil(task.at_s / self.look_s) * self.look_s

    def cost(self, task: Task, *, latency_s: float, fidelity: float, energy_j: float, cost_usd: float) -> float:
        """What a task's end costs, by its own objective."""
        figures = {"latency_s": latency_s, "fidelity": fidelity, "energy_j": energy_j, "cost_usd": cost_usd}
        return cost(task.spec.objective, self.scales, **figures)

    def ended(
        self,
        index: int,
        *,
        latency_s: float,
        fidelity: float = 0.0,
        energy_j: float = 0.0,
        cost_usd: float = 0.0,
        **how: Any,
    ) -> Ended:
        """The end of a task with what it costs; ``how`` it came to that are other attributes of :class:`Ended`."""
        figures = {"latency_s": latency_s, "fidelity": fidelity, "energy_j": energy_j, "cost_usd": cost_usd}
        price = self.cost(self.tasks[index], **figures)
        return Ended(index, price, latency_s, fidelity, energy_j, cost_usd, **how)


def as_itself(device: Device) -> Device:
    """An emulated QPU without the cost curve of its simulation: what it takes is what it schedules."""
    return replace(device, cost_curve=None) if device.kind == "emulated_qpu" else device


def on_its_clock(measured: Measurement) -> Measurement:
    """A run with the device's own time as its service, where it has one."""
    return measured if measured.device_s is None else replace(measured, service_s=measured.device_s)


class Yard(Generic[T]):
    """Parts that wait for a backend, and slots that begin the most urgent one as they are free."""

    def __init__(self, lanes: Sequence[Lane]) -> None:
        self._lanes = lanes
        self._free = [lane.slots for lane in lanes]
        self._waiting: dict[str, list[tuple[tuple[float, int], T]]] = {}

    def wait(self, backend: str, rank: float, number: int, part: T) -> None:
        """Have a part wait; ``number`` orders those of equal rank and is its own."""
        heapq.heappush(self._waiting.setdefault(backend, []), ((rank, number), part))

    def withdraw(self, backend: str, number: int) -> None:
        """Have the part of that number wait no more."""
        queue = self._waiting[backend]
        queue[:] = [entry for entry in queue if entry[0][1] != number]
        heapq.heapify(queue)

    def free(self, lane: int) -> None:
        """Give a slot back."""
        self._free[lane] += 1

    @property
    def idles(self) -> bool:
        """Whether some slot has nothing to do while parts wait for others."""
        idle = {name for lane, free in zip(self._lanes, self._free, strict=True) if free for name in lane.backends}
        return bool(idle) and any(queue for name, queue in self._waiting.items() if name not in idle)

    def begin(self) -> Iterator[tuple[int, T]]:
        """What begins now: the number of the lane, and the part."""
        for number, lane in enumerate(self._lanes):
            while self._free[number]:
                queues = [queue for backend in lane.backends if (queue := self._waiting.get(backend))]
                if not queues:
                    break
                self._free[number] -= 1
                yield number, heapq.heappop(min(queues, key=lambda queue: queue[0][0]))[1]


@dataclass
class _Part:
    """One assignment on its way."""

    index: int
    number: int
    assignment: Assignment
    run: Measurement
    started_at: float | None = None


def play(world: World, policy: Policy, model: CostModel | None = None) -> tuple[list[Ended], CostModel]:
    """Let a policy place all tasks of a world.

    Args:
        model: what is known before the first task; nothing by default.

    Returns:
        One end per task, in the order of the tasks; and what is known after the last.
    """
    game = _Game(world, policy, model or CostModel())
    done = {end.index: end for end in game.ends()}
    return [done[index] for index in range(len(world.tasks))], game.model


_RESULT, _FREE, _LOOK = range(3)
"""What happens first of what happens at the same moment: a result is known to the look that follows it."""


class _Game:
    """One play. Events are (moment, kind, number, what happens then)."""

    def __init__(self, world: World, policy: Policy, model: CostModel) -> None:
        self.model = model
        self._world, self._policy = world, policy
        self._yard: Yard[_Part] = Yard(world.fleet.lanes)
        self._parts: dict[int, list[_Part]] = {}
        self._open: dict[int, _Part] = {}  # until its slot is free
        self._tried: dict[int, tuple[Assignment, ...]] = {}  # of a task, those it was moved from too
        self._left: dict[int, int] = {}  # index of a task -> parts without a result
        self._numbers = count()
        self._events: list[tuple[float, int, int, Callable[[float], Iterator[Ended]]]] = []
        self._chooser = Chooser(lambda _: policy, world.scales, lambda _: None)
        for moment, indices in groupby(range(len(world.tasks)), key=lambda index: world.looked_at(world.tasks[index])):
            self._push(moment, _LOOK, partial(self._look, list(indices)))

    def ends(self) -> Iterator[Ended]:
        """Until nothing is left to happen."""
        while self._events:
            now, kind, _, happens = heapq.heappop(self._events)
            yield from happens(now)
            if kind == _FREE and self._yard.idles:
                self._think_again(self._standing(), now)
            for lane, part in self._yard.begin():
                part.started_at = now
                free_at = now + part.run.service_s
                self._push(free_at + (part.run.queue_s or 0.0), _RESULT, partial(self._result, part))
                self._push(free_at, _FREE, partial(self._free, lane, part))

    def _push(self, moment: float, kind: int, happens: Callable[[float], Iterator[Ended]]) -> None:
        heapq.heappush(self._events, (moment, kind, next(self._numbers), happens))

    def _free(self, lane: int, part: _Part, _now: float) -> Iterator[Ended]:
        del self._open[part.number]
        self._yard.free(lane)
        return iter(())

    def _look(self, indices: Sequence[int], now: float) -> Iterator[Ended]:
        """Decide what has arrived, as the pipeline does."""
        world, stand = self._world, self._standing()
        scene = self._scene(stand, now)
        requests: list[Request] = []
        places: list[int] = []
        for index in indices:
            request = request_of(_waiting(index, world.tasks[index]), world.tasks[index].known, scene)
            if isinstance(request, Failure):
                yield self._refused(index, request, now)
            else:
                requests.append(request)
                places.append(index)
        free = [request for request in requests if not request.spec.pin]
        chosen = iter(self._policy.place(free, scene.backlog.copy(), world.scales) if free else ())
        for index, request in zip(places, requests, strict=True):
            choice = request.spec.pin or next(chosen)
            parts = parts_of(request, choice, world.tasks[index].known, scene)
            if isinstance(parts, Failure):
                yield self._refused(index, parts, now)
            else:
                self._place(index, request, parts)
        self._think_again(stand, now)

    def _scene(self, stand: Sequence[Waiting], now: float) -> Scene:
        world = self._world
        outstanding = [
            Outstanding(part.assignment.backend, part.assignment.estimate.service_s, part.started_at)
            for part in self._open.values()
        ]
        backlog = world.fleet.backlog(outstanding, now, queue_of(stand, world.scales))
        return Scene(world.fleet, backlog, self.model, now, Times.EMULATED)

    def _standing(self) -> list[Waiting]:
        """What waits, as policies are told of it that think again."""
        if not self._chooser.reconsiders(""):
            return []
        waiting = {part.index for part in self._open.values() if part.started_at is None}
        jobs = (_waiting(index, self._world.tasks[index], self._tried[index]) for index in waiting)
        return standing(jobs)[:MOST_QUEUED]

    def _think_again(self, stand: Sequence[Waiting], now: float) -> None:
        """As the pipeline does, about what waited before."""
        if not stand:
            return
        known = [(one, self._world.tasks[one.job.seq - 1].known) for one in stand]
        for one in second_thoughts(known, (), self._scene(self._standing(), now), self._chooser):
            request = one.chosen.request
            (part,) = self._parts[request.seq - 1]
            self._yard.withdraw(part.assignment.backend, part.number)
            del self._open[part.number]
            self._place(request.seq - 1, request, one.parts)

    def _place(self, index: int, request: Request, parts: Sequence[Assignment]) -> None:
        whole = {candidate.backend: candidate.prior for candidate in request.candidates}
        runs = self._world.tasks[index].runs
        self._parts[index] = []
        self._left[index] = len(parts)
        before = (replace(part, state=AssignmentState.REPLACED) for part in self._tried.get(index, ()))
        self._tried[index] = (*before, *parts)
        for part in parts:
            run = run_of(runs[part.backend], whole[part.backend], part.prior)
            one = _Part(index, next(self._numbers), part, run)
            self._parts[index].append(one)
            self._open[one.number] = one
            self._yard.wait(part.backend, part.rank, one.number, one)

    def _result(self, part: _Part, now: float) -> Iterator[Ended]:
        """Learn from it; the last part of a task is its end."""
        world, index = self._world, part.index
        task, assignment = world.tasks[index], part.assignment
        assert part.started_at is not None
        wait_s, latency_s = part.started_at - world.looked_at(task), now - task.at_s
        part.run = replace(part.run, wait_s=wait_s, latency_s=latency_s)
        seen = measure.observation(assignment, task.known[0], task.spec.program, assignment.prior, part.run, now=now)
        self.model = self.model.fold([(self.model.cursor + 1, seen)])
        self._left[index] -= 1
        if not self._left[index]:
            yield self._ended(index, latency_s)

    def _ended(self, index: int, latency_s: float) -> Ended:
        parts, shots = self._parts[index], self._world.tasks[index].spec.shots
        return self._world.ended(
            index,
            latency_s=latency_s,
            fidelity=sum(part.assignment.shots * (part.run.fidelity or 0.0) for part in parts) / shots,
            energy_j=sum(part.run.energy_j for part in parts),
            cost_usd=sum(part.run.cost_usd for part in parts),
            wait_s=max(part.started_at or 0.0 for part in parts) - self._world.tasks[index].at_s,
            service_s=max(part.run.service_s for part in parts),
            choice={part.assignment.backend: part.assignment.shots / shots for part in parts},
            estimates={part.assignment.backend: part.assignment.estimate for part in parts},
            priors={part.assignment.backend: part.assignment.prior for part in parts},
        )

    def _refused(self, index: int, failure: Failure, now: float) -> Ended:
        waited_s = now - self._world.tasks[index].at_s
        return self._world.ended(index, latency_s=waited_s, failure=failure.message)


def _waiting(index: int, task: Task, parts: tuple[Assignment, ...] = ()) -> Waiting:
    amount = 0 if parts else task.spec.shots
    return Waiting(Job(f"job-{index}", index + 1, task.spec, JobState.SUBMITTED, task.at_s, to_place=amount), parts)


def run_of(whole: Measurement, before: Estimate, part: Estimate) -> Measurement:
    """The run of a part of the shots, from that of all.

    Exact for a device, which repeats its shots one after the other; of a simulator its time is scaled as the priors of
    part and whole say (ours), since only whole jobs were recorded.

    Args:
        before, part: priors of the whole and of the part.
    """
    if part == before:
        return whole
    ratio = part.service_s / before.service_s
    return replace(
        whole,
        service_s=whole.service_s * ratio,
        device_s=None if whole.device_s is None else whole.device_s * ratio,
        energy_j=whole.energy_j * ratio,
        cost_usd=whole.cost_usd * (part.cost_usd / before.cost_usd if before.cost_usd else ratio),
    )

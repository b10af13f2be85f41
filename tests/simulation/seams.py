"""What the simulation puts in the place of a cluster's outside: store calls that may fail, messages, notices, hands.

Each seam is a point where the scheduler may let somebody else go on, or end the process that stands there. The trip,
the rules and the store between the seams are the real ones.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from greenlet import greenlet

from circuits.facts import Features, Judgement
from circuits.family import Counts
from orchestrator.errors import StoreUnavailable
from orchestrator.job import Event, Failure
from orchestrator.notifier import Hub, Listener
from orchestrator.preparation import Fit, ProgramFacts
from orchestrator.runtime import (
    Executed,
    ExecuteWork,
    Judged,
    JudgeWork,
    Leash,
    Prepared,
    PrepareWork,
    Progress,
    RemoteAnswer,
    RemoteWork,
    RuntimeFailure,
    WorkCancelled,
    WorkReturned,
)
from tests.simulation import far

if TYPE_CHECKING:
    from tests.simulation.world import World

READS = frozenset(
    {"balances", "look", "stranded", "snapshot", "observations", "job", "assignments", "runs", "states", "unwanted"}
)
"""Methods of the store after which nothing can have changed."""

STEADY = frozenset({"snapshot", "observations", "prepared", "save_prepared", "stranded", "runs", "told", "heartbeat"})
"""Methods before which nobody else need go on: what they read or write is nothing that others take away."""

UNREADABLE = "unreadable"
"""Text in a program that cannot be prepared."""

DIVIDED, NUM_ITEMS = "divided", 9
"""Text of a program whose shares are of items, and how many it has."""

FEATURES = Features(2, 2, 2, 1, 2, 1, 1, 0, 2, 2, 0, dynamic=False, clifford=True)


class Crash(BaseException):
    """The process ends here: nothing that follows in it happens."""


class Violation(BaseException):
    """The system did what it must never do. No ``Exception``: the trip must not take it for a backend's defect."""


@dataclass(eq=False)
class Process:
    """One process of the cluster: what runs in it at this moment, and what reaches it."""

    name: str
    alive: bool = True
    frozen: bool = False
    hub: Hub = field(default_factory=Hub)
    notices: list[Event | None] = field(default_factory=list)
    running: dict[str, greenlet] = field(default_factory=dict)


class SimStore:
    """The real store as one process reaches it: a call may find it away, or lose its answer after the commit."""

    def __init__(self, world: World, process: Process) -> None:
        self._world = world
        self._process = process

    def now(self) -> float:
        return self._world.clock()

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(self._world.store, name)
        world = self._world

        def call(*args: Any, **options: Any) -> Any:
            if name not in STEADY:
                world.pause(f"store.{name}")
            if not self._process.alive:
                raise Crash
            fate = world.fate()
            if fate == "away":
                raise StoreUnavailable("the store is away")
            expected = world.fencing(args[0]) if name == "finish" else None
            answer = method(*args, **options)
            if expected is not None and answer[1] != expected:
                raise Violation(f"finish wrote {answer[1]} where the holders allow {expected}")
            if name not in READS:
                world.check()
            if fate == "lost":
                world.note(f"{self._process.name}: the answer of {name} is lost")
                raise StoreUnavailable("the connection broke before the answer came")
            return answer

        return call


class SimBus:
    """Notices between processes. While the broker is away none get through; afterwards all are told to look again."""

    def __init__(self, world: World, process: Process) -> None:
        self._world = world
        self._process = process

    def publish(self, events: Sequence[Event]) -> bool:
        self._world.pause("publish")
        return self._world.carry(events)

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        return self._process.hub.subscribe(listener)

    def close(self) -> None:
        """Nothing to give back."""


class SimBroker:
    """Wake-ups, one for however many are due in a queue; lost while the broker is away."""

    def __init__(self, world: World) -> None:
        self._world = world

    def wake_placement(self) -> None:
        self._world.send("")

    def wake_backend(self, backend: str) -> None:
        self._world.send(backend)

    def close(self) -> None:
        """Nothing to give back."""


class Bell:
    """Stands in for the ``threading.Event`` that a loop waits on: waiting lets the others go on."""

    def __init__(self, world: World, label: str) -> None:
        self._world = world
        self._label = label
        self._set = False

    def wait(self, timeout: float | None = None) -> bool:
        self._world.pause(self._label)
        return self._set

    def is_set(self) -> bool:
        return self._set

    def set(self) -> None:
        self._set = True


class SimRuntime:
    """The hands: they take their time, fail as the seed wants, and heed their leash."""

    def __init__(self, world: World, process: Process) -> None:
        self._world = world
        self._process = process
        self.closing = False

    def prepare(self, work: PrepareWork, leash: Leash) -> Prepared:
        self._pause(leash, "prepare")
        if UNREADABLE in work.program.text:
            raise RuntimeFailure(Failure("prepare", "InvalidProgram", "no such gate", elsewhere=False))
        if self._world.unlucky(0.05):
            raise RuntimeFailure(Failure("prepare", "worker_lost", "a child died", transient=True))
        fits = {device.name: Fit(2, 2, 0.9, 0.0) for device in work.devices}
        facts = ProgramFacts("program", FEATURES, adaptive=False, ideal={"0": 1.0})
        if work.program.text == DIVIDED:
            facts = replace(facts, adaptive=True, ideal=None, num_items=NUM_ITEMS)
        return Prepared(facts, fits)

    def execute(self, work: ExecuteWork, leash: Leash, progress: Progress) -> Executed:
        self._pause(leash, f"run on {work.backend}")
        if self._world.unlucky(0.1):
            progress({"round": 1})
            self._pause(leash, f"run on {work.backend}")
        outcome = self._outcome(work)
        if isinstance(outcome, Failure):
            raise RuntimeFailure(outcome)
        return outcome

    def execute_many(self, works: Sequence[ExecuteWork], leash: Leash) -> tuple[list[Executed | Failure], float]:
        done: list[Executed | Failure] = []
        for work in works:
            try:
                self._pause(leash, f"run one of {len(works)} on {work.backend}")
            except (WorkCancelled, WorkReturned):
                return done, 0.0
            if self._world.unlucky(0.05):  # the child died with the rest of the batch
                return done, 0.0
            done.append(self._outcome(work))
        return done, 0.0

    def remote(self, work: RemoteWork, leash: Leash) -> RemoteAnswer:
        self._pause(leash, f"{work.step} {work.purchase_id} at {work.work.backend}")
        if self._world.unlucky(0.05):  # the child died before it said anything to anybody
            raise RuntimeFailure(Failure("execute", "worker_lost", "a child died", transient=True))
        told = far.answer(self._world, work)
        self._pause(leash, f"hear of {work.step} {work.purchase_id}")
        if self._world.unlucky(0.05):  # and here, after
            raise RuntimeFailure(Failure("execute", "worker_lost", "a child died", transient=True))
        return told

    def judge(self, work: JudgeWork, leash: Leash) -> Judged:
        self._pause(leash, "judge")
        if self._world.unlucky(0.05):
            raise RuntimeFailure(Failure("measure", "worker_lost", "a child died", transient=True))
        found = [item for part in work.outcomes for item in part]
        return Judged(Judgement(0.9, "hellinger"), found or None)

    def close(self) -> None:
        self.closing = True

    def _pause(self, leash: Leash, label: str) -> None:
        with leash.around(lambda: None):
            self._world.pause(label)
        if self.closing:
            raise WorkReturned
        if leash.pulled:
            raise WorkCancelled

    def _outcome(self, work: ExecuteWork) -> Executed | Failure:
        kind = self._world.outcome(work.backend)
        if kind == "defect":
            raise RuntimeError("nobody foresaw this")
        if kind != "ok":
            elsewhere = kind != "hopeless"
            return Failure(
                "execute", kind, f"{work.backend} says: {kind}", transient=kind == "transient", elsewhere=elsewhere
            )
        found = None if work.items is None else list(range(*work.items))
        judgement = Judgement(0.9, "hellinger")
        return Executed(_counts(work), judgement, 0.0, 0.01, 0.04, 1, work.shots, "simulated", outcome=found)


def _counts(work: ExecuteWork) -> Counts:
    zeros = random.Random(work.seed).randint(0, work.shots)
    return {key: number for key, number in (("0", zeros), ("1", work.shots - zeros)) if number}


def stand_ins(world: World) -> Mapping[str, Any]:
    """For what trip and store ask the machine: time, numbers and pauses may not differ between replays."""

    def identifiers() -> Iterator[str]:
        while True:
            yield f"{world.rng.getrandbits(128):032x}"

    numbers = identifiers()
    clock = SimpleNamespace(perf_counter=world.clock, monotonic=world.clock, time=world.clock)
    clock.clock_gettime, clock.CLOCK_BOOTTIME = (lambda _: world.steady()), 7
    return {
        "time": clock,
        "uuid": SimpleNamespace(uuid4=lambda: SimpleNamespace(hex=next(numbers))),
        "LEAST_WAIT_S": -1.0,  # here nothing waits for long
        "sleep_using_event": lambda event: lambda seconds: world.pause("wait for the store"),
    }

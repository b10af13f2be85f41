"""A small cluster in one thread: real trip, rules and store; who goes on next, and what breaks, is the seed's choice.

Every process is a set of greenlets that stop at each seam (:mod:`tests.simulation.seams`). A step resumes one of them,
delivers a message or a notice, has the client do something, or breaks something. After the faults come fair rounds, by
whose end everything must be over and told.
"""

from __future__ import annotations

import random
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, cast

from greenlet import getcurrent, greenlet

from backends.backend import CostCurve, Device
from backends.pricing import Price
from orchestrator import choosing, preparer, remote_trip, second_thoughts
from orchestrator import pipeline as trip
from orchestrator.bucket import MemoryBucket
from orchestrator.errors import OrchestratorError
from orchestrator.job import Event
from orchestrator.pipeline import Pipeline
from orchestrator.purchase import Budget
from orchestrator.settings import Settings
from orchestrator.sql import jobs as sql_jobs
from orchestrator.sql import schema
from orchestrator.sql.store import SqlStore
from orchestrator.store import Ending
from tests.far.provider import Provider
from tests.simulation.far import FAR, TIMEOUT_S
from tests.simulation.invariants import FINAL, Ledger
from tests.simulation.people import Client, policy
from tests.simulation.seams import (
    Bell,
    Crash,
    Process,
    SimBroker,
    SimBus,
    SimRuntime,
    SimStore,
    Violation,
    stand_ins,
)
from workers.node import Node

SETTINGS = Settings(
    data_dir=Path("nowhere"), lease_s=3.0, heartbeat_s=0.5, run_batch=3, run_window_s=0.2, run_alone_s=0.2,
    placement_batch=3, remote_poll_s=0.3, remote_poll_max_s=2.0, remote_timeout_s=TIMEOUT_S,
)  # fmt: skip
BEAT = 0.25
"""How often a process beats, relative to the other weights."""

LAST_ROUND = 80
"""Fair rounds of one second by whose end everything must be over; clocks are set back by ten seconds at most."""

DEVICES = {
    name: Device(
        name=name, kind="simulator", num_qubits=8, max_active_qubits=8, basis_gates=("h", "cx"), coupling=None,
        clifford_only=False, dynamic=True, max_gates=None, calibration=None,
        cost_curve=CostCurve(overhead_s=0.05, shot_s=1e-4, gate_s=1e-6, qubit_exponent=0.0),
        price=Price(), power_w=1.0, sdk_version="1",
    )
    for name in ("red", "green", "blue")
}  # fmt: skip


class Stage:
    """A database that many worlds use one after the other."""

    def __init__(self, folder: Path) -> None:
        path = folder / "simulation.sqlite"
        self._clock: Callable[[], float] = lambda: 0.0
        self.store = SqlStore(f"sqlite:///{path}", SETTINGS.rules, clock=lambda: self._clock())
        with closing(self.store._db._engine.raw_connection()) as connection:
            connection.cursor().execute("PRAGMA synchronous = OFF")  # nothing here need outlive the machine
        self.database = sqlite3.connect(path, isolation_level=None)
        self.database.execute("PRAGMA synchronous = OFF")

    def set(self, clock: Callable[[], float]) -> None:
        """Empty it, for a world with that clock."""
        self._clock = clock
        self.database.execute("BEGIN IMMEDIATE")
        for table in reversed(schema.metadata.sorted_tables):
            if table is not schema.counters:
                self.database.execute(f"DELETE FROM {table.name}")
        self.database.execute("UPDATE counters SET value = 0")
        self.database.execute("COMMIT")

    def read(self, query: str) -> list[dict[str, Any]]:
        """Rows as mappings from their columns."""
        cursor = self.database.execute(query)
        names = [column[0] for column in cursor.description]
        return [dict(zip(names, row, strict=True)) for row in cursor]

    def close(self) -> None:
        """Give everything back."""
        self.database.close()
        self.store.close()


@dataclass(frozen=True)
class Report:
    """What happened in one world: how its jobs ended, what broke, what that led to."""

    states: Counter[str]
    faults: Counter[str]
    happened: Counter[str]


class World:
    """One seed's cluster."""

    def __init__(self, seed: int, stage: Stage) -> None:
        self.rng = random.Random(seed)
        self.store = stage.store
        self.log: list[str] = []
        self.faults: Counter[str] = Counter()
        self.happened: Counter[str] = Counter()
        self.queue: list[str] = []
        self.published: set[str] = set()
        self.complaints: list[str] = []
        self._time = 1_000.0
        self._faulty = True
        self._store_away = self._broker_away = False
        self._moods = dict.fromkeys(DEVICES, 0.15)
        stage.set(self.clock)
        self._ledger = Ledger(stage.read, SETTINGS.rules)
        self._cast: dict[str, dict[str, Device]] = {f"placer{n}": {} for n in range(self.rng.choice((1, 1, 2)))}
        for number in range(self.rng.randint(2, 3)):
            served = self.rng.sample(sorted(DEVICES), self.rng.randint(1, 3) if number else 3)
            self._cast[f"worker{number}"] = {name: DEVICES[name] for name in served}
        self._slots = self.rng.choice((1, 2))
        self._processes: dict[str, Process] = {}
        self._nodes: dict[str, tuple[Pipeline, Node, SimRuntime]] = {}
        self._births = 0
        self._set_back_s = 0.0
        self.provider = Provider()
        self._bucket = MemoryBucket(clock=self.steady)
        self.on_its_way: list[tuple[float, Callable[[], object]]] = []
        self._ledger.provider = self.provider
        self.provider_is_there = self.rng.random() < 0.5
        if self.provider_is_there:
            for number in range(2):  # it is looked after by several
                self._cast[f"worker{number}"]["far"] = FAR
            if self.rng.random() < 0.5:
                self.store.set_budget(Budget("", max_usd=self.rng.uniform(0.5, 3.0)))

    # ── what the seams ask ────────────────────────────────────────────────────────────────────────────────────────
    def clock(self) -> float:
        """The store's time, and everybody's."""
        return self._time

    def steady(self) -> float:
        """A clock that nobody sets."""
        return self._time + self._set_back_s

    def note(self, text: str) -> None:
        """Add a line to the story."""
        self.log.append(f"{self._time:8.2f} {text}")

    def pause(self, label: str) -> None:
        """Let others go on; end here if the process is killed meanwhile."""
        activity = getcurrent()
        if not isinstance(activity, Activity):
            return
        if activity.process.alive:
            activity.label = label
            cast(greenlet, activity.parent).switch()
        if not activity.process.alive:
            raise Crash

    def fate(self) -> str:
        """What becomes of a call of the store: "done", "away" before it is done, "lost" its answer."""
        if not self._faulty or not isinstance(getcurrent(), Activity):
            return "done"
        if self._store_away:
            return "away"
        return self.rng.choices(("done", "away", "lost"), (0.96, 0.01, 0.03))[0]

    def unlucky(self, chance: float) -> bool:
        """Whether something that rarely happens happens now."""
        return self._faulty and self.rng.random() < chance

    def outcome(self, backend: str) -> str:
        """How a run ends."""
        if not self.unlucky(self._moods[backend]):
            return "ok"
        return self.rng.choices(("transient", "permanent", "hopeless", "defect"), (5, 3, 1, 1))[0]

    def send(self, backend: str) -> None:
        """A wake-up; "" wakes placement. One that lies there still will find what is new, too."""
        if not self._broker_away and backend not in self.queue:
            self.queue.append(backend)

    def carry(self, events: Sequence[Event]) -> bool:
        """Notices to everybody who is there."""
        if self._broker_away:
            return False
        for process in self._processes.values():
            if process.alive:
                process.notices += events
        self.published.update(event.job_id for event in events if event.kind in FINAL)
        return True

    def fencing(self, endings: Sequence[Ending]) -> list[bool]:
        """Which of these endings may be written: those of attempts that are still their owner's."""
        held = {
            (row["id"], row["attempt"], row["owner"])
            for row in self._ledger.read("SELECT id, attempt, owner FROM assignments WHERE state = 'running'")
        }
        allowed = [(e.assignment.id, e.assignment.attempt, e.assignment.owner) in held for e in endings]
        self.happened["stale write refused"] += allowed.count(False)
        return allowed

    def check(self) -> None:
        """Raises: Violation: something is as it must never be."""
        self._ledger.check()
        if self.complaints:
            raise Violation(self.complaints[0])

    # ── processes ─────────────────────────────────────────────────────────────────────────────────────────────────
    def _process(self, name: str) -> Process:
        self._births += 1
        process = self._processes[name] = Process(name)
        return process

    def pipeline(self, process: Process, runtime: SimRuntime) -> Pipeline:
        """A real one, whose outside is simulated."""
        return Pipeline(
            store=cast(Any, SimStore(self, process)),
            broker=SimBroker(self),
            notifier=SimBus(self, process),
            runtime=runtime,
            policies=lambda name: policy(name, self.rng),
            settings=SETTINGS,
            owner=f"{process.name}/{self._births}",
            bucket=self._bucket,
        )

    def _start(self, name: str) -> None:
        if name in self._processes:
            self._kill(self._processes[name])
        process = self._process(name)
        runtime = SimRuntime(self, process)
        pipeline = self.pipeline(process, runtime)
        node = Node(pipeline, SETTINGS, worker=name, devices=self._cast[name])
        node._closing = cast(Any, Bell(self, "beat"))
        self._nodes[name] = (pipeline, node, runtime)
        alone = self._births > len(self._cast) + 1 and self.rng.random() < 0.5

        def live() -> None:
            node.announce(warm=self._cast[name])
            if alone:  # as the embedded engine does, that knows that whoever had its name is gone
                pipeline.store.disown(name)
                pipeline.sweep()
            node._beat()
            pipeline.store.announce(name, [])  # it was asked to leave

        self._begin(process, "life", live)

    def _begin(self, process: Process, what: str, run: Callable[[], object], told: str = "begins") -> None:
        self.note(f"{process.name}: {what} {told}")
        process.running[what] = Activity(process, run)
        self._resume(process, what)

    def _resume(self, process: Process, what: str) -> None:
        activity = process.running[what]
        try:
            activity.switch()
        except OrchestratorError as error:
            self.note(f"{process.name}: {what} gave up: {error}")
            if what == "life":
                self._kill(process)
        except Exception as error:
            raise Violation(f"{process.name}: {what} raised {type(error).__name__}: {error}") from error
        if activity.dead:
            process.running.pop(what, None)
        else:
            self.note(f"{process.name}: {what} is about to {cast(Activity, activity).label}")

    def _kill(self, process: Process) -> None:
        process.alive = False
        for activity in process.running.values():
            try:
                activity.throw(Crash)
            except Crash:
                continue
        process.running.clear()
        process.notices.clear()

    # ── steps ─────────────────────────────────────────────────────────────────────────────────────────────────────
    def _options(self) -> Iterator[tuple[float, Callable[[], None]]]:
        for process in self._processes.values():
            if process.alive and not process.frozen:
                for what, activity in process.running.items():
                    waits = cast(Activity, activity).label == "beat"
                    yield BEAT if waits else 4.0, partial(self._resume, process, what)
                if process.notices and "bus" not in process.running:
                    yield 2.0, partial(self._notify, process)
        for message in self.queue:
            for process, what, run in self._takers(message):
                yield 2.0, partial(self._deliver, message, process, what, run)
        if not self.client.process.running:
            for weight, what, run in self.client.wishes():
                yield weight, partial(self._begin, self.client.process, what, run)

    def _takers(self, message: str) -> Iterator[tuple[Process, str, Callable[[], object]]]:
        for name, served in self._cast.items():
            process = self._processes[name]
            takes = message in served if message else not served  # who serves nothing places
            if process.frozen or not takes or "life" not in process.running:
                continue
            pipeline = self._nodes[name][0]
            run = partial(pipeline.execute, served, message) if message else pipeline.place
            slots = [f"slot{slot}" for slot in range(self._slots)] if message else ["place"]
            free = next((slot for slot in slots if slot not in process.running), None)
            if free is not None:
                yield process, free, run

    def _deliver(self, message: str, process: Process, what: str, run: Callable[[], object]) -> None:
        if not self.unlucky(0.05):  # else it will be delivered once more
            self.queue.remove(message)
        self._begin(process, what, run, f"is woken for {message or 'placement'}")

    def _notify(self, process: Process) -> None:
        heard = list(process.notices)
        process.notices.clear()
        told = ", ".join("look again" if event is None else f"{event.kind} {event.job_id[:4]}" for event in heard)
        self._begin(process, "bus", lambda: [process.hub.dispatch(event) for event in heard], f"hears {told}")

    def _breakable(self) -> Iterator[tuple[float, str, Callable[[], None]]]:
        members = [self._processes[name] for name in self._cast]
        for process in members:
            if not process.running:
                yield 0.6, "a process starts again", partial(self._start, process.name)
            elif process.frozen:
                yield 0.8, "a process goes on", partial(setattr, process, "frozen", False)
            else:
                busy = len(process.running) > 1
                yield 0.5 if busy else 0.05, "a process is killed", partial(self._kill, process)
                yield 0.3 if busy else 0.05, "a process stands still", partial(setattr, process, "frozen", True)
                yield 0.3 if busy else 0.0, "a lease is slept through", partial(self._sleep, process)
                yield 0.1 if busy else 0.02, "a process leaves", partial(self._leave, process)
            if process.notices:
                yield 0.1, "a connection breaks", partial(setattr, process, "notices", [None])
        if self.queue:
            yield 0.5, "a message is lost", partial(self.queue.pop)
        yield 0.3, "time passes", partial(self._jump, 0.5, 2.0)
        yield 0.3, "leases end", partial(self._jump, 3.0, 6.0)
        yield 0.1, "the clock is set back", partial(self._jump, -2.0, -0.5)
        yield 0.15, "the store goes or comes", partial(setattr, self, "_store_away", not self._store_away)
        yield 0.15, "the broker goes or comes", self._toggle_broker
        yield 0.2, "a backend breaks or heals", self._change_mood

    def _leave(self, process: Process) -> None:
        """A signal asks it to end: what runs is given back, the rest follows by itself."""
        _, node, runtime = self._nodes[process.name]
        runtime.close()
        node._closing.set()

    def _sleep(self, process: Process) -> None:
        process.frozen = True
        self._jump(SETTINGS.lease_s, SETTINGS.lease_s + 1.0)

    def _jump(self, least_s: float, most_s: float) -> None:
        by_s = self.rng.uniform(least_s, most_s)
        self._time += by_s
        self._set_back_s -= min(0.0, by_s)

    def _toggle_broker(self) -> None:
        self._broker_away = not self._broker_away
        self.queue.clear()
        for process in self._processes.values():
            if process.alive and not self._broker_away:
                process.notices.append(None)

    def _change_mood(self) -> None:
        backend = self.rng.choice(sorted(DEVICES))
        self._moods[backend] = self.rng.choice((0.0, 0.1, 0.4, 1.0))

    def _arrive(self) -> None:
        """What is on its way to the provider and due is there."""
        due = [one for one in self.on_its_way if one[0] <= self.steady()]
        self.on_its_way = [one for one in self.on_its_way if one not in due]
        for _, accept in due:
            accept()

    def _step(self) -> None:
        self._time += self.rng.expovariate(40.0)
        self._arrive()
        if self.rng.random() < 0.12:
            weights, names, breaks = zip(*self._breakable(), strict=True)
            chosen = self.rng.choices(range(len(names)), weights)[0]
            self.note(f"FAULT: {names[chosen]}")
            self.faults[names[chosen]] += 1
            breaks[chosen]()
            return
        options = list(self._options())
        if options:
            self.rng.choices([option[1] for option in options], [option[0] for option in options])[0]()

    def _fair_round(self) -> None:
        self._time += 1.0
        self._arrive()
        for name in self._cast:
            if "life" not in self._processes[name].running:
                self._start(name)
        for _ in range(200):
            options = [
                partial(self._resume, process, what)
                for process in self._processes.values()
                for what, activity in process.running.items()
                if cast(Activity, activity).label != "beat"
            ]
            options = options or [option for weight, option in self._options() if weight != BEAT]
            if not options:
                break
            self.rng.choice(options)()
        for name in self._cast:
            if "life" in self._processes[name].running:
                self._resume(self._processes[name], "life")

    def run(self, num_steps: int) -> Report:
        """The whole story.

        Raises:
            Violation: with what was violated; the story is in ``log``.
        """
        self.client = Client(self, self._process("client"), num_jobs=self.rng.randint(2, 5))
        try:
            for name in self._cast:
                self._start(name)
            for _ in range(num_steps):
                self._step()
            self.note("no more faults")
            self._faulty = self._store_away = False
            if self._broker_away:
                self._toggle_broker()
            for process in self._processes.values():
                process.frozen = False
            while self.client.process.running:  # what it is about to do, such as to close a backend, comes first
                self._resume(self.client.process, next(iter(self.client.process.running)))
            self.client.settle()
            for _ in range(LAST_ROUND):
                self._fair_round()
                if not self._left():
                    break
            if self._left():
                raise Violation(f"not over after {LAST_ROUND} fair rounds: {self._left()}")
            self.check()
            self._ledger.check_bills()
        finally:
            for process in self._processes.values():
                self._kill(process)
        states = Counter(row["state"] for row in self._ledger.read("SELECT state FROM jobs"))
        self.happened.update(row["kind"] for row in self._ledger.read("SELECT kind FROM events"))
        return Report(states, self.faults, self.happened)

    def _left(self) -> list[str]:
        """What is still to be done."""
        left = [f"the client has not heard of {job_id}" for job_id in sorted(self.client.waits_for)]
        for row in self._ledger.read("SELECT id, state, told FROM jobs"):
            if row["state"] not in FINAL:
                left.append(f"job {row['id']} is {row['state']}")
            elif row["id"] not in self.published or not row["told"]:
                left.append(f"nobody was told of the end of job {row['id']}")
        return left


class Activity(greenlet):
    """Something that a process does."""

    def __init__(self, process: Process, run: Callable[[], object]) -> None:
        super().__init__(run)
        self.process = process
        self.label = ""


@contextmanager
def simulated(world: World) -> Iterator[None]:
    """Its clock and its random numbers are those of the trip and the store."""
    ours = stand_ins(world)
    places = [(trip, "time"), (trip, "uuid"), (trip, "sleep_using_event"), (preparer, "time"), (sql_jobs, "uuid")]
    places += [(remote_trip, "time"), (choosing, "uuid"), (second_thoughts, "LEAST_WAIT_S")]
    kept = [(module, name, getattr(module, name)) for module, name in places]
    for module, name, _ in kept:
        setattr(module, name, ours[name])
    try:
        yield
    finally:
        for module, name, before in kept:
            setattr(module, name, before)

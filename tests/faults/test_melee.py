"""Many processes' worth of threads on one store at once: what the simulation does in turn happens here side by side."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from contextlib import closing
from functools import cache, partial
from types import SimpleNamespace
from typing import Any, cast

import pytest
from sqlalchemy import text

from orchestrator.errors import StoreUnavailable
from orchestrator.job import FINAL_JOB_STATES, JobSpec
from orchestrator.pipeline import Pipeline
from orchestrator.sql.store import SqlStore
from orchestrator.store import Announcement
from policies import load
from tests.simulation.invariants import Ledger
from tests.simulation.people import PROGRAMS, Scatter
from tests.simulation.seams import Process, SimRuntime, Violation
from tests.simulation.world import DEVICES, SETTINGS

NUM_JOBS = 120
PATIENCE_S = 120.0
PLACERS, WORKERS = ("p0", "p1"), ("w0", "w1", "w2")


class Luck:
    """What the hands ask of the world: here they do not wait, and fail by chance."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)

    def pause(self, label: str) -> None:
        """Threads need no scheduler."""

    def unlucky(self, chance: float) -> bool:
        return self.rng.random() < chance

    def outcome(self, backend: str) -> str:
        return self.rng.choices(("ok", "transient", "permanent", "hopeless"), (16, 2, 1, 1))[0]


def policy(name: str) -> Any:
    return Scatter() if name == "scatter" else _real(name)


@cache
def _real(name: str) -> Any:
    return load(name)


def pipeline(url: str, owner: str, seed: int) -> Pipeline:
    quiet = SimpleNamespace(wake_placement=lambda: None, wake_backend=lambda _: None)
    deaf = SimpleNamespace(publish=lambda _: True, subscribe=lambda _: lambda: None)
    return Pipeline(
        store=SqlStore(url, SETTINGS.rules),
        broker=cast(Any, quiet),
        notifier=cast(Any, deaf),
        runtime=cast(Any, SimRuntime(cast(Any, Luck(seed)), Process(owner))),
        policies=policy,
        settings=SETTINGS,
        owner=f"{owner}/1",
    )


def spec(rng: random.Random, known: list[str]) -> JobSpec:
    return JobSpec(
        program=PROGRAMS[rng.randrange(2)],
        shots=rng.randint(3, 30),
        policy=rng.choice(("eft", "scatter")),
        after=tuple(rng.sample(known, min(len(known), rng.choice((0, 0, 1, 2))))),
    )


class Melee:
    """Threads that step until all is over, each over its own connections."""

    def __init__(self, store: SqlStore) -> None:
        url = store._db._engine.url.render_as_string(hide_password=False)
        self.store = store
        self.members = {name: pipeline(url, name, seed) for seed, name in enumerate((*PLACERS, *WORKERS, "client"))}
        self.known: list[str] = []
        self.wrong: list[BaseException] = []
        self._rng = random.Random(5)
        self._over = threading.Event()

    def run(self) -> None:
        workers = [partial(self.members[name].execute, DEVICES) for name in WORKERS]
        steps = [*(self.members[name].place for name in PLACERS), *workers, self.sweep, self.submit]
        threads = [threading.Thread(target=self._repeat, args=(step,)) for step in steps]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE_S)
        self._over.set()

    def submit(self) -> None:
        if len(self.known) < NUM_JOBS:
            jobs = self.members["client"].submit([spec(self._rng, self.known[-8:])])
            self.known.extend(job.id for job in jobs)
            if self._rng.random() < 0.3:
                self.members["client"].cancel(self._rng.choice(self.known[-5:]))

    def sweep(self) -> None:
        self.store.heartbeat("w0")
        for name in WORKERS:
            self.members[name].renew()
            self.members[name].sweep()
        known = list(self.known)  # one more may come while the others are looked at
        states = self.store.states(known)
        if len(known) >= NUM_JOBS and FINAL_JOB_STATES.issuperset(states.values()):
            self._over.set()

    def _repeat(self, step: Callable[[], object]) -> None:
        while not self._over.is_set():
            try:
                step()
            except StoreUnavailable:  # two that waited for each other: one of them was sent back
                continue
            except BaseException as error:  # noqa: BLE001  # whatever it is, the test is to show it
                self.wrong.append(error)
                self._over.set()

    def close(self) -> None:
        for member in self.members.values():
            member.close()
            member.store.close()


def test_side_by_side_nothing_is_lost_or_doubled(store: SqlStore) -> None:
    store.announce("w0", [Announcement(name, "w0", 1, device) for name, device in DEVICES.items()])

    def read(query: str) -> list[dict[str, Any]]:
        with store._db.read() as tx:
            return [dict(row) for row in tx.execute(text(query)).mappings()]

    with closing(Melee(store)) as melee:
        melee.run()
        assert melee.wrong == []
        assert len(melee.known) == NUM_JOBS
        assert FINAL_JOB_STATES.issuperset(store.states(melee.known).values())
        try:
            Ledger(read, SETTINGS.rules).check()
        except Violation as violation:
            pytest.fail(str(violation))

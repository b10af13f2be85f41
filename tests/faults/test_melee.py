"""Many processes' worth of threads on one store at once: what the simulation does in turn happens here side by side."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from functools import cache
from types import SimpleNamespace
from typing import Any, cast

import pytest
from sqlalchemy import text

from orchestrator.errors import StoreUnavailable
from orchestrator.job import FINAL_JOB_STATES, JobSpec, JobState
from orchestrator.pipeline import Pipeline
from orchestrator.sql.store import SqlStore
from orchestrator.store import Announcement
from policies import load
from tests.simulation.invariants import Ledger
from tests.simulation.people import PROGRAMS, Scatter
from tests.simulation.seams import Process, SimRuntime, Violation
from tests.simulation.world import DEVICES, SETTINGS

NUM_JOBS = 120
LAST_ROUND = 500


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


def test_side_by_side_nothing_is_lost_or_doubled(store: SqlStore) -> None:
    url = store._db._engine.url.render_as_string(hide_password=False)
    names = ("p0", "p1", "w0", "w1", "w2", "client")
    members = {name: pipeline(url, name, seed) for seed, name in enumerate(names)}
    roll = [Announcement(name, "w0", 1, device) for name, device in DEVICES.items()]
    store.announce("w0", roll)
    known: list[str] = []
    rng, over, wrong = random.Random(5), threading.Event(), cast(list[BaseException], [])

    def submit() -> bool:
        for _ in range(NUM_JOBS):
            known.extend(job.id for job in members["client"].submit([spec(rng, known[-8:])]))
            if rng.random() < 0.3:
                members["client"].cancel(rng.choice(known[-5:]))
        return True

    def sweep() -> bool:
        store.heartbeat("w0")
        for name in ("w0", "w1", "w2"):
            members[name].renew()
            members[name].sweep()
        states = store.states(list(known))
        return len(known) >= NUM_JOBS and all(state in FINAL_JOB_STATES for state in states.values())

    def again(step: Callable[[], object], ends: bool = False) -> None:
        for _ in range(100_000):
            try:
                if (step() and ends) or over.is_set():
                    break
            except StoreUnavailable as error:
                print("AWAY", step, str(error)[-900:])
                continue
            except BaseException as error:  # noqa: BLE001  # whatever it is, the test is to show it
                wrong.append(error)
                break
        if ends or wrong:
            over.set()

    workers = [lambda name=name: members[name].execute(DEVICES) for name in ("w0", "w1", "w2")]
    steps: list[Callable[[], object]] = [members["p0"].place, members["p1"].place, *workers]
    threads = [threading.Thread(target=again, args=(step,)) for step in steps]
    threads.append(threading.Thread(target=again, args=(sweep, True)))
    for thread in threads:
        thread.start()
    submit()
    for thread in threads:
        thread.join(120.0)
    over.set()
    assert wrong == []

    def read(query: str) -> list[dict[str, Any]]:
        with store._db.read() as tx:
            return [dict(row) for row in tx.execute(text(query)).mappings()]

    try:
        Ledger(read, SETTINGS.rules).check()
    except Violation as violation:
        pytest.fail(str(violation))
    finally:
        for member in members.values():
            member.close()
            member.store.close()
    assert set(store.states(known).values()) <= {JobState.DONE, JobState.FAILED, JobState.CANCELLED}

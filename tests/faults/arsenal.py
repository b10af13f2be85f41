"""The faults: what is done to a stack while jobs run. Each leaves it whole again."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace

import psutil
from sqlalchemy import text

from orchestrator.broker import EXECUTE_TASK, PLACE_TASK, PLACEMENT_QUEUE, backend_queue
from orchestrator.client import JobHandle
from orchestrator.errors import StoreUnavailable
from tests.faults.battle import Broken, Clients, Round
from tests.faults.flaky import FLAKY
from tests.faults.stack import NotInTime, Stack, until
from workers.app import make_app

STALE_S = 8.0
"""A worker that comes back has tried to write its stale result by then."""

SILENT_S = 5.0
"""Workers whose disk is full have missed their heartbeats by then."""

SLEPT_S = 25.0
"""The others have taken over from a worker that stands still by then, even if it holds the database's lock."""


def kill_worker(fight: Round) -> None:
    """SIGKILL of a worker that runs a job."""
    fight.submit("slow", "slow", "quick")
    worker = fight.await_running()
    fight.inflict()
    fight.stack.kill(worker)
    fight.stack.start(worker)
    fight.settle()
    fight.stack.await_up(worker)


def kill_children(fight: Round) -> None:
    """SIGKILL of the processes that do a worker's work."""
    fight.submit("slow", "slow", "quick")
    worker = fight.await_running()
    fight.inflict()
    for child in fight.stack.children(worker):
        with suppress(psutil.NoSuchProcess):
            child.kill()
    fight.settle()


def kill_placement(fight: Round) -> None:
    """SIGKILL of the worker that places, with jobs before it."""
    fight.submit("quick", "slow", "quick")
    fight.inflict()
    fight.stack.kill("placement")
    fight.stack.start("placement")
    fight.settle()
    fight.stack.await_up("placement")


def stop_worker(fight: Round) -> None:
    """SIGSTOP of a worker beyond its lease, then SIGCONT: it writes late."""
    fight.submit("slow", "slow")
    worker = fight.await_running()
    before = num_stale(fight.stack)
    fight.inflict()
    fight.stack.signal(worker, signal.SIGSTOP)
    try:
        with suppress(NotInTime):  # it may have been stopped with the database's lock in its hand
            fight.settle(SLEPT_S)
    finally:
        fight.stack.signal(worker, signal.SIGCONT)
    fight.settle()
    with suppress(NotInTime):  # it may have been stopped just after it wrote
        until(lambda: num_stale(fight.stack) > before, STALE_S, "a stale write is refused")


def num_stale(stack: Stack) -> int:
    """Writes that were refused until now."""
    with stack.store._db.read() as tx:
        return int(
            tx.execute(text("SELECT coalesce(sum(number), 0) FROM incidents WHERE kind = 'stale_write'")).scalar_one()
        )


def restart_redis(fight: Round, *, lose_data: bool) -> None:
    """SIGKILL of Redis while jobs run, and start."""
    fight.submit("slow", "slow", "quick")
    fight.await_running()
    fight.inflict()
    fight.stack.redis.kill(lose_data=lose_data)
    fight.stack.redis.start()
    fight.settle()


def restart_redis_kept(fight: Round) -> None:
    """SIGKILL of Redis, which comes back with its data."""
    restart_redis(fight, lose_data=False)


def restart_redis_lost(fight: Round) -> None:
    """SIGKILL of Redis, which comes back empty."""
    restart_redis(fight, lose_data=True)


def restart_postgres(fight: Round) -> None:
    """PostgreSQL is stopped in immediate mode and started."""
    assert fight.stack.postgres is not None
    fight.submit("slow", "slow", "quick")
    fight.await_running()
    fight.inflict()
    fight.stack.postgres.restart()
    fight.settle()


def fill_disk(fight: Round) -> None:
    """No room for the SQLite file until every worker has noticed."""
    disk, store = fight.stack.disk, fight.stack.store
    assert disk is not None
    fight.submit("slow", "slow", "quick")
    fight.await_running()
    fight.inflict()
    writers = [psutil.Process(process.pid) for process in fight.stack.members.values()]
    disk.fill(writers)
    try:
        if disk.mounted:  # the log of the database is as long as it was before: it has to be filled as well
            with suppress(StoreUnavailable):
                for _ in range(200):
                    fight.submit_large()
                raise NotInTime("a full disk takes everything")
        with suppress(NotInTime):
            until(
                lambda: not store.roll(silent_s=3 * fight.stack.settings.heartbeat_s), SILENT_S, "workers fall silent"
            )
    finally:
        disk.free(writers)
    fight.settle()
    until(lambda: bool(store.roll(silent_s=fight.stack.settings.silent_s)), 30.0, "workers are heard again")


def restart_http(fight: Round) -> None:
    """SIGKILL of the HTTP interface while its clients wait, and start."""
    fight.submit("slow", "slow", "quick", over_http=True)
    fight.await_running()
    fight.inflict()
    fight.stack.kill("http")
    fight.stack.start("http")
    fight.settle()
    fight.stack.await_up("http")


def repeat_messages(fight: Round) -> None:
    """Every message is delivered three times more."""
    fight.submit("slow", "quick", "quick")
    fight.inflict()
    app = make_app(fight.stack.settings, fight.stack.redis.url)
    try:
        for _ in range(3):
            app.send_task(PLACE_TASK, (), queue=PLACEMENT_QUEUE, ignore_result=True)
            for backend in FLAKY:
                app.send_task(EXECUTE_TASK, (backend,), queue=backend_queue(backend), ignore_result=True)
    finally:
        app.close()
    fight.settle()


def outlive_visibility(fight: Round) -> None:
    """A job takes longer than Redis waits for its message to be answered: the message is delivered again."""
    fight.submit("long", "quick")
    fight.await_running()
    fight.inflict()
    fight.settle()


def backend_transient(fight: Round) -> None:
    """Backends fail once each."""
    fight.submit("transient", "transient", "quick")
    fight.inflict()
    fight.settle()
    fight.expect("done")


def backend_permanent(fight: Round) -> None:
    """A backend fails for good: what may go elsewhere does."""
    fight.submit("permanent")
    fight.submit("permanent", "quick", free=True)
    fight.inflict()
    fight.settle()
    fight.expect("failed", "done", "done")


def backend_hangs(fight: Round) -> None:
    """A backend never answers: the hard limit ends it."""
    fight.submit("hang")
    fight.submit("hang", "quick", free=True)
    fight.inflict()
    fight.settle()
    fight.expect("failed", "done", "done")


def race_for_a_key(fight: Round) -> None:
    """Two clients submit under one idempotency key at the same moment."""
    spec = replace(fight.spec("slow", FLAKY[0]), idempotency_key=f"key {fight.number}")
    start = threading.Barrier(2)
    got: list[JobHandle] = []

    def submit(clients: Clients, name: str) -> None:
        start.wait()
        got.append(getattr(clients, name).submit_many([spec])[0])

    threads = [threading.Thread(target=submit, args=(fight.clients, name)) for name in ("direct", "rival")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if len({handle.id for handle in got}) != 1 or len(got) != 2:
        raise Broken(f"one key gave {[handle.id for handle in got]}")
    fight.follow(fight.clients.direct, got[:1])
    fight.inflict()
    fight.submit("quick")
    fight.settle()


Fault = Callable[[Round], None]

ALWAYS: Mapping[str, tuple[Fault, int]] = {
    "worker killed": (kill_worker, 5),
    "worker stopped beyond its lease": (stop_worker, 3),
    "children killed": (kill_children, 4),
    "placement killed": (kill_placement, 2),
    "Redis restarted, data kept": (restart_redis_kept, 2),
    "Redis restarted, data lost": (restart_redis_lost, 3),
    "HTTP interface restarted": (restart_http, 3),
    "messages delivered again": (repeat_messages, 2),
    "visibility timeout outlived": (outlive_visibility, 1),
    "backend fails once": (backend_transient, 2),
    "backend fails for good": (backend_permanent, 2),
    "backend hangs": (backend_hangs, 2),
    "race for an idempotency key": (race_for_a_key, 2),
}
"""What can happen to any stack, and how often relative to the rest."""

FAULTS: Mapping[str, Mapping[str, tuple[Fault, int]]] = {
    "sqlite": {**ALWAYS, "disk full": (fill_disk, 2)},
    "postgresql": {**ALWAYS, "PostgreSQL restarted": (restart_postgres, 4)},
}
"""By the store of the stack."""

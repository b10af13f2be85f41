"""A cluster on Celery and Redis: what a client holds, what a worker is, and how to start both on one machine."""

from __future__ import annotations

import logging
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import cache

from celery.signals import worker_ready, worker_shutting_down

from backends.backend import Device
from orchestrator.broker import PLACEMENT_QUEUE, backend_queue
from orchestrator.errors import ConfigurationError
from orchestrator.job import Event
from orchestrator.pipeline import Pipeline
from orchestrator.settings import Settings
from orchestrator.sql.store import SqlStore
from orchestrator.transport import StoreTransport
from policies import POLICIES, load
from workers import redis_server
from workers.app import CeleryBroker, make_app
from workers.node import Node, devices_here
from workers.redis_bus import RedisBus
from workers.sandbox import Sandbox
from workers.tasks import register

WORKER_UP = "worker_up"
"""Kind of the event by which a worker says that it consumes; its ``job_id`` is empty."""

UP_TIMEOUT_S = 120.0
STOP_TIMEOUT_S = 20.0

log = logging.getLogger("qorch.cluster")


class _Parts:
    """The trip over a broker, and everything it holds."""

    def __init__(self, url: str, settings: Settings, owner: str) -> None:
        """Raises: ServerUnreachable: nothing answers there.   ConfigurationError: the store cannot be opened."""
        self.bus = RedisBus(redis_server.connect(url))
        self.app = make_app(settings, url)
        self.runtime = Sandbox()
        self.store = SqlStore(settings.resolved_store_url, max_attempts=settings.max_attempts)
        self.pipeline = Pipeline(
            store=self.store,
            broker=CeleryBroker(self.app),
            notifier=self.bus,
            runtime=self.runtime,
            policies=cache(load),
            settings=settings,
            owner=owner,
        )

    def close(self) -> None:
        self.runtime.close()
        self.pipeline.close()
        self.bus.close()
        self.pipeline.broker.close()
        self.store.close()


class ClusterTransport(StoreTransport):
    """A client's way to a cluster whose broker and store it can reach itself."""

    def __init__(self, url: str, settings: Settings) -> None:
        """Raises: ServerUnreachable: nothing answers there.   ConfigurationError: the store cannot be opened."""
        parts = _Parts(url, settings, owner=f"client@{socket.gethostname()}")
        super().__init__(parts.pipeline, settings=settings, policies=POLICIES, close=parts.close)


def work(url: str, settings: Settings, *, name: str, devices: Mapping[str, Device], places: bool) -> None:
    """Be a worker until a signal ends it.

    Args:
        name: unique among the workers of the cluster.
        devices: the backends it serves.   places: it decides placements; one worker of a cluster should.
    """
    worker = f"{name}@{socket.gethostname()}"
    parts = _Parts(url, settings, owner=worker)
    register(parts.app, parts.pipeline, devices)
    node = Node(parts.pipeline, settings, worker=worker, devices=devices)
    queues = [backend_queue(backend) for backend in devices] + ([PLACEMENT_QUEUE] if places else [])

    def up(**_: object) -> None:
        node.start(warm=devices)
        parts.bus.publish([Event("", WORKER_UP, 0.0, {"worker": worker})])
        log.info("worker %s is up and serves %s", worker, ", ".join(queues))

    def down(**_: object) -> None:
        parts.runtime.close()  # what runs is given back, so that Celery has nothing to wait for

    worker_ready.connect(up, weak=False)
    worker_shutting_down.connect(down, weak=False)
    try:
        for _ in range(settings.slots):
            parts.runtime.start_one()
        parts.runtime.warm_up(sorted(devices))
        # threads, not processes: a slot's work is done by a child of its own, which is ended when its limit is over
        parts.app.Worker(
            pool="threads", concurrency=settings.slots, queues=queues, hostname=worker, loglevel="WARNING", quiet=True
        ).start()
    finally:
        node.close()
        parts.close()


def lanes(settings: Settings) -> dict[str, list[str]]:
    """The default division of a machine: one worker for its simulators, one for its QPUs, emulated or not."""
    devices = devices_here(settings.backends)
    groups: dict[str, list[str]] = {}
    for name, device in devices.items():
        groups.setdefault("simulators" if device.kind == "simulator" else "qpus", []).append(name)
    return groups


@contextmanager
def running(
    settings: Settings, division: Mapping[str, Sequence[str]], *, flower_port: int | None = None
) -> Iterator[str]:
    """Redis and workers on this machine for as long as the block lasts; the broker's URL.

    Args:
        division: worker -> backends it serves. One more worker places.
        flower_port: run Flower there too, on the loopback.

    Raises:
        ConfigurationError: no Redis server can be started, or a worker does not come up.
    """
    with ExitStack() as stack:
        if settings.redis_url is None:
            url = stack.enter_context(redis_server.private_server(settings.data_dir / "redis.sock"))
        else:
            url = settings.redis_url.get_secret_value()
        SqlStore(settings.resolved_store_url).close()  # migrate once, before several workers would
        environment = os.environ | _environment(settings, url)
        bus = RedisBus(redis_server.connect(url))
        stack.callback(bus.close)
        wanted = {f"{name}@{socket.gethostname()}" for name in (*division, "placement")}
        all_up = threading.Event()

        def hear(event: Event | None) -> None:
            if event is not None and event.kind == WORKER_UP:
                wanted.discard(event.data["worker"])
                if not wanted:
                    all_up.set()

        unsubscribe = bus.subscribe(hear)
        workers: list[subprocess.Popen[bytes]] = []
        stack.callback(_stop, workers)  # before the first one starts: a signal may come in between
        workers.append(_spawn(["worker", "--name", "placement", "--place", "--backends", "none"], environment))
        for name, backends in division.items():
            workers.append(_spawn(["worker", "--name", name, "--backends", ",".join(backends)], environment))
        if flower_port is not None:
            workers.append(_flower(flower_port, environment))
        if not all_up.wait(UP_TIMEOUT_S):
            raise ConfigurationError(f"not up after {UP_TIMEOUT_S:g} s: {', '.join(sorted(wanted))}; see the log above")
        unsubscribe()
        yield url


def _environment(settings: Settings, url: str) -> dict[str, str]:
    """The settings as a child's environment."""
    plain = {
        f"QORCH_{name.upper()}": str(value)
        for name, value in settings.model_dump(exclude={"store_url", "redis_url", "url", "backends"}).items()
    }
    return plain | {"QORCH_STORE_URL": settings.resolved_store_url, "QORCH_REDIS_URL": url}


def _spawn(arguments: list[str], environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "workers", *arguments]
    return subprocess.Popen(  # its words go to stderr, whoever starts the cluster has an answer to give on stdout
        command, env=dict(environment), stdin=subprocess.DEVNULL, stdout=sys.__stderr__, start_new_session=True
    )


def _flower(port: int, environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
    arguments = ["flower", "--address=127.0.0.1", f"--port={port}"]
    command = [sys.executable, "-m", "celery", "-A", "workers.app", *arguments]
    shielded = {**environment, "FLOWER_UNAUTHENTICATED_API": "true"}  # on the loopback alone
    return subprocess.Popen(command, env=shielded, stdin=subprocess.DEVNULL, start_new_session=True)


def _stop(workers: Sequence[subprocess.Popen[bytes]]) -> None:
    for process in workers:
        process.send_signal(signal.SIGTERM)
    for process in workers:
        try:
            process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            log.warning("worker process %d did not end by itself", process.pid)
            process.kill()
            process.wait()

"""A cluster on Celery and Redis: what a client holds of it, and what a worker is."""

from __future__ import annotations

import logging
import socket
import sys
from contextlib import ExitStack
from functools import cache

from celery.signals import worker_ready, worker_shutting_down

from backends.backend import Device
from orchestrator.broker import PLACEMENT_QUEUE, WAKE, backend_queue
from orchestrator.job import Event
from orchestrator.notifier import Notifier
from orchestrator.pipeline import Pipeline
from orchestrator.settings import Settings
from orchestrator.sql.store import SqlStore
from orchestrator.transport import StoreTransport
from policies import POLICIES, load
from policies.allocators.pairs import live
from workers import redis_server
from workers.app import CeleryBroker, make_app
from workers.celery_events import CeleryEvents
from workers.job_log import JobLog
from workers.loop import Loop
from workers.node import Node, lease_owner, refresher
from workers.redis_bucket import RedisBucket
from workers.redis_bus import RedisBus
from workers.sandbox import Sandbox
from workers.tasks import register

WORKER_UP = "worker_up"
"""Kind of the event by which a worker says that it consumes; its ``job_id`` is empty."""

HTTP = "http"
"""Name of the process that serves the HTTP interface of a cluster; no worker may have it."""

SWITCH_S = 0.0005
"""After so long a thread of a worker lets another one on: Python's own 5 ms are half of what a small job takes."""

log = logging.getLogger("qorch.cluster")


class _Parts:
    """The trip over a broker, and everything it holds."""

    def __init__(self, url: str, settings: Settings, owner: str, *, worker: str = "", places: bool = False) -> None:
        """Open everything. What a ``worker`` of that name does is told to Celery's listeners, too.

        Raises:
            ServerUnreachable: nothing answers there.   ConfigurationError: the store cannot be opened.
        """
        with ExitStack() as opened:
            bells = [PLACEMENT_QUEUE] if places else []
            self.bus = RedisBus(redis_server.connect(url), answers=bells, stops_only=bool(worker))
            opened.callback(self.bus.close)
            self.app = make_app(settings, url)
            notifier: Notifier = self.bus
            if worker:
                notifier = CeleryEvents(self.bus, self.app, worker)
                opened.callback(notifier.close)
            broker = CeleryBroker(self.app, self.bus)
            opened.callback(broker.close)
            store = SqlStore(settings.resolved_store_url, settings.rules)
            opened.callback(store.close)
            self.runtime = Sandbox()
            opened.callback(self.runtime.close)
            self.pipeline = Pipeline(
                store=store,
                broker=broker,
                notifier=notifier,
                runtime=self.runtime,
                policies=cache(load),
                settings=settings,
                owner=owner,
                bucket=RedisBucket(self.bus.connection),
                allocators=live,
            )
            opened.callback(self.pipeline.close)
            self._opened = opened.pop_all()  # all is well: from here on it is given back by close()

    def close(self) -> None:
        self._opened.close()


class ClusterTransport(StoreTransport):
    """A client's way to a cluster whose broker and store it can reach itself."""

    def __init__(self, url: str, settings: Settings) -> None:
        """Raises: ServerUnreachable: nothing answers there.   ConfigurationError: the store cannot be opened."""
        parts = _Parts(url, settings, owner=f"client@{socket.gethostname()}")
        super().__init__(parts.pipeline, settings=settings, policies=POLICIES, close=parts.close)

    def say_up(self, name: str) -> None:
        """Tell whoever starts this cluster that one more of its processes is up."""
        worker = f"{name}@{socket.gethostname()}"
        self._pipeline.notifier.publish([Event("", WORKER_UP, 0.0, {"worker": worker})])


def work(url: str, settings: Settings, *, name: str, devices: dict[str, Device], places: bool) -> None:
    """Be a worker until a signal ends it.

    Args:
        name: unique among the workers of the cluster.
        devices: the backends it serves.   places: it decides placements; one worker of a cluster should.
    """
    sys.setswitchinterval(SWITCH_S)
    worker = f"{name}@{socket.gethostname()}"
    parts = _Parts(url, settings, owner=lease_owner(worker), worker=worker, places=places)
    job_log = JobLog(parts.pipeline.store, parts.pipeline.notifier, worker=worker)
    placer = Loop("qorch-place", parts.pipeline.place)

    def hear(event: Event | None) -> None:
        if places and (event is None or event.kind == WAKE):
            placer.ring()

    parts.bus.subscribe(hear)
    register(parts.app, parts.pipeline, devices)

    def on_duty(on: bool) -> None:  # one that takes nothing must not take the messages either: they are for others
        consume = parts.app.control.add_consumer if on else parts.app.control.cancel_consumer
        for backend in devices:
            consume(backend_queue(backend), destination=[worker])

    node = Node(
        parts.pipeline,
        settings,
        worker=worker,
        devices=devices,
        prunes=places,
        on_duty=on_duty,
        refresh=refresher(parts.runtime, settings),
    )
    queues = [backend_queue(backend) for backend in devices] + ([PLACEMENT_QUEUE] if places else [])

    def up(**_: object) -> None:
        node.start(warm=devices)
        placer.start()
        hear(None)  # what came before anybody listened
        parts.bus.publish([Event("", WORKER_UP, 0.0, {"worker": worker})])
        log.info("worker %s is up and serves %s", worker, ", ".join(queues))

    def down(**_: object) -> None:
        parts.runtime.close()  # what runs is given back, so that Celery has nothing to wait for

    worker_ready.connect(up, weak=False)
    worker_shutting_down.connect(down, weak=False)
    try:
        for _ in range(settings.slots):
            parts.runtime.start_one()
        parts.runtime.warm_up(sorted(name for name, device in devices.items() if not device.remote))
        # threads, not processes: a slot's work is done by a child of its own, which is ended when its limit is over
        parts.app.Worker(
            pool="threads", concurrency=settings.slots, queues=queues, hostname=worker, loglevel="WARNING", quiet=True
        ).start()
    finally:
        placer.stop()
        placer.join()
        node.close()
        job_log.close()
        parts.close()

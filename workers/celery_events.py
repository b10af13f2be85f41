"""What happens to jobs as Celery events, for whatever already watches Celery.

``qorch-placed``: jobs, each with job_id, policy and shares (backend to shots).
``qorch-measured``: jobs, each with job_id, backend, service_s, expected_s, wait_s, fidelity.

They go out a few times a second, together, so that they are never in the way of a job. They are notices: while the
broker is away they are lost, and what they say is in the store.
"""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

import redis
from celery import Celery
from celery.events import EventDispatcher
from kombu.exceptions import OperationalError

from orchestrator.job import Event
from orchestrator.notifier import Listener, Notifier
from workers.consumer import EVENTS_PAUSE_S

PLACED = "qorch-placed"
MEASURED = "qorch-measured"

FIELDS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "placed": (PLACED, ("policy", "shares")),
    "assignment_done": (MEASURED, ("backend", "service_s", "expected_s", "wait_s", "fidelity")),
}
"""Kind of the store's event -> type of Celery's, and what is told of each job."""

MOST_WAITING = 1_000
CONNECT_TIMEOUT_S = 5.0
CLOSE_TIMEOUT_S = 5.0

AWAY = (OperationalError, redis.RedisError, OSError)
"""What a broker that does not answer raises."""

log = logging.getLogger("qorch.celery_events")


class CeleryEvents:
    """A notifier that tells Celery's listeners, too. The trip never waits for them: another thread sends."""

    def __init__(self, notifier: Notifier, app: Celery, worker: str) -> None:
        """``notifier`` does the work of one and stays its owner's; ``worker`` is the node's name in Celery."""
        self._notifier = notifier
        self._app = app
        self._worker = worker
        self._waiting: queue.Queue[tuple[str, list[dict[str, Any]]] | None] = queue.Queue(MOST_WAITING)
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._send, name="qorch-celery-events", daemon=True)
        self._thread.start()

    def publish(self, events: Sequence[Event]) -> bool:
        """See :class:`orchestrator.notifier.Notifier`."""
        heard = self._notifier.publish(events)
        for told in told_of(events).items():
            with suppress(queue.Full):
                self._waiting.put_nowait(told)
        return heard

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """See :class:`orchestrator.notifier.Notifier`."""
        return self._notifier.subscribe(listener)

    def close(self) -> None:
        """Send what still waits, and end. The notifier is left open."""
        self._ending.set()
        with suppress(queue.Full):
            self._waiting.put(None, timeout=CLOSE_TIMEOUT_S)
        self._thread.join(CLOSE_TIMEOUT_S)  # a broker that hangs must not keep a worker from ending

    def _send(self) -> None:
        """Send what comes. A broker that is away is spoken of once, until it is back."""
        dispatcher: EventDispatcher | None = None
        lost = False
        going_on = True
        while going_on:
            together, going_on = self._gathered()
            try:
                dispatcher = dispatcher or self._dispatcher()
                for kind, jobs in together.items():
                    dispatcher.send(kind, jobs=jobs)
                lost = False
            except AWAY as error:
                _close(dispatcher)
                dispatcher = None
                if not lost:
                    log.warning("Celery events are lost, the broker does not answer: %s", error)
                lost = True
            except Exception:  # a thread that ends would leave its queue to fill up
                log.exception("a Celery event is lost")
        _close(dispatcher)

    def _gathered(self) -> tuple[dict[str, list[dict[str, Any]]], bool]:
        """What came since the last time, by type, and whether more will. Sleeps until something comes."""
        told = self._waiting.get()
        if told is not None:
            self._ending.wait(EVENTS_PAUSE_S)  # for company
        together: dict[str, list[dict[str, Any]]] = {}
        while told is not None:
            together.setdefault(told[0], []).extend(told[1])
            if self._waiting.empty():
                return together, True
            told = self._waiting.get_nowait()
        return together, False

    def _dispatcher(self) -> EventDispatcher:
        connection = self._app.connection_for_write(connect_timeout=CONNECT_TIMEOUT_S)
        return self._app.events.Dispatcher(connection, hostname=self._worker, buffer_while_offline=False)


def told_of(events: Sequence[Event]) -> dict[str, list[dict[str, Any]]]:
    """What Celery's listeners are told of these events, by type."""
    told: dict[str, list[dict[str, Any]]] = {}
    for event in events:
        if event.kind in FIELDS:
            kind, names = FIELDS[event.kind]
            fields = {name: event.data.get(name) for name in names}
            told.setdefault(kind, []).append({"job_id": event.job_id, **fields})
    return told


def _close(dispatcher: EventDispatcher | None) -> None:
    if dispatcher is not None:
        with suppress(*AWAY):
            dispatcher.close()
            dispatcher.connection.release()

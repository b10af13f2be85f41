"""Telling whoever waits that something happened. Nobody polls: a waiter subscribes, reads the store, then sleeps.

Notices may be lost with a connection; the store is the truth, so a listener reads it again after a reconnect (then it
is called with ``None``).
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from typing import Protocol

from orchestrator.job import Event

log = logging.getLogger("qorch.notifier")

STOPS = frozenset({"cancel_requested", "failing"})
"""Kinds of events by which whoever runs a part of a job hears that it is to stop; a worker needs no others."""

Listener = Callable[[Event | None], None]


class Notifier(Protocol):
    """Publishes events to every process that listens, this one included."""

    def publish(self, events: Sequence[Event]) -> bool:
        """Tell all listeners, after the events are committed. False if that was not possible."""
        ...

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Call ``listener`` for every event from now on, on another thread; the function returned ends that."""
        ...

    def close(self) -> None:
        """Stop listening."""
        ...


class Hub:
    """The listeners of one process. What carries events between processes feeds it."""

    def __init__(self) -> None:
        self._listeners: list[Listener] = []
        self._lock = threading.Lock()

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """See :class:`Notifier`."""
        with self._lock:
            self._listeners.append(listener)

        def unsubscribe() -> None:
            with self._lock:
                if listener in self._listeners:
                    self._listeners.remove(listener)

        return unsubscribe

    def dispatch(self, event: Event | None) -> None:
        """Call every listener of this process. One that fails does not keep the others from hearing."""
        with self._lock:
            listeners = tuple(self._listeners)
        for listener in listeners:
            try:
                listener(event)
            except Exception:  # whatever it is, the thread that carries the notices must go on
                log.exception("a listener failed")

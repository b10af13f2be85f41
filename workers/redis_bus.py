"""Events through Redis: one channel, one subscription per process, its listeners fed by a hub.

Beside it a bell per queue, for a process that can begin at once where a message in the queue would take longer.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence

import redis

from orchestrator.broker import WAKE
from orchestrator.job import Event
from orchestrator.notifier import STOPS, Hub, Listener
from orchestrator.records import from_json, to_json

CHANNEL = "qorch.events"
STOP_CHANNEL = "qorch.stops"
BELL = "qorch.bell."
RECONNECT_S = 0.5
"""Pause before a lost connection is tried again."""

log = logging.getLogger("qorch.bus")


class RedisBus:
    """Notifier of a cluster."""

    def __init__(self, connection: redis.Redis, *, answers: Sequence[str] = (), stops_only: bool = False) -> None:
        """Subscribe.

        Args:
            connection: live.   answers: queues whose bell this process hears, as events of the kind WAKE.
            stops_only: of all events those of the kinds STOPS are enough; the rest would cost more than its work.

        Raises:
            redis.ConnectionError: nothing answers there.
        """
        self._channels = [STOP_CHANNEL if stops_only else CHANNEL, *(BELL + queue for queue in answers)]
        self.connection = connection
        self._hub = Hub()
        self._closing = threading.Event()
        self._subscription = self._subscribe()
        self._thread = threading.Thread(target=self._listen, name="qorch-bus", daemon=True)
        self._thread.start()

    def publish(self, events: Sequence[Event]) -> bool:
        """See :class:`orchestrator.notifier.Notifier`. A broker that is away loses notices, never jobs."""
        try:
            self.connection.publish(CHANNEL, to_json(list(events)))
            stops = [event for event in events if event.kind in STOPS]
            if stops:
                self.connection.publish(STOP_CHANNEL, to_json(stops))
        except redis.RedisError as error:
            log.warning("%d notices lost, the broker is away: %s", len(events), error)
            return False
        return True

    def ring(self, queue: str) -> bool:
        """Ring the bell of a queue. False if nobody hears it.

        Raises:
            redis.RedisError: the broker is away.
        """
        return bool(self.connection.publish(BELL + queue, ""))

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """See :class:`orchestrator.notifier.Notifier`."""
        return self._hub.subscribe(listener)

    def close(self) -> None:
        """Stop listening."""
        self._closing.set()
        try:
            self.connection.publish(self._channels[0], "")  # wakes every listener; this one sees that it is to end
        except redis.RedisError:
            log.debug("the broker was gone before its client")
        self._subscription.close()
        self.connection.close()

    def _subscribe(self) -> redis.client.PubSub:
        subscription: redis.client.PubSub = self.connection.pubsub(ignore_subscribe_messages=True)
        subscription.subscribe(*self._channels)
        return subscription

    def _listen(self) -> None:
        while not self._closing.is_set():
            try:
                for message in self._subscription.listen():
                    if self._closing.is_set():
                        return
                    if message["channel"].startswith(BELL):
                        self._hub.dispatch(Event("", WAKE, 0.0, {"queue": message["channel"].removeprefix(BELL)}))
                    elif message["data"]:
                        for event in from_json(list[Event], message["data"]):
                            self._hub.dispatch(event)
            except (redis.RedisError, ValueError, OSError):
                if self._reconnected():
                    self._hub.dispatch(None)  # what was missed meanwhile is in the store

    def _reconnected(self) -> bool:
        while not self._closing.wait(RECONNECT_S):
            try:
                self._subscription.close()
                self._subscription = self._subscribe()
            except redis.RedisError:
                continue
            return True
        return False

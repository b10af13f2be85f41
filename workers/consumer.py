"""Celery's consumer, sending the events of its tasks a few times a second instead of between any two messages."""

from __future__ import annotations

from celery.worker.consumer import Consumer

EVENTS_PAUSE_S = 0.25
"""Task events wait so long for company; whoever watches sees them that much later."""


class EventfulConsumer(Consumer):  # type: ignore[misc]  # Celery has no annotations
    """What ``worker_consumer`` names."""

    def __init__(self, *args: object, **kwargs: object) -> None:
        self._flush_is_due = False
        super().__init__(*args, **kwargs)

    def on_send_event_buffered(self) -> None:
        """Called for every event of a task, on whichever thread it happened."""
        if self.hub and not self._flush_is_due:
            self._flush_is_due = True
            self.hub.call_soon(self._schedule_flush)

    def _schedule_flush(self) -> None:
        self.hub.call_later(EVENTS_PAUSE_S, self._flush_together)

    def _flush_together(self) -> None:
        self._flush_is_due = False
        self._flush_events()

"""The hub: everybody hears, whatever the others do."""

from __future__ import annotations

from orchestrator.job import Event
from orchestrator.notifier import Hub


def test_a_listener_that_fails_keeps_nobody_from_hearing() -> None:
    hub, heard = Hub(), []

    def fail(_: Event | None) -> None:
        raise ConnectionError("the store is away")

    hub.subscribe(fail)
    stop = hub.subscribe(heard.append)
    event = Event("j", "done", 1.0)
    hub.dispatch(event)
    hub.dispatch(None)
    stop()
    hub.dispatch(event)
    assert heard == [event, None]

"""Events and wake-ups between processes that share a folder."""

from __future__ import annotations

import queue
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrator.broker import WAKE
from orchestrator.job import Event
from workers.local_bus import MAX_BYTES, LocalBus

WAIT_S = 10.0


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[tuple[LocalBus, LocalBus]]:
    buses = LocalBus(tmp_path), LocalBus(tmp_path)
    yield buses
    for bus in buses:
        bus.close()


def heard_by(bus: LocalBus) -> queue.SimpleQueue[Event]:
    heard: queue.SimpleQueue[Event] = queue.SimpleQueue()
    bus.subscribe(lambda event: heard.put(event) if event is not None else None)
    return heard


def test_everybody_hears_once(pair: tuple[LocalBus, LocalBus]) -> None:
    queues = [heard_by(bus) for bus in pair]
    events = [Event("j", "done", 1.0, {"x": [1, None]}, number) for number in range(20)]
    assert pair[0].publish(events)
    for heard in queues:
        assert [heard.get(timeout=WAIT_S) for _ in events] == events, "a batch keeps its order"
    pair[1].wake_backend("aer_mps")
    for heard in queues:
        woken = heard.get(timeout=WAIT_S)
        assert (woken.kind, woken.data) == (WAKE, {"backend": "aer_mps"})
        assert heard.empty()


def test_who_unsubscribes_hears_no_more(pair: tuple[LocalBus, LocalBus]) -> None:
    first, second = heard_by(pair[1]), queue.SimpleQueue[Event]()
    stop = pair[1].subscribe(lambda event: second.put(event) if event is not None else None)
    stop()
    stop()
    pair[0].publish([Event("j", "done", 1.0)])
    assert first.get(timeout=WAIT_S).kind == "done"
    assert second.empty()


def test_for_a_large_event_the_others_look_into_the_store(pair: tuple[LocalBus, LocalBus]) -> None:
    heard: queue.SimpleQueue[Event | None] = queue.SimpleQueue()
    pair[1].subscribe(heard.put)
    pair[0].publish([Event("j", "progress", 1.0, {"text": "x" * MAX_BYTES}, 2)])
    assert heard.get(timeout=WAIT_S) is None
    own = heard_by(pair[0])
    many = [Event(f"j{number}", "done", 1.0, {}, 2) for number in range(2_000)]
    pair[0].publish(many)
    assert heard.get(timeout=WAIT_S) is None, "so it is with a batch that is too large together"
    assert [own.get(timeout=WAIT_S) for _ in many] == many, "this process hears each"


def test_a_dead_listener_is_cleared_away(tmp_path: Path) -> None:
    alive = LocalBus(tmp_path)
    stale = alive._path.with_name("stale")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as dead:
        dead.bind(str(stale))  # as a killed process leaves it: the file is there, nobody reads
    alive.publish([Event("j", "done", 1.0)])
    assert not stale.exists()
    alive.close()
    assert not alive._path.parent.exists()


def test_a_full_listener_holds_up_nobody_and_looks_again(pair: tuple[LocalBus, LocalBus]) -> None:
    gate, looked = threading.Event(), threading.Event()
    heard: list[Event] = []

    def slow(event: Event | None) -> None:
        gate.wait(WAIT_S)
        if event is None:
            looked.set()
        else:
            heard.append(event)

    pair[1].subscribe(slow)
    for number in range(500):
        pair[0].publish([Event("j", "progress", 1.0, {"number": number})])
    gate.set()
    assert looked.wait(WAIT_S), "what was lost is in the store"
    assert len(heard) < 500, "something was lost, or this tests nothing"
    pair[0].publish([Event("j", "done", 2.0)])

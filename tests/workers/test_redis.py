"""A private Redis, and events over it, across its death."""

from __future__ import annotations

import queue
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from orchestrator.broker import PLACEMENT_QUEUE, WAKE, backend_queue
from orchestrator.errors import ConfigurationError, ServerUnreachable
from orchestrator.job import Event
from orchestrator.settings import Settings
from workers.app import CeleryBroker, make_app
from workers.redis_bus import RedisBus
from workers.redis_server import celery_url, connect, private_server

WAIT_S = 10.0


@pytest.fixture
def url() -> Iterator[str]:
    with private_server() as found:
        yield found


def test_it_lives_as_long_as_the_block() -> None:
    before = {child.pid for child in psutil.Process().children()}
    with private_server() as url:
        connection = connect(url)
        assert connection.ping()
        connection.close()
    assert {child.pid for child in psutil.Process().children()} == before
    assert not Path(url.removeprefix("redis+socket://")).parent.exists()
    with pytest.raises(ServerUnreachable, match="qorch up"):
        connect(url)


def test_events_reach_every_listener(url: str) -> None:
    buses = RedisBus(connect(url)), RedisBus(connect(url))
    heard: queue.SimpleQueue[Event | None] = queue.SimpleQueue()
    buses[1].subscribe(heard.put)
    events = [Event(f"j{number}", "done", 1.0, {"x": 1}, number) for number in range(300)]
    assert buses[0].publish(events[:1])
    assert buses[0].publish(events[1:])
    assert [heard.get(timeout=WAIT_S) for _ in events] == events, "a batch is one message and keeps its order"
    for bus in buses:
        bus.close()


def test_a_bell_is_heard_by_who_answers_it_alone(url: str) -> None:
    caller = RedisBus(connect(url))
    assert not caller.ring("placement"), "nobody is there yet"
    placer = RedisBus(connect(url), answers=["placement"])
    queues: list[queue.SimpleQueue[Event | None]] = []
    for bus in (caller, placer):
        queues.append(queue.SimpleQueue())
        bus.subscribe(queues[-1].put)
    assert caller.ring("placement")
    assert not caller.ring("backend.aer_mps")
    assert queues[1].get(timeout=WAIT_S) == Event("", WAKE, 0.0, {"queue": "placement"})
    assert caller.publish([Event("j", "done", 1.0)])
    for heard in queues:
        found = heard.get(timeout=WAIT_S)
        assert found is not None
        assert found.kind == "done", "who does not answer the bell heard nothing of it"
    placer.close()
    while caller.ring("placement"):  # the server learns of it when it reads that the connection is closed
        pass
    caller.close()


def test_one_message_stands_for_all_that_waits(url: str, settings: Settings) -> None:
    bus = RedisBus(connect(url))
    broker = CeleryBroker(make_app(settings, url), bus)
    for _ in range(5):
        broker.wake_placement()
        broker.wake_backend("aer_mps")
    broker.wake_backend("aer_statevector")
    queues = (PLACEMENT_QUEUE, backend_queue("aer_mps"), backend_queue("aer_statevector"))
    assert [bus.connection.llen(name) for name in queues] == [1, 1, 1]
    bus.connection.lpop(backend_queue("aer_mps"))  # somebody took it and is at work
    broker.wake_backend("aer_mps")
    assert bus.connection.llen(backend_queue("aer_mps")) == 1
    placer = RedisBus(connect(url), answers=[PLACEMENT_QUEUE])
    bus.connection.delete(PLACEMENT_QUEUE)
    broker.wake_placement()
    assert bus.connection.llen(PLACEMENT_QUEUE) == 0, "it was rung for"
    placer.close()
    broker.close()
    bus.close()


def test_a_wake_up_that_cannot_be_sent_harms_nobody(settings: Settings) -> None:
    with private_server() as url:
        bus = RedisBus(connect(url))
        broker = CeleryBroker(make_app(settings, url), bus)
    broker.wake_placement()
    broker.wake_backend("aer_mps")
    broker.close()
    bus.close()


def test_after_a_broken_connection_the_listeners_look_again(url: str) -> None:
    bus = RedisBus(connect(url))
    heard: queue.SimpleQueue[Event | None] = queue.SimpleQueue()
    bus.subscribe(heard.put)
    other = connect(url)
    other.client_kill_filter(_type="pubsub")
    assert heard.get(timeout=WAIT_S) is None, "what was missed is in the store"
    bus.publish([Event("j", "done", 1.0)])
    found = heard.get(timeout=WAIT_S)
    assert found is not None
    assert found.kind == "done"
    other.close()
    bus.close()


def test_without_a_broker_notices_are_lost_and_nothing_else() -> None:
    with private_server() as url:
        bus = RedisBus(connect(url))
    assert not bus.publish([Event("j", "done", 1.0)]), "whoever published knows that nobody was told"
    bus.close()


@pytest.mark.parametrize(
    ("given", "celery"),
    [
        ("redis://host:1/0", "redis://host:1/0"),
        ("redis+tcp://host:1/0", "redis://host:1/0"),
        ("unix:///a/b.sock", "redis+socket:///a/b.sock"),
        ("redis+unix:///a/b.sock", "redis+socket:///a/b.sock"),
    ],
)
def test_addresses(given: str, celery: str) -> None:
    assert celery_url(given) == celery


def test_other_addresses_are_refused_and_passwords_never_shown() -> None:
    with pytest.raises(ConfigurationError, match="amqp"):
        celery_url("amqp://host")
    with pytest.raises(ServerUnreachable) as caught:
        connect("redis://:secret@127.0.0.1:1/0")
    assert "secret" not in str(caught.value)

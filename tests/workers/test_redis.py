"""A private Redis, and events over it, across its death."""

from __future__ import annotations

import queue
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from orchestrator.errors import ConfigurationError, ServerUnreachable
from orchestrator.job import Event
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
    event = Event("j", "done", 1.0, {"x": 1}, 3)
    buses[0].publish([event])
    assert heard.get(timeout=WAIT_S) == event
    for bus in buses:
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
    bus.publish([Event("j", "done", 1.0)])
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

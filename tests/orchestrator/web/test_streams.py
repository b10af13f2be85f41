"""Server-sent events: complete, bounded, and only for those who may see them."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import httpx
import pytest

from orchestrator.job import Event, JobSpec
from orchestrator.settings import Settings
from orchestrator.web import gate, streams
from orchestrator.web.streams import LOOK_AGAIN, Stream


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """Settings with a keep-alive that a test can wait for."""
    return settings.model_copy(update={"keep_alive_s": 0.2})


class Reader:
    """Reads a stream, event by event."""

    def __init__(self, response: httpx.Response) -> None:
        self._lines = (line for line in response.iter_lines())

    def record(self) -> dict[str, str]:
        """The next event or comment, field by field."""
        fields: dict[str, str] = {}
        for line in self._lines:
            if not line:
                return fields
            name, _, value = line.partition(": ")
            fields[name] = value
        raise EOFError

    def to_the_end(self) -> None:
        """Until the server ends it."""
        with suppress(EOFError):
            while True:
                self.record()

    def event(self) -> dict[str, str]:
        """The next event; comments are passed over."""
        while "data" not in (found := self.record()):
            pass
        return found


@contextmanager
def reading(http: httpx.Client, path: str, **headers: str) -> Iterator[Reader]:
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    with http.stream("GET", path, headers=sent) as response:
        assert response.status_code == 200
        assert response.headers["Content-Type"].startswith("text/event-stream")
        reader = Reader(response)
        yield reader


def wait_until(holds: Callable[[], bool], server: Any) -> None:
    """Let signs of life pass until it holds."""
    with server.http() as http, reading(http, "/v1/stream") as other:
        for _ in range(100):
            if holds():
                return
            other.record()
    raise AssertionError("it never held")


class TestOneJob:
    def test_from_the_beginning_to_the_end(self, server: Any, spec: JobSpec) -> None:
        (job,) = server.transport.submit([spec])
        with server.http() as http, reading(http, f"/v1/jobs/{job.id}/stream") as reader:
            assert reader.record() == {"": "open"}
            first = reader.event()
            assert first["id"] == f"{job.id}:1"
            assert json.loads(first["data"])["kind"] == "submitted"
            server.transport.cancel(job.id)
            kinds = [json.loads(reader.event()["data"])["kind"]]
            while kinds[-1] != "cancelled":
                kinds.append(json.loads(reader.event()["data"])["kind"])
            with pytest.raises(EOFError):
                reader.record()

    def test_from_where_a_reader_was(self, server: Any, spec: JobSpec) -> None:
        (job,) = server.transport.submit([spec])
        server.transport.cancel(job.id)
        last = server.transport.events(job.id, after=0)[-1]
        with server.http() as http:
            path = f"/v1/jobs/{job.id}/stream"
            with reading(http, path, Last_Event_ID=f"{job.id}:{last.seq - 1}") as reader:
                assert json.loads(reader.event()["data"])["kind"] == "cancelled"
            with reading(http, f"{path}?after={last.seq - 1}") as reader:
                assert json.loads(reader.event()["data"])["seq"] == last.seq
            for nonsense in ("x", ":", "1:1e3", "9" * 100, ":-1"):
                with reading(http, path, Last_Event_ID=nonsense) as reader:
                    assert json.loads(reader.event()["data"])["seq"] == 1

    def test_it_says_that_it_lives(self, server: Any, spec: JobSpec) -> None:
        (job,) = server.transport.submit([spec])
        with server.http() as http, reading(http, f"/v1/jobs/{job.id}/stream?after=99") as reader:
            assert [reader.record() for _ in range(3)] == [{"": "open"}, {"": "alive"}, {"": "alive"}]


class TestAllJobs:
    def test_what_happens_from_now_on(self, server: Any, spec: JobSpec) -> None:
        with server.http() as http, reading(http, "/v1/stream") as reader:
            assert reader.record() == {"": "open"}
            (job,) = server.transport.submit([spec])
            assert reader.event()["id"] == f"{job.id}:1"

    def test_who_comes_back_looks_again(self, server: Any) -> None:
        with server.http() as http, reading(http, "/v1/stream", Last_Event_ID="abc:1") as reader:
            assert reader.record() == {"event": "again", "data": "null"}

    def test_what_was_missed_before_the_server_is_said(self, server: Any) -> None:
        with server.http() as http, reading(http, "/v1/stream") as reader:
            reader.record()
            server.app.state.streams._hear(None)
            assert reader.event()["event"] == "again"

    def test_projects_hear_of_their_own(self, server: Any, spec: JobSpec) -> None:
        ada, bob, root = (server.token(name, project) for name, project in (("a", "lab"), ("b", "shop"), ("r", "*")))
        with (
            server.http(ada) as http,
            server.http(bob) as other,
            server.http(root) as operator,
            reading(http, "/v1/stream") as mine,
            reading(other, "/v1/stream") as theirs,
            reading(operator, "/v1/stream") as everything,
        ):
            for reader in (mine, theirs, everything):
                assert reader.record() == {"": "open"}
            (first,) = server.transport.scoped("lab").submit([spec])
            (second,) = server.transport.scoped("shop").submit([spec])
            assert mine.event()["id"] == f"{first.id}:1"
            assert theirs.event()["id"] == f"{second.id}:1"
            assert [everything.event()["id"] for _ in range(2)] == [f"{first.id}:1", f"{second.id}:1"]

    def test_a_revoked_token_loses_its_streams(self, server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(gate, "LOOKUP_S", 0.0)
        with server.http(server.token("ada", "lab")) as http, reading(http, "/v1/stream") as reader:
            assert reader.record() == {"": "open"}
            server.token("bob", "lab")
            server.store.revoke_token("ada")
            reader.to_the_end()

    def test_there_is_room_for_so_many(self, serve: Callable[[Settings], Any], settings: Settings) -> None:
        server = serve(settings.model_copy(update={"max_streams": 1}))
        with server.http() as http, reading(http, "/v1/stream") as reader:
            reader.record()
            with server.http() as other:
                answer = other.get("/v1/stream")
            assert (answer.status_code, answer.json()["error"]["kind"]) == (503, "ServerUnreachable")
            assert answer.headers["Retry-After"] == "1"

    def test_who_leaves_is_forgotten(self, server: Any) -> None:
        open_streams = server.app.state.streams._streams
        with server.http() as http:
            for _ in range(5):
                with reading(http, "/v1/stream") as reader:
                    reader.record()
        wait_until(lambda: len(open_streams) == 1, server)

    def test_a_reader_that_does_not_read_costs_nothing(self, server: Any) -> None:
        relay = server.app.state.streams
        host, _, port = server.url.removeprefix("http://").partition(":")
        with socket.create_connection((host, int(port)), timeout=60) as lazy, server.http() as http:
            lazy.sendall(f"GET /v1/stream HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
            assert b" 200 " in lazy.recv(100)
            wait_until(lambda: len(relay._streams) == 2, server)
            stream = min(relay._streams, key=lambda stream: stream.admitted_at)
            with reading(http, "/v1/stream") as diligent:
                diligent.record()
                for burst in range(1_000):
                    for number in range(500):
                        relay._hear(Event("job", "progress", 0.0, {"text": "x" * 2_000}, number))
                    relay._hear(Event("mark", "progress", 0.0, {}, burst))
                    while diligent.event()["id"] != f"mark:{burst}":
                        pass
                    if LOOK_AGAIN in stream._waiting:
                        break
                assert len(stream._waiting) <= streams.MAX_WAITING
            assert any(line == b"event: again\n" for line in lazy.makefile("rb")), "it was told to look again"


def test_a_full_queue_becomes_one_call_to_look_again() -> None:
    stream = Stream(None, None)
    stream.offer([b"x"] * streams.MAX_WAITING)
    assert list(stream._waiting) == [b"x"] * streams.MAX_WAITING
    stream.offer([b"y"])
    assert list(stream._waiting) == [LOOK_AGAIN]


def test_streams_end_when_the_server_is_told_to(server: Any) -> None:
    with server.http() as http, reading(http, "/v1/stream") as reader:
        assert reader.record() == {"": "open"}
        loop = server.app.state.streams._loop
        loop.call_soon_threadsafe(server.app.state.streams.end)
        reader.to_the_end()

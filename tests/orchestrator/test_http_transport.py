"""The client's end of HTTP: errors as embedded, repeats only where they do no harm, a token that stays where it is."""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from backends import errors as backends
from backends.errors import UnknownBackend
from circuits import errors as circuits
from circuits.errors import InvalidProgram
from circuits.program import Program
from orchestrator import errors
from orchestrator.http_feed import _lines
from orchestrator.http_transport import HttpTransport
from orchestrator.job import Event, JobSpec
from orchestrator.settings import Settings
from orchestrator.wire import ErrorDetail, from_wire, to_wire

ABOUT = b'{"name":"qorch","version":"0","protocol":"1"}'


def answer(body: bytes, status: str = "200 OK", protocol: str = "X-Qorch-Protocol: 1\r\n", more: str = "") -> bytes:
    head = f"HTTP/1.1 {status}\r\n{protocol}{more}Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    return head.encode() + body


def request(connection: socket.socket) -> bytes:
    """All of one request."""
    head, _, body = b"", b"", b""
    while not head:
        if not (piece := connection.recv(100_000)):
            return body
        body += piece
        if b"\r\n\r\n" in body:
            head, _, body = body.partition(b"\r\n\r\n")
    (length,) = re.findall(rb"(?i)content-length: (\d+)", head) or [b"0"]
    while len(body) < int(length):
        body += connection.recv(100_000)
    return head + body


@contextmanager
def scripted(*answers: bytes | None) -> Iterator[tuple[str, list[bytes]]]:
    """A server that gives these answers, one a connection, None hanging up; what it was asked."""
    asked: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def work() -> None:
            for each in answers:
                try:
                    connection, _ = listening.accept()
                except OSError:
                    return
                with connection:
                    asked.append(request(connection))
                    if each is not None:
                        connection.sendall(each)

        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}", asked
        finally:
            listening.shutdown(socket.SHUT_RDWR)
            thread.join()


@contextmanager
def connected(url: str, settings: Settings) -> Iterator[HttpTransport]:
    transport = HttpTransport(url, settings)
    try:
        yield transport
    finally:
        transport.close()


@pytest.mark.parametrize(
    "error",
    [
        errors.InvalidJob("shots must be …"),
        errors.UnknownPolicy("no policy is called 'x'"),
        errors.NotAuthorised("a token is wanted"),
        errors.ProtocolMismatch("version 2"),
        errors.StoreUnavailable("away"),
        errors.ConfigurationError("no"),
        errors.JobNotFound("abc"),
        UnknownBackend("no backend is called 'x'"),
        InvalidProgram("line 3"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_errors_cross_the_wire(error: Exception) -> None:
    back = from_wire(to_wire(error).error)
    assert type(back) is type(error)
    assert str(back) == str(error)
    assert getattr(back, "job_id", None) == getattr(error, "job_id", None)


def test_no_error_of_one_message_is_forgotten() -> None:
    found = [kind for room in (errors, circuits, backends) for kind in vars(room).values() if isinstance(kind, type)]
    plain = [kind for kind in found if issubclass(kind, Exception) and kind.__init__ is Exception.__init__]
    assert len(plain) > 10
    for kind in plain:
        assert type(from_wire(ErrorDetail(kind.__name__, "words"))) is kind


def test_errors_of_another_kind_are_still_errors() -> None:
    assert type(from_wire(ErrorDetail("Novel", "of a newer server"))) is errors.TransportError
    assert type(from_wire(to_wire(errors.ClientClosed()).error)) is errors.ServerUnreachable


class TestAddress:
    def test_nobody_there(self, settings: Settings) -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
        with pytest.raises(errors.ServerUnreachable, match="qorch serve"):
            HttpTransport(f"http://127.0.0.1:{port}", settings)

    @pytest.mark.parametrize("url", ["http://", "http://a:b@localhost:1", "http://localhost:1?x", "http://localhost:x"])
    def test_no_address(self, settings: Settings, url: str) -> None:
        with pytest.raises(errors.ConfigurationError) as caught:
            HttpTransport(url, settings)
        assert "a:b" not in str(caught.value)

    @pytest.mark.parametrize(
        ("said", "word"),
        [
            (answer(b"<html>", protocol=""), "no orchestrator"),
            (answer(b"", "404 Not Found", protocol=""), "no orchestrator"),
            (answer(ABOUT, protocol="X-Qorch-Protocol: 2\r\n"), "version '2'"),
            (answer(b"[1"), "cannot be read"),
        ],
    )
    def test_something_else_is_there(self, settings: Settings, said: bytes, word: str) -> None:
        with scripted(said) as (url, _), pytest.raises(errors.ProtocolMismatch, match=word):
            HttpTransport(url, settings)


class TestToken:
    secret = "qorch_secret"

    def with_token(self, settings: Settings, **more: bool) -> Settings:
        return Settings(data_dir=settings.data_dir, token=self.secret, patience_s=0.5, **more)  # type: ignore[arg-type]

    def test_it_is_sent(self, settings: Settings) -> None:
        with scripted(answer(ABOUT)) as (url, asked), connected(url, self.with_token(settings)):
            assert f"authorization: bearer {self.secret}" in asked[0].decode().lower()

    def test_it_does_not_leave_the_machine_unencrypted(self, settings: Settings) -> None:
        with pytest.raises(errors.ConfigurationError, match="QORCH_ALLOW_PLAIN_HTTP") as caught:
            HttpTransport("http://192.0.2.1:8000", self.with_token(settings))
        assert self.secret not in str(caught.value)

    def test_it_does_not_follow_elsewhere(self, settings: Settings) -> None:
        with scripted() as (elsewhere, stolen):
            moved = answer(b"", "307 Temporary Redirect", protocol="", more=f"Location: {elsewhere}/v1\r\n")
            with scripted(moved) as (url, _), pytest.raises(errors.ProtocolMismatch):
                HttpTransport(url, self.with_token(settings))
            assert stolen == []

    def test_it_stands_in_no_error(self, settings: Settings) -> None:
        configuration = self.with_token(settings)
        assert self.secret not in repr(configuration)
        with pytest.raises(errors.ConfigurationError) as caught:
            HttpTransport("http://localhost:1", Settings(data_dir=settings.data_dir, token="line\nbreak é"))  # type: ignore[arg-type]
        assert "break" not in str(caught.value)


class TestRepeats:
    @pytest.fixture
    def impatient(self, settings: Settings) -> Settings:
        return settings.model_copy(update={"patience_s": 5.0})

    def test_a_look_is_repeated(self, impatient: Settings) -> None:
        away = answer(b'{"error":{"kind":"StoreUnavailable","message":"away"}}', "503 Service Unavailable")
        proxy = answer(b"<html>", "502 Bad Gateway", protocol="")
        with scripted(answer(ABOUT), None, away, proxy, answer(b"[]")) as (url, asked):
            with connected(url, impatient) as transport:
                assert transport.policies() == []
            assert len(asked) == 5

    def test_a_batch_without_keys_is_not(self, impatient: Settings, spec: JobSpec) -> None:
        with scripted(answer(ABOUT), None, answer(b"[]", "201 Created")) as (url, asked):
            with connected(url, impatient) as transport, pytest.raises(errors.TransportError, match="look with jobs"):
                transport.submit([spec])
            assert len(asked) == 2

    def test_a_batch_with_keys_is(self, impatient: Settings, bell: Program) -> None:
        with scripted(answer(ABOUT), None, answer(b"[]", "201 Created")) as (url, asked):
            with connected(url, impatient) as transport:
                assert transport.submit([JobSpec(program=bell, idempotency_key="once")]) == []
            assert asked[1] == asked[2]

    def test_an_error_is_not(self, impatient: Settings) -> None:
        refused = answer(b'{"error":{"kind":"JobNotFound","message":"no","job_id":"abc"}}', "404 Not Found")
        with scripted(answer(ABOUT), refused) as (url, _), connected(url, impatient) as transport:
            with pytest.raises(errors.JobNotFound) as caught:
                transport.job("abc")
            assert caught.value.job_id == "abc"

    def test_patience_ends(self, settings: Settings) -> None:
        short = settings.model_copy(update={"patience_s": 0.3})
        with scripted(answer(ABOUT)) as (url, _), connected(url, short) as transport:
            pass
        with pytest.raises(errors.ClientClosed):
            transport.policies()
        hang_ups = [None] * 20
        with scripted(answer(ABOUT), *hang_ups) as (url, asked), connected(url, short) as transport:
            with pytest.raises(errors.ServerUnreachable):
                transport.policies()
            assert 2 < len(asked) < 20


class TestFeed:
    def sse(self, text: str) -> bytes:
        head = "HTTP/1.1 200 OK\r\nX-Qorch-Protocol: 1\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
        return head.encode() + text.encode()

    def heard(self, url: str, settings: Settings, num: int) -> list[Event | None]:
        found: list[Event | None] = []
        enough = threading.Event()

        def hear(event: Event | None) -> None:
            found.append(event)
            if len(found) >= num:
                enough.set()

        with connected(url, settings) as transport:
            leave = transport.subscribe(hear)
            assert enough.wait(60)
            leave()
            leave()
        return found[:num]

    def test_a_broken_stream_is_opened_again_and_all_look(self, settings: Settings) -> None:
        first = self.sse(': open\n\nid: a:1\ndata: {"job_id":"a","kind":"done","at":1.0,"seq":1}\n\n')
        second = self.sse(': open\n\nevent: again\ndata: null\n\ndata: {"job_id":"b","kind":"done","at":1.0}\n\n')
        with scripted(answer(ABOUT), first, None, second) as (url, _):
            found = self.heard(url, settings, 4)
        assert [event and event.job_id for event in found] == ["a", None, None, "b"]

    def test_no_stream_is_said(self, settings: Settings) -> None:
        refused = answer(b'{"error":{"kind":"NotAuthorised","message":"no"}}', "401 Unauthorized")
        with (
            scripted(answer(ABOUT), refused) as (url, _),
            connected(url, settings) as transport,
            pytest.raises(errors.NotAuthorised),
        ):
            transport.subscribe(lambda _: None)

    def test_who_closes_wakes_who_waits(self, settings: Settings) -> None:
        told: list[Event | None] = []
        with scripted(answer(ABOUT), self.sse(": open\n\n")) as (url, _):
            transport = HttpTransport(url, settings)
            transport.subscribe(told.append)
            transport.close()
            transport.close()
        assert told == [None]
        with pytest.raises(errors.ClientClosed):
            transport.subscribe(told.append)

    def test_lines_end_with_a_line_feed_alone(self) -> None:
        text = "a\u2028b\x0bc\n\nd".encode()
        pieces = [text[start : start + 2] for start in range(0, len(text), 2)]
        assert list(_lines(iter(pieces))) == ["a\u2028b\x0bc".encode(), b""]


def test_a_missing_package_is_named(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    from workers.compose import connect

    monkeypatch.delitem(sys.modules, "orchestrator.http_transport", raising=False)
    monkeypatch.delitem(sys.modules, "orchestrator.http_feed", raising=False)
    monkeypatch.setitem(sys.modules, "httpx", None)
    with pytest.raises(errors.ConfigurationError, match=r"pip install 'qorch\[http\]'"):
        connect("http://localhost:1", settings)

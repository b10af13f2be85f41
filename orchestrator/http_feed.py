"""Events of a server, read by one thread for all who listen in this process.

The thread lives while somebody listens and LINGER_S longer, so that one wait after the other needs no new stream. A
stream that breaks is opened again; then everybody is told to look again, since something may have been missed.
"""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import AbstractContextManager, suppress

import httpx

from orchestrator.errors import ClientClosed, ServerUnreachable, TransportError
from orchestrator.job import Event
from orchestrator.notifier import Hub, Listener
from orchestrator.records import from_json
from orchestrator.wire import AGAIN

LINGER_S = 10.0
"""Seconds that a stream stays open after the last listener has left."""

FIRST_PAUSE_S = 0.1
LONGEST_PAUSE_S = 5.0
"""Pauses before a broken stream is opened again; each is twice as long as the one before."""

CLOSE_TIMEOUT_S = 5.0
MAX_LINE_BYTES = 64 * 1024 * 1024

log = logging.getLogger("qorch.http")

OpenStream = Callable[[], AbstractContextManager[httpx.Response]]
"""Opens a stream. Raises TransportError: it cannot be, or it broke while it was read."""


class Feed:
    """The listeners of one client, and the stream that they share."""

    def __init__(self, open_stream: OpenStream, *, patience_s: float) -> None:
        """The first stream is tried again for ``patience_s`` seconds while the server is away."""
        self._open_stream = open_stream
        self._patience_s = patience_s
        self._hub = Hub()
        self._lock = threading.Lock()
        self._num_listeners = 0
        self._left_at = 0.0
        self._opened: Future[None] | None = None
        self._thread: threading.Thread | None = None
        self._socket: socket.socket | None = None
        self._closing = threading.Event()

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Call ``listener`` for every event from now on; returns once the stream is open.

        Raises:
            TransportError: it cannot be opened.
        """
        unsubscribe = self._hub.subscribe(listener)
        with self._lock:
            self._num_listeners += 1
            if self._opened is None:
                self._opened = Future()
                self._thread = threading.Thread(target=self._read, name="qorch-feed", daemon=True)
                self._thread.start()
            opened = self._opened
        left = threading.Event()

        def leave() -> None:
            if left.is_set():
                return
            left.set()
            unsubscribe()
            with self._lock:
                self._num_listeners -= 1
                self._left_at = time.monotonic()

        try:
            opened.result()
        except BaseException:
            leave()
            raise
        return leave

    def close(self) -> None:
        """End the stream, and tell everybody to look again."""
        self._closing.set()
        self._hub.dispatch(None)
        with self._lock:
            thread, connection = self._thread, self._socket
        if connection is not None:
            with suppress(OSError):  # it has ended by itself
                connection.shutdown(socket.SHUT_RDWR)  # wakes the thread that reads it
        if thread is not None and thread is not threading.current_thread():
            thread.join(CLOSE_TIMEOUT_S)

    def _read(self) -> None:
        """The thread: one stream after the other, until nobody listens."""
        opened = self._opened
        assert opened is not None
        pause_s = FIRST_PAUSE_S
        until = time.monotonic() + self._patience_s
        while not self._closing.is_set():
            try:
                for event in self._events(opened):
                    pause_s = FIRST_PAUSE_S
                    self._hub.dispatch(event)
                if self._is_over():
                    return
            except (OSError, ValueError, TransportError) as error:
                away = isinstance(error, ServerUnreachable) and time.monotonic() + pause_s < until
                if self._is_over(failed=None if opened.done() or away else error):
                    return
                log.info("the stream of events broke and is opened again: %s", type(error).__name__)
            self._closing.wait(pause_s)
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
        self._is_over()

    def _is_over(self, failed: Exception | None = None) -> bool:
        """Whether nobody listens any more, or the first stream could not be opened. Then the next one starts anew."""
        with self._lock:
            idle = self._num_listeners == 0 and time.monotonic() - self._left_at >= LINGER_S
            over = failed is not None or idle or self._closing.is_set()
            opened = self._opened
            if over:
                self._opened = self._thread = None
        if over and opened is not None and not opened.done():
            opened.set_exception(failed if failed and not self._closing.is_set() else ClientClosed())
        return over

    def _events(self, opened: Future[None]) -> Iterator[Event | None]:
        """Events of one stream; None for a call to look again. It ends when nobody has listened for a while."""
        with self._open_stream() as response:
            with self._lock:
                self._socket = response.extensions["network_stream"].get_extra_info("socket")
            if self._closing.is_set():
                return
            try:
                name = ""
                for line in _lines(response.iter_raw()):
                    if not opened.done():
                        opened.set_result(None)
                    elif name == "" and line.startswith(b": open"):
                        yield None  # open again
                    field, _, value = line.partition(b": ")
                    if field == b"event":
                        name = value.decode()
                    elif field == b"data":
                        yield None if name == AGAIN else from_json(Event, value)
                    elif not line:
                        name = ""
                        if self._is_idle():
                            return
            finally:
                with self._lock:
                    self._socket = None

    def _is_idle(self) -> bool:
        with self._lock:
            return self._closing.is_set() or (self._num_listeners == 0 and time.monotonic() - self._left_at >= LINGER_S)


def _lines(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Lines as the server ends them: by a line feed and nothing else that Unicode knows.

    Raises:
        ValueError: a line that never ends.
    """
    rest = b""
    for chunk in chunks:
        *lines, rest = (rest + chunk).split(b"\n")
        yield from lines
        if len(rest) > MAX_LINE_BYTES:
            raise ValueError(f"a line of more than {MAX_LINE_BYTES} bytes")

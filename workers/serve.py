"""The HTTP interface as a process: an orchestrator behind an app, behind uvicorn."""

from __future__ import annotations

import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from ipaddress import IPv6Address, ip_address

import uvicorn
from fastapi import FastAPI, Response

from orchestrator.census import CensusStore
from orchestrator.errors import ConfigurationError
from orchestrator.metrics import CONTENT_TYPE, Exporter
from orchestrator.settings import Settings
from orchestrator.sql.store import SqlStore
from orchestrator.transport import StoreTransport
from orchestrator.web.app import create_app
from workers.cluster import HTTP, ClusterTransport
from workers.compose import connect

DRAIN_S = 5
"""Seconds that answers on their way get when the server is told to end."""


def serve(settings: Settings, *, host: str, port: int, ready: Callable[[str], None]) -> None:
    """Serve until SIGTERM or SIGINT: the cluster of the settings or of the data folder, else an embedded one.

    Args:
        settings: the orchestrator's.
        host: where to listen; anything but the loopback needs a token in the store.   port: 0 takes a free one.
        ready: called with the address once requests are answered.

    Raises:
        ConfigurationError: it cannot listen there, or must not.   ServerUnreachable: the cluster's broker is away.
    """
    with ExitStack() as stack:
        listening = stack.enter_context(closing(listen(host, port)))
        broker = None if settings.redis_url is None else settings.redis_url.get_secret_value()
        transport = connect(settings.url or broker, settings)
        stack.callback(transport.close)
        if not isinstance(transport, StoreTransport):
            raise ConfigurationError("the address of another HTTP server cannot be served again; unset QORCH_URL")
        tokens = stack.enter_context(closing(SqlStore(settings.resolved_store_url)))
        app = create_app(transport, tokens, settings, host=host, metrics=metrics_of(tokens))

        def up() -> None:
            if isinstance(transport, ClusterTransport):
                transport.say_up(HTTP)
            ready(address(listening))

        Server(app, ready=up).run(sockets=[listening])


def metrics_of(store: CensusStore) -> Callable[[], Response]:
    """What ``GET /metrics`` does. It begins to count here."""
    exporter = Exporter(store)

    def metrics() -> Response:
        return Response(exporter.text(), media_type=CONTENT_TYPE)

    return metrics


@contextmanager
def serving(app: FastAPI, *, host: str = "127.0.0.1", port: int = 0) -> Iterator[str]:
    """Serve an app on a thread of this process for as long as the block lasts; its address."""
    up = threading.Event()
    with closing(listen(host, port)) as listening:
        server = Server(app, ready=up.set)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, name="qorch-http")
        thread.start()
        try:
            up.wait()
            yield address(listening)
        finally:
            server.should_exit = True
            thread.join()


class Server(uvicorn.Server):
    """Uvicorn, that says when it is up, lets its streams go first, and keeps signals to itself."""

    def __init__(self, app: FastAPI, *, ready: Callable[[], None]) -> None:
        """``ready`` is called once requests are answered."""
        super().__init__(
            uvicorn.Config(
                app,
                lifespan="on",
                log_config=None,
                log_level="warning",
                access_log=False,
                server_header=False,
                proxy_headers=False,
                ws="none",
                timeout_graceful_shutdown=DRAIN_S,
            )
        )
        self._app = app
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """See uvicorn."""
        await super().startup(sockets)
        if self.started:
            self._ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """See uvicorn, which waits for every answer: a stream would never end by itself."""
        self._app.state.streams.end()
        await super().shutdown(sockets)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """As uvicorn does it, but a signal ends the server and not what its caller still has to close."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.signal(number, self.handle_exit) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens.

    Raises:
        ConfigurationError: the address is taken, or none of this machine's.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except (OSError, OverflowError) as error:
        raise ConfigurationError(
            f"the HTTP interface cannot listen on {host[:80]!r}, port {port}: {error}; choose another --host or --port"
        ) from error


def address(listening: socket.socket) -> str:
    """Where it is reached."""
    host, port = listening.getsockname()[:2]
    return f"http://[{host}]:{port}" if isinstance(ip_address(host), IPv6Address) else f"http://{host}:{port}"

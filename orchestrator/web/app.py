"""The app: routes, gate and streams over one transport. Server and store are others' (``workers.serve``)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import cache
from importlib.metadata import version
from typing import Any

from fastapi import FastAPI
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from orchestrator.settings import Settings
from orchestrator.tokens import TokenStore
from orchestrator.transport import StoreTransport
from orchestrator.web import openapi, refusal, routes
from orchestrator.web.gate import Gate
from orchestrator.web.streams import Streams
from orchestrator.wire import PROTOCOL, PROTOCOL_HEADER


def create_app(
    transport: StoreTransport,
    tokens: TokenStore | None,
    settings: Settings,
    *,
    host: str = "127.0.0.1",
    metrics: Callable[..., Any] | None = None,
) -> FastAPI:
    """The HTTP interface of an orchestrator.

    Without a single token, and on the loopback alone, whoever asks sees everything; in every other case a token is
    wanted (see :mod:`orchestrator.web.gate`).

    Args:
        transport: unscoped; it stays its owner's.
        tokens: where tokens rest; None where none can be given out.
        settings: limits and times.
        host: where the server will listen.
        metrics: a route's function for ``GET /metrics``; it needs no token, so it must tell of no job.

    Raises:
        ConfigurationError: other machines would reach it, and there is no token.
    """
    gate = Gate(tokens, host=host)
    gate.check_exposure(host)
    streams = Streams(transport, most=settings.max_streams, keep_alive_s=settings.keep_alive_s)

    @asynccontextmanager
    async def life(_: FastAPI) -> AsyncIterator[None]:
        streams.start()
        try:
            yield
        finally:
            streams.end()
            await run_in_threadpool(streams.stop)

    # no /docs: its page would run scripts of another host in the browser of whoever needs no token
    app = FastAPI(
        title="qorch",
        version=version("qorch"),
        description=openapi.DESCRIPTION,
        lifespan=life,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    app.state.transport = transport
    app.state.settings = settings
    app.state.gate = gate
    app.state.streams = streams
    app.state.routes = (*routes.api.routes, *routes.server.routes)
    app.include_router(routes.api)
    app.include_router(routes.server)
    if metrics is not None:
        app.add_api_route("/metrics", metrics, include_in_schema=False)
    refusal.install(app)
    app.add_middleware(_Headers)
    names = [info.name for info in transport.policies()]
    app.openapi = cache(lambda: openapi.describe(app, settings, names))  # type: ignore[method-assign]
    return app


class _Headers:
    """What every answer says of itself."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def sent(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers[PROTOCOL_HEADER] = PROTOCOL
                headers["Cache-Control"] = "no-store"
                headers["X-Content-Type-Options"] = "nosniff"
            await send(message)

        await self._app(scope, receive, sent)

"""A live server on the loopback, over a store that nobody works on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI

from orchestrator.settings import Settings
from orchestrator.sql.store import SqlStore
from orchestrator.tokens import Token, digest, new_secret
from orchestrator.transport import StoreTransport
from orchestrator.web.app import create_app
from workers.local import LocalTransport
from workers.serve import serving


@dataclass(frozen=True)
class Served:
    """A server that runs, and what lies behind it."""

    url: str
    app: FastAPI
    transport: StoreTransport
    store: SqlStore
    settings: Settings

    def token(self, name: str, project: str) -> str:
        """A new token's secret."""
        secret = new_secret()
        self.store.add_token(Token(name, project), digest(secret))
        return secret

    def http(self, secret: str | None = None) -> httpx.Client:
        """A client of it."""
        headers = {} if secret is None else {"Authorization": f"Bearer {secret}"}
        return httpx.Client(base_url=self.url, headers=headers, trust_env=False, timeout=60.0)


@contextmanager
def served(settings: Settings) -> Iterator[Served]:
    """Serve a data folder for as long as the block lasts."""
    settings = settings.model_copy(update={"embedded_engine": False})
    with ExitStack() as stack:
        transport = LocalTransport(settings)
        stack.callback(transport.close)
        store = SqlStore(settings.resolved_store_url)
        stack.callback(store.close)
        app = create_app(transport, store, settings)
        yield Served(stack.enter_context(serving(app)), app, transport, store, settings)


@pytest.fixture
def serve() -> Iterator[Callable[[Settings], Served]]:
    """Starts servers with settings of the test's own."""
    with ExitStack() as stack:
        yield lambda settings: stack.enter_context(served(settings))


@pytest.fixture
def server(settings: Settings) -> Iterator[Served]:
    """A server of this test's own."""
    with served(settings) as running:
        yield running


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server for all tests of a file."""
    folder: Path = tmp_path_factory.mktemp("web")
    with served(Settings(data_dir=folder, max_batch=100, max_body_bytes=2_000_000)) as running:
        yield running

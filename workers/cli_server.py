"""The commands about the HTTP interface: serving it, and who may speak to it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING, Annotated

import typer

from workers.cli_frame import log_as_set, note, print_json, rendering, settings_of, show
from workers.cli_options import Common

if TYPE_CHECKING:
    from orchestrator.sql.store import SqlStore


def require_server(*names: str) -> None:
    """Raises: ConfigurationError: a package is missing; the message is the command that installs it."""
    from orchestrator.errors import ConfigurationError

    for name in names:
        if find_spec(name) is None:
            raise ConfigurationError(f"this needs {name!r}, which is not installed: pip install 'qorch[server]'")


def serve(
    common: Common,
    host: Annotated[str, typer.Option(help="Where to listen; all but the loopback needs a token.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = 8000,
) -> None:
    """Serve the HTTP interface until Ctrl-C or SIGTERM."""
    require_server("fastapi", "uvicorn", "prometheus_client")
    settings = settings_of(common)
    log_as_set(settings, worker="http")
    from workers.serve import serve as run

    run(
        settings,
        host=host,
        port=port,
        ready=lambda url: show(common, {"url": url}, lambda: rendering().served(url)),
    )
    note("ended")


def metrics(common: Common) -> None:
    """Print the store's figures as Prometheus reads them; times and errors are those of the last 10 000 jobs."""
    require_server("prometheus_client")
    from orchestrator.metrics import Exporter

    with store_of(common) as store:
        exporter = Exporter(store, behind=10_000)
        families = exporter.families()
    samples = [{"name": one.name, "labels": one.labels, "value": one.value} for f in families for one in f.samples]
    if common.as_json:
        print_json(samples)
    else:
        typer.echo(exporter.text_of(families).decode(), nl=False)


def token_add(
    common: Common,
    name: Annotated[str, typer.Argument(help="Whose it is or what it is for.")],
    project: Annotated[str, typer.Option(help="Whose jobs it shows; '*' is an operator's and shows all.")],
) -> None:
    """Make a token and print it, this once."""
    from orchestrator.tokens import Token, digest, new_secret

    token, secret = Token(name, project), new_secret()
    with store_of(common) as store:
        store.add_token(token, digest(secret))
    show(common, {"name": name, "project": project, "token": secret}, lambda: rendering().token(token, secret))


def token_list(common: Common) -> None:
    """List the tokens, without their secrets."""
    with store_of(common) as store:
        found = store.tokens()
    show(common, found, lambda: rendering().tokens(found, time.time()))


def token_revoke(common: Common, name: Annotated[str, typer.Argument(help="As `qorch token list` shows it.")]) -> None:
    """Forget a token. Servers may let it in for a few seconds more."""
    from orchestrator.errors import ConfigurationError

    with store_of(common) as store:
        if not store.revoke_token(name):
            raise ConfigurationError(f"no token is called {name[:80]!r}; `qorch token list` shows which there are")
    show(common, {"revoked": name}, lambda: f"revoked {name}")


@contextmanager
def store_of(common: Common) -> Iterator[SqlStore]:
    """The store of the data folder or of QORCH_STORE_URL: whoever may write there may do it."""
    from orchestrator.sql.store import SqlStore

    store = SqlStore(settings_of(common).resolved_store_url)
    try:
        yield store
    finally:
        store.close()

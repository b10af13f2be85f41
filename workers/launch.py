"""Starting a cluster on one machine: Redis, workers, Flower, and ending all of them again."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from orchestrator.broker import PLACEMENT_QUEUE
from orchestrator.errors import ConfigurationError
from orchestrator.job import Event
from orchestrator.logs import shown
from orchestrator.settings import Settings
from orchestrator.sql.store import SqlStore
from workers import redis_server
from workers.cluster import HTTP, WORKER_UP
from workers.folder import FolderLock
from workers.keeper import Keeper
from workers.node import devices_here
from workers.redis_bus import RedisBus

UP_TIMEOUT_S = 120.0
FLOWER = "flower"


def lanes(settings: Settings) -> dict[str, list[str]]:
    """The default division of a machine: one worker for its simulators, one for its QPUs, emulated or not."""
    devices = devices_here(settings.backends)
    groups: dict[str, list[str]] = {}
    for name, device in devices.items():
        groups.setdefault("simulators" if device.kind == "simulator" else "qpus", []).append(name)
    return groups


@contextmanager
def running(
    settings: Settings,
    division: Mapping[str, Sequence[str]],
    *,
    flower_port: int | None = None,
    http_port: int | None = None,
    logs: Path | None = None,
) -> Iterator[str]:
    """Redis and workers on this machine for as long as the block lasts; the broker's URL.

    A process that ends before its time is started again.

    Args:
        settings: the cluster's; it takes their data folder over.
        division: worker -> backends it serves. One more worker places.
        flower_port: run Flower there too, on the loopback.
        http_port: serve the HTTP interface there too, on the loopback.
        logs: folder for what the workers say; None sends it to stderr.

    Raises:
        ConfigurationError: the folder is in use, no Redis server can be started, or a worker does not come up.
    """
    with ExitStack() as stack:
        if settings.redis_url is None:
            url = stack.enter_context(redis_server.private_server())
        else:
            url = settings.redis_url.get_secret_value()
        stack.callback(_locked(settings, url).release)
        SqlStore(settings.resolved_store_url).close()  # migrate once, before several workers would
        bus = RedisBus(redis_server.connect(url))
        stack.callback(bus.close)
        muster = _Muster({f"{name}@{socket.gethostname()}" for name in _names(division, http_port)})
        stack.callback(bus.subscribe(muster.hear))
        worker = ["-m", "workers", "worker", "--name"]
        commands = {PLACEMENT_QUEUE: [*worker, PLACEMENT_QUEUE, "--place", "--backends", "none"]}
        for name, backends in division.items():
            commands[name] = [*worker, name, "--backends", ",".join(backends)]
        if http_port is not None:
            commands[HTTP] = ["-m", "workers", "serve", "--port", str(http_port)]
        environment = os.environ | _environment(settings, url)
        if flower_port is not None:
            address = ["--address=127.0.0.1", f"--port={flower_port}"]
            commands[FLOWER] = ["-m", "celery", "-A", "workers.app", "flower", *address]
            environment["FLOWER_UNAUTHENTICATED_API"] = "true"  # on the loopback alone
        keeper = Keeper(muster.lost)
        stack.callback(keeper.stop)  # before the first one starts: a signal may come in between
        for name, arguments in commands.items():
            keeper.keep(name, partial(_spawn, arguments, environment, logs, name))
        muster.wait()
        yield url


def _names(division: Mapping[str, Sequence[str]], http_port: int | None) -> list[str]:
    return [*division, PLACEMENT_QUEUE, *([HTTP] if http_port is not None else [])]


def _locked(settings: Settings, url: str) -> FolderLock:
    lock = FolderLock(settings.data_dir)
    if not lock.acquire(wait=False, address=url):
        other = lock.cluster()
        who = "an embedded client works in" if other is None else f"a cluster at {shown(other)} serves"
        raise ConfigurationError(f"{who} {settings.data_dir}; end it, or set QORCH_DATA_DIR to another folder")
    return lock


class _Muster:
    """Waits until all workers have said that they are up; one that ends before that keeps the cluster from starting."""

    def __init__(self, wanted: set[str]) -> None:
        self._wanted = wanted
        self._ended: dict[str, int] = {}
        self._changed = threading.Event()

    def hear(self, event: Event | None) -> None:
        if event is not None and event.kind == WORKER_UP:
            self._wanted.discard(event.data["worker"])
            self._changed.set()

    def lost(self, name: str, code: int) -> None:
        self._ended[name] = code
        self._changed.set()

    def wait(self) -> None:
        until = time.monotonic() + UP_TIMEOUT_S
        while self._wanted:
            in_time = self._changed.wait(until - time.monotonic())
            self._changed.clear()
            if self._ended:
                ended = ", ".join(f"{name} (exit code {code})" for name, code in self._ended.items())
                raise ConfigurationError(f"a worker ended while it started: {ended}; its log says why")
            if not in_time:
                missing = ", ".join(sorted(self._wanted))
                raise ConfigurationError(f"not up after {UP_TIMEOUT_S:g} s: {missing}; their logs say why")


def _environment(settings: Settings, url: str) -> dict[str, str]:
    """The settings as a child's environment."""
    plain = {
        f"QORCH_{name.upper()}": "" if value is None else str(value)
        for name, value in settings.model_dump(exclude={"store_url", "redis_url", "url", "backends", "token"}).items()
    }
    elsewhere = {"QORCH_URL": "", "QORCH_TOKEN": ""}  # where this user's clients go is no business of these workers
    return plain | elsewhere | {"QORCH_STORE_URL": settings.resolved_store_url, "QORCH_REDIS_URL": url}


def _spawn(
    arguments: list[str], environment: Mapping[str, str], logs: Path | None, name: str
) -> subprocess.Popen[bytes]:
    """Start one process. Its words go to a file or to stderr: whoever starts a cluster has its own answer on stdout."""
    with ExitStack() as stack:
        words: Any = sys.__stderr__
        if logs is not None:
            logs.mkdir(parents=True, exist_ok=True)
            words = stack.enter_context((logs / f"{name}.log").open("ab"))
        return subprocess.Popen(
            [sys.executable, *arguments],
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=words,
            stderr=words,
            start_new_session=True,
        )

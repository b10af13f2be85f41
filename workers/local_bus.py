"""Events and wake-ups between the processes that share one data folder, without a server.

Each process binds a datagram socket in a folder of its own user; publishing is sending to every socket found there. A
socket whose process is gone refuses, and is removed. A notice that does not fit into a full buffer is dropped for that
process, which finds the store changed at its next look.
"""

from __future__ import annotations

import errno
import hashlib
import os
import socket
import tempfile
import threading
import uuid
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from orchestrator.job import Event
from orchestrator.notifier import Hub, Listener
from orchestrator.records import from_json, to_json

WAKE = "wake"
"""Kind of the event that carries a wake-up; its ``job_id`` is empty."""

MAX_BYTES = 60_000
_STOP = b"stop"


class LocalBus:
    """Notifier and broker of the embedded orchestrator."""

    def __init__(self, data_dir: Path) -> None:
        self._hub = Hub()
        self._folder = _folder(data_dir)
        self._path = self._folder / f"{os.getpid()}-{uuid.uuid4().hex[:8]}"
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._bind()
        self._thread = threading.Thread(target=self._listen, name="qorch-bus", daemon=True)
        self._thread.start()

    # ── notifier ──────────────────────────────────────────────────────────────────────────────────────────────────
    def publish(self, events: Sequence[Event]) -> None:
        """See :class:`orchestrator.notifier.Notifier`."""
        for event in events:
            self._hub.dispatch(event)
            message = to_json(event).encode()
            if len(message) > MAX_BYTES:
                message = to_json(replace(event, data={})).encode()
            for path in self._others():
                self._send(path, message)

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """See :class:`orchestrator.notifier.Notifier`."""
        return self._hub.subscribe(listener)

    # ── broker ────────────────────────────────────────────────────────────────────────────────────────────────────
    def wake_placement(self) -> None:
        """See :class:`orchestrator.broker.Broker`."""
        self.publish([Event("", WAKE, 0.0)])

    def wake_backend(self, backend: str, num_assignments: int = 1) -> None:
        """See :class:`orchestrator.broker.Broker`."""
        self.publish([Event("", WAKE, 0.0, {"backend": backend})])

    # ── life ──────────────────────────────────────────────────────────────────────────────────────────────────────
    def close(self) -> None:
        """Stop listening and remove the socket."""
        if self._thread.is_alive():
            self._socket.sendto(_STOP, str(self._path))
            if self._thread is not threading.current_thread():
                self._thread.join()
        self._socket.close()
        self._path.unlink(missing_ok=True)
        with suppress(OSError):  # others are still in it
            self._folder.rmdir()

    def _bind(self) -> None:
        while True:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            with suppress(FileNotFoundError):  # the last one to leave removed the folder just now
                self._socket.bind(str(self._path))
                return

    def _others(self) -> list[Path]:
        return [path for path in self._folder.iterdir() if path != self._path]

    def _send(self, path: Path, message: bytes) -> None:
        try:
            self._socket.sendto(message, socket.MSG_DONTWAIT, str(path))
        except OSError as error:
            if error.errno in (errno.ECONNREFUSED, errno.ENOENT):
                path.unlink(missing_ok=True)
            elif error.errno not in (errno.EAGAIN, errno.ENOBUFS):
                raise

    def _listen(self) -> None:
        while (message := self._socket.recv(MAX_BYTES + 1)) != _STOP:
            self._hub.dispatch(from_json(Event, message))


def _folder(data_dir: Path) -> Path:
    """A short path, since a socket's may have about 100 characters, that only this user can enter."""
    name = hashlib.sha256(str(data_dir.resolve()).encode()).hexdigest()[:16]
    mine = Path(tempfile.gettempdir()) / f"qorch-{os.getuid()}"
    mine.mkdir(exist_ok=True, mode=0o700)
    if mine.stat().st_uid != os.getuid():
        raise PermissionError(f"{mine} belongs to another user; set TMPDIR to a folder of your own")
    return mine / name

"""Events and wake-ups between the processes that share one data folder, without a server.

Each process binds a datagram socket in a folder of its own user; publishing is sending to every socket found there. A
socket whose process is gone refuses, and is removed. The kernel keeps few datagrams; a process whose buffer is full
gets, as soon as there is room again, one that says to look at the store anew (its listeners are called with ``None``).
"""

from __future__ import annotations

import errno
import hashlib
import os
import socket
import threading
import uuid
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from orchestrator.broker import WAKE
from orchestrator.job import Event
from orchestrator.notifier import Hub, Listener
from orchestrator.records import from_json, to_json
from workers.sockets import short_tempdir

MAX_BYTES = 60_000
_STOP = b"stop"
_LOOK_AGAIN = b"again"


class LocalBus:
    """Notifier and broker of the embedded orchestrator."""

    def __init__(self, data_dir: Path) -> None:
        self._hub = Hub()
        self._folder = _folder(data_dir)
        self._path = self._folder / f"{os.getpid()}-{uuid.uuid4().hex[:8]}"
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._bind()
        self._owed: dict[Path, bool] = {}
        self._owing = threading.Lock()
        self._thread = threading.Thread(target=self._listen, name="qorch-bus", daemon=True)
        self._thread.start()

    # ── notifier ──────────────────────────────────────────────────────────────────────────────────────────────────
    def publish(self, events: Sequence[Event]) -> bool:
        """See :class:`orchestrator.notifier.Notifier`. Who cannot be reached now is told to look again."""
        for event in events:
            self._hub.dispatch(event)
        message = to_json(list(events)).encode()
        for path in self._others():
            self._send(path, message if len(message) <= MAX_BYTES else _LOOK_AGAIN)
        return True

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """See :class:`orchestrator.notifier.Notifier`."""
        return self._hub.subscribe(listener)

    # ── broker ────────────────────────────────────────────────────────────────────────────────────────────────────
    def wake_placement(self) -> None:
        """See :class:`orchestrator.broker.Broker`."""
        self.publish([Event("", WAKE, 0.0)])

    def wake_backend(self, backend: str) -> None:
        """See :class:`orchestrator.broker.Broker`. Who is woken works until nothing waits."""
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
        with suppress(FileNotFoundError):  # somebody tidied up the temporary files: nobody else can be reached
            return [path for path in self._folder.iterdir() if path != self._path]
        return []

    def _send(self, path: Path, message: bytes) -> None:
        try:
            self._socket.sendto(message, socket.MSG_DONTWAIT, str(path))
        except OSError as error:
            if error.errno in (errno.ECONNREFUSED, errno.ENOENT):
                path.unlink(missing_ok=True)
            elif error.errno in (errno.EAGAIN, errno.ENOBUFS):
                self._owe(path)
            else:
                raise

    def _owe(self, path: Path) -> None:
        """Tell a process whose buffer is full to look again, once it has room; the kernel wakes the sender then."""
        with self._owing:
            known = path in self._owed
            self._owed[path] = known  # True: something was lost again while the first debt is being paid
            if known:
                return
        threading.Thread(target=self._pay, args=(path,), name="qorch-bus-owed", daemon=True).start()

    def _pay(self, path: Path) -> None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as patient:
            try:
                patient.connect(str(path))
                patient.send(_LOOK_AGAIN)
                while self._owed_more(path):
                    patient.send(_LOOK_AGAIN)
            except OSError:  # it is gone by now
                with self._owing:
                    del self._owed[path]

    def _owed_more(self, path: Path) -> bool:
        with self._owing:
            more = self._owed[path]
            if more:
                self._owed[path] = False
            else:
                del self._owed[path]
            return more

    def _listen(self) -> None:
        while (message := self._socket.recv(MAX_BYTES + 1)) != _STOP:
            if message == _LOOK_AGAIN:
                self._hub.dispatch(None)
                continue
            for event in from_json(list[Event], message):
                self._hub.dispatch(event)


def _folder(data_dir: Path) -> Path:
    """A short path, since a socket's may have about 100 characters, that only this user can enter."""
    name = hashlib.sha256(str(data_dir.resolve()).encode()).hexdigest()[:16]
    mine = short_tempdir() / f"qorch-{os.getuid()}"
    mine.mkdir(exist_ok=True, mode=0o700)
    if mine.stat().st_uid != os.getuid():
        raise PermissionError(f"{mine} belongs to another user; set TMPDIR to a folder of your own")
    return mine / name

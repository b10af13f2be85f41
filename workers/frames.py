"""Messages between a worker and its child: one JSON object a line over a socket."""

from __future__ import annotations

import socket
import threading
from collections.abc import Mapping
from typing import Any

import msgspec


class Frames:
    """Sends and receives over one end of a socket pair. One thread at a time, but for ``flush``."""

    def __init__(self, end: socket.socket) -> None:
        self._socket = end
        self._buffer = bytearray()
        self._unsent = bytearray()
        self._sending = threading.Lock()

    @property
    def end(self) -> socket.socket:
        """Whatever waits for messages and for something else waits for this, too."""
        return self._socket

    @property
    def pending(self) -> bool:
        """Whether a whole message is here already."""
        return b"\n" in self._buffer

    def send(self, kind: str, body: Any = None) -> None:
        """Send one message; ``body`` is any record."""
        self.put(kind, body)
        self.flush()

    def put(self, kind: str, body: Any = None) -> None:
        """Send one message with the next ones: each that goes alone wakes the other end."""
        message = msgspec.json.encode({"kind": kind, "body": body}) + b"\n"
        with self._sending:
            self._unsent += message

    def flush(self) -> None:
        """Send what was put; any thread may."""
        with self._sending:
            self._socket.settimeout(None)  # what the last receive left there is not for sending
            unsent, self._unsent = self._unsent, bytearray()
            self._socket.sendall(unsent)

    def receive(self, timeout_s: float | None = None) -> tuple[str, msgspec.Raw] | None:
        """The next message, its body still encoded; None once the other end is closed.

        Raises:
            TimeoutError: nothing came for ``timeout_s`` seconds.
        """
        self._socket.settimeout(timeout_s)
        while b"\n" not in self._buffer:
            try:
                chunk = self._socket.recv(1 << 16)
            except ConnectionResetError:
                return None
            if not chunk:
                return None
            self._buffer += chunk
        line, _, rest = bytes(self._buffer).partition(b"\n")
        self._buffer = bytearray(rest)
        frame = msgspec.json.decode(line, type=Mapping[str, msgspec.Raw])
        return msgspec.json.decode(frame["kind"], type=str), frame["body"]

    def close(self) -> None:
        """Close this end; the other one reads None."""
        self._socket.close()

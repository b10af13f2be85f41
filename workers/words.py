"""What a child writes to its stdout and stderr: logged by its worker, line by line, as of the job it works for."""

from __future__ import annotations

import logging
import select
import socket
import time
from collections.abc import Sequence

from orchestrator import logs

MARK = b"\x1e"
"""Begins a line by which a child says on which piece of a batch it is at work: its number follows."""

NOBODY = b"-"
"""Instead of a number: it is at work on several."""

MAX_LINES = 200
"""Lines that are kept of one piece of work."""

MAX_LINE_BYTES = 2000
"""Longer lines are cut in pieces."""

LISTEN_S = 0.1
"""Words are taken in so often. They do not wake the worker themselves: a batch has a mark for each of its jobs."""

CHUNK_BYTES = 1 << 16
MAX_CHUNKS = 16
"""Most that is read in one go: a child that never stops writing must not keep its worker from minding the time."""

log = logging.getLogger("qorch.child")


class Words:
    """The worker's end. One thread at a time, the one that has the conversation with the child."""

    def __init__(self, end: socket.socket) -> None:
        end.setblocking(False)
        self._socket = end
        self._open = True
        self._rest = b""
        self._pieces: Sequence[str] = ()
        self._about: tuple[str, ...] = ()
        self._num_lines = 0

    def begin(self, pieces: Sequence[str] = ()) -> None:
        """What is said from here on is about the jobs that this thread works on, or of a batch about these in turn."""
        self.end()  # an idle child has no job
        self._pieces, self._about, self._num_lines = pieces, logs.jobs(), 0

    def end(self) -> None:
        """Take in what was said until now; what comes next is about no job."""
        self.hear(MAX_CHUNKS)
        if self._rest:
            self._tell(self._rest)
        self._rest, self._pieces, self._about = b"", (), ()

    def hear(self, most: int = 1) -> None:
        """Take in what has come, up to so many chunks."""
        for _ in range(most if self._open else 0):
            try:
                chunk = self._socket.recv(CHUNK_BYTES)
            except BlockingIOError:
                return
            except OSError:  # closed, on either end
                chunk = b""
            if not chunk:
                self._open = False
                return
            *lines, rest = (self._rest + chunk).split(b"\n")
            for line in lines:
                self._line(line)
            while len(rest) > MAX_LINE_BYTES:
                self._line(rest[:MAX_LINE_BYTES])
                rest = rest[MAX_LINE_BYTES:]
            self._rest = rest

    def wait(self, frames: socket.socket, until: float) -> None:
        """Until something comes over ``frames``, taking in what is said meanwhile.

        Args:
            until: monotonic time at which the patience ends, seconds.

        Raises:
            TimeoutError: nothing came there.   ConnectionAbortedError: this end was closed.
        """
        while (left_s := until - time.monotonic()) > 0.0:
            poll = select.poll()
            try:
                poll.register(frames, select.POLLIN)
            except ValueError as error:
                raise ConnectionAbortedError("the conversation was closed") from error
            ready = poll.poll(1000.0 * min(left_s, LISTEN_S))
            self.hear(MAX_CHUNKS)
            if ready:
                return
        raise TimeoutError

    def close(self) -> None:
        """Close this end."""
        self._socket.close()

    def _line(self, line: bytes) -> None:
        said, mark, number = line.rpartition(MARK)
        if not mark:
            self._tell(line)
            return
        if said:
            self._tell(said)
        if number == NOBODY:
            self._about = ()
        elif number.isdigit() and int(number) < len(self._pieces):
            self._about, self._num_lines = (self._pieces[int(number)],), 0

    def _tell(self, line: bytes) -> None:
        text = line.decode(errors="replace").rstrip()
        self._num_lines += bool(text)
        if not text or self._num_lines > MAX_LINES + 1:
            return
        with logs.working_on(self._about):
            if self._num_lines > MAX_LINES:
                log.warning("what else it says is left out: it is more than %d lines", MAX_LINES)
                return
            for start in range(0, len(text), MAX_LINE_BYTES):
                log.warning("%s", text[start : start + MAX_LINE_BYTES])

"""Processes that are to run for as long as their keeper does: one that ends before its time is started again."""

from __future__ import annotations

import logging
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.5, 30.0
"""Pause before a new start: it doubles while the process keeps ending, so that a broken one does not spin."""

STEADY_S = 60.0
"""A process that ran for so long has recovered."""

STOP_TIMEOUT_S = 20.0

Start = Callable[[], "subprocess.Popen[bytes]"]

log = logging.getLogger("qorch.keeper")


class Keeper:
    """Starts processes, watches them, ends them together."""

    def __init__(self, on_end: Callable[[str, int], None] | None = None) -> None:
        """``on_end`` hears of every process that ended before its time, with its exit code."""
        self._on_end = on_end
        self._lock = threading.Lock()
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._threads: list[threading.Thread] = []
        self._stopping = threading.Event()

    def keep(self, name: str, start: Start) -> None:
        """Start a process, and start it again whenever it ends."""
        process = self._started(name, start)
        watch = threading.Thread(
            target=self._watch, args=(name, start, process), name=f"qorch-keep-{name}", daemon=True
        )
        self._threads.append(watch)
        watch.start()

    @property
    def running(self) -> Mapping[str, subprocess.Popen[bytes]]:
        """The processes by name, as they are now."""
        with self._lock:
            return dict(self._running)

    def stop(self) -> None:
        """End all of them, and start none again."""
        with self._lock:
            self._stopping.set()
            processes = tuple(self._running.values())
        for process in processes:
            process.send_signal(signal.SIGTERM)
        for process in processes:
            try:
                process.wait(STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                log.warning("process %d did not end by itself", process.pid)
                process.kill()
                process.wait()
        for thread in self._threads:
            thread.join()

    def _started(self, name: str, start: Start) -> subprocess.Popen[bytes] | None:
        with self._lock:  # held over the start: none begins once the others are being ended
            if self._stopping.is_set():
                return None
            self._running[name] = process = start()
            return process

    def _watch(self, name: str, start: Start, process: subprocess.Popen[bytes] | None) -> None:
        pause_s = FIRST_PAUSE_S
        while process is not None:
            begun = time.monotonic()
            code = process.wait()
            if self._stopping.is_set():
                return
            log.error("%s ended with code %d; it is started again", name, code)
            if self._on_end is not None:
                self._on_end(name, code)
            pause_s = FIRST_PAUSE_S if time.monotonic() - begun > STEADY_S else min(2 * pause_s, LONGEST_PAUSE_S)
            if self._stopping.wait(pause_s):
                return
            process = self._started(name, start)

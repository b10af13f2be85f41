"""A thread that works whenever it is rung, until nothing is left to do."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

log = logging.getLogger("qorch.loop")


class Loop:
    """Rung while it works, it looks once more before it sleeps: no ring is lost."""

    def __init__(self, name: str, work: Callable[[], object]) -> None:
        """``work`` is called again for as long as what it returns is true."""
        self._work = work
        self._bell = threading.Event()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Begin to listen for the bell."""
        self._thread.start()

    def ring(self) -> None:
        """There may be something to do."""
        self._bell.set()

    def stop(self) -> None:
        """Begin nothing more."""
        self._closing.set()
        self._bell.set()

    def join(self) -> None:
        """Wait for what it does at this moment."""
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        while not self._closing.is_set():
            self._bell.wait()
            self._bell.clear()
            try:
                while not self._closing.is_set() and self._work():
                    pass
            except Exception:  # a thread that ends would leave every job behind it waiting for ever
                log.exception("%s stopped short; the next sweep goes on", self._thread.name)

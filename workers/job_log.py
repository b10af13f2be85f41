"""The log of each job: what is logged while a process works on that job alone is kept with it, as events.

Off the way of the jobs: a queue and one thread that writes. What does not fit, or comes while the store is away, is
dropped and counted; no job waits for its log.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass

from orchestrator import logs
from orchestrator.errors import JobNotFound, StoreUnavailable
from orchestrator.job import Event
from orchestrator.notifier import Notifier
from orchestrator.store import Store

MOST_WAITING = 10_000
MOST_TOGETHER = 1_000
MAX_MESSAGE = 4000
"""Characters of one line."""

OURS = "qorch"
"""Of these loggers what is merely informative is kept, too."""

log = logging.getLogger("qorch.job_log")


@dataclass(frozen=True)
class _Line:
    job_id: str
    level: str
    logger: str
    message: str
    said_at: float
    """On this process's stopwatch."""


class JobLog(logging.Handler):
    """Hears a logger and writes down what is about one job. Close it before the store."""

    def __init__(self, store: Store, notifier: Notifier, *, worker: str, logger: str = "") -> None:
        """Begin to hear.

        Args:
            store, notifier: where lines are kept and told; they stay their owner's.
            worker: what these lines are said by.
            logger: what to hear. "" is everything; within somebody else's program, our own.
        """
        super().__init__(logging.INFO)
        self._store = store
        self._notifier = notifier
        self._worker = worker
        self._lines: queue.Queue[_Line | None] = queue.Queue(MOST_WAITING)
        self._num_dropped = 0
        self._logger = logging.getLogger(logger)
        self._logger.addHandler(self)
        self._thread = threading.Thread(target=self._write, name="qorch-job-log", daemon=True)
        self._thread.start()

    def emit(self, record: logging.LogRecord) -> None:
        """See :class:`logging.Handler`."""
        _last_resort(self, record)
        about = logs.jobs()
        ours = record.name.partition(".")[0] == OURS
        if len(about) != 1 or not about[0] or (record.levelno < logging.WARNING and not ours):
            return
        try:
            message = logs.masked(_words(record))[:MAX_MESSAGE]
            line = _Line(about[0], record.levelname.lower(), record.name, message, time.monotonic())
            self._lines.put_nowait(line)
        except queue.Full:
            self._num_dropped += 1
        except (LookupError, TypeError, ValueError):  # its arguments do not fit its message
            self.handleError(record)

    def close(self) -> None:
        """Write what still waits, and hear no more."""
        self._logger.removeHandler(self)
        if self._thread.is_alive():
            self._lines.put(None)
            self._thread.join()
        super().close()

    def _write(self) -> None:
        going_on = True
        while going_on:
            together = [self._lines.get()]
            while len(together) < MOST_TOGETHER and not self._lines.empty():
                together.append(self._lines.get_nowait())
            going_on = None not in together
            by_job: dict[str, list[_Line]] = {}
            for line in together:
                if line is not None:
                    by_job.setdefault(line.job_id, []).append(line)
            for job_id, lines in by_job.items():
                self._keep(job_id, lines)

    def _keep(self, job_id: str, lines: Sequence[_Line]) -> None:
        """Write lines of one job; a transaction that holds no second job's row can be in nobody's way."""
        try:
            behind_s = self._store.now() - time.monotonic()
            events = [Event(job_id, logs.LOG, line.said_at + behind_s, self._data(line)) for line in lines]
            self._notifier.publish(self._store.add_events(events))
        except JobNotFound:  # of another store, or removed meanwhile
            return
        except StoreUnavailable:
            self._num_dropped += len(lines)
            return
        except Exception:  # whatever it is, the lines behind these are still to be written
            self._num_dropped += len(lines)
            log.exception("lines of a job's log cannot be kept")
            return
        if self._num_dropped:
            log.warning("%d lines of jobs' logs were lost while the store was away or behind", self._num_dropped)
            self._num_dropped = 0

    def _data(self, line: _Line) -> dict[str, str]:
        return {"level": line.level, "logger": line.logger, "message": line.message, "worker": self._worker}


def _words(record: logging.LogRecord) -> str:
    """The message; of an error its last line, too. The trace is in the worker's own log."""
    message = record.getMessage()
    error = record.exc_info[1] if record.exc_info else None
    return message if error is None else f"{message}: {type(error).__name__}: {error}"


def _last_resort(handler: logging.Handler, record: logging.LogRecord) -> None:
    """Who hears and shows nothing must not be the reason that nobody shows it: Python then asks its last resort."""
    shown: logging.Logger | None = logging.getLogger(record.name)
    while shown is not None:
        if any(other is not handler and not isinstance(other, JobLog) for other in shown.handlers):
            return
        shown = shown.parent if shown.propagate else None
    if logging.lastResort is not None and record.levelno >= logging.lastResort.level:
        logging.lastResort.handle(record)

"""The time that emulated devices live in. Their recorded calibrations and queues are of past days.

An experiment says when it begins and how much faster than the wall its clock runs; whoever runs or announces a device
says at which moment, so that a run can be repeated at the same one. Without an experiment it is the time of the wall.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_moment: ContextVar[float | None] = ContextVar("moment", default=None)


def now() -> float:
    """Seconds since the epoch, of the experiment inside :func:`at`, else of the wall."""
    moment = _moment.get()
    return time.time() if moment is None else moment


@contextmanager
def at(moment: float | None) -> Iterator[None]:
    """Inside, it is this moment, in seconds since the epoch; None leaves the time of the wall."""
    token = _moment.set(moment)
    try:
        yield
    finally:
        _moment.reset(token)

"""What a process works on while it logs, and what no log may show. How lines look is ``workers.logs``'s to say."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar

LOG = "log"
"""Kind of the event that is one line of a job's log. Its data: level, logger, message, worker."""

_JOBS: ContextVar[tuple[str, ...]] = ContextVar("qorch_jobs", default=())

_SECRETS = (
    (re.compile(r"(?<=://)([^\s:/@]*):[^\s/]+@"), r"\1:***@"),  # up to the last @: passwords are not always quoted
    (re.compile(r"\b(bearer)\s+[\w.~+/=-]{8,}", re.IGNORECASE), r"\1 ***"),
    (re.compile(r"\bqorch_[\w-]{43}"), "qorch_***"),  # as ``tokens`` makes them
    (re.compile(r"\b(password|passwd|secret|token)=[^\s&;,'\"]+", re.IGNORECASE), r"\1=***"),
)


_PLACE = re.compile(r"([\w+.-]*://)?(?:[^/?#]*@)?([^/?#@]+(?:/[^?#@]*)?|/[^?#]*)(?:[?#][^@]*)?")
"""An address: how it is spoken to, who asks, where it is, what is asked."""


@contextmanager
def working_on(job_ids: Sequence[str]) -> Iterator[None]:
    """What is logged inside, on this thread, is about these jobs."""
    before = _JOBS.set(tuple(job_ids))
    try:
        yield
    finally:
        _JOBS.reset(before)


def jobs() -> tuple[str, ...]:
    """The jobs that this thread works on at this moment."""
    return _JOBS.get()


def masked(text: str) -> str:
    """The text without passwords in addresses, credentials of requests and tokens."""
    for pattern, instead in _SECRETS:
        text = pattern.sub(instead, text)
    return text


def shown(url: str) -> str:
    """How and where, of an address; who asks and what is asked are left out, as passwords and tokens stand there.

    ``***`` of what may be read in two ways, such as a password that is not quoted.
    """
    found = _PLACE.fullmatch(url)
    return "***" if found is None else masked((found[1] or "") + found[2])

"""What a process holds at this moment: assignments under its lease, and the leashes of what runs."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from orchestrator.logs import working_on
from orchestrator.runtime import Leash

REMEMBERED = 10_000
"""Jobs asked to end that are kept in mind."""


class Held:
    """Safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._parts: set[str] = set()
        self._leashes: dict[str, list[Leash]] = {}
        self._pulled: OrderedDict[str, None] = OrderedDict()

    @property
    def parts(self) -> tuple[str, ...]:
        """Ids of the assignments whose leases are to be renewed."""
        with self._lock:
            return tuple(self._parts)

    @property
    def job_ids(self) -> tuple[str, ...]:
        """Jobs of which something runs here."""
        with self._lock:
            return tuple(self._leashes)

    @contextmanager
    def leases(self, part_ids: Sequence[str]) -> Iterator[None]:
        """Hold these assignments. One whose end could not be written is not held any more and left to expire."""
        with self._lock:
            self._parts.update(part_ids)
        try:
            yield
        finally:
            with self._lock:
                self._parts.difference_update(part_ids)

    @contextmanager
    def leashed(self, job_ids: Sequence[str], timeout_s: float) -> Iterator[Leash]:
        """A leash by which a cancel of any of these jobs ends what runs inside."""
        leash = Leash(timeout_s)
        with self._lock:
            for job_id in job_ids:
                self._leashes.setdefault(job_id, []).append(leash)
        try:
            with working_on(job_ids):
                yield leash
        finally:
            with self._lock:
                for job_id in job_ids:
                    self._leashes[job_id].remove(leash)
                    if not self._leashes[job_id]:
                        del self._leashes[job_id]

    def pull(self, job_id: str) -> None:
        """End what runs of a job here."""
        with self._lock:
            leashes = tuple(self._leashes.get(job_id, ()))
            self._pulled[job_id] = None
            while len(self._pulled) > REMEMBERED:
                self._pulled.popitem(last=False)
        for leash in leashes:
            leash.pull()

    def pulled(self, job_id: str) -> bool:
        """Whether a job was asked to end, perhaps before anything of it ran here: a notice may be quick."""
        with self._lock:
            return job_id in self._pulled

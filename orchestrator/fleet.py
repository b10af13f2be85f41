"""The fleet as placement sees it: what the roll announces and how much work waits in front of it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from backends.backend import Device
from orchestrator.placement import Backlog, Lane
from orchestrator.store import Announcement, Outstanding


@dataclass(frozen=True)
class Fleet:
    """Devices by name, the workers that serve them, and the backends that no worker has used yet."""

    devices: dict[str, Device]
    lanes: tuple[Lane, ...]
    cold: frozenset[str]

    @staticmethod
    def of(roll: Sequence[Announcement]) -> Fleet:
        """Read the roll. Where workers announce different versions of a backend, the last one heard of counts."""
        devices = {entry.backend: entry.device for entry in sorted(roll, key=lambda entry: entry.heartbeat_at)}
        workers: dict[str, list[Announcement]] = {}
        for entry in roll:
            workers.setdefault(entry.worker, []).append(entry)
        lanes = tuple(
            Lane(worker, entries[0].slots, tuple(sorted(entry.backend for entry in entries)))
            for worker, entries in sorted(workers.items())
        )
        cold = frozenset(devices) - {entry.backend for entry in roll if entry.warm}
        return Fleet(dict(sorted(devices.items())), lanes, cold)

    def backlog(self, outstanding: Iterable[Outstanding], now: float) -> Backlog:
        """Work in front of every worker: what waits, and what is left of what runs.

        A run that has outlasted its estimate is expected to be about to end.
        """
        backlog = Backlog(self.lanes, warm_up_s={name: self.devices[name].warm_up_s for name in self.cold})
        for work in outstanding:
            gone_s = 0.0 if work.started_at is None else now - work.started_at
            backlog.add(work.backend, max(0.0, work.service_s - gone_s))
        return backlog

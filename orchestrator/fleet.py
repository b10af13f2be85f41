"""The fleet as placement sees it: what the roll announces and how much work waits in front of it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from backends.backend import Device
from orchestrator.placement import Backlog, Lane, Queued
from orchestrator.store import Announcement, Outstanding, Switch


@dataclass(frozen=True)
class Fleet:
    """What is served at this moment.

    Attributes:
        devices: by name.   lanes: the workers that serve them.
        cold: backends that no worker has used yet.
        closed: backends that take nothing new -> why.
        disabled: those of them where nothing that waits is begun either.
    """

    devices: dict[str, Device]
    lanes: tuple[Lane, ...]
    cold: frozenset[str]
    closed: Mapping[str, str] = field(default_factory=dict)
    disabled: frozenset[str] = frozenset()

    @staticmethod
    def of(roll: Sequence[Announcement], switches: Sequence[Switch] = ()) -> Fleet:
        """Read the roll. Where workers announce different versions of a backend, the last one heard of counts."""
        leaving = {switch.name for switch in switches if switch.kind == "worker"}
        roll = [entry for entry in roll if entry.worker not in leaving]
        modes = {switch.name: switch.mode for switch in switches if switch.kind == "backend"}
        devices = {entry.backend: entry.device for entry in sorted(roll, key=lambda entry: entry.heartbeat_at)}
        workers: dict[str, list[Announcement]] = {}
        for entry in roll:
            workers.setdefault(entry.worker, []).append(entry)
        lanes = tuple(
            Lane(worker, entries[0].slots, tuple(sorted(one.backend for one in entries if not one.device.remote)))
            for worker, entries in sorted(workers.items())
        )
        # who serves a remote device only looks after it: what waits there waits for the device, and for no slot
        lanes += tuple(Lane(name, 1, (name,)) for name, device in sorted(devices.items()) if device.remote)
        cold = frozenset(devices) - {entry.backend for entry in roll if entry.warm}
        closed = {name: f"an operator has {mode} it" for name, mode in modes.items()}
        disabled = frozenset(name for name, mode in modes.items() if mode == "disabled")
        return Fleet(dict(sorted(devices.items())), lanes, cold, closed, disabled)

    def strands(self, backend: str) -> bool:
        """Whether what waits for this backend waits in vain."""
        device = self.devices.get(backend)
        return device is None or backend in self.disabled or device.availability.state == "offline"

    @property
    def remote(self) -> bool:
        """Whether something costs money here."""
        return any(device.remote for device in self.devices.values())

    def backlog(self, outstanding: Iterable[Outstanding], now: float, queue: tuple[Queued, ...] = ()) -> Backlog:
        """Work in front of every worker: what waits, and what is left of what runs.

        What stands in ``queue`` is outstanding, too.

        A run that has outlasted its estimate is expected to be about to end. The queue of a device itself is none of
        this: an estimate has it (``Estimate.queue_s``), corrected by what was waited there.
        """
        cold_s = {name: self.devices[name].warm_up_s for name in self.cold}
        backlog = Backlog(self.lanes, warm_up_s=cold_s, queue=queue)
        for work in outstanding:
            gone_s = 0.0 if work.started_at is None else now - work.started_at
            backlog.add(work.backend, max(0.0, work.service_s - gone_s))
        return backlog

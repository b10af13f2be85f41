"""A worker's life beside its work: it announces what it serves, is heard of, renews its leases, sweeps up."""

from __future__ import annotations

import logging
import math
import threading
import time
import uuid
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase

from sqlalchemy.exc import SQLAlchemyError

import backends
from backends import clock
from backends.backend import Availability, Device
from backends.errors import NotHere, UnknownBackend
from orchestrator.errors import OrchestratorError
from orchestrator.pipeline import Pipeline
from orchestrator.runtime import Leash, Runtime, WorkReturned
from orchestrator.settings import Settings
from orchestrator.store import Announcement
from workers.equipment import equipment

PRUNE_EVERY_S = 3600.0
"""Between two looks for jobs that are old enough to be removed."""

PRUNED_AT_ONCE = 1000
"""Jobs that are removed in one transaction."""

DAY_S = 86_400.0

log = logging.getLogger("qorch.node")


def lease_owner(worker: str) -> str:
    """A name for the leases of this process: a worker that comes again under its old name must not renew old ones."""
    return f"{worker}/{uuid.uuid4().hex[:8]}"


def devices_here(names: Sequence[str]) -> dict[str, Device]:
    """What this machine can serve: the named backends, or all that are not opt-in, have their SDK and their hardware.

    Args:
        names: of backends, or patterns such as "aer_*". A pattern takes what is installed, and never a device that
            costs money: that one has to be named in full.

    Raises:
        UnknownBackend: nothing registered has that name.   NotHere: a named backend's SDK or hardware is missing.
    """
    if not names:
        return {name: device for name, device in _installed(backends.BACKENDS) if not device.opt_in}
    found: dict[str, Device] = {}
    for name in names:
        matching = [known for known in backends.BACKENDS if fnmatchcase(known, name)]
        if name in backends.BACKENDS or not matching:
            found[name] = backends.load(name).device()
        else:
            found |= {known: device for known, device in _installed(matching) if device.kind != "qpu"}
    return found


def _installed(names: Iterable[str]) -> Iterator[tuple[str, Device]]:
    for name in names:
        try:
            yield name, backends.load(name).device()
        except NotHere as error:
            log.debug("%s is not announced: %s", name, error)
        except UnknownBackend as error:  # of a package that cannot be imported: the others are served
            log.warning("%s is not announced: %s", name, error)


def _lives(device: Device) -> bool:
    """Whether its record says something else at another moment."""
    return device.kind == "emulated_qpu" and device.availability.heard_at > 0


def refresher(runtime: Runtime, settings: Settings) -> Callable[[str], Device]:
    """Asks a remote device how it is, in a child."""
    return lambda name: runtime.refresh(name, Leash(settings.remote_timeout_s))


class Node:
    """Keeps one worker on the roll for as long as it lives."""

    def __init__(
        self,
        pipeline: Pipeline,
        settings: Settings,
        *,
        worker: str,
        devices: dict[str, Device],
        prunes: bool = False,
        on_duty: Callable[[bool], object] = bool,
        refresh: Callable[[str], Device] | None = None,
    ) -> None:
        """Of one worker.

        Args:
            devices: what it serves, as it is announced; kept up to date here for whoever runs them.
            refresh: asks a remote device how it is.
            prunes: it removes what is older than the settings keep; one worker of a cluster should.
            on_duty: called when an operator takes the worker out of service, with False, or puts it back.
        """
        self._pipeline = pipeline
        self._settings = settings
        self._worker = worker
        self._devices = devices
        self._equip = equipment(settings)
        self._living = {name: backends.load(name) for name, device in devices.items() if _lives(device)}
        self._looking = threading.Lock()
        self._warm: Collection[str] = ()
        self._prune_at = 0.0 if prunes and settings.retention_days is not None else math.inf
        self._on_duty = on_duty
        self._leaving = False
        self._announcing = threading.Lock()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="qorch-heartbeat", daemon=True)
        self._refresh = refresh
        self._refresher = threading.Thread(target=self._keep_fresh, name="qorch-refresh", daemon=True)

    def start(self, *, warm: Collection[str]) -> None:
        """Announce, and begin to beat. ``warm`` are the backends that have been used here already."""
        self.announce(warm=warm)
        self._thread.start()
        if self._refresh is not None and any(device.remote for device in self._devices.values()):
            self._refresher.start()

    def announce(self, *, warm: Collection[str]) -> None:
        """Say what this worker serves, and which of it is warm."""
        slots, devices = self._settings.slots, self._devices
        with self._announcing:
            self._warm = warm
            self._look_at_devices()
            roll = [Announcement(name, self._worker, slots, devices[name], warm=name in warm) for name in devices]
            self._pipeline.store.announce(self._worker, roll)

    def close(self) -> None:
        """Leave the roll."""
        self._closing.set()
        if self._refresher.is_alive():
            self._refresher.join()
        if self._thread.is_alive():
            self._thread.join()
            self._pipeline.store.announce(self._worker, [])

    def _beat(self) -> None:
        while not self._closing.wait(self._settings.heartbeat_s):
            try:
                there = self._pipeline.store.heartbeat(self._worker)  # or a namesake that left has taken it off
                if self._look_at_devices() or not there:
                    self.announce(warm=self._warm)
                self._look_at_duty()
                self._pipeline.renew()
                self._pipeline.attend()
                self._pipeline.sweep()
                self._prune()
            except (SQLAlchemyError, OrchestratorError) as error:
                log.warning("%s missed a heartbeat: %s", self._worker, error)
            except Exception:  # a worker that no longer beats would lose all that it does
                log.exception("%s missed a heartbeat", self._worker)

    def _look_at_devices(self) -> bool:
        """Whether the record of an emulated device has changed with the time: its calibration, or its queue."""
        with self._looking, clock.at(self._pipeline.experiment.moment()):
            found = {name: self._equip(backend.device()) for name, backend in self._living.items()}
            changed = any(device != self._devices[name] for name, device in found.items())
            self._devices |= found
        return changed

    def _keep_fresh(self) -> None:
        """Ask remote devices for calibration and availability, beside the heartbeat: providers take their time."""
        while True:
            for name in [name for name, device in self._devices.items() if device.remote]:
                if self._closing.is_set():
                    return
                self._hear_of(name)
            if self._closing.wait(self._settings.remote_refresh_s):
                return

    def _hear_of(self, name: str) -> None:
        assert self._refresh is not None
        known = self._devices[name]
        try:
            self._devices[name] = self._equip(self._refresh(name))
        except WorkReturned:
            return
        except Exception as error:  # noqa: BLE001 - a device that cannot be asked is none that can be used
            log.warning("%s cannot be asked how it is: %s", name, error)
            silent = Availability("offline", f"it cannot be asked how it is: {error}", heard_at=time.time())
            self._devices[name] = replace(known, availability=silent)
        try:
            self.announce(warm=self._warm)
            self._pipeline.broker.wake_placement()  # what waits there may have to go elsewhere, or may go there again
        except (SQLAlchemyError, OrchestratorError) as error:
            log.warning("%s is not announced as it is now: %s", name, error)

    def _look_at_duty(self) -> None:
        leaving = any((one.kind, one.name) == ("worker", self._worker) for one in self._pipeline.store.switches())
        if leaving != self._leaving:
            log.info("%s is %s", self._worker, "taken out of service" if leaving else "in service again")
            self._on_duty(not leaving)
            self._leaving = leaving

    def _prune(self) -> None:
        """Remove some of what is older than is kept; a beat must not take long, so the next one goes on."""
        if time.monotonic() < self._prune_at:
            return
        store = self._pipeline.store
        before = store.now() - DAY_S * (self._settings.retention_days or math.inf)
        gone = store.prune(before=before, most=PRUNED_AT_ONCE)
        if gone:
            log.info("removed %d jobs that ended more than %g days ago", gone, self._settings.retention_days)
        if gone < PRUNED_AT_ONCE:
            self._prune_at = time.monotonic() + PRUNE_EVERY_S

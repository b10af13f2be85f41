"""Preparing programs: what is known already comes from memory or the store, only what is not is worked out."""

from __future__ import annotations

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Mapping, Sequence

from backends.backend import Device, TranspileOptions
from circuits.program import Program
from orchestrator.job import Job, JobSpec
from orchestrator.logs import working_on
from orchestrator.placement import ruled_out
from orchestrator.preparation import Fit, Preparation, ProgramFacts, fit_key, preparation_key
from orchestrator.runtime import UNSTARTABLE, Leash, PrepareWork, Runtime, RuntimeFailure, WorkReturned
from orchestrator.settings import Settings
from orchestrator.store import Store

log = logging.getLogger("qorch.preparer")

KEPT = 4096
"""Programs whose preparation this process remembers."""

Known = tuple[ProgramFacts, dict[str, Fit]]
"""A program's facts, and its fit per backend."""


class Preparer:
    """Facts and fits of programs. Safe to call from several threads."""

    def __init__(self, store: Store, runtime: Runtime, settings: Settings) -> None:
        self._store = store
        self._runtime = runtime
        self._settings = settings
        self._kept: OrderedDict[str, Preparation] = OrderedDict()
        self._lock = threading.Lock()

    def facts(self, program: Program) -> ProgramFacts | None:
        """A program's facts, worked out anew where they were removed meanwhile; None if they cannot be."""
        program_hash = preparation_key(program)
        self._recall([program_hash], [])
        with self._lock:
            known = self._kept.get(program_hash)
        if known is None:
            work = PrepareWork(program, self._settings.program_limits, (), TranspileOptions())
            try:
                known = self._keep(program_hash, Preparation(self._worked_out(work)[0], {}))
            except RuntimeFailure as failed:
                log.warning("what was known of a program is gone, and cannot be worked out anew: %s", failed)
                return None
            self._save({program_hash: known})
        return known.facts

    def prepare(self, jobs: Sequence[Job], devices: Mapping[str, Device]) -> list[Known | RuntimeFailure]:
        """Prepare the programs of the first of these jobs, as many as can be before the window closes; at least one.

        A program is fitted to the backends that its job may go to: a wide one may take minutes on another.
        A program seen for the first time takes a while; the jobs behind it are not held up, nor those before it.

        Raises:
            WorkReturned: this process is closing, or can start no other.
        """
        specs = [job.spec for job in jobs]
        hashes = [preparation_key(spec.program) for spec in specs]
        keys = [
            {
                name: fit_key(device, spec.transpile)
                for name, device in devices.items()
                if not any(ruled_out(spec, name))
            }
            for spec in specs
        ]
        self._recall(hashes, sorted({key for mine in keys for key in mine.values()}))
        found: list[Known | RuntimeFailure] = []
        new: dict[str, Preparation] = {}
        closes = time.monotonic() + self._settings.placement_window_s
        try:
            for program_hash, mine, job in zip(hashes, keys, jobs, strict=True):
                with working_on([job.id]):
                    found.append(self._one(program_hash, mine, job.spec, devices, new))
                if time.monotonic() > closes:
                    break
        finally:
            self._save(new)
        return found

    def _save(self, new: Mapping[str, Preparation]) -> None:
        """Write down what was worked out. What could not be is not kept here either: the workers would not find it."""
        if not new:
            return
        try:
            self._store.save_prepared(new)
        except BaseException:
            with self._lock:
                for program_hash in new:
                    self._kept.pop(program_hash, None)
            raise

    def _one(
        self,
        program_hash: str,
        keys: Mapping[str, str],
        spec: JobSpec,
        devices: Mapping[str, Device],
        new: dict[str, Preparation],
    ) -> Known | RuntimeFailure:
        with self._lock:
            known = self._kept.get(program_hash)
        missing = tuple(devices[name] for name, key in keys.items() if known is None or key not in known.fits)
        if known is None or missing:
            work = PrepareWork(spec.program, self._settings.program_limits, missing, spec.transpile)
            try:
                facts, fits = self._worked_out(work)
            except RuntimeFailure as failed:
                return failed
            fresh = Preparation(facts, {keys[name]: fit for name, fit in fits.items()})
            before = new.get(program_hash)
            new[program_hash] = fresh if before is None else Preparation(facts, {**before.fits, **fresh.fits})
            known = self._keep(program_hash, fresh)
        return known.facts, {name: known.fits[key] for name, key in keys.items()}

    def _worked_out(self, work: PrepareWork) -> tuple[ProgramFacts, Mapping[str, Fit]]:
        """The work done, tried again while what keeps it from being done may pass."""
        for left in reversed(range(self._settings.max_attempts)):
            try:
                prepared = self._runtime.prepare(work, Leash(self._settings.prepare_timeout_s))
            except RuntimeFailure as failed:
                if failed.failure.kind == UNSTARTABLE:
                    log.exception("nothing can be prepared here; the jobs wait")
                    raise WorkReturned from failed
                if not (failed.failure.transient and left):
                    raise
            else:
                return prepared.facts, prepared.fits
        raise AssertionError("max_attempts is at least 1")

    def _recall(self, hashes: Sequence[str], keys: Sequence[str]) -> None:
        """Bring from the store what this process does not remember."""
        with self._lock:
            strange = {h for h in hashes if (known := self._kept.get(h)) is None or not set(keys) <= known.fits.keys()}
        if strange:
            for program_hash, known in self._store.prepared(sorted(strange), keys).items():
                self._keep(program_hash, known)

    def _keep(self, program_hash: str, fresh: Preparation) -> Preparation:
        with self._lock:
            known = self._kept.pop(program_hash, None)
            merged = fresh if known is None else Preparation(fresh.facts, {**known.fits, **fresh.fits})
            self._kept[program_hash] = merged
            if len(self._kept) > KEPT:
                self._kept.popitem(last=False)
            return merged

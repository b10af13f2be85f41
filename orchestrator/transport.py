"""How a client reaches the orchestrator: the interface, and the one that sits on a store directly."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from inspect import getdoc
from typing import Protocol

from circuits.registry import resolve
from orchestrator.cost_model.model import Learned
from orchestrator.door import check_batch
from orchestrator.errors import ClientClosed, UnknownPolicy
from orchestrator.job import Assignment, Event, Job, JobSpec, JobState, Result
from orchestrator.notifier import Listener
from orchestrator.pipeline import SILENT_HEARTBEATS, Pipeline
from orchestrator.settings import Settings
from orchestrator.store import Announcement, Decision, Store


@dataclass(frozen=True)
class PolicyInfo:
    """A policy that can be asked for, and the first line of what it says of itself."""

    name: str
    summary: str


class Transport(Protocol):
    """Everything a client may ask of the orchestrator. Records in, records out."""

    def submit(self, specs: Sequence[JobSpec]) -> list[Job]:
        """Raises: InvalidJob, UnknownPolicy, BackendError."""
        ...

    def job(self, job_id: str) -> Job:
        """Raises: JobNotFound."""
        ...

    def jobs(self, *, state: JobState | None, tag: str | None, limit: int) -> list[Job]:
        """The newest first."""
        ...

    def assignments(self, job_id: str) -> list[Assignment]:
        """Where a job went."""
        ...

    def result(self, job_id: str) -> Result | None:
        """None until the job is done."""
        ...

    def events(self, job_id: str, *, after: int) -> list[Event]:
        """What has happened to a job since event number ``after``."""
        ...

    def cancel(self, job_id: str) -> None:
        """Raises: JobNotFound."""
        ...

    def decision(self, job_id: str) -> Decision | None:
        """Why a job went where it went."""
        ...

    def backends(self) -> list[Announcement]:
        """Who is there."""
        ...

    def policies(self) -> list[PolicyInfo]:
        """What can be asked for."""
        ...

    def costs(self) -> list[Learned]:
        """What was learned."""
        ...

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """See :class:`orchestrator.notifier.Notifier`."""
        ...

    def close(self) -> None:
        """Give back everything it holds."""
        ...


class StoreTransport:
    """Speaks with the store, broker and notifier of a pipeline in this process."""

    def __init__(
        self,
        pipeline: Pipeline,
        *,
        settings: Settings,
        policies: Mapping[str, str],
        close: Callable[[], None],
    ) -> None:
        """``policies`` is the registry of those that may be asked for; ``close`` gives back what the pipeline holds."""
        self._pipeline = pipeline
        self._store = pipeline.store
        self._settings = settings
        self._policies = policies
        self._close = close
        self._closed = threading.Event()
        self._listeners: dict[object, Listener] = {}

    def _open(self) -> Store:
        """The store.

        Raises:
            ClientClosed: there is nobody any more who would look after a job.
        """
        if self._closed.is_set():
            raise ClientClosed
        return self._store

    def submit(self, specs: Sequence[JobSpec]) -> list[Job]:
        self._open()
        check_batch(specs, self._settings, list(self._policies))
        return self._pipeline.submit(specs)

    def job(self, job_id: str) -> Job:
        return self._open().job(job_id)

    def jobs(self, *, state: JobState | None, tag: str | None, limit: int) -> list[Job]:
        return self._open().jobs(state=state, tag=tag, limit=limit)

    def assignments(self, job_id: str) -> list[Assignment]:
        return self._open().assignments(job_id)

    def result(self, job_id: str) -> Result | None:
        return self._open().result(job_id)

    def events(self, job_id: str, *, after: int) -> list[Event]:
        found = self._open().events(job_id, after=after)
        if not found and after == 0:
            self._store.job(job_id)  # every job has at least the event of its submission; who has none is nobody
        return found

    def cancel(self, job_id: str) -> None:
        self._open()
        self._pipeline.cancel(job_id)

    def decision(self, job_id: str) -> Decision | None:
        return self._open().decision(job_id)

    def backends(self) -> list[Announcement]:
        return self._open().roll(silent_s=SILENT_HEARTBEATS * self._settings.heartbeat_s)

    def policies(self) -> list[PolicyInfo]:
        classes = {name: resolve(self._policies, name, kind="policy", error=UnknownPolicy) for name in self._policies}
        return [PolicyInfo(name, (getdoc(policy) or "").partition("\n")[0]) for name, policy in classes.items()]

    def costs(self) -> list[Learned]:
        self._open()
        return self._pipeline.learn().learned()

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        self._open()
        key = object()
        self._listeners[key] = listener
        unsubscribe = self._pipeline.notifier.subscribe(listener)

        def end() -> None:
            self._listeners.pop(key, None)
            unsubscribe()

        return end

    def close(self) -> None:
        if self._closed.is_set():
            return
        self._closed.set()
        for listener in list(self._listeners.values()):
            listener(None)  # whoever waits looks again, and is told
        self._close()

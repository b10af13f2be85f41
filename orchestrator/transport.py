"""How a client reaches the orchestrator: the interface, and the one that sits on a store directly."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from inspect import getdoc
from typing import Protocol

from circuits.registry import resolve
from orchestrator.cost_model.model import Learned
from orchestrator.decision import Decision
from orchestrator.door import check_batch
from orchestrator.errors import ClientClosed, JobNotFound, UnknownPolicy
from orchestrator.hindsight import Explanation, explanation
from orchestrator.job import Assignment, Event, Job, JobSpec, JobState, Result
from orchestrator.notifier import Listener
from orchestrator.pipeline import Pipeline
from orchestrator.purchase import Balance, Budget
from orchestrator.quote import Quote
from orchestrator.settings import Settings
from orchestrator.store import Announcement, Store, Switch


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

    def quote(self, spec: JobSpec) -> Quote:
        """What a job would meet and where it would go; it is not submitted.

        Raises:
            InvalidJob, UnknownPolicy, BackendError, PlacementError.
        """
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

    def results(self, job_ids: Sequence[str]) -> dict[str, Result]:
        """Results of those of these jobs that are done."""
        ...

    def states(self, job_ids: Sequence[str]) -> dict[str, JobState]:
        """Where these jobs are; one that is not there is left out."""
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

    def explain(self, job_id: str) -> list[Explanation]:
        """All that was decided about a job, and how it looks now."""
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

    def budgets(self) -> list[Balance]:
        """The budgets that bind whoever looks through here, with what was taken from them."""
        ...

    def switches(self) -> list[Switch]:
        """Backends and workers that an operator has taken out of service."""
        ...

    def switch(self, switch: Switch) -> None:
        """Take a backend or worker out of service, or put it back.

        Raises:
            InvalidJob: no such kind or mode.
        """
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
        self._project: str | None = None
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

    def scoped(self, project: str) -> StoreTransport:
        """The same store as the members of one project may see it: no other job exists for them."""
        view = copy(self)
        view._project = project
        return view

    def owns(self, job_id: str) -> bool:
        """Whether the job exists for whoever looks through here."""
        return job_id in self._open().states([job_id], project=self._project)

    def _mine(self, job_id: str) -> Store:
        """The store. Raises: JobNotFound: the job does not exist for whoever looks through here."""
        store = self._open()
        if self._project is not None and not self.owns(job_id):
            raise JobNotFound(job_id)
        return store

    def submit(self, specs: Sequence[JobSpec]) -> list[Job]:
        self._open()
        check_batch(specs, self._settings, self._policies)
        return self._pipeline.submit(specs, project=self._project)

    def quote(self, spec: JobSpec) -> Quote:
        self._open()
        check_batch([spec], self._settings, self._policies)
        return self._pipeline.quoter.quote(spec, self._unattended)

    def _unattended(self) -> Sequence[Announcement]:
        """What would be served if nobody serves anything."""
        return ()

    def job(self, job_id: str) -> Job:
        return self._mine(job_id).job(job_id)

    def jobs(self, *, state: JobState | None, tag: str | None, limit: int) -> list[Job]:
        return self._open().jobs(state=state, tag=tag, limit=limit, project=self._project)

    def assignments(self, job_id: str) -> list[Assignment]:
        return self._mine(job_id).assignments(job_id)

    def result(self, job_id: str) -> Result | None:
        return self._mine(job_id).results([job_id]).get(job_id)

    def results(self, job_ids: Sequence[str]) -> dict[str, Result]:
        return self._open().results(job_ids, project=self._project)

    def states(self, job_ids: Sequence[str]) -> dict[str, JobState]:
        return self._open().states(job_ids, project=self._project)

    def events(self, job_id: str, *, after: int) -> list[Event]:
        found = self._mine(job_id).events(job_id, after=after)
        if not found and after == 0:
            self._store.job(job_id)  # every job has at least the event of its submission; who has none is nobody
        return found

    def cancel(self, job_id: str) -> None:
        self._mine(job_id)
        self._pipeline.cancel(job_id)

    def decision(self, job_id: str) -> Decision | None:
        return self._mine(job_id).decision(job_id)

    def explain(self, job_id: str) -> list[Explanation]:
        store = self._mine(job_id)
        decisions = store.decisions(job_id)
        if not decisions:
            return []
        result, model = store.results([job_id]).get(job_id), self._pipeline.learn()
        devices = {one.backend: one.device for one in self.backends() or self._unattended()}
        return [explanation(one, result, model, devices, self._settings.scales) for one in decisions]

    def backends(self) -> list[Announcement]:
        return self._open().roll(silent_s=self._settings.silent_s)

    def policies(self) -> list[PolicyInfo]:
        classes = {name: resolve(self._policies, name, kind="policy", error=UnknownPolicy) for name in self._policies}
        return [PolicyInfo(name, (getdoc(policy) or "").partition("\n")[0]) for name, policy in classes.items()]

    def costs(self) -> list[Learned]:
        self._open()
        return self._pipeline.learn().learned()

    def switches(self) -> list[Switch]:
        return self._open().switches()

    def switch(self, switch: Switch) -> None:
        self._open()
        self._pipeline.switch(switch)

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        self._open()
        key = object()
        self._listeners[key] = listener
        unsubscribe = self._pipeline.notifier.subscribe(listener)

        def end() -> None:
            self._listeners.pop(key, None)
            unsubscribe()

        return end

    def budgets(self) -> list[Balance]:
        projects = None if self._project is None else [self._project]
        return [one for mine in self._open().balances(projects).values() for one in mine]

    def set_budget(self, budget: Budget) -> None:
        """Replace a project's budget; one without limits goes."""
        self._open().set_budget(budget)

    def close(self) -> None:
        if self._closed.is_set():
            return
        self._closed.set()
        for listener in list(self._listeners.values()):
            listener(None)  # whoever waits looks again, and is told
        self._close()

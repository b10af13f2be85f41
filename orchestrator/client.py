"""The client: submit circuits, get measured results. It knows a transport and nothing of what lies behind it."""

from __future__ import annotations

import logging
import math
import queue
import threading
import time
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from itertools import islice
from types import TracebackType
from typing import TYPE_CHECKING, TypeVar, Unpack

from circuits.program import Program
from orchestrator import checks
from orchestrator.door import MAX_ID, check_switch
from orchestrator.errors import (
    JobCancelled,
    JobFailed,
    JobNotFound,
    JobTimeout,
    ServerUnreachable,
    StoreUnavailable,
)
from orchestrator.job import FINAL_JOB_STATES, Assignment, Event, Job, JobSpec, JobState, Result
from orchestrator.options import Options, job_spec

if TYPE_CHECKING:
    from orchestrator.cost_model.model import Learned
    from orchestrator.decision import Decision
    from orchestrator.hindsight import Explanation
    from orchestrator.options import AnyProgram
    from orchestrator.purchase import Balance
    from orchestrator.quote import Quote
    from orchestrator.settings import Settings
    from orchestrator.store import Announcement, Switch
    from orchestrator.transport import PolicyInfo, Transport

MAX_LISTED = 100_000
"""Most jobs that one look may return."""

LOOK_AHEAD = 1000
"""Results that one look may bring."""

ADMITTED = 10_000
"""Programs that a client remembers to have read."""

OUTAGE_PAUSE_S = 0.5
"""Between two looks at a store or server that does not answer."""

log = logging.getLogger("qorch.client")

_FINAL_KINDS = frozenset(state.value for state in FINAL_JOB_STATES)

CONNECT = "workers.compose:connect"
"""The one door upward, late-bound: (url, settings) -> Transport."""


T = TypeVar("T")


def _patience(timeout: float | None) -> float | None:
    """A time limit as a lock takes it.

    Raises:
        InvalidJob: not a number of seconds.
    """
    if timeout is None:
        return None
    checks.number("timeout", timeout, 0.0, math.inf)
    return min(timeout, threading.TIMEOUT_MAX)


def _through(look: Callable[[], T], timeout: float | None) -> T:
    """What a look finds. A store or server that does not answer is asked again, for ``timeout`` seconds at most.

    Raises:
        StoreUnavailable, ServerUnreachable: it was away for so long.
    """
    patience, pause = _patience(timeout), threading.Event()
    until = None if patience is None else time.monotonic() + patience
    while True:
        try:
            return look()
        except (StoreUnavailable, ServerUnreachable) as error:
            if until is not None and time.monotonic() >= until:
                raise
            log.warning("a look is tried again: %s", error)
            pause.wait(OUTAGE_PAUSE_S)


@dataclass(frozen=True)
class JobHandle:
    """A submitted job. It holds no connection of its own: any process can make one from the id."""

    id: str
    _transport: Transport

    def result(self, timeout: float | None = None) -> Result:
        """Wait for the result.

        Args:
            timeout: seconds to wait; None waits as long as it takes.

        Raises:
            JobFailed: with the words of the stage that failed.   JobCancelled.
            JobTimeout: nothing yet; the job goes on.
        """
        state = self._wait(timeout)
        if state is JobState.FAILED:
            failure = _through(lambda: self._transport.job(self.id), timeout).failure
            raise JobFailed(self.id, failure.stage if failure else "unknown", failure.message if failure else "")
        result = _through(lambda: self._transport.result(self.id), timeout)
        if state is JobState.CANCELLED or result is None:
            raise JobCancelled(self.id)
        return result

    def status(self) -> Job:
        """The job as it stands now."""
        return self._transport.job(self.id)

    def assignments(self) -> list[Assignment]:
        """Where it went, share by share; empty before it was placed."""
        return self._transport.assignments(self.id)

    def cancel(self) -> None:
        """Withdraw it: what waits never starts, what runs is ended. A job that has ended stays as it is."""
        self._transport.cancel(self.id)

    def events(self, timeout: float | None = None) -> Iterator[Event]:
        """Everything that happens to the job, from its submission to its end, as it happens.

        Raises:
            JobTimeout: no event for ``timeout`` seconds.
        """
        seen, patience = 0, _patience(timeout)
        with _Bell(self._transport, self.id) as bell:
            while True:
                fresh = _through(partial(self._transport.events, self.id, after=seen), timeout)
                for event in fresh:
                    seen = event.seq
                    yield event
                    if event.kind in _FINAL_KINDS:
                        return
                if not fresh and not bell.wait(patience):
                    raise JobTimeout(self.id, timeout or 0.0, self.status().state)

    def _wait(self, timeout: float | None) -> JobState:
        patience = _patience(timeout)
        until = None if patience is None else time.monotonic() + patience
        with _Bell(self._transport, self.id, _FINAL_KINDS) as bell:
            while True:
                state, pause_s = self._state()
                if state in FINAL_JOB_STATES:
                    return state
                left = None if until is None else min(until - time.monotonic(), threading.TIMEOUT_MAX)
                if left is not None and left <= 0:
                    raise JobTimeout(self.id, timeout or 0.0, state)
                bell.wait(left if pause_s is None else min(left or pause_s, pause_s))
                if bell.end is not None:  # the notice says it; the store would say the same
                    return bell.end

    def _state(self) -> tuple[JobState, float | None]:
        """Where the job is, and how long to wait at most before looking again: an outage ends without a bell."""
        try:
            found = self._transport.states([self.id])
        except (StoreUnavailable, ServerUnreachable) as error:
            log.warning("job %s cannot be looked up, which is tried again: %s", self.id, error)
            return JobState.SUBMITTED, OUTAGE_PAUSE_S
        if self.id not in found:
            raise JobNotFound(self.id)
        return found[self.id], None


class _Bell:
    """Rings when something happens to one job. Subscribe first, then look, then wait: nothing is missed."""

    def __init__(self, transport: Transport, job_id: str, kinds: Container[str] | None = None) -> None:
        """``kinds`` of events that are of interest; None means all."""
        self._rung = threading.Event()
        self._job_id = job_id
        self._kinds = kinds
        self.end: JobState | None = None
        """The job's last state, once that was heard."""
        self._unsubscribe = transport.subscribe(self._hear)

    def _hear(self, event: Event | None) -> None:
        if event is not None and event.job_id == self._job_id and event.kind in _FINAL_KINDS:
            self.end = JobState(event.kind)
        if event is None or (event.job_id == self._job_id and (self._kinds is None or event.kind in self._kinds)):
            self._rung.set()

    def wait(self, timeout: float | None) -> bool:
        """False if nothing happened for so long."""
        rung = self._rung.wait(timeout)
        self._rung.clear()
        return rung

    def __enter__(self) -> _Bell:
        return self

    def __exit__(self, *_: object) -> None:
        self._unsubscribe()


class Client:
    """The way in. ``Client()`` is embedded and durable; ``Client("redis+unix:///…")`` joins a cluster on this machine.

    One client may be used from several threads.
    """

    def __init__(self, url: str | None = None, *, settings: Settings | None = None) -> None:
        """Connect.

        Args:
            url: None for the embedded orchestrator; ``redis+unix:///path`` or ``redis+tcp://host:port/db`` for the
                cluster whose broker that is; ``http://host:port`` or ``https://…`` for a server (`qorch serve`), to
                which the token in ``QORCH_TOKEN`` is shown. The default is the setting ``QORCH_URL``.
            settings: instead of those of the environment.

        Raises:
            ConfigurationError: the address cannot be used.   ServerUnreachable: nothing answers there.
        """
        from orchestrator.settings import settings as environment

        module, _, name = CONNECT.partition(":")
        connect: Callable[[str | None, Settings], Transport] = getattr(import_module(module), name)
        configuration = settings or environment()
        self._limits = configuration.program_limits
        self._max_batch = configuration.max_batch
        self._admitted: set[str] = set()
        self._transport = connect(url, configuration)

    # ── submit ────────────────────────────────────────────────────────────────────────────────────────────────────
    def submit(self, program: AnyProgram, **options: Unpack[Options]) -> JobHandle:
        """Submit one job.

        Args:
            program: a Qiskit circuit, a circuit family, OpenQASM 2 or 3 text, or the path of such a file.
            options: see :class:`Options`.

        Raises:
            CircuitError: the program cannot be read.   InvalidJob: a limit of the door.
            UnknownPolicy, UnknownBackend: a name that is not registered.
        """
        return self.submit_many([job_spec(program, self._limits, **options)])[0]

    def quote(self, program: AnyProgram, **options: Unpack[Options]) -> Quote:
        """What such a job would meet on each backend, with intervals, and where it would go. Nothing is submitted.

        Args and errors are those of :meth:`submit`, and:

        Raises:
            PlacementError: the program cannot be prepared, such as for want of time.
        """
        spec = job_spec(program, self._limits, **options)
        self._admit(spec.program.content_hash(), spec.program)
        return self._transport.quote(spec)

    def submit_many(self, specs: Iterable[JobSpec]) -> list[JobHandle]:
        """Submit a batch in one transaction: all of it or nothing.

        Raises:
            As :meth:`submit`.
        """
        checks.kind("a batch", specs, Iterable, "a sequence of JobSpec; job_spec(program, …) makes one")
        batch = list(islice(specs, self._max_batch + 1))  # one too many is enough to be refused: it may never end
        for spec in batch:
            checks.kind("each job of a batch", spec, JobSpec, "a JobSpec; job_spec(program, …) makes one")
        for content_hash, program in {spec.program.content_hash(): spec.program for spec in batch}.items():
            self._admit(content_hash, program)
        return [JobHandle(job.id, self._transport) for job in self._transport.submit(batch)]

    def _admit(self, content_hash: str, program: Program) -> None:
        """Read a program, in the submitter's process: what cannot be read becomes no job."""
        if content_hash not in self._admitted:
            program.load(self._limits)
            if len(self._admitted) >= ADMITTED:
                self._admitted.clear()
            self._admitted.add(content_hash)

    def map(
        self, programs: Iterable[AnyProgram], *, timeout: float | None = None, **options: Unpack[Options]
    ) -> Iterator[Result]:
        """Run many programs with the same options; results in the order of the programs, as they come.

        Args:
            timeout: seconds to wait for each result.   options: as :meth:`submit`.
        """
        if isinstance(programs, str | bytes) or not isinstance(programs, Iterable):
            checks.refuse("programs", "a sequence of programs; submit takes a single one", programs)
        handles = self.submit_many(job_spec(program, self._limits, **options) for program in programs)
        return self._in_order(handles, timeout)

    def _in_order(self, handles: Sequence[JobHandle], timeout: float | None) -> Iterator[Result]:
        """Results in the order of the handles; those that are there by then come with one look."""
        there: dict[str, Result] = {}
        for number, handle in enumerate(handles):
            if handle.id not in there:
                handle._wait(timeout)
                ahead = [other.id for other in handles[number : number + LOOK_AHEAD]]
                there = _through(partial(self._transport.results, ahead), timeout)
            yield there[handle.id] if handle.id in there else handle.result(timeout)

    def as_completed(self, handles: Iterable[JobHandle], *, timeout: float | None = None) -> Iterator[JobHandle]:
        """Handles in the order in which their jobs end, well or not.

        Raises:
            JobTimeout: none of the rest ended for ``timeout`` seconds.
        """
        patience = _patience(timeout)
        checks.kind("handles", handles, Iterable, "a sequence of the handles that submit gave")
        waiting: dict[str, JobHandle] = {}
        for handle in handles:
            checks.kind("each of the handles", handle, JobHandle, "one that submit gave")
            waiting[handle.id] = handle
        ended: queue.SimpleQueue[str | None] = queue.SimpleQueue()

        def hear(event: Event | None) -> None:
            if event is None or event.kind in _FINAL_KINDS:
                ended.put(None if event is None else event.job_id)

        unsubscribe = self._transport.subscribe(hear)
        try:
            yield from self._ended(waiting, list(waiting), timeout)
            while waiting:
                try:
                    heard = [ended.get(timeout=patience)]
                    heard += [ended.get_nowait() for _ in range(ended.qsize())]  # the only reader: so many are there
                except queue.Empty:
                    some = next(iter(waiting))
                    raise JobTimeout(some, timeout or 0.0, self._transport.job(some).state) from None
                named = list(waiting) if None in heard else [job_id for job_id in heard if job_id is not None]
                yield from self._ended(waiting, named, timeout)
        finally:
            unsubscribe()

    def _ended(self, waiting: dict[str, JobHandle], job_ids: list[str], timeout: float | None) -> Iterator[JobHandle]:
        """Those of these jobs that wait to be handed out and have ended."""
        asked = [job_id for job_id in job_ids if job_id in waiting]
        states = _through(lambda: self._transport.states(asked), timeout) if asked else {}
        for job_id in asked:
            if states.get(job_id) in FINAL_JOB_STATES and job_id in waiting:
                yield waiting.pop(job_id)

    # ── look ──────────────────────────────────────────────────────────────────────────────────────────────────────
    def job(self, job_id: str) -> JobHandle:
        """Re-attach to a job, from any process.

        Raises:
            JobNotFound: no such job.
        """
        return JobHandle(self._transport.job(_job_id(job_id)).id, self._transport)

    def jobs(self, *, state: JobState | None = None, tag: str | None = None, limit: int = 50) -> list[Job]:
        """The newest jobs first.

        Raises:
            InvalidJob: no such state, or a tag or limit that cannot be.
        """
        if state is not None and state not in tuple(JobState):
            checks.refuse("state", f"one of {', '.join(JobState)}, or None", state)
        if tag is not None:
            checks.kind("tag", tag, str, "a text or None")
            if not tag.isprintable():
                return []  # no job has such a tag
        checks.integer("limit", limit, 1, MAX_LISTED)
        state = None if state is None else JobState(state)
        return self._transport.jobs(state=state, tag=tag, limit=limit)

    def backends(self) -> list[Announcement]:
        """What workers announce at this moment."""
        return self._transport.backends()

    def policies(self) -> list[PolicyInfo]:
        """What ``policy=`` may be."""
        return self._transport.policies()

    def costs(self) -> list[Learned]:
        """What the cost model has learned per family and backend."""
        return self._transport.costs()

    def why(self, job_id: str) -> Decision | None:
        """Why a job went where it went: every candidate, estimate and reason. None before it was placed.

        Raises:
            JobNotFound: no such job.
        """
        return self._transport.decision(self._transport.job(_job_id(job_id)).id)

    def explain(self, job_id: str) -> list[Explanation]:
        """All that was decided about a job, in order, with what was measured and what the choice cost in hindsight.

        Raises:
            JobNotFound: no such job.
        """
        return self._transport.explain(self._transport.job(_job_id(job_id)).id)

    def budgets(self) -> list[Balance]:
        """What may be spent on real devices, what is set aside for what is under way, and what was spent."""
        return self._transport.budgets()

    # ── keep in order ─────────────────────────────────────────────────────────────────────────────────────────────
    def switches(self) -> list[Switch]:
        """Backends and workers that are out of service."""
        return self._transport.switches()

    def switch(self, name: str, mode: str) -> Switch:
        """Take a backend or worker out of service, or put it back.

        Args:
            name: of a backend, or of a worker: ``name@host``, as the roll has it.
            mode: "drained": it ends what it has and gets nothing new; "disabled", of a backend: what has not begun
                there is placed elsewhere, too; "on": in service again.

        Raises:
            InvalidJob: no such mode.   UnknownBackend, UnknownWorker: nobody knows that name.
        """
        from orchestrator.store import Switch

        checks.kind("a switch's name", name, str, "the name of a backend or worker")
        switch = Switch("worker" if "@" in name else "backend", name, mode)
        check_switch(switch, self._transport.backends(), self._transport.switches())
        self._transport.switch(switch)
        return switch

    # ── leave ─────────────────────────────────────────────────────────────────────────────────────────────────────
    def close(self) -> None:
        """Let go. Embedded: what runs is put back; it starts again with the next client."""
        self._transport.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


def _job_id(job_id: object) -> str:
    """The id, if it can be one.

    Raises:
        JobNotFound: it cannot.
    """
    if not isinstance(job_id, str):
        raise JobNotFound(checks.short(job_id))
    if len(job_id) > MAX_ID or not job_id.isprintable():
        raise JobNotFound(job_id[:MAX_ID].encode("ascii", "replace").decode())
    return job_id

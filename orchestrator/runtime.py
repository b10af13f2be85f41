"""The hands of the trip: what reads, transpiles and runs circuits, apart from the process that decides.

A :class:`Runtime` keeps programs of strangers and the vendors' SDKs out of the worker: it works in child processes that
can be ended, so a hard time limit is hard and a crash costs one attempt.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

from backends.backend import Device, TranspileOptions
from backends.pairs import Brought, Stored
from backends.remote import RemoteStatus, Ticket
from circuits.facts import Judgement
from circuits.family import Counts
from circuits.program import Limits, Program
from circuits.seeds import derive
from orchestrator.job import Assignment, Failure, Job
from orchestrator.preparation import Fit, ProgramFacts

UNSTARTABLE = "unstartable"
"""Kind of the failure of a process that could not even begin: the machine is to blame, not the program."""


class RuntimeFailure(Exception):
    """The work ended without a result; ``failure`` says why."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.failure = failure


class WorkCancelled(Exception):
    """The work was ended because nobody wants it any more."""


class WorkReturned(Exception):
    """The work was ended because this process is closing; it is to be done again by another."""


@dataclass(frozen=True)
class PrepareWork:
    """Read a program and see how it fits targets."""

    program: Program
    limits: Limits
    devices: tuple[Device, ...]
    options: TranspileOptions


@dataclass(frozen=True)
class Prepared:
    """The answer: the program's facts, and its fit per backend."""

    facts: ProgramFacts
    fits: Mapping[str, Fit]


@dataclass(frozen=True)
class ExecuteWork:
    """Run a share of a job.

    Attributes:
        canary: as of the job.
        job_id: says whose log has what is said meanwhile.   at: when it is for the device.
        items: as of the share.   stored: entangled pairs that were put aside for it.
    """

    program: Program
    limits: Limits
    backend: str
    shots: int
    seed: int
    options: TranspileOptions
    ideal: Mapping[str, float] | None
    memory: bool
    return_compiled: bool
    job_id: str = ""
    at: float | None = None
    canary: float = 0.0
    items: tuple[int, int] | None = None
    stored: tuple[Stored, ...] = ()


def work_of(job: Job, part: Assignment, facts: ProgramFacts | None, limits: Limits, at: float) -> ExecuteWork:
    """What a share of a job is to run; ``facts`` of its program, as far as they are known."""
    spec, first = job.spec, part.num_tries <= 1  # which has used them up
    return ExecuteWork(
        program=spec.program,
        limits=limits,
        backend=part.backend,
        shots=part.shots,
        seed=derive(spec.seed, "share", int(part.id.rpartition("-")[2])),
        options=spec.transpile,
        ideal=facts.ideal if facts else None,
        memory=spec.memory,
        return_compiled=spec.return_compiled,
        job_id=job.id,
        at=at,
        canary=spec.canary,
        items=part.items,
        stored=tuple(
            Stored(one.demand.src, one.demand.dst, one.quote.stored, one.quote.stored_fidelity)
            for one in part.prior.pairs
            if first and one.quote.stored
        ),
    )


@dataclass(frozen=True)
class Executed:
    """The answer.

    Attributes:
        warm_up_s: starting the child, importing SDKs, just-in-time compilation: paid once, no part of the service.
        prepare_s: transpilation in the child.   run_s: time in the backend alone.
        device_s: time that an emulated device itself would have been busy; None where the run was the real thing.
        queue_s: time waited at the device itself; None where nobody tells.   at: of the work.
        billed_usd: what was paid for it; None lets the device's price decide.
        counts: of the circuit; of an adaptive job, of its last circuit.
        method, approximate: as of ``backends.backend.Execution``.
        expected: fidelity that calibration lets one expect of what a provider really ran; None where it does not tell.
        cpu_s: CPU time of all of it, judging included.   rapl_j: its energy, where the processor tells.
        pair_fidelity, links: as of ``backends.backend.Execution``.
    """

    counts: Counts
    judgement: Judgement
    warm_up_s: float
    prepare_s: float
    run_s: float
    num_tasks: int
    num_shots: int
    method: str
    device_s: float | None = None
    approximate: bool = False
    queue_s: float | None = None
    at: float | None = None
    outcome: Any = None
    memory: tuple[str, ...] | None = None
    compiled: tuple[str, ...] | None = None
    cpu_s: float | None = None
    rapl_j: float | None = None
    billed_usd: float | None = None
    expected: float | None = None
    pair_fidelity: float | None = None
    links: tuple[Brought, ...] = ()


class Word(StrEnum):
    """What became of one step at a provider.

    LATER: it was certainly not done, and asking again may help. REFUSED: certainly not, and it will not be. UNKNOWN: it
    may have been done, or whoever did it could not say.
    """

    DONE = "done"
    LATER = "later"
    REFUSED = "refused"
    UNKNOWN = "unknown"


REMOTE_STEPS = ("submit", "find", "poll", "fetch", "cancel")
"""What is done at a provider; each is one short conversation."""


@dataclass(frozen=True)
class RemoteWork:
    """One step at a provider, for a share of a job.

    Attributes:
        step: one of REMOTE_STEPS.   ticket: for the last three.
        judged: what was fetched is to be judged; otherwise it is asked for what it costs alone.
        until: nothing is sent after this moment of the machine's clock (CLOCK_BOOTTIME), for "submit".
    """

    step: str
    work: ExecuteWork
    purchase_id: str
    ticket: Ticket | None = None
    judged: bool = True
    until: float | None = None


@dataclass(frozen=True)
class RemoteAnswer:
    """What came of it.

    Attributes:
        ticket: of what the provider has; after "find", None means that it certainly has nothing.
        begun: it was running when it was withdrawn.
        executed: what was fetched.   billed_usd, billed_s: what its provider charges for it, where it says.
        failure: why it was not done.   again_s: how long to leave the provider alone, where it says so.
    """

    word: Word
    ticket: Ticket | None = None
    status: RemoteStatus | None = None
    begun: bool = False
    executed: Executed | None = None
    billed_usd: float | None = None
    billed_s: float | None = None
    failure: Failure | None = None
    again_s: float | None = None


@dataclass(frozen=True)
class JudgeWork:
    """Judge counts that were merged from several shares; or merge the outcomes of parts, in order, and judge that."""

    program: Program
    limits: Limits
    counts: Counts
    ideal: Mapping[str, float] | None
    outcomes: tuple[Any, ...] = ()


@dataclass(frozen=True)
class Judged:
    """A job as a whole: how good it is, and what an adaptive family found."""

    judgement: Judgement
    outcome: Any = None


Progress = Callable[[Mapping[str, Any]], None]
"""Called with every partial result of an adaptive job."""


class Leash:
    """How long the work may take, and what ends it early."""

    def __init__(self, timeout_s: float) -> None:
        self.timeout_s = timeout_s
        self.pulled = False
        self._hook: Callable[[], None] | None = None
        self._lock = threading.Lock()

    def pull(self) -> None:
        """End the work, or keep it from beginning."""
        with self._lock:  # held over the call: the work cannot end meanwhile and its child be given to another
            self.pulled = True
            if self._hook is not None:
                self._hook()

    @contextmanager
    def around(self, hook: Callable[[], None]) -> Iterator[None]:
        """While inside, a pull calls ``hook``; at once if it was pulled before."""
        with self._lock:
            self._hook = hook
            if self.pulled:
                hook()
        try:
            yield
        finally:
            with self._lock:
                self._hook = None


class Runtime(Protocol):
    """Does the work. Safe to call from several threads."""

    def prepare(self, work: PrepareWork, leash: Leash) -> Prepared:
        """Raises: RuntimeFailure, WorkCancelled, WorkReturned."""
        ...

    def execute(self, work: ExecuteWork, leash: Leash, progress: Progress) -> Executed:
        """Raises: RuntimeFailure, WorkCancelled, WorkReturned."""
        ...

    def execute_many(self, works: Sequence[ExecuteWork], leash: Leash) -> tuple[list[Executed | Failure], float]:
        """Run small pieces one after the other, all on the same backend.

        Returns:
            What became of the first of them, up to where the work ended early, if it did; and the seconds of warm-up.
        """
        ...

    def judge(self, work: JudgeWork, leash: Leash) -> Judged:
        """Raises: RuntimeFailure, WorkCancelled, WorkReturned."""
        ...

    def remote(self, work: RemoteWork, leash: Leash) -> RemoteAnswer:
        """Take one step at a provider. Raises: RuntimeFailure: nobody knows what came of it; WorkReturned: likewise."""
        ...

    def refresh(self, backend: str, leash: Leash) -> Device:
        """Ask a remote device how it is. Raises: RuntimeFailure, WorkReturned."""
        ...

    def close(self) -> None:
        """End every child."""
        ...

"""Rounds: submit jobs, break something while they run, see that each ends once and that its client is told."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace

from sqlalchemy import text

from circuits.program import Program
from orchestrator import Client, JobHandle, Limits
from orchestrator.client import job_spec
from orchestrator.errors import JobCancelled, JobFailed, OrchestratorError
from orchestrator.job import FINAL_JOB_STATES, Event, JobSpec
from orchestrator.records import from_json
from tests.faults.flaky import FLAKY, STEADY, program
from tests.faults.stack import NotInTime, Stack

TOLD_S = 60.0
"""A client that was not told of the end of its job for so long has been forgotten."""

RUNNING_S = 40.0
HTTP_SHARE = 0.3
"""Part of the rounds whose jobs come through the HTTP interface."""

FINAL = frozenset(state.value for state in FINAL_JOB_STATES)


class Broken(AssertionError):
    """A promise of the product."""


@dataclass
class Told:
    """What one job's client heard, and when (monotonic)."""

    handle: JobHandle
    outcome: str = "nothing"
    at: float = 0.0


@dataclass
class Round:
    """One fault and its jobs."""

    number: int
    kind: str
    stack: Stack
    clients: Clients
    rng: random.Random
    told: list[Told] = field(default_factory=list)
    num_in_flight: int = 0
    recovery_s: float = 0.0
    _threads: list[threading.Thread] = field(default_factory=list)
    _inflicted_at: float = 0.0

    def submit(self, *ways: str, over_http: bool | None = None, free: bool = False) -> None:
        """Submit one job for each way, pinned to the flaky backends in turn unless they are free, and wait for each.

        Args:
            over_http: through the HTTP interface; None lets the seed decide.
        """
        drawn = self.rng.random() < HTTP_SHARE
        client = self.clients.http if (drawn if over_http is None else over_http) else self.clients.direct
        specs = [self.spec(way, None if free else FLAKY[place % len(FLAKY)]) for place, way in enumerate(ways)]
        self.follow(client, client.submit_many(specs))

    def submit_large(self) -> None:
        """Submit a job whose program is mostly remarks. Raises: StoreUnavailable: there is no room for it."""
        spec = self.spec("quick", None)
        padded = Program("openqasm2", text=spec.program.text + f"// {'and so on ' * 20}\n" * 500)
        self.follow(self.clients.direct, self.clients.direct.submit_many([replace(spec, program=padded)]))

    def spec(self, way: str, backend: str | None) -> JobSpec:
        """A job. None: it may go to the one that fails or to the steady one."""
        where = {"pin": {backend: 1.0}} if backend else {"allow": (FLAKY[0], STEADY)}
        limits = Limits(timeout_s=1.5 if way == "hang" else 30.0)
        seed = self.rng.randrange(2**31)
        return job_spec(program(way), shots=self.rng.randint(1, 500), seed=seed, limits=limits, **where)  # type: ignore[arg-type]

    def follow(self, client: Client, handles: Sequence[JobHandle]) -> None:
        """Wait for these jobs as users do, each on a thread of its own, and for all together."""
        told = [Told(handle) for handle in handles]
        self.told += told
        for one in told:
            self._thread(lambda one=one: self._wait(one))  # type: ignore[misc]
        self._thread(lambda: self._wait_for_all(client, handles))

    def await_running(self) -> str:
        """Until one of the jobs runs; the worker that runs it."""
        return self.clients.await_running([one.handle.id for one in self.told])

    def inflict(self) -> None:
        """From here on things are broken: note how much was on its way."""
        self.num_in_flight = sum(one.outcome == "nothing" for one in self.told)
        self._inflicted_at = time.monotonic()

    def settle(self, timeout_s: float = TOLD_S) -> None:
        """Until every client was told.

        Raises:
            NotInTime: one was not.
        """
        until = time.monotonic() + timeout_s
        for thread in self._threads:
            thread.join(max(0.0, until - time.monotonic()))
        left = [f"job {one.handle.id}" for one in self.told if one.outcome == "nothing"]
        if left or any(thread.is_alive() for thread in self._threads):
            raise NotInTime(
                f"{self.kind}: after {timeout_s:g} s a client still waits for {', '.join(left) or 'a thread'}"
            )
        strange = [one.outcome for one in self.told if one.outcome not in FINAL]
        if strange or self.clients.complaints:
            raise Broken(f"{self.kind}: a client was told {', '.join([*strange, *self.clients.complaints])}")
        if self._inflicted_at:
            self.recovery_s = max(0.0, max(one.at for one in self.told) - self._inflicted_at)

    def expect(self, *outcomes: str) -> None:
        """Raises: Broken: the jobs ended otherwise. One outcome stands for all."""
        wanted = list(outcomes) * (len(self.told) if len(outcomes) == 1 else 1)
        got = [one.outcome for one in self.told]
        if got != wanted:
            raise Broken(f"{self.kind}: jobs ended as {', '.join(got)} instead of {', '.join(wanted)}")

    def _thread(self, run: Callable[[], None]) -> None:
        thread = threading.Thread(target=run, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _wait(self, one: Told) -> None:
        try:
            one.handle.result(timeout=2 * TOLD_S)
            outcome = "done"
        except JobFailed:
            outcome = "failed"
        except JobCancelled:
            outcome = "cancelled"
        except OrchestratorError as error:
            outcome = f"{type(error).__name__}: {error}"
        one.at = time.monotonic()
        one.outcome = outcome

    def _wait_for_all(self, client: Client, handles: Sequence[JobHandle]) -> None:
        try:
            ended = {handle.id for handle in client.as_completed(handles, timeout=2 * TOLD_S)}
            if ended != {handle.id for handle in handles}:
                self.clients.complaints.append(f"as_completed gave {len(ended)} of {len(handles)}")
        except OrchestratorError as error:
            self.clients.complaints.append(f"as_completed raised {type(error).__name__}: {error}")


class Clients:
    """The clients of one stack, and what they hear."""

    def __init__(self, stack: Stack) -> None:
        with ExitStack() as opened:
            settings = stack.settings.model_copy(update={"url": None})
            self.direct = opened.enter_context(Client(stack.redis.url, settings=settings))
            self.rival = opened.enter_context(Client(stack.redis.url, settings=settings))
            self.http = opened.enter_context(Client(stack.url, settings=settings))
            self.complaints: list[str] = []
            self._running: dict[str, str] = {}
            self._changed = threading.Condition()
            opened.callback(self.direct._transport.subscribe(self._hear))
            self._opened = opened.pop_all()

    def close(self) -> None:
        """Let go."""
        self._opened.close()

    def await_running(self, job_ids: Sequence[str]) -> str:
        """Until one of these jobs runs; the worker that runs it. Raises: NotInTime."""

        def found() -> str | None:
            return next((self._running[job_id] for job_id in job_ids if job_id in self._running), None)

        with self._changed:
            worker = self._changed.wait_for(found, RUNNING_S)
        if worker is None:
            raise NotInTime(f"none of {len(job_ids)} jobs began within {RUNNING_S:g} s")
        return worker

    def _hear(self, event: Event | None) -> None:
        if event is not None and event.kind == "running":
            with self._changed:
                self._running[event.job_id] = str(event.data["worker"]).partition("@")[0]
                self._changed.notify_all()


@dataclass(frozen=True)
class Audit:
    """What a store holds at the end. ``wrong`` says, job by job, what must not be."""

    states: Counter[str]
    incidents: Counter[str]
    num_lost: int
    num_doubled: int
    wrong: tuple[str, ...]


def audit(stack: Stack, told: Sequence[Told]) -> Audit:
    """Compare what the clients were told with what is written."""
    submitted = {one.handle.id: one.outcome for one in told}
    with stack.store._db.read() as tx:
        jobs = {row.id: row for row in tx.execute(text("SELECT * FROM jobs"))}
        ends = Counter(row.job_id for row in tx.execute(text("SELECT job_id, kind FROM events")) if row.kind in FINAL)
        results = {row.job_id: from_json(dict, row.record) for row in tx.execute(text("SELECT * FROM results"))}
        seen = Counter(row.assignment_id for row in tx.execute(text("SELECT assignment_id FROM telemetry")))
        done = {row.id for row in tx.execute(text("SELECT id FROM assignments WHERE state = 'done'"))}
        counted = tx.execute(text("SELECT kind, sum(number) AS number FROM incidents GROUP BY kind")).all()
    wrong = []
    lost = sorted(job_id for job_id in submitted if job_id not in jobs or jobs[job_id].state not in FINAL)
    doubled = sorted(set(jobs) - set(submitted)) + [job_id for job_id, number in ends.items() if number > 1]
    wrong += [f"job {job_id} is lost" for job_id in lost] + [f"job {job_id} is doubled" for job_id in doubled]
    for job_id, job in jobs.items():
        if submitted.get(job_id) != job.state:
            wrong.append(f"job {job_id} is {job.state}; its client was told {submitted.get(job_id)}")
        if (job.state == "done") != (job_id in results):
            wrong.append(f"job {job_id} is {job.state}, its result is {'there' if job_id in results else 'not there'}")
        shots = from_json(dict, job.spec)["shots"]
        if job_id in results and sum(results[job_id]["counts"].values()) != shots:
            wrong.append(f"job {job_id} has not the {shots} shots it asked for")
    if set(seen) != done or max(seen.values(), default=1) > 1:
        wrong.append(f"telemetry of {len(seen)} assignments, {len(done)} are done")
    incidents = Counter({row.kind: int(row.number) for row in counted})
    return Audit(Counter(job.state for job in jobs.values()), incidents, len(lost), len(doubled), tuple(wrong))


@contextmanager
def battlefield(store: str) -> Iterator[tuple[Stack, Clients]]:
    """A stack and its clients."""
    stack = Stack(store)
    try:
        clients = Clients(stack)
        try:
            yield stack, clients
        finally:
            clients.close()
    finally:
        stack.close()

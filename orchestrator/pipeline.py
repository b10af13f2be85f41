"""THE TRIP of one job. Read this file first.

    submit ─ Job ─▶ prepare ─ Prepared ─▶ place ─ Assignments ─▶ execute ─ Executed ─▶ measure ─ Observation ─▶ learn
                                            ▲                                                                    │
                                            └──────────────────── Estimate ◀─────────────────────────────────────┘

Each stage takes the records before it from the store and writes the next ones there; messages only say that there is
work. ``submit`` runs at the client's door, ``prepare`` and ``place`` on the placement queue, ``execute`` and
``measure`` on the workers that own the backends, ``learn`` where the next placement happens. Everything this file
decides is a pure function of the rooms beside it; everything it does goes through the interfaces it is given.
"""

from __future__ import annotations

import logging
import threading
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import groupby

from backends.backend import Device
from backends.limits import rejection
from circuits.facts import Judgement
from circuits.seeds import derive
from orchestrator import measure
from orchestrator.broker import Broker
from orchestrator.cost_model.model import FOLD_VERSION, CostModel
from orchestrator.cost_model.prior import prior
from orchestrator.defects import DEFECTS, defect
from orchestrator.errors import PlacementError
from orchestrator.fleet import Fleet
from orchestrator.job import FINAL_JOB_STATES, Assignment, AssignmentState, Estimate, Event, Failure, Job, JobSpec
from orchestrator.lifecycle import Broken, Completed, Returned, Withdrawn
from orchestrator.notifier import Notifier
from orchestrator.placement import (
    Backlog,
    Candidate,
    Choice,
    Policy,
    Request,
    missed_deadline,
    rank,
    rejections,
)
from orchestrator.preparation import Fit, ProgramFacts, fit_key, preparation_key
from orchestrator.runtime import (
    Executed,
    ExecuteWork,
    JudgeWork,
    Leash,
    Prepared,
    PrepareWork,
    Runtime,
    RuntimeFailure,
    WorkCancelled,
    WorkReturned,
)
from orchestrator.settings import Settings
from orchestrator.shares import assignments_of, check_feasible
from orchestrator.store import Decision, Run, Store
from orchestrator.telemetry import Observation

SNAPSHOT_EVERY = 100
"""Observations between two stored snapshots: a process that starts folds at most so many."""

SILENT_HEARTBEATS = 4
"""A worker that missed so many heartbeats is off the roll."""

log = logging.getLogger("qorch.pipeline")


class Pipeline:
    """The trip over a given store, broker, notifier, runtime and set of policies. Safe to call from several threads."""

    def __init__(
        self,
        *,
        store: Store,
        broker: Broker,
        notifier: Notifier,
        runtime: Runtime,
        policies: Callable[[str], Policy],
        settings: Settings,
        owner: str,
    ) -> None:
        """``owner`` names this process in leases; ``policies`` gives a live policy for its registered name."""
        self.store = store
        self.broker = broker
        self.notifier = notifier
        self._runtime = runtime
        self._policies = policies
        self._settings = settings
        self._owner = owner
        self._model: CostModel | None = None
        self._learning = threading.Lock()
        self._placing = threading.Lock()
        self._leashes: dict[str, list[Leash]] = {}
        self._held: set[str] = set()
        self._holding = threading.Lock()
        self._unsubscribe = notifier.subscribe(self._pull_leash)

    def close(self) -> None:
        """Stop listening. What it was given belongs to whoever gave it."""
        self._unsubscribe()

    # ── submit ────────────────────────────────────────────────────────────────────────────────────────────────────
    def submit(self, specs: Sequence[JobSpec]) -> list[Job]:
        """Write jobs down and say that they wait. Their specifications were checked at the door."""
        jobs, events = self.store.add_jobs(specs)
        self.notifier.publish(events)
        self.broker.wake_placement()
        return jobs

    def cancel(self, job_id: str) -> None:
        """Withdraw a job: what waits is never started, what runs is ended."""
        self.notifier.publish(self.store.request_cancel(job_id))

    # ── prepare ───────────────────────────────────────────────────────────────────────────────────────────────────
    def _prepare(self, spec: JobSpec, devices: Mapping[str, Device]) -> tuple[ProgramFacts, dict[str, Fit]]:
        """The program's facts and its fit per backend; only what the store does not know yet is worked out."""
        program_hash = preparation_key(spec.program)
        keys = {name: fit_key(device, spec.transpile) for name, device in devices.items()}
        facts = self.store.facts(program_hash)
        known = self.store.fits(program_hash, list(keys.values())) if facts else {}
        missing = tuple(device for name, device in devices.items() if keys[name] not in known)
        if facts is None or missing:
            prepared = self._prepared(PrepareWork(spec.program, self._settings.program_limits, missing, spec.transpile))
            facts = prepared.facts
            new = {keys[name]: fit for name, fit in prepared.fits.items()}
            self.store.save_preparation(program_hash, facts, new)
            known |= new
        return facts, {name: known[key] for name, key in keys.items()}

    def _prepared(self, work: PrepareWork) -> Prepared:
        """The work done, tried again while what keeps it from being done may pass."""
        for left in reversed(range(self._settings.max_attempts)):
            try:
                return self._runtime.prepare(work, Leash(self._settings.prepare_timeout_s))
            except RuntimeFailure as failed:
                if not (failed.failure.transient and left):
                    raise
        raise AssertionError("max_attempts is at least 1")

    # ── place ─────────────────────────────────────────────────────────────────────────────────────────────────────
    def place(self) -> int:
        """Decide one batch of waiting jobs together; the number of jobs that left the queue."""
        with self._placing:  # two batches at a time would not see what each other books
            return self._place_batch()

    def _place_batch(self) -> int:
        for job_id in self.store.unconcluded():
            try:
                self.conclude(job_id)
            except DEFECTS as error:  # it is tried again; the jobs behind it are not held up
                defect("measure", error, f"job {job_id}: ")
        jobs = self.store.unplaced(self._settings.placement_batch)
        fleet = Fleet.of(self.store.roll(silent_s=SILENT_HEARTBEATS * self._settings.heartbeat_s))
        if not jobs or not fleet.devices:  # without any worker the jobs wait for one
            return 0
        model = self.learn()
        now = self.store.now()
        backlog = fleet.backlog(self.store.outstanding(), now)
        try:
            requests, num_taken = self._requests(jobs, fleet, backlog, model, now)
        except WorkReturned:  # this process is closing; the jobs still wait for a place
            return 0
        batch = uuid.uuid4().hex
        events: list[Event] = []
        woken: dict[str, int] = {}
        for policy, group in groupby(sorted(requests, key=_policy), key=_policy):
            load_s = dict(backlog.load_s)
            for request, choice in self._choose(policy, list(group), backlog):
                try:
                    parts = assignments_of(request, choice, backlog, partial(self._sized, request, fleet, model))
                except PlacementError as error:
                    self._fail(request.job_id, Failure("place", type(error).__name__, str(error)))
                    continue
                except DEFECTS as error:
                    self._fail(request.job_id, defect("place", error, f"policy {policy!r}: "))
                    continue
                decision = Decision(request.job_id, policy, now, model.cursor, batch, load_s, request, choice)
                events += self.store.place(decision, parts)
                for part in parts:
                    woken[part.backend] = woken.get(part.backend, 0) + 1
        self.notifier.publish(events)
        for backend, number in woken.items():
            self.broker.wake_backend(backend, number)
        if num_taken < len(jobs) or len(jobs) == self._settings.placement_batch:
            self.broker.wake_placement()
        return num_taken

    def _requests(
        self, jobs: Sequence[Job], fleet: Fleet, backlog: Backlog, model: CostModel, now: float
    ) -> tuple[list[Request], int]:
        """The first of these jobs, as many as can be prepared before the window closes, and how many that were.

        A program seen for the first time takes a while to prepare; the jobs behind it are not held up, nor those
        before it: what is ready when the window closes is decided together.
        """
        requests: list[Request] = []
        closes = time.monotonic() + self._settings.placement_window_s
        for num_taken, job in enumerate(jobs, start=1):
            try:
                requests.append(self._request(job, fleet, backlog, model, now))
            except RuntimeFailure as failed:
                self._fail(job.id, failed.failure)
            except PlacementError as error:
                self._fail(job.id, Failure("place", type(error).__name__, str(error)))
            except DEFECTS as error:
                self._fail(job.id, defect("place", error))
            if time.monotonic() > closes:
                return requests, num_taken
        return requests, len(jobs)

    def _request(self, job: Job, fleet: Fleet, backlog: Backlog, model: CostModel, now: float) -> Request:
        """Every backend as a candidate of the job.

        Raises:
            NoFeasibleBackend: all of them are excluded.
            RuntimeFailure: the program cannot be prepared.
        """
        spec = job.spec
        facts, fits = self._prepare(spec, fleet.devices)
        program_hash = spec.program.content_hash()
        waited_s = max(0.0, now - job.submitted_at)
        candidates = []
        for name, device in fleet.devices.items():
            before = prior(device, fits[name], spec.shots)
            estimate = model.estimate(before, device, facts.group, program_hash)
            wait_s = backlog.wait_s(name)
            cannot = fits[name].cannot or rejection(device, facts.features)
            why = rejections(spec, name, estimate, wait_s=wait_s, waited_s=waited_s, cannot=cannot)
            candidates.append(Candidate(name, before, estimate, wait_s, device.target_version, why))
        deadline_s = spec.limits.deadline_s
        request = Request(
            job_id=job.id,
            seq=job.seq,
            spec=spec,
            rank=rank(
                submitted_at=job.submitted_at,
                priority=spec.priority,
                deadline_at=None if deadline_s is None else job.submitted_at + deadline_s,
            ),
            waited_s=waited_s,
            candidates=tuple(candidates),
        )
        check_feasible(request, facts)
        return request

    def _sized(
        self, request: Request, fleet: Fleet, model: CostModel, candidate: Candidate, shots: int
    ) -> tuple[Estimate, Estimate]:
        """Prior and estimate of a share: what does not depend on the shots is paid in full by each."""
        spec = request.spec
        if shots == spec.shots:
            return candidate.prior, candidate.estimate
        device = fleet.devices[candidate.backend]
        facts, fits = self._prepare(spec, {candidate.backend: device})
        before = prior(device, fits[candidate.backend], shots)
        return before, model.estimate(before, device, facts.group, spec.program.content_hash())

    def _choose(self, policy: str, requests: Sequence[Request], backlog: Backlog) -> list[tuple[Request, Choice]]:
        """Ask the policy for all jobs that are not pinned. One that fails at them together is asked for each alone."""
        free = [request for request in requests if not request.spec.pin]
        try:
            chosen = self._policies(policy).place(free, backlog.copy(), self._settings.scales) if free else []
            choices = dict(zip((request.job_id for request in free), chosen, strict=True))
        except (PlacementError, *DEFECTS) as error:
            if len(requests) > 1:
                return [pair for request in requests for pair in self._choose(policy, [request], backlog)]
            self._fail(requests[0].job_id, defect("place", error, f"policy {policy!r}: "))
            return []
        return [(request, choices.get(request.job_id, request.spec.pin)) for request in requests]

    def _fail(self, job_id: str, failure: Failure) -> None:
        self.notifier.publish(self.store.fail(job_id, failure))

    # ── execute ───────────────────────────────────────────────────────────────────────────────────────────────────
    def execute(self, devices: Mapping[str, Device]) -> bool:
        """Claim the most urgent assignment for these backends and run it. False if nothing waits."""
        claimed = self.store.claim(list(devices), owner=self._owner, lease_s=self._settings.lease_s)
        if claimed is None:
            return False
        assignment, job, events = claimed
        self.notifier.publish(events)
        leash = Leash(job.spec.limits.timeout_s or self._settings.default_timeout_s)
        with self._holding:
            self._leashes.setdefault(job.id, []).append(leash)
            self._held.add(assignment.id)
        try:
            self._run(job, assignment, devices[assignment.backend], leash)
        except DEFECTS as error:
            self._broken(assignment, defect("execute", error))
        finally:
            with self._holding:
                self._held.discard(assignment.id)
                self._leashes[job.id].remove(leash)
                if not self._leashes[job.id]:
                    del self._leashes[job.id]
        return True

    def renew(self) -> None:
        """Extend the leases of what runs here at this moment. One whose end could not be written is left to expire."""
        with self._holding:
            held = tuple(self._held)
        self.store.renew(self._owner, lease_s=self._settings.lease_s, held=held)

    def _run(self, job: Job, assignment: Assignment, device: Device, leash: Leash) -> None:
        begun = time.perf_counter()
        spec = job.spec
        if self.store.job(job.id).cancel_requested:  # asked after the claim, before the leash could be pulled
            leash.pull()
        deadline_s = spec.limits.deadline_s
        if deadline_s is not None and self.store.now() > job.submitted_at + deadline_s:
            self._broken(assignment, missed_deadline(spec))
            return
        facts = self.store.facts(preparation_key(spec.program))
        work = ExecuteWork(
            program=spec.program,
            limits=self._settings.program_limits,
            backend=assignment.backend,
            shots=assignment.shots,
            seed=derive(spec.seed, "share", int(assignment.id.rpartition("-")[2])),
            options=spec.transpile,
            ideal=facts.ideal if facts else None,
            memory=spec.memory,
            return_compiled=spec.return_compiled,
        )
        try:
            executed = self._runtime.execute(work, leash, lambda data: self._progress(job.id, data))
        except RuntimeFailure as failed:
            self._broken(assignment, failed.failure)
        except WorkCancelled:
            self.notifier.publish(self.store.finish(assignment, Withdrawn(self.store.now())) or [])
        except WorkReturned:
            self.notifier.publish(self.store.finish(assignment, Returned(self.store.now())) or [])
            self.broker.wake_backend(assignment.backend)
        else:
            service_s = max(0.0, time.perf_counter() - begun - executed.warm_up_s)
            self._measure(job, assignment, device, executed, service_s)

    def _progress(self, job_id: str, data: Mapping[str, object]) -> None:
        self.notifier.publish(self.store.add_event(Event(job_id, "progress", 0.0, dict(data))))

    def _broken(self, assignment: Assignment, failure: Failure) -> None:
        events = self.store.finish(assignment, Broken(self.store.now(), failure))
        self.notifier.publish(events or [])
        if failure.transient:
            self.broker.wake_backend(assignment.backend)

    def _pull_leash(self, event: Event | None) -> None:
        """A job was cancelled, or a share of it has failed, here or elsewhere: end what runs of it here."""
        if event is None:
            self.attend()
        elif event.kind in ("cancel_requested", "assignment_failed"):
            self._pull(event.job_id)

    def attend(self) -> None:
        """See whether what runs here is still wanted: the notice that it is not may have been lost."""
        with self._holding:
            job_ids = tuple(self._leashes)
        for job_id in job_ids:
            if self.store.job(job_id).cancel_requested:
                self._pull(job_id)

    def _pull(self, job_id: str) -> None:
        with self._holding:
            leashes = tuple(self._leashes.get(job_id, ()))
        for leash in leashes:
            leash.pull()

    # ── measure ───────────────────────────────────────────────────────────────────────────────────────────────────
    def _measure(self, job: Job, assignment: Assignment, device: Device, executed: Executed, service_s: float) -> None:
        now = self.store.now()
        measured = measure.of_assignment(job, assignment, device, executed, service_s=service_s, now=now)
        program_hash = job.spec.program.content_hash()
        facts = self.store.facts(preparation_key(job.spec.program))
        if facts is None:
            raise RuntimeError(f"job {job.id} was placed although its program {program_hash} was never prepared")
        seen = Observation(
            assignment_id=assignment.id,
            job_id=job.id,
            backend=assignment.backend,
            target_version=assignment.target_version,
            group=facts.group,
            program_hash=program_hash,
            num_qubits=facts.features.num_qubits,
            num_gates=facts.features.num_gates,
            shots=assignment.shots,
            prior=assignment.prior,
            estimate=assignment.estimate,
            predicted_wait_s=assignment.wait_s,
            measurement=measured,
            at=now,
        )
        run = Run(executed.counts, measured, executed.outcome, executed.memory, executed.compiled)
        events = self.store.finish(assignment, Completed(now), run=run, seen=seen)
        if events is None:
            return  # the lease was lost and somebody else has the assignment now: this result is not wanted
        self.notifier.publish(events)
        self.conclude(job.id)

    def conclude(self, job_id: str) -> None:
        """Merge the shares of a job whose assignments are all done, judge the whole, end it. Safe to repeat."""
        job = self.store.job(job_id)
        assignments = self.store.assignments(job_id)
        if job.state in FINAL_JOB_STATES or any(a.state is not AssignmentState.DONE for a in assignments):
            return
        runs = self.store.runs(job_id)
        facts = self.store.facts(preparation_key(job.spec.program))
        judgement = measure.judgement_of(runs[0].measurement)
        if len(runs) > 1:
            work = JudgeWork(
                job.spec.program,
                self._settings.program_limits,
                measure.merged_counts(runs),
                facts.ideal if facts else None,
            )
            try:
                judgement = self._runtime.judge(work, Leash(self._settings.prepare_timeout_s))
            except RuntimeFailure as failed:  # the counts are there: a job is not lost because nobody can judge them
                log.warning("job %s could not be judged as a whole: %s", job_id, failed)
                judgement = Judgement(fidelity=None, kind="estimated")
            except WorkReturned:  # this process is closing; the next sweep concludes the job
                return
        result = measure.of_job(job, assignments, runs, judgement, now=self.store.now())
        self.notifier.publish(self.store.conclude(result))

    # ── learn ─────────────────────────────────────────────────────────────────────────────────────────────────────
    def learn(self) -> CostModel:
        """The cost model with everything folded in that was measured until now."""
        with self._learning:
            model = self._model
            if model is None:
                stored = self.store.snapshot(FOLD_VERSION)
                model = CostModel() if stored is None else CostModel.from_json(stored)
            while fresh := self.store.observations(after=model.cursor):
                before, model = model.cursor, model.fold(fresh)
                if before // SNAPSHOT_EVERY != model.cursor // SNAPSHOT_EVERY:
                    self.store.save_snapshot(FOLD_VERSION, model.cursor, model.to_json())
            self._model = model
            return model

    # ── sweep ─────────────────────────────────────────────────────────────────────────────────────────────────────
    def sweep(self) -> None:
        """What a lost message, a dead worker or a crash between two transactions left behind, moves on again."""
        swept = self.store.sweep()
        self.notifier.publish(swept.events)
        for backend in swept.waiting_backends:
            self.broker.wake_backend(backend, again=True)
        if swept.undecided:
            self.broker.wake_placement()


def _policy(request: Request) -> str:
    return request.spec.policy

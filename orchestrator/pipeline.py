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
from contextlib import suppress
from dataclasses import replace

from tenacity import Retrying, retry_if_exception_type, sleep_using_event, wait_random_exponential

from backends.backend import Device
from circuits.facts import Judgement
from orchestrator import measure
from orchestrator.announcer import Announcer
from orchestrator.broker import Broker
from orchestrator.bucket import Bucket, MemoryBucket
from orchestrator.choosing import Chooser
from orchestrator.cost_model.model import FOLD_VERSION, CostModel
from orchestrator.deciding import Decided, Scene, decide, movable_parts
from orchestrator.decision import Decision
from orchestrator.defects import DEFECTS, defect
from orchestrator.errors import StoreUnavailable
from orchestrator.experiment import Experiment
from orchestrator.fleet import Fleet
from orchestrator.held import Held
from orchestrator.job import FINAL_JOB_STATES, Assignment, AssignmentState, Event, Failure, Job, JobSpec
from orchestrator.lifecycle import Broken, Completed, Returned, Sent, Withdrawn
from orchestrator.logs import working_on
from orchestrator.notifier import STOPS, Notifier
from orchestrator.pairs import Allocators, PairOffice
from orchestrator.placement import Policy, missed_deadline, sooner_s
from orchestrator.preparer import Known, Preparer
from orchestrator.quote import Quoter
from orchestrator.remote_trip import Visit
from orchestrator.runtime import (
    Executed,
    ExecuteWork,
    Judged,
    JudgeWork,
    Leash,
    Runtime,
    RuntimeFailure,
    WorkCancelled,
    WorkReturned,
    work_of,
)
from orchestrator.second_thoughts import MOST_QUEUED, queue_of, second_thoughts, standing
from orchestrator.settings import Settings
from orchestrator.store import Claim, Claimed, Ending, Placed, Run, Store, Switch, Waiting

SNAPSHOT_EVERY = 100
"""Observations between two stored snapshots: a process that starts folds at most so many."""

REST = 9.0
"""To think again about what waits takes a tenth of the time at most, while jobs arrive (ours)."""

PATIENCE_S, PATIENCE = 2.0, 20.0
"""A batch is in trouble after so many seconds and so many times what was expected of it (ours)."""

WAKING = frozenset({"assignment_released", "recalled"})
"""Kinds of events after which something waits for a backend."""

FINAL_KINDS = frozenset(state.value for state in FINAL_JOB_STATES)

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
        bucket: Bucket | None = None,
        allocators: Allocators | None = None,
    ) -> None:
        """Over what is given.

        Args:
            owner: names this process in leases.   policies: gives live ones by name.   bucket: spares providers.
            allocators: gives those of entangled pairs; None leaves distributed devices at what they publish.
        """
        self.store = store
        self.broker = broker
        self.notifier = notifier
        self._runtime = runtime
        self._chooser = Chooser(policies, settings.scales, lambda reason: self._count("policy_fallbacks", reason))
        self._settings = settings
        self._owner = owner
        self._bucket = bucket or MemoryBucket()
        self.experiment = Experiment(store, settings)
        self._preparer = Preparer(store, runtime, settings)
        self._pairs = None if allocators is None else PairOffice(allocators)
        self._announcer = Announcer(self._pairs, store, self._preparer, self.experiment, self.learn, settings)
        self.quoter = Quoter(store, self._preparer, self.learn, policies, settings, self._announcer.follow)
        self._model: CostModel | None = None
        self._learning = threading.Lock()
        self._placing = threading.Lock()
        self._rests_until = 0.0  # before that nothing that arrives is a reason to think again
        self._thinks = False  # whether some policy that jobs came with lately thinks again about what waits
        self._ran = False  # since the last look at what waits elsewhere
        self._stuck = 0  # of the jobs that wait in vain, so many of the first cannot go elsewhere
        self._held = Held()
        self._heard: set[str] = set()
        self._hearing = threading.Lock()
        self._closing = threading.Event()
        self._patiently = Retrying(
            retry=retry_if_exception_type(StoreUnavailable),
            wait=wait_random_exponential(multiplier=0.1, max=2.0),
            stop=lambda _: self._closing.is_set(),
            sleep=sleep_using_event(self._closing),
            reraise=True,
        )
        self._unsubscribe = notifier.subscribe(self._pull_leash)

    def close(self) -> None:
        """Stop listening. What it was given belongs to whoever gave it."""
        self._closing.set()
        self._unsubscribe()

    # ── submit ────────────────────────────────────────────────────────────────────────────────────────────────────
    def submit(self, specs: Sequence[JobSpec], *, project: str | None = None) -> list[Job]:
        """Write jobs down and say that they wait. Their specifications were checked at the door."""
        jobs, events = self.store.add_jobs(specs, project=project or "")
        self.broker.wake_placement()  # before the notices: the job waits for this
        self._tell(events)
        return jobs

    def cancel(self, job_id: str) -> None:
        """Withdraw a job: what waits is never started, what runs is ended."""
        self._tell(self.store.request_cancel(job_id))

    def switch(self, switch: Switch) -> None:
        """Take a backend or worker out of service, or put it back."""
        self.store.switch(switch)
        self.broker.wake_placement()  # what waits there may have to go elsewhere, or may go there again
        if switch.kind == "backend":
            self.broker.wake_backend(switch.name)

    # ── place ─────────────────────────────────────────────────────────────────────────────────────────────────────
    def place(self) -> bool:
        """Decide one batch of waiting jobs together. Whether more may wait, so that it is to be called again."""
        with self._placing:  # two batches at a time would not see what each other books
            try:
                return self._place_batch()
            except WorkReturned:  # this process is closing; the jobs still wait for a place
                return False

    def _place_batch(self) -> bool:
        most = self._settings.placement_batch
        queued = MOST_QUEUED if self._thinks else 0
        look = self.store.look(most, silent_s=self._settings.silent_s, queued=queued)
        fleet, waiting, now = Fleet.of(look.roll, look.switches), look.waiting, look.now
        if not fleet.devices:  # without any worker the jobs wait for one
            return False
        lost = sorted({w.backend for w in look.outstanding if w.started_at is None and fleet.strands(w.backend)})
        in_vain = self.store.stranded(lost, most, skip=self._stuck) if lost else []
        self._stuck = self._stuck + most if len(in_vain) == most else 0  # at the next look those behind have their turn
        stranded = movable_parts(in_vain, self._settings.rules)
        jobs = [one for one in waiting if one.job.id not in stranded] + [*stranded.values()]
        stand = standing(one for one in look.queued if one.job.id not in stranded)
        named = {one.job.spec.policy for one in (*waiting, *look.queued)}
        self._thinks = any(self._chooser.reconsiders(policy) for policy in sorted(named))
        if not jobs and not stand:
            return self._announcer.look_ahead(fleet)
        begun = time.perf_counter()
        projects = sorted({one.job.project for one in jobs})
        balances = self.store.balances(projects) if fleet.remote else {}
        backlog = fleet.backlog(look.outstanding, now, queue_of(stand, self._settings.scales))
        times, pairs = self._settings.times, self._announcer.follow(fleet)
        scene = Scene(fleet, backlog, self.learn(), now, times, balances, pairs)
        prepared = self._preparer.prepare([one.job for one in (*jobs, *stand)], fleet.devices)
        decided, failures = decide(list(zip(jobs, prepared, strict=False)), scene, self._chooser)
        batch, spent_s = uuid.uuid4().hex, time.perf_counter() - begun
        self._write(decided, scene, batch, spent_s / max(1, len(jobs)))
        self._tell(self.store.fail(failures) if failures else [])
        self._think_again(list(zip(stand, prepared[len(jobs) :], strict=False)), decided, scene, batch)
        num_moved = sum(bool(one.instead_of) for one in decided)
        self._stuck = max(0, self._stuck - num_moved)
        more = len(prepared) < len(jobs) or len(waiting) == most or (num_moved > 0 and len(in_vain) == most)
        return more or self._announcer.look_ahead(fleet)

    def _think_again(
        self, stand: Sequence[tuple[Waiting, Known | RuntimeFailure]], decided: list[Decided], scene: Scene, batch: str
    ) -> None:
        """Move what waits to where it is better off. What is new has its place already, and has not waited for this."""
        begun = time.perf_counter()
        if decided and begun < self._rests_until:  # something else arrives, or a worker has nothing left to do
            return
        again = second_thoughts(stand, decided, scene, self._chooser)
        self._write(again, scene, batch, (time.perf_counter() - begun) / max(1, len(again)))
        ended = time.perf_counter()
        self._rests_until = ended + REST * (ended - begun)

    def _write(self, decided: Sequence[Decided], scene: Scene, batch: str, decide_s: float) -> None:
        """Keep what was decided, and wake whoever it concerns."""
        placed = []
        for one in decided:
            request, told = one.chosen.request, one.chosen.situation
            asked_of = (request.job_id, one.chosen.policy, scene.now, scene.model.cursor, batch, told.load_s, request)
            choice, by_s = dict(one.chosen.choice), sooner_s(one.chosen.choice)
            why = Decision(*asked_of, choice, decide_s, group=one.group, situation=told, sooner_s=by_s)
            placed.append(Placed(why, one.parts, one.instead_of, one.again))
        events = self.store.place(placed) if placed else []
        for backend in sorted({part.backend for one in placed for part in one.parts}):
            self.broker.wake_backend(backend)  # before the notices: the jobs wait for this
        self._tell(events)

    def _count(self, kind: str, label: str = "") -> None:
        """One more rare event, for monitoring. Nothing waits for it: a store that is away loses it."""
        with suppress(StoreUnavailable):
            self.store.count_incident(kind, label)

    # ── execute ───────────────────────────────────────────────────────────────────────────────────────────────────
    def execute(self, devices: Mapping[str, Device], woken_for: str | None = None) -> bool:
        """Claim the most urgent assignments for one of these backends and run them. False if nothing waits."""
        far = [name for name, device in devices.items() if device.remote]
        if far and self._look_after(far, devices, woken_for):
            return True
        claim = self.store.claim(
            [name for name in devices if name not in far],
            owner=self._owner,
            lease_s=self._settings.lease_s,
            most=self._settings.run_batch,
            window_s=self._settings.run_window_s,
            alone_s=self._settings.run_alone_s,
        )
        if claim is not None:
            self._ran = True
            self._announce(claim, woken_for)
            with self._held.leases([taken.assignment.id for taken in claim.taken]):
                self._run(claim.taken, devices[claim.taken[0].assignment.backend])
        if claim is None or claim.more is None:
            idles, self._ran = self._ran, False
            if idles and self.store.waits_elsewhere(list(devices)):  # who placed it may think of this worker now
                self.broker.wake_placement()
        return claim is not None

    def _announce(self, claim: Claim, woken_for: str | None) -> None:
        """Tell what was taken, and wake others for what was not, such as what it was woken for: they may be free."""
        self._tell(claim.events)
        passed_over = {woken_for} - {claim.taken[0].assignment.backend}
        for backend in sorted(filter(None, {claim.more, *passed_over})):
            self.broker.wake_backend(backend)

    def _look_after(self, far: Sequence[str], devices: Mapping[str, Device], woken_for: str | None) -> bool:
        """Take the next step with one share on these remote devices. False if nothing is due there."""
        claim = self.store.claim_sent(far, owner=self._owner, lease_s=self._settings.lease_s)
        if claim is None:
            return False
        self._announce(claim, woken_for)
        (one,) = claim.taken
        device = devices[one.assignment.backend]
        with self._held.leases([one.assignment.id]), working_on([one.job.id]):
            try:
                work = self._work(one, self.experiment.moment())
            except WorkReturned:  # what was known of its program is gone, and this process is closing
                self._finish([Ending(one.assignment, Returned(self.store.now()))])
                return False
            visit = Visit(self.store, self._runtime, self._bucket, self._settings, one, device, work)
            ending = visit.make(lambda executed, service_s: self._completed(one, device, executed, service_s))
            self._finish([ending])
        if isinstance(ending.event, Sent) and ending.event.due_at <= ending.event.at:
            self.broker.wake_backend(device.name)
        return True

    def renew(self) -> None:
        """Extend the leases of what is held here at this moment, and note who was told of the end of their jobs."""
        self.store.renew(self._owner, lease_s=self._settings.lease_s, held=self._held.parts)
        with self._hearing:
            heard, self._heard = self._heard, set()
        if heard:
            self.store.told(sorted(heard))

    def _run(self, taken: Sequence[Claimed], device: Device) -> None:
        """Run what was taken together in one go; what that leaves undone is run one by one."""
        for one in self._run_together(taken, device) if len(taken) > 1 else taken:
            self._finish(self._run_alone(one, device))

    def _due(self, taken: Sequence[Claimed]) -> tuple[list[Claimed], list[Ending]]:
        """Those that are still wanted and in time, and how the others end."""
        due, endings, now = [], [], self.store.now()
        for one in taken:
            deadline_s = one.job.spec.limits.deadline_s
            if self._held.pulled(one.job.id):  # since it was claimed
                endings.append(Ending(one.assignment, Withdrawn(now)))
            elif deadline_s is not None and now > one.job.submitted_at + deadline_s:
                endings.append(Ending(one.assignment, Broken(now, missed_deadline(one.job.spec))))
            else:
                due.append(one)
        return due, endings

    def _run_together(self, taken: Sequence[Claimed], device: Device) -> list[Claimed]:
        """One conversation with a child for all; those that are still to be run: it died, or was ended for one of them.

        Small jobs only are taken together, so a batch that takes far longer than expected is in trouble.
        """
        expected_s = sum(one.assignment.estimate.service_s for one in taken)
        with self._held.leashed([one.job.id for one in taken], PATIENCE_S + PATIENCE * expected_s) as leash:
            due, endings = self._due(taken)
            at, begun = self.experiment.moment(), time.perf_counter()
            try:
                outcomes, warm_up_s = self._runtime.execute_many([self._work(one, at) for one in due], leash)
                spent_s = time.perf_counter() - begun - warm_up_s
                endings += self._measured(due, outcomes, device, spent_s)
            except WorkReturned:  # what was known of a program is gone, and this process is closing
                endings += [Ending(one.assignment, Returned(self.store.now())) for one in due]
                due, outcomes = [], []
            except DEFECTS as error:
                log.warning("a batch of %d is taken apart: %s", len(due), error)
                outcomes = []
        self._finish(endings)
        left = due[len(outcomes) :]
        if left:
            self._count("batches_apart", left[0].assignment.backend)
        return left

    def _measured(
        self, taken: Sequence[Claimed], outcomes: Sequence[Executed | Failure], device: Device, spent_s: float
    ) -> list[Ending]:
        """How the first of a batch ended. What the conversation itself took is shared equally."""
        executed = [outcome for outcome in outcomes if isinstance(outcome, Executed)]
        shared_s = max(0.0, spent_s - sum(one.prepare_s + one.run_s for one in executed)) / max(1, len(outcomes))
        endings, now = [], self.store.now()
        for one, outcome in zip(taken, outcomes, strict=False):
            if isinstance(outcome, Failure):
                endings.append(Ending(one.assignment, Broken(now, outcome)))
            else:
                service_s = outcome.prepare_s + outcome.run_s + shared_s
                endings.append(self._completed(one, device, outcome, service_s))
        return endings

    def _run_alone(self, one: Claimed, device: Device) -> list[Ending]:
        job_id, timeout_s = one.job.id, one.job.spec.limits.timeout_s or self._settings.default_timeout_s
        with self._held.leashed([job_id], timeout_s) as leash:
            due, endings = self._due([one])
            if not due:
                return endings
            begun = time.perf_counter()
            try:
                work = self._work(one, self.experiment.moment())
                executed = self._runtime.execute(work, leash, lambda data: self._progress(one.assignment, data))
                service_s = max(0.0, time.perf_counter() - begun - executed.warm_up_s)
                return [self._completed(one, device, executed, service_s)]
            except RuntimeFailure as failed:
                return [Ending(one.assignment, Broken(self.store.now(), failed.failure))]
            except WorkCancelled:
                return [Ending(one.assignment, Withdrawn(self.store.now()))]
            except WorkReturned:
                return [Ending(one.assignment, Returned(self.store.now()))]
            except DEFECTS as error:
                return [Ending(one.assignment, Broken(self.store.now(), defect("execute", error)))]

    def _work(self, one: Claimed, at: float) -> ExecuteWork:
        facts = self._preparer.facts(one.job.spec.program)
        return work_of(one.job, one.assignment, facts, self._settings.program_limits, at)

    def _progress(self, part: Assignment, data: Mapping[str, object]) -> None:
        where = {} if part.items is None else {"backend": part.backend, "items": part.items}
        self._tell(self.store.add_event(Event(part.job_id, "progress", 0.0, {**data, **where})))

    def _finish(self, endings: Sequence[Ending]) -> None:
        """Write how attempts ended. A store that is away for a while must not cost what was run: it is waited for."""
        if not endings:
            return
        events, written = self._patiently(self.store.finish, endings)
        self._tell(events)
        for ending, kept in zip(endings, written, strict=True):
            if kept and ending.run is not None:
                self.conclude(ending.assignment.job_id)

    def _pull_leash(self, event: Event | None) -> None:
        """The end of a job is decided, here or elsewhere: end what runs of it here."""
        if event is None:
            self.attend()
        elif event.kind in STOPS:
            self._held.pull(event.job_id)

    def attend(self) -> None:
        """See whether what runs here is still wanted: the notice that it is not may have been lost."""
        job_ids = self._held.job_ids
        for job_id in self.store.unwanted(job_ids) if job_ids else ():
            self._held.pull(job_id)

    # ── measure ───────────────────────────────────────────────────────────────────────────────────────────────────
    def _completed(self, one: Claimed, device: Device, executed: Executed, service_s: float) -> Ending:
        """What a finished attempt gives: of a job that is all of it the result, of a share what is merged later."""
        job, assignment, now = one.job, one.assignment, self.store.now()
        facts = self._preparer.facts(job.spec.program)
        if facts is None:
            raise RuntimeError(f"job {job.id} was placed although its program was never prepared")
        times = self._settings.times
        measured = measure.of_assignment(job, assignment, device, executed, service_s=service_s, now=now, times=times)
        before = measure.prior_of(assignment, executed)
        seen = measure.observation(assignment, facts, job.spec.program, before, measured, now=now)
        run = Run(executed.counts, measured, executed.outcome, executed.memory, executed.compiled)
        if not one.alone:
            return Ending(assignment, Completed(now), run=run, seen=seen)
        done = replace(assignment, state=AssignmentState.DONE)
        result = measure.of_job(job, [done], [run], Judged(executed.judgement, executed.outcome), now=now)
        return Ending(assignment, Completed(now), result=result, seen=seen)

    def conclude(self, job_id: str) -> None:
        """Merge the shares of a job that are all done, judge the whole, end it. Safe to repeat."""
        job = self.store.job(job_id)
        parts = [part for part in self.store.assignments(job_id) if part.state is not AssignmentState.REPLACED]
        if job.state in FINAL_JOB_STATES or job.to_place or any(a.state is not AssignmentState.DONE for a in parts):
            return
        runs = self.store.runs(job_id)
        if len(runs) > 1:  # in the order of their items, so that what each found can be put together
            order = sorted(range(len(parts)), key=lambda number: parts[number].items or (0, 0))
            parts, runs = [parts[number] for number in order], [runs[number] for number in order]
        judged = measure.judged_alone(runs[0])
        if len(runs) > 1:
            try:
                with working_on([job_id]):
                    judged = self._judged(job, parts, runs)
            except WorkReturned:  # this process is closing; the next sweep concludes the job
                return
        result = measure.of_job(job, parts, runs, judged, now=self.store.now())
        self._tell(self.store.conclude(result))

    def _judged(self, job: Job, parts: Sequence[Assignment], runs: Sequence[Run]) -> Judged:
        facts, counts = self._preparer.facts(job.spec.program), measure.merged_counts(parts, runs)
        found = tuple(run.outcome for run in runs) if parts[-1].items else ()
        limits, ideal = self._settings.program_limits, facts.ideal if facts else None
        try:
            work = JudgeWork(job.spec.program, limits, counts, ideal, found)
            return self._runtime.judge(work, Leash(self._settings.prepare_timeout_s))
        except RuntimeFailure as failed:  # what was found is there: a job is not lost because nobody can judge it
            log.warning("the job could not be judged as a whole: %s", failed)
            return Judged(Judgement(fidelity=None, kind="estimated"), {"parts": found} if found else None)

    # ── learn ─────────────────────────────────────────────────────────────────────────────────────────────────────
    def learn(self) -> CostModel:
        """The cost model with everything folded in that was measured until now."""
        with self._learning:
            model = self._model or self._stored_model()
            while fresh := self.store.observations(after=model.cursor):
                if fresh[0][0] > model.cursor + 1 and (newer := self._stored_model()).cursor > model.cursor:
                    model = newer  # what lies between was removed from the log once this one had it
                    continue
                if self._pairs is not None:
                    self._pairs.learn([seen for _, seen in fresh])
                before, model = model.cursor, model.fold(fresh)
                if before // SNAPSHOT_EVERY != model.cursor // SNAPSHOT_EVERY:
                    self.store.save_snapshot(FOLD_VERSION, model.cursor, model.to_json())
            self._model = model
            return model

    def _stored_model(self) -> CostModel:
        stored = self.store.snapshot(FOLD_VERSION)
        return CostModel() if stored is None else CostModel.from_json(stored)

    # ── tell, and sweep ───────────────────────────────────────────────────────────────────────────────────────────
    def _tell(self, events: Sequence[Event]) -> None:
        """Publish what is committed, and wake whom it concerns. Who hears of a job's end need not be told again."""
        if events and self.notifier.publish(events):
            with self._hearing:
                self._heard.update(event.job_id for event in events if event.kind in FINAL_KINDS)
        kinds = {event.kind for event in events}
        if kinds & {"assignment_replaced", "unblocked"}:
            self.broker.wake_placement()
        for backend in sorted({event.data["backend"] for event in events if event.kind in WAKING}):
            self.broker.wake_backend(backend)

    def sweep(self) -> None:
        """What a lost message, a dead worker or a crash between two transactions left behind, moves on again."""
        swept = self.store.sweep(silent_s=self._settings.silent_s)
        self._tell(swept.events)
        for job_id in swept.unconcluded:
            try:
                self.conclude(job_id)
            except DEFECTS as error:  # it is tried again; the jobs behind it are not held up
                defect("measure", error, f"job {job_id}: ")
        for backend in swept.waiting_backends:
            self.broker.wake_backend(backend)
        if swept.undecided or swept.waiting_backends:
            self.broker.wake_placement()

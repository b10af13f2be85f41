"""From what is known of waiting jobs to requests that a policy answers, and from its answers to assignments. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from time import gmtime, strftime

from backends import canary
from backends.backend import Device
from backends.limits import rejection
from backends.pricing import unpriced
from orchestrator.choosing import Chooser, Chosen
from orchestrator.cost_model.model import CostModel
from orchestrator.cost_model.prior import part_of, prior
from orchestrator.defects import DEFECTS, defect
from orchestrator.errors import NoFeasibleBackend, PlacementError
from orchestrator.fleet import Fleet
from orchestrator.job import Assignment, AssignmentState, Estimate, Failure, JobSpec, Times
from orchestrator.lifecycle import Rules, movable
from orchestrator.logs import working_on
from orchestrator.pairs import PairOffice
from orchestrator.placement import Backlog, Candidate, Choice, Request, rank, rejections, ruled_out
from orchestrator.preparation import Fit, ProgramFacts
from orchestrator.preparer import Known
from orchestrator.purchase import Balance, against_budgets, against_limits
from orchestrator.runtime import RuntimeFailure
from orchestrator.shares import assignments_of, check_feasible, missing_items
from orchestrator.store import Waiting


@dataclass(frozen=True)
class Scene:
    """What a batch of jobs is decided on. The backlog grows with what is decided.

    Attributes:
        times: as in ``Measurement``.
        balances: the budgets that bind each project, where something costs money.
        pairs: where entangled pairs are asked for; a question changes nothing.
    """

    fleet: Fleet
    backlog: Backlog
    model: CostModel
    now: float
    times: Times = Times.WALL
    balances: Mapping[str, Sequence[Balance]] = field(default_factory=dict)
    pairs: PairOffice | None = None


@dataclass(frozen=True)
class Decided:
    """What was chosen for a job, and the assignments that it makes.

    Attributes:
        group: what the cost model pools its program with.
        instead_of, again: as in :class:`orchestrator.store.Placed`.
    """

    chosen: Chosen
    parts: list[Assignment]
    group: str
    instead_of: tuple[str, ...] = ()
    again: bool = False


def decide(
    jobs: Sequence[tuple[Waiting, Known | RuntimeFailure]], scene: Scene, chooser: Chooser
) -> tuple[list[Decided], dict[str, Failure]]:
    """Decide on a batch; the failures are those of jobs that cannot be placed, by id.

    What is stranded and can go nowhere else waits on where it is, and is neither.
    """
    decided: list[Decided] = []
    failures: dict[str, Failure] = {}
    known = {one.job.id: found for one, found in jobs if not isinstance(found, RuntimeFailure)}
    moving = {one.job.id: one.moving for one, _ in jobs}
    for requests in _in_turn(jobs, scene, failures):
        for chosen in chooser.choose(requests, scene.backlog, failures):
            job_id = chosen.request.job_id
            with working_on([job_id]):
                parts = parts_of(chosen.request, chosen.choice, known[job_id], scene)
            if isinstance(parts, Failure):
                failures[job_id] = parts
                continue
            decided.append(Decided(chosen, parts, known[job_id][0].group, moving[job_id]))
            if scene.pairs is not None:  # before it can be run, and before others are quoted pairs
                scene.pairs.reserve(parts)
    return decided, failures


def _in_turn(
    jobs: Sequence[tuple[Waiting, Known | RuntimeFailure]], scene: Scene, failures: dict[str, Failure]
) -> Iterator[list[Request]]:
    """Requests that can be decided together, each time as the scene is then: up to the first that pairs are quoted to.

    Pairs that are quoted to one cannot be quoted to another before it is decided who gets them.
    """
    together: list[Request] = []
    for one, found in jobs:
        with working_on([one.job.id]):
            asked = request_of(one, found, scene)
        if isinstance(asked, Request):
            together.append(asked)
            if any(candidate.prior.pairs for candidate in asked.feasible):
                yield together
                together = []
        elif not one.moving:
            failures[one.job.id] = asked
    yield together


def movable_parts(stranded: Sequence[Waiting], rules: Rules) -> dict[str, Waiting]:
    """Of jobs that wait for a backend in vain, those that may go elsewhere, as if none of it waited there; by id."""
    found = {}
    for one in stranded:
        parts = [part for part in one.parts if part.state is AssignmentState.WAITING]
        if movable(one.job, rules):
            job = replace(one.job, to_place=one.job.to_place + sum(part.amount for part in parts))
            found[job.id] = replace(one, job=job, moving=tuple(part.id for part in parts))
    return found


def request_of(waiting: Waiting, known: Known | RuntimeFailure, scene: Scene) -> Request | Failure:
    """Every backend as a candidate of the job, or why there is none."""
    if isinstance(known, RuntimeFailure):
        return known.failure
    try:
        request = with_candidates(waiting, known, scene)
        check_feasible(request, known[0])
        return request
    except PlacementError as error:
        failed = [part.failure for part in waiting.parts if part.failure is not None]
        if failed and isinstance(error, NoFeasibleBackend):  # why it had to be placed again says more
            return replace(failed[-1], message=f"{failed[-1].message}; and {error}", transient=False)
        return Failure("place", type(error).__name__, str(error))
    except DEFECTS as error:
        return defect("place", error)


def with_candidates(waiting: Waiting, known: Known, scene: Scene) -> Request:
    """Every backend as a candidate of the job, feasible or not."""
    job, (facts, fits) = waiting.job, known
    items = missing_items(facts.num_items, (part for part in waiting.parts if part.id not in waiting.moving))
    spec = job.spec if items or job.to_place == job.spec.shots else replace(job.spec, shots=job.to_place)
    amount = sum(last - first for first, last in items) or spec.shots
    waited_s = max(0.0, scene.now - job.submitted_at)
    closed = dict(scene.fleet.closed)
    for part in waiting.parts:
        gone = part.state is AssignmentState.REPLACED  # one that was tried again there with success is none of these
        if gone and part.failure is not None and part.failure.kind != "backend_lost":
            closed[part.backend] = f"the job has failed there: {part.failure.message}"
    candidates = []
    for name, device in scene.fleet.devices.items():
        before, estimate = _sized(job.id, spec, known, scene, name, amount)
        wait_s = scene.backlog.wait_s(name)
        against = [closed[name]] if name in closed else []
        against += obstacles(device, facts, spec, estimate, scene.balances.get(job.project, ()), scene.now)
        why = (*ruled_out(spec, name), *against)
        if name in fits:
            cannot = fits[name].cannot or rejection(device, facts.features)
            why = rejections(spec, name, estimate, wait_s=wait_s, waited_s=waited_s, cannot=cannot, against=against)
        one_shot = _sized(job.id, spec, known, scene, name, 1)[1] if spec.max_parts > 1 and not why else None
        candidates.append(Candidate(name, before, estimate, wait_s, device.target_version, why, one_shot))
    deadline_s = spec.limits.deadline_s
    return Request(
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
        num_parts=len(waiting.parts),
        items=items,
    )


def obstacles(
    device: Device, facts: ProgramFacts, spec: JobSpec, estimate: Estimate, balances: Sequence[Balance], now: float
) -> Iterator[str]:
    """Why a device is none for a job at this moment, whatever its circuit: closed, too dear, or too far away."""
    open_at, state = device.availability.opens_at, device.availability.state
    if state != "online":
        why = f": {device.availability.why}" if device.availability.why else ""
        until = f", until {strftime('%Y-%m-%d %H:%M UTC', gmtime(open_at))}" if open_at and open_at > now else ""
        yield f"it is {state}{until}{why}"
    dear = unpriced(device)
    if dear is not None:
        yield dear
    if not device.remote:
        return
    if device.max_shots is not None and spec.shots > device.max_shots:
        yield f"it takes at most {device.max_shots} shots, the job has {spec.shots}"
    if facts.adaptive:
        yield f"{facts.group} chooses its next circuits from the last counts, and would queue there for each round"
    if spec.canary and facts.unjudged:
        yield "canaries run beside a job on emulated devices alone: submit it without any"
    allowed = against_budgets(balances, estimate.cost_usd, estimate.service_s)
    allowed = allowed or against_limits(spec.limits, (), estimate.cost_usd, estimate.service_s)
    if dear is None and allowed is not None:
        yield allowed


def parts_of(request: Request, choice: Choice, known: Known, scene: Scene) -> list[Assignment] | Failure:
    """The assignments of a choice, booked on the backlog, or why it cannot be."""

    def sized(candidate: Candidate, amount: int) -> tuple[Estimate, Estimate]:
        if amount == request.amount:
            return candidate.prior, candidate.estimate
        return _sized(request.job_id, request.spec, known, scene, candidate.backend, amount)

    try:
        return assignments_of(request, choice, scene.backlog, sized)
    except PlacementError as error:
        return Failure("place", type(error).__name__, str(error))
    except DEFECTS as error:
        return defect("place", error, f"policy {request.spec.policy!r}: ")


def _sized(
    job_id: str, spec: JobSpec, known: Known, scene: Scene, backend: str, amount: int
) -> tuple[Estimate, Estimate]:
    """Prior and estimate of so many shots, or items, there: what does not depend on them is paid in full by each."""
    (facts, fits), device = known, scene.fleet.devices[backend]
    fit = fits.get(backend, Fit(cannot="nobody has looked, since the job may not go there"))
    shots = spec.shots if facts.num_items else amount
    paid = shots + (canary.num_shots(device, spec.canary, shots) if facts.unjudged else 0)
    promised = scene.pairs.promises(device, job_id, fit.pairs, paid) if scene.pairs is not None else ()
    num_outcomes, num_runs = facts.num_outcomes, facts.num_runs(shots)
    before = prior(device, fit, paid, scene.times, num_outcomes=num_outcomes, num_runs=num_runs, pairs=promised)
    if 0 < amount < facts.num_items:
        before = part_of(before, amount / facts.num_items)
    if fit.cannot is not None:  # the figures mean nothing, and intervals around them would fill the log
        return before, before
    return before, scene.model.estimate(before, device, facts.group, spec.program.content_hash())

"""From what was executed to what was measured: of one assignment, and merged over a job's. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from backends.backend import Device
from backends.energy import spent
from backends.pairs import behind_s
from backends.pricing import cost_usd
from circuits.counts import merge
from circuits.facts import Judgement
from circuits.family import Counts
from circuits.program import Program
from circuits.seeds import derive
from orchestrator.job import Assignment, Estimate, Job, Measurement, Placement, Result, Share, Times
from orchestrator.preparation import ProgramFacts
from orchestrator.runtime import Executed, Judged
from orchestrator.store import Run
from orchestrator.telemetry import Observation


def of_assignment(
    job: Job,
    assignment: Assignment,
    device: Device,
    executed: Executed,
    *,
    service_s: float,
    now: float,
    times: Times = Times.WALL,
) -> Measurement:
    """Measurement of one share. ``now`` is the store's time of its end; ``times`` as in :class:`Measurement`."""
    latency_s, behind = now - job.submitted_at, _behind_s(job, assignment, device, executed)
    queue_s = None if executed.queue_s is None else executed.queue_s + max(behind.values(), default=0.0)
    if times is Times.EMULATED and executed.device_s is not None and not device.remote:
        latency_s += (queue_s or 0.0) + executed.device_s - service_s
    else:
        times = Times.WALL
    paid_s = service_s if executed.device_s is None else executed.device_s
    energy = spent(device, paid_s=paid_s, cpu_s=executed.cpu_s, rapl_j=executed.rapl_j)
    started_at = assignment.started_at if assignment.started_at is not None else now
    paid_usd = executed.billed_usd
    if paid_usd is None:
        paid_usd = cost_usd(device.price, num_tasks=executed.num_tasks, shots=executed.num_shots, run_s=paid_s)
    waited_s = queue_s or 0.0 if device.remote else 0.0  # an emulated queue is accounted for, not waited in
    return Measurement(
        wait_s=max(0.0, started_at - assignment.placed_at) + waited_s,
        prepare_s=executed.prepare_s,
        run_s=executed.run_s,
        service_s=service_s,
        latency_s=max(0.0, latency_s),
        fidelity=executed.judgement.fidelity,
        fidelity_kind=executed.judgement.kind,
        fidelity_floor=executed.judgement.floor,
        score=executed.judgement.score,
        energy_j=energy.energy_j,
        cost_usd=paid_usd,
        method=executed.method,
        approximate=executed.approximate,
        device_s=executed.device_s,
        queue_s=queue_s,
        at=executed.at,
        times=times,
        energy_model=energy.model,
        pair_fidelity=executed.pair_fidelity,
        links=tuple(
            replace(one, made_s=one.made_s + behind.get((one.first, one.second), 0.0)) for one in executed.links
        ),
    )


def _behind_s(job: Job, assignment: Assignment, device: Device, executed: Executed) -> dict[tuple[int, int], float]:
    """Seconds that each link made pairs for shares placed before, which came first; empty where nobody was asked.

    A run knows its own pairs alone: what was promised to others when it was placed is drawn here, by the same law.
    """
    network = device.network
    if network is None:
        return {}
    promised = {network.ends(one.demand.src, one.demand.dst): one.quote.ahead for one in assignment.prior.pairs}
    used = [(link.first, link.second) for link in executed.links]
    ahead = {ends: promised[ends] for ends in used if ends in promised}
    return behind_s(network, ahead, derive(job.spec.seed, "ahead", assignment.id))


def prior_of(assignment: Assignment, executed: Executed) -> Estimate:
    """What calibration let one expect: of what its provider says it really ran, else of what was placed."""
    if executed.expected is None:
        return assignment.prior
    return replace(assignment.prior, fidelity=executed.expected)


def observation(
    assignment: Assignment, facts: ProgramFacts, program: Program, prior: Estimate, measured: Measurement, *, now: float
) -> Observation:
    """What there is to learn from a share that has ended. ``prior``: as :func:`prior_of` gives it."""
    return Observation(
        assignment_id=assignment.id,
        job_id=assignment.job_id,
        backend=assignment.backend,
        target_version=assignment.target_version,
        group=facts.group,
        program_hash=program.content_hash(),
        num_qubits=facts.features.num_qubits,
        num_gates=facts.features.num_gates,
        shots=assignment.shots,
        prior=prior,
        estimate=assignment.estimate,
        predicted_wait_s=assignment.wait_s,
        measurement=measured,
        at=now,
    )


def of_job(job: Job, assignments: Sequence[Assignment], runs: Sequence[Run], judged: Judged, *, now: float) -> Result:
    """The result of a job whose shares are all done. Parallel times are the longest, energy and price the sum."""
    parts = [run.measurement for run in runs]
    judgement = _by_canaries(assignments, parts) or judged.judgement
    latencies_s = [part.latency_s for part in parts if part.times is Times.EMULATED]
    models = {part.energy_model for part in parts}
    measurement = Measurement(
        wait_s=max(part.wait_s for part in parts),
        prepare_s=max(part.prepare_s for part in parts),
        run_s=max(part.run_s for part in parts),
        service_s=max(part.service_s for part in parts),
        latency_s=max(latencies_s, default=max(0.0, now - job.submitted_at)),
        fidelity=judgement.fidelity,
        fidelity_kind=judgement.kind,
        fidelity_floor=judgement.floor,
        score=judgement.score,
        energy_j=sum(part.energy_j for part in parts),
        cost_usd=sum(part.cost_usd for part in parts),
        method="+".join(sorted({part.method for part in parts})),
        approximate=any(part.approximate for part in parts),
        device_s=_longest(part.device_s for part in parts),
        queue_s=_longest(part.queue_s for part in parts),
        at=min((part.at for part in parts if part.at is not None), default=None),
        times=Times.EMULATED if latencies_s else Times.WALL,
        energy_model=models.pop() if len(models) == 1 else "mixed",
        pair_fidelity=parts[0].pair_fidelity if len(parts) == 1 else None,
        links=parts[0].links if len(parts) == 1 else (),
    )
    memory = [run.memory for run in runs if run.memory is not None]
    compiled = {a.backend: run.compiled for a, run in zip(assignments, runs, strict=True) if run.compiled is not None}
    return Result(
        job_id=job.id,
        placement=placement(job, assignments),
        estimate=together([(a.amount, a.estimate) for a in assignments]),
        measurement=measurement,
        counts=merged_counts(assignments, runs),
        outcome=judged.outcome,
        memory=tuple(shot for part in memory for shot in part) if memory else None,
        compiled=compiled or None,
    )


def _by_canaries(assignments: Sequence[Assignment], parts: Sequence[Measurement]) -> Judgement | None:
    """The mean over the shots, where every share was judged by canaries: merged counts say no more than each did."""
    found = [(a.shots, part.fidelity) for a, part in zip(assignments, parts, strict=True) if part.fidelity is not None]
    if len(found) < len(parts) or {part.fidelity_kind for part in parts} != {"canary"}:
        return None
    shots = sum(number for number, _ in found)
    return Judgement(sum(number * fidelity for number, fidelity in found) / shots, "canary")


def merged_counts(assignments: Sequence[Assignment], runs: Sequence[Run]) -> Counts:
    """Counts of all shares together; of items, those of the last share: their circuits differ."""
    return runs[-1].counts if assignments[-1].items else merge(*(run.counts for run in runs))


def judged_alone(run: Run) -> Judged:
    """What is known of a job that is one run."""
    found = run.measurement
    judgement = Judgement(found.fidelity, found.fidelity_kind, found.score, None, found.fidelity_floor)
    return Judged(judgement, run.outcome)


def placement(job: Job, assignments: Sequence[Assignment]) -> Placement:
    """Where the job went, as its submitter sees it."""
    shares = tuple(Share(a.backend, a.shots, a.state, a.num_tries, a.estimate, a.wait_s, a.items) for a in assignments)
    return Placement("pin" if job.spec.pin else job.spec.policy, assignments[0].decision, shares)


def together(shares: Sequence[tuple[int, Estimate]]) -> Estimate:
    """Estimate of parallel shares, given with their size: the longest time, the mean fidelity, the sum of the rest.

    Intervals are of one share alone: those of several say nothing of how far the whole may be off.
    """
    if len(shares) == 1:
        return shares[0][1]
    shots = sum(number for number, _ in shares)
    return Estimate(
        service_s=max(estimate.service_s for _, estimate in shares),
        fidelity=sum(number * estimate.fidelity for number, estimate in shares) / shots,
        energy_j=sum(estimate.energy_j for _, estimate in shares),
        cost_usd=sum(estimate.cost_usd for _, estimate in shares),
        num_observations=min(estimate.num_observations for _, estimate in shares),
        queue_s=_longest(estimate.queue_s for _, estimate in shares),
        device_s=_longest(estimate.device_s for _, estimate in shares),
        prepare_s=max(estimate.prepare_s for _, estimate in shares),
    )


def _longest(times_s: Iterable[float | None]) -> float | None:
    """The longest of those that are known."""
    return max((time_s for time_s in times_s if time_s is not None), default=None)

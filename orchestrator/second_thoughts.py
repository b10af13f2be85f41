"""What waits for a slot is thought about again, while it has not begun. Pure.

Where a job goes is decided when it arrives; what arrives after it, and what is measured since, is not known then. A
policy that wants to (:class:`orchestrator.placement.Reconsidering`) is told what stands in the queues whenever it is
asked, and is asked again about the most urgent of the jobs that it has placed, one by one: where would this one go now,
were it not there? What would go elsewhere is moved. Only what moves is written down.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from orchestrator.choosing import Chooser
from orchestrator.deciding import Decided, Scene, parts_of, request_of
from orchestrator.job import Assignment, AssignmentState, Failure, JobSpec
from orchestrator.lifecycle import unwanted
from orchestrator.placement import Backlog, Instead, Queued, Scales
from orchestrator.preparer import Known
from orchestrator.runtime import RuntimeFailure
from orchestrator.store import Waiting

MOST_QUEUED = 64
"""Jobs in the queues that a policy is told of, the most urgent ones (ours)."""

MOST_ASKED = 16
"""Of these, so many are asked about again at a time (ours)."""

MOST_PARTS = 8
"""A job that was placed so often stays where it is (ours): nothing goes back and forth for ever."""

LEAST_WAIT_S = 0.1
"""What is expected to wait no longer than that stays, too (ours): to think and to move take milliseconds."""


def standing(jobs: Iterable[Waiting]) -> list[Waiting]:
    """Those of these jobs that wait for a slot in one part, as if they waited for a place, in order of service."""
    found = []
    for one in jobs:
        parts = [part for part in one.parts if part.state is not AssignmentState.REPLACED]
        if len(parts) == 1 and parts[0].state is AssignmentState.WAITING and not one.job.to_place:
            (part,) = parts
            job = replace(one.job, to_place=part.amount)
            found.append((part.rank, part.id, Waiting(job, one.parts, moving=(part.id,))))
    return [one for *_, one in sorted(found, key=lambda entry: entry[:2])]


def queue_of(stand: Iterable[Waiting], scales: Scales) -> tuple[Queued, ...]:
    """What policies are told of them."""
    return tuple(_queued(_part(one), one.job.spec, scales) for one in stand)


def _part(one: Waiting) -> Assignment:
    """The part that waits."""
    return next(part for part in one.parts if part.id in one.moving)


def _queued(part: Assignment, spec: JobSpec, scales: Scales) -> Queued:
    return Queued(part.backend, part.rank, part.estimate.service_s, spec.objective.latency / scales.latency_s)


def second_thoughts(
    stand: Sequence[tuple[Waiting, Known | RuntimeFailure]], decided: Iterable[Decided], scene: Scene, chooser: Chooser
) -> list[Decided]:
    """What of these is to go elsewhere, and where.

    Args:
        stand: in order of service.   decided: what was placed since, which the backlog has and its queue has not.
        scene: its backlog is left as it is.
    """
    asked = [(one, known) for one, known in stand if _may_move(one, scene, chooser)]
    backlog, found = scene.backlog.copy(), list[Decided]()
    for new in decided if asked else ():
        _line_up(backlog, new, chooser.scales)
    for one, known in asked[:MOST_ASKED]:
        part = _part(one)
        beside = backlog.without(_queued(part, one.job.spec, chooser.scales))
        if isinstance(known, RuntimeFailure) or beside.wait_s(part.backend) <= LEAST_WAIT_S:
            continue
        better = _elsewhere(one, part.backend, known, replace(scene, backlog=beside), chooser)
        if better is not None:
            found.append(better)
            _line_up(beside, better, chooser.scales)
            backlog = beside
    return found


def _line_up(backlog: Backlog, one: Decided, scales: Scales) -> None:
    """Have what was decided stand in the queue."""
    news = (_queued(part, one.chosen.request.spec, scales) for part in one.parts)
    backlog.queue = tuple(sorted((*backlog.queue, *news), key=lambda queued: queued.rank))


def _may_move(one: Waiting, scene: Scene, chooser: Chooser) -> bool:
    """Whether its policy wants to be asked, and nothing was bought or put aside for it, or has failed there."""
    part = _part(one)
    device = scene.fleet.devices.get(part.backend)
    if device is None or device.remote or part.prior.pairs or part.failure is not None:
        return False
    free = not one.job.spec.pin and not unwanted(one.job) and len(one.parts) < MOST_PARTS
    return free and chooser.reconsiders(one.job.spec.policy)


def _elsewhere(one: Waiting, there: str, known: Known, scene: Scene, chooser: Chooser) -> Decided | None:
    """The other place that its policy has for it now, booked on the backlog; None where it stays."""
    request = request_of(one, known, scene)
    if isinstance(request, Failure):
        return None
    for chosen in chooser.choose([request], scene.backlog, {}):
        others = set(chosen.choice) - {there}
        near = all(not scene.fleet.devices[name].remote for name in others)
        if others and near and not isinstance(chosen.choice, Instead):
            parts = parts_of(request, chosen.choice, known, scene)
            if not isinstance(parts, Failure) and not any(part.prior.pairs for part in parts):
                return Decided(chosen, parts, known[0].group, one.moving, again=True)
    return None

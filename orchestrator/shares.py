"""From a choice to assignments: what a job needs to be placed at all, and the shares it is placed as. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from orchestrator.errors import NoFeasibleBackend, PlacementError
from orchestrator.job import Assignment, AssignmentState, Estimate
from orchestrator.placement import Backlog, Candidate, Choice, Request, sooner_s, split_amount
from orchestrator.preparation import ProgramFacts


def check_feasible(request: Request, facts: ProgramFacts) -> None:
    """Make sure that a policy has something to choose from.

    Raises:
        NoFeasibleBackend: every candidate, or one that the job is pinned to, is excluded.
        PlacementError: the job cannot be shared as its pin or ``max_parts`` wants.
    """
    spec = request.spec
    known = {candidate.backend: candidate.rejections for candidate in request.candidates}
    absent = {name: ("no worker has announced it",) for name in (*spec.allow, *spec.pin) if name not in known}
    blocked_pin = any(known.get(name, absent.get(name)) for name in spec.pin)
    if blocked_pin or not request.feasible:
        wanted = set(spec.pin) or set(spec.allow) or set(known)
        raise NoFeasibleBackend({name: why for name, why in (known | absent).items() if why and name in wanted})
    num, instead = (len(spec.pin), "pin it to one") if spec.pin else (spec.max_parts, "leave max_parts at 1")
    if facts.adaptive and not facts.num_items and num > 1:
        raise PlacementError(
            f"{facts.group} chooses its next circuits from the last counts, so its shots cannot be shared by "
            f"{num} backends; {instead}"
        )
    if len(spec.pin) > request.amount:
        raise PlacementError(
            f"{facts.group} has work for {request.amount} at most, which cannot be divided between {num} backends; "
            f"{instead}"
        )


def missing_items(num_items: int, parts: Iterable[Assignment]) -> tuple[tuple[int, int], ...]:
    """Stretches of items that none of these parts is, in order; one that was replaced is none, either."""
    found, behind = [], 0
    there = (part for part in parts if part.state is not AssignmentState.REPLACED)
    for first, last in [*sorted(part.items or (0, num_items) for part in there), (num_items, num_items)]:
        if first > behind:
            found.append((behind, first))
        behind = last
    return tuple(found)


def divided(request: Request, choice: Choice) -> Iterator[tuple[str, int, tuple[int, int] | None]]:
    """Each part's backend, how much it is, and its items, if it is divided by these; each part is one stretch."""
    left = list(request.items)
    for backend, amount in sorted(split_amount(request.amount, choice).items()):
        if not request.items:
            yield backend, amount, None
            continue
        while amount:
            first, last = left.pop(0)
            end = min(last, first + amount)
            yield backend, end - first, (first, end)
            amount -= end - first
            if end < last:
                left.insert(0, (end, last))


Sized = Callable[[Candidate, int], tuple[Estimate, Estimate]]
"""Prior and estimate of so many shots, or items, on a candidate."""


def assignments_of(request: Request, choice: Choice, backlog: Backlog, sized: Sized) -> list[Assignment]:
    """The shares of a choice, booked on the backlog.

    Raises:
        PlacementError: the choice is none of the feasible candidates, has more parts than the job allows, or goes too
            far before others.
    """
    candidates = {candidate.backend: candidate for candidate in request.feasible}
    strangers = sorted(set(choice) - set(candidates))
    if strangers or not choice:
        raise PlacementError(
            f"policy {request.spec.policy!r} chose {strangers or 'nothing'} for job {request.job_id}; "
            f"feasible are {sorted(candidates)}"
        )
    if not request.spec.pin and len(choice) > request.spec.max_parts:
        raise PlacementError(
            f"policy {request.spec.policy!r} chose {len(choice)} backends for job {request.job_id}, "
            f"which may be shared by {request.spec.max_parts} at most"
        )
    parts, order = [], request.rank - sooner_s(choice)
    for index, (backend, amount, items) in enumerate(divided(request, choice), start=request.num_parts):
        candidate = candidates[backend]
        wait_s = backlog.wait_s(backend)
        before, estimate = sized(candidate, amount)
        parts.append(
            Assignment(
                id=f"{request.job_id}-{index}",
                job_id=request.job_id,
                backend=backend,
                shots=amount if items is None else request.spec.shots,
                rank=order,
                prior=before,
                estimate=estimate,
                wait_s=wait_s,
                decision=0,
                target_version=candidate.target_version,
                placed_at=0.0,
                items=items,
            )
        )
        backlog.add(backend, estimate.service_s)
    return parts

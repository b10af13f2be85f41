"""What a contest comes to: each policy's means over seeds with intervals, paired differences, and regret. Pure.

An interval is that of the mean over seeds, 95 %, by Student's t: jobs of one seed stand in each other's way, so seeds
are what is independent. A difference is paired: the same jobs at the same times.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from policies.arena import Ended, World
from workers.compare.contest import BASELINE, Played

LEVEL = 0.95


@dataclass(frozen=True)
class Mean:
    """A mean over seeds with its interval; None of a single seed."""

    value: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Score:
    """One policy in one world.

    Attributes:
        cost, latency_s, fidelity, energy_j, cost_usd: means over the jobs.   makespan_s: until the last result.
        num_failed: jobs that could not be placed.
        num_floors: placed jobs with a ``min_fidelity``.   num_broken: of those, with a worse result.
        best: mean cost of the best schedule known.   bound: no schedule's is lower.
    """

    policy: str
    seed: int
    num_jobs: int
    cost: float
    latency_s: float
    fidelity: float
    energy_j: float
    cost_usd: float
    makespan_s: float
    num_failed: int
    num_floors: int
    num_broken: int
    best: float | None = None
    bound: float | None = None


@dataclass(frozen=True)
class Standing:
    """One policy over all seeds.

    Attributes:
        cost, latency_s, fidelity, energy_j, cost_usd: means over the jobs.
        against: mean cost less that of `BASELINE` on the same seeds; None where that did not play.
        regret: mean cost over that of the best schedule known, less one.   beyond_bound: likewise, of the bound.
        makespan_s: until the last result.
        below_floor: share of the jobs with a ``min_fidelity`` whose result was worse; None where no job has one.
        failed: share of the jobs that could not be placed.
    """

    policy: str
    num_seeds: int
    num_jobs: int
    cost: Mean
    latency_s: Mean
    fidelity: Mean
    energy_j: Mean
    cost_usd: Mean
    makespan_s: Mean
    failed: float
    against: Mean | None = None
    regret: Mean | None = None
    beyond_bound: Mean | None = None
    below_floor: float | None = None


def mean(values: Sequence[float]) -> Mean:
    """Of one value per seed."""
    from scipy.special import stdtrit

    middle = math.fsum(values) / len(values)
    if len(values) < 2:
        return Mean(middle)
    variance = math.fsum((value - middle) ** 2 for value in values) / (len(values) - 1)
    half = float(stdtrit(len(values) - 1, (1 + LEVEL) / 2)) * math.sqrt(variance / len(values))
    return Mean(middle, middle - half, middle + half)


def scores(game: Played) -> list[Score]:
    """One world's scores, one per policy."""
    return [_score(policy, game) for policy in game.ends]


def standings(found: Sequence[Score]) -> list[Standing]:
    """Every policy's standing, the cheapest first."""
    policies = list(dict.fromkeys(one.policy for one in found))
    made = [_standing([one for one in found if one.policy == policy], found) for policy in policies]
    return sorted(made, key=lambda one: one.cost.value)


def _score(policy: str, game: Played) -> Score:
    ends, tasks = game.ends[policy], game.world.tasks
    means = {
        name: math.fsum(getattr(end, name) for end in ends) / len(ends)
        for name in ("cost", "latency_s", "fidelity", "energy_j", "cost_usd")
    }
    floors = _broken(game.world, ends)
    return Score(
        policy=policy,
        seed=game.seed,
        num_jobs=len(ends),
        makespan_s=max(task.at_s + end.latency_s for task, end in zip(tasks, ends, strict=True)),
        num_failed=sum(bool(end.failure) for end in ends),
        num_floors=len(floors),
        num_broken=sum(floors),
        best=game.best.mean_cost if game.best else None,
        bound=game.best.bound if game.best else None,
        **means,
    )


def _standing(mine: Sequence[Score], everybody: Sequence[Score]) -> Standing:
    """A policy's standing among all."""
    baseline = {one.seed: one.cost for one in everybody if one.policy == BASELINE}
    paired = [one.cost - baseline[one.seed] for one in mine if one.seed in baseline]
    num_jobs, num_floors = sum(one.num_jobs for one in mine), sum(one.num_floors for one in mine)
    figures = {
        name: mean([getattr(one, name) for one in mine])
        for name in ("cost", "latency_s", "fidelity", "energy_j", "cost_usd", "makespan_s")
    }
    return Standing(
        policy=mine[0].policy,
        num_seeds=len(mine),
        num_jobs=num_jobs,
        failed=sum(one.num_failed for one in mine) / num_jobs,
        against=mean(paired) if paired else None,
        regret=_over([(one.cost, one.best) for one in mine]),
        beyond_bound=_over([(one.cost, one.bound) for one in mine]),
        below_floor=sum(one.num_broken for one in mine) / num_floors if num_floors else None,
        **figures,
    )


def _over(pairs: Sequence[tuple[float, float | None]]) -> Mean | None:
    """How far costs are above the least, as a share of it; None where there is nothing to compare with."""
    if not all(least is not None and least > 0.0 for _, least in pairs):
        return None
    return mean([cost / least - 1.0 for cost, least in pairs if least])


def _broken(world: World, ends: Sequence[Ended]) -> list[bool]:
    """Of each placed job with a floor: whether its result was worse, beyond what so few shots measure of any device."""
    found = []
    for task, end in zip(world.tasks, ends, strict=True):
        least = task.spec.limits.min_fidelity
        if least is not None and end.choice:
            reachable = max(task.runs[name].fidelity_floor or 1.0 for name in end.choice)
            found.append(end.fidelity / reachable < least)
    return found

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
class Standing:
    """One policy.

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


def standings(games: Sequence[Played]) -> list[Standing]:
    """Every policy's standing, the cheapest first."""
    found = [_standing(policy, games) for policy in games[0].ends]
    return sorted(found, key=lambda one: one.cost.value)


def per_job(ends: Sequence[Ended], figure: str) -> float:
    """Mean of a figure over the jobs."""
    return math.fsum(getattr(end, figure) for end in ends) / len(ends)


def _standing(policy: str, games: Sequence[Played]) -> Standing:
    mine = [game.ends[policy] for game in games]
    costs = [per_job(ends, "cost") for ends in mine]
    figures = {
        name: mean([per_job(ends, name) for ends in mine]) for name in ("latency_s", "fidelity", "energy_j", "cost_usd")
    }
    paired = [
        cost - per_job(game.ends[BASELINE], "cost")
        for cost, game in zip(costs, games, strict=True)
        if BASELINE in game.ends
    ]
    return Standing(
        policy=policy,
        num_seeds=len(games),
        num_jobs=sum(map(len, mine)),
        cost=mean(costs),
        makespan_s=mean([_makespan_s(game.world, game.ends[policy]) for game in games]),
        failed=_share([bool(end.failure) for ends in mine for end in ends]) or 0.0,
        against=mean(paired) if paired else None,
        regret=_over(costs, [game.best.mean_cost for game in games if game.best]),
        beyond_bound=_over(costs, [game.best.bound for game in games if game.best]),
        below_floor=_share([broken for game in games for broken in _broken(game.world, game.ends[policy])]),
        **figures,
    )


def _over(costs: Sequence[float], least: Sequence[float]) -> Mean | None:
    """How far costs are above the least, as a share of it; None where that is nothing to compare with."""
    if len(least) < len(costs) or min(least) <= 0.0:
        return None
    return mean([cost / low - 1.0 for cost, low in zip(costs, least, strict=True)])


def _share(found: Sequence[bool]) -> float | None:
    return sum(found) / len(found) if found else None


def _makespan_s(world: World, ends: Sequence[Ended]) -> float:
    return max(task.at_s + end.latency_s for task, end in zip(world.tasks, ends, strict=True))


def _broken(world: World, ends: Sequence[Ended]) -> list[bool]:
    """Of each placed job with a floor: whether its result was worse, beyond what so few shots measure of any device."""
    found = []
    for task, end in zip(world.tasks, ends, strict=True):
        least = task.spec.limits.min_fidelity
        if least is not None and end.choice:
            reachable = max(task.runs[name].fidelity_floor or 1.0 for name in end.choice)
            found.append(end.fidelity / reachable < least)
    return found

"""Policies side by side in worlds made of recorded runs: how a world is made, what is played, what comes of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean

import numpy as np

from backends.backend import Device
from circuits.seeds import derive
from orchestrator.cost_model.model import CostModel
from orchestrator.errors import InvalidJob
from orchestrator.fleet import Fleet
from orchestrator.job import JobSpec, Measurement, Times
from orchestrator.placement import Lane, Policy, Scales, ruled_out
from orchestrator.preparer import Known
from policies.arena import LOOK_S, Ended, Task, World, as_itself, on_its_clock, play
from policies.oracle import Hindsight, hindsight, least_span_s
from workers.compare.recording import Recorded, work_key
from workers.compare.workload import Arrival

LOADS = {"light": 0.3, "medium": 0.7, "overload": 1.5}
"""Utilisation: the shortest time in which the fleet could do all work, over the time in which it arrives (ours)."""

BURST = 3.0
"""Mean number of jobs that a user submits at once (ours)."""

BASELINE = "eft"
"""Whom the others are compared with, pair by pair of seeds."""


def fleet_of(
    devices: Mapping[str, Device], lanes: Sequence[Lane] = (), *, slots: int = 1, times: Times = Times.EMULATED
) -> Fleet:
    """A fleet of a world.

    Args:
        devices: by name.   lanes: workers of what runs here; by default one that serves it all, with so many slots.
        times: emulated: an emulated QPU takes its own time and queues alone; wall: it is a simulation that runs here.
    """
    own = as_itself if times is Times.EMULATED else lambda device: device
    known = {name: own(device) for name, device in sorted(devices.items())}
    alone = [name for name, device in known.items() if device.kind == "emulated_qpu" and device.cost_curve is None]
    here = tuple(name for name in known if name not in alone)
    shared = tuple(lanes) or ((Lane("here", slots, here),) if here else ())
    return Fleet(known, (*shared, *(Lane(name, 1, (name,)) for name in alone)), frozenset())


def world_of(
    arrivals: Sequence[Arrival],
    known: Mapping[tuple[str, int], Recorded],
    fleet: Fleet,
    *,
    seed: int,
    load: str,
    scales: Scales,
    look_s: float = LOOK_S,
) -> World:
    """A world of as many jobs.

    Users come as a Poisson process does and submit bursts of `BURST` jobs in the mean; the time over which they come
    follows from the load. A job that nothing of the fleet can run and have judged is left out; one of the others comes
    again in its place, with another seed.

    Args:
        arrivals: the jobs; when they arrive counts no more.
        known: what was recorded of them, by :func:`workers.compare.recording.work_key`.

    Raises:
        InvalidJob: the fleet can run nothing of the workload.
    """
    fit = [one.spec for one in arrivals if _runs(one.spec, known, fleet)]
    if not fit:
        raise InvalidJob(f"no program of the workload can be run and judged on {', '.join(fleet.devices)}")
    specs = [replace(fit[number % len(fit)], seed=derive(seed, "job", number)) for number in range(len(arrivals))]
    runs = [_runs(spec, known, fleet) for spec in specs]
    span_s = least_span_s(fleet.lanes, [{name: run.service_s for name, run in mine.items()} for mine in runs])
    times_s = _bursts(len(specs), seed, span_s / LOADS[load])
    tasks = (
        Task(at_s, spec, _within(known[work_key(spec)], fleet), mine)
        for at_s, spec, mine in zip(times_s, specs, runs, strict=True)
    )
    return World(fleet, tuple(tasks), scales, look_s)


def _runs(spec: JobSpec, known: Mapping[tuple[str, int], Recorded], fleet: Fleet) -> dict[str, Measurement]:
    """One recorded run of a job on each backend that it may go to; which one follows from its seed."""
    found = {}
    for name, runs in known[work_key(spec)].runs.items():
        if name in fleet.devices and not any(ruled_out(spec, name)):
            run = runs[derive(spec.seed, name) % len(runs)]
            found[name] = run if fleet.devices[name].cost_curve else on_its_clock(run)
    return found


def _within(recorded: Recorded, fleet: Fleet) -> Known:
    facts, fits = recorded.known
    return facts, {name: fits[name] for name in fleet.devices}


def _bursts(num_jobs: int, seed: int, horizon_s: float) -> list[float]:
    """When each job arrives, in order."""
    generator = np.random.default_rng((seed, num_jobs))
    ends = np.cumsum(generator.geometric(1.0 / BURST, num_jobs))
    burst = np.searchsorted(ends, np.arange(num_jobs), side="right")
    times_s = np.sort(generator.uniform(0.0, horizon_s, int(burst[-1]) + 1))
    return [float(time_s) for time_s in times_s[burst]]


@dataclass(frozen=True)
class Played:
    """One world under every policy.

    Attributes:
        ends: policy -> the end of each task.   best: in hindsight; None where nobody has looked for it.
    """

    seed: int
    world: World
    ends: Mapping[str, tuple[Ended, ...]]
    best: Hindsight | None = None


def played(seed: int, world: World, policies: Mapping[str, Policy], model: CostModel | None = None) -> Played:
    """Let each policy play a world.

    Args:
        model: what each of them knows before the first job; nothing by default.
    """
    return Played(seed, world, {name: tuple(play(world, policy, model)[0]) for name, policy in policies.items()})


def with_hindsight(game: Played) -> Played:
    """With the best placement in hindsight, which is at least as good as what any policy did with whole jobs."""
    best = hindsight(game.world, whole(game))
    cheapest = min(_whole_plays(game), key=_mean_cost, default=())
    if cheapest and _mean_cost(cheapest) < best.mean_cost:  # one that moved what waited found what the search did not
        places = tuple(next(iter(end.choice)) for end in cheapest)
        best = Hindsight("played", places, tuple(end.cost for end in cheapest), best.bound)
    return replace(game, best=best)


def _mean_cost(ends: Sequence[Ended]) -> float:
    return fmean(end.cost for end in ends)


def whole(game: Played) -> list[list[str]]:
    """The placements that shared no job's shots and refused none."""
    return [[next(iter(end.choice)) for end in mine] for mine in _whole_plays(game)]


def _whole_plays(game: Played) -> list[tuple[Ended, ...]]:
    return [mine for mine in game.ends.values() if all(len(end.choice) == 1 for end in mine)]

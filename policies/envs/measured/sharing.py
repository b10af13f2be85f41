"""What jobs do to each other on workers that share a machine, and what else they wait for, fitted from measurements.

All of it is ours. A job takes longer while others run on the same cores: by how much is seen where the same work was
measured several times on the same backend, beside other workers that were busy when it began and beside fewer,

    ln service = ln service alone + sum_j slowed_ij busy_j,        slowed_ij >= 0, by least squares within these groups,

for a job of worker i and each other worker j. Who is busy later counts only as far as it goes along with who was busy
at first, there as in the world that is made of it. Workers that do not share cores, such as those of real devices, are
fitted to slow nobody. The *trip* is what of a latency is neither waiting nor service: messages, the store, the result.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from scipy.optimize import nnls

from orchestrator.placement import Lane
from policies.table import Array

if TYPE_CHECKING:
    from policies.envs.measured.twin import Measured

LEAST_REPEATED = 20
"""A lane with fewer jobs that were measured before says too little of the others (ours)."""


def lane_of(backend: str, lanes: Sequence[Lane]) -> int | None:
    """Number of the first lane that serves a backend, if any does."""
    return next((number for number, lane in enumerate(lanes) if backend in lane.backends), None)


def slowed_of(lanes: Sequence[Lane], measured: Iterable[Measured]) -> Array:
    """How much longer a job of a lane takes for each other that is busy, ln of the factor, (num_lanes, num_lanes)."""
    slowed = np.zeros((len(lanes), len(lanes)))
    for number, (busy, log_s) in _repeated(lanes, measured).items():
        if len(log_s) >= LEAST_REPEATED:
            slowed[number], _ = nnls(busy, log_s)
    return slowed


def _repeated(lanes: Sequence[Lane], measured: Iterable[Measured]) -> dict[int, tuple[Array, Array]]:
    """By lane, of what was measured several times: who was busy, (n, num_lanes), and ln service, (n,), about means."""
    groups = defaultdict[tuple[tuple[str, int], str], list["Measured"]](list)
    for one in measured:
        groups[one.work, one.backend].append(one)
    rows = defaultdict[int, list[Array]](list)
    for (_, backend), mine in groups.items():
        number = lane_of(backend, lanes)
        if number is not None and len(mine) > 1:
            seen = np.array([[*_busy(one, lanes), math.log(max(one.service_s, 1e-9))] for one in mine])
            rows[number].extend(seen - seen.mean(axis=0))
    return {number: (np.array(found)[:, :-1], np.array(found)[:, -1]) for number, found in rows.items()}


def _busy(one: Measured, lanes: Sequence[Lane]) -> list[bool]:
    return [lane.worker in one.busy for lane in lanes]


def longer(one: Measured, lanes: Sequence[Lane], slowed: Array) -> float:
    """By what factor others made it take longer."""
    number = lane_of(one.backend, lanes)
    return 1.0 if number is None else math.exp(float(slowed[number] @ np.array(_busy(one, lanes), dtype=np.float64)))


def alone(one: Measured, lanes: Sequence[Lane], slowed: Array) -> Measured:
    """What would have been measured, had no other lane been busy."""
    return one._replace(service_s=one.service_s / longer(one, lanes, slowed))


def trips_of(measured: Iterable[Measured], num: int) -> Array:
    """As many trips, seconds, evenly out of what was found, by time, (num,); 0 where none is known."""
    found = [one.trip_s for one in measured if one.trip_s is not None]
    return np.quantile(found, np.linspace(0.0, 1.0, num)) if found else np.zeros(num)


def busy_beside(
    begun_s: Mapping[int, float], ended_s: Mapping[int, float], worker: Mapping[int, str]
) -> dict[int, frozenset[str]]:
    """For each job the workers other than its own that ran one when it began; all by job, times on one clock."""
    names, jobs = sorted(set(worker.values())), list(begun_s)
    at = np.array([begun_s[job] for job in jobs])
    running = {}
    for name in names:
        mine = [job for job in jobs if worker[job] == name]
        begun, ended = (np.sort([each[job] for job in mine]) for each in (begun_s, ended_s))
        running[name] = np.searchsorted(begun, at, "right") > np.searchsorted(ended, at, "right")
    return {
        job: frozenset(name for name in names if name != worker[job] and running[name][number])
        for number, job in enumerate(jobs)
    }

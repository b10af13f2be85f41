"""A twin of what was measured: jobs as they were told to a policy, and how outcomes are spread around estimates.

A job of the twin is a request of a decision log, with every candidate as it was. What comes of it on a backend:

- where the same program and shots were measured on that backend, those measurements, with the spread of repeated runs;
- elsewhere its estimate, off by what another estimate of that backend was off by (of all backends, where it has few);
- longer on a lane that shares its cores with others that are busy when it begins; and with a trip beside it: what is
  neither waiting nor service, such as messages and the store (:mod:`policies.envs.measured.sharing`).

All are ours. Errors are drawn as they were found: of time, fidelity and energy together. :func:`error` holds a twin
against outcomes that it has not seen. The file is a safetensors file; nothing is unpickled.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load as read_tensors
from safetensors.torch import save as write_tensors
from torch import Tensor

from circuits.errors import InvalidParameter
from circuits.parameters import short
from orchestrator.job import Estimate
from orchestrator.placement import Lane, Request, Scales
from policies.envs.documents import check_keys
from policies.envs.measured import division
from policies.envs.measured.division import Division
from policies.envs.measured.sharing import alone, lane_of, longer, slowed_of, trips_of
from policies.table import HUGE, Table

BUILT_IN = "recorded"
"""The twin that comes with qorch: recorded runs of the mixed workload on nine simulators and six emulated QPUs."""

DIVIDED = "divided"
"""Another one, of batches that may be divided between the classical algorithm, simulators and an emulated QPU."""

WIDER = "wider"
"""The first one with larger jobs among its own, which keep a simulator busy for 0.05 to 2 s."""

OURS = (BUILT_IN, DIVIDED, WIDER)

FORMAT = 2
"""Files of format 1 know nothing of what lanes do to each other, nor of trips: there nobody is slowed, or on a trip."""

POOL = 64
"""Errors that are kept of a backend."""

FEW = 8
"""A backend with fewer measurements takes the errors of all."""

MOST_BYTES = 2**28


class Measured(NamedTuple):
    """How one job ended on one backend.

    Attributes:
        fidelity: None where nobody could judge.   busy: workers that were busy when it began, its own left out.
        trip_s: of its latency, what was neither waiting nor service; None where that is not known.
    """

    work: tuple[str, int]
    backend: str
    estimate: Estimate
    service_s: float
    fidelity: float | None
    energy_j: float
    busy: frozenset[str] = frozenset()
    trip_s: float | None = None


@dataclass(frozen=True)
class Twin:
    """Jobs (R) and places (E); float32 but for ``feasible``.

    Attributes:
        backends, lanes: names, and the workers that serve them.   scales: of the cost.
        weights: of latency, energy, fidelity, price, (R, 4).   priority, deadline_s: (R,).
        feasible: bool (R, E).   elapsed_s, service_s, fidelity, energy_j, cost_usd, num_observations, width: as they
            were told, by each job's caution, (R, E).
        errors: what estimates were off by, (E, POOL, 3): ln of time, difference of fidelity, ln of energy.
        own: the same of each job on each place where it was measured, else not a number, (R, E, 3).
        repeats: standard deviation of repeated runs, (3,).
        slowed: ln of the factor by which a job on a lane takes longer for each other lane busy when it begins, (L, L).
        trips_s: what of a latency was neither waiting nor service, (POOL,).
        division: how jobs may be divided; None where none of them may.
    """

    backends: tuple[str, ...]
    lanes: tuple[Lane, ...]
    scales: Scales
    weights: Tensor
    priority: Tensor
    deadline_s: Tensor
    feasible: Tensor
    elapsed_s: Tensor
    service_s: Tensor
    fidelity: Tensor
    energy_j: Tensor
    cost_usd: Tensor
    num_observations: Tensor
    width: Tensor
    errors: Tensor
    own: Tensor
    repeats: Tensor
    slowed: Tensor
    trips_s: Tensor
    division: Division | None = None

    @property
    def lane(self) -> Tensor:
        """Number of the first lane that serves each place, int64 (E,)."""
        return torch.tensor([lane_of(name, self.lanes) for name in self.backends])

    def taking(self, num_places: int) -> Twin:
        """With the places alone that take most jobs.

        Raises:
            InvalidParameter: there are not so many.
        """
        if num_places > len(self.backends):
            raise InvalidParameter(
                f"servers: wanted at most {len(self.backends)}, which the twin has, got {num_places}"
            )
        most = torch.argsort(self.feasible.sum(0), descending=True, stable=True)[:num_places].sort().values
        rows = self.feasible[:, most].any(1)
        held = {name: getattr(self, name)[rows] for name in OF_JOBS}
        held |= {name: getattr(self, name)[rows][:, most] for name in OF_PAIRS}
        names = tuple(self.backends[place] for place in most.tolist())
        parts = self.division and self.division.taking(rows, most)
        return replace(self, backends=names, **held, errors=self.errors[most], division=parts)


OF_JOBS = ("weights", "priority", "deadline_s")
OF_PAIRS = (
    "feasible",
    "elapsed_s",
    "service_s",
    "fidelity",
    "energy_j",
    "cost_usd",
    "num_observations",
    "width",
    "own",
)
OF_MACHINE = ("slowed", "trips_s")
HELD = (*OF_JOBS, *OF_PAIRS, "errors", "repeats", *OF_MACHINE)


# ── fitted ────────────────────────────────────────────────────────────────────────────────────────────────────────────
def work_of(request: Request) -> tuple[str, int]:
    """What decides how a job runs, apart from its seed."""
    return request.spec.program.content_hash(), request.spec.shots


def fit(
    requests: Sequence[Request],
    lanes: Sequence[Lane],
    scales: Scales,
    measured: Sequence[Measured],
    merge_s: float = 0.0,
) -> Twin:
    """A twin of a log.

    Args:
        requests: as they were told to policies.   measured: whatever of them, or of others like them, has ended.
        merge_s: how much later than its last part a divided job ends.

    Raises:
        InvalidParameter: there is no request, or nothing was measured.
    """
    if not requests or not measured:
        raise InvalidParameter(
            f"source: wanted decisions and measurements to make a twin of, got {len(requests)} and {len(measured)}; "
            "run some jobs there first"
        )
    table = Table.of(requests, scales)
    served = {name for lane in lanes for name in lane.backends}
    lanes = (*lanes, *(Lane(name, 1, (name,)) for name in table.backends if name not in served))
    slowed = slowed_of(lanes, measured)
    measured = [alone(one, lanes, slowed) for one in measured]
    pairs = _told(table) | {"own": _own(requests, table, measured)}
    limits = [request.spec.limits.deadline_s for request in requests]
    weights = [table.weights(name)[:, 0] for name in ("latency", "energy", "fidelity", "price")]
    jobs = {
        "weights": np.stack(weights, -1),
        "priority": [request.spec.priority for request in requests],
        "deadline_s": [math.inf if limit is None else limit for limit in limits],
        "repeats": _repeats(measured),
        "errors": _errors(table.backends, measured),
        "slowed": slowed,
        "trips_s": trips_of(measured, POOL),
    }
    held = {
        name: torch.as_tensor(np.asarray(value, dtype=np.float32 if name != "feasible" else np.bool_))
        for name, value in {**pairs, **jobs}.items()
    }
    return Twin(table.backends, tuple(lanes), scales, **held, division=Division.of(table, merge_s))


def _told(table: Table) -> dict[str, np.ndarray]:
    """What is told of each candidate."""
    told = {"feasible": table.feasible, "elapsed_s": table.elapsed_s, "service_s": table.service_s}
    told |= {name: np.minimum(table.figure(name), HUGE) for name in ("fidelity", "energy_j", "cost_usd")}
    told |= {"num_observations": table.num_observations, "width": table.widths}
    return {name: np.clip(value, -1e30, 1e30) if name != "feasible" else value for name, value in told.items()}


def _off(one: Measured, told_s: float, told_fidelity: float, told_j: float) -> list[float]:
    """What an estimate was off by."""
    lost = 0.0 if one.fidelity is None else one.fidelity - told_fidelity
    return [_log_ratio(one.service_s, told_s), lost, _log_ratio(one.energy_j, told_j)]


def _log_ratio(measured: float, told: float) -> float:
    return math.log(measured / told) if measured > 0.0 and told > 0.0 else 0.0


def _errors(backends: Sequence[str], measured: Sequence[Measured]) -> np.ndarray:
    """A pool of each backend, (E, POOL, 3), evenly out of what was found, by time."""
    found = [
        (one.backend, _off(one, one.estimate.service_s, one.estimate.fidelity, one.estimate.energy_j))
        for one in measured
    ]
    pools = []
    for name in backends:
        mine = [error for backend, error in found if backend == name]
        mine = sorted(mine if len(mine) >= FEW else [error for _, error in found])
        at = np.linspace(0.0, len(mine) - 1, POOL).round().astype(int)
        pools.append([mine[place] for place in at])
    return np.array(pools)


def _own(requests: Sequence[Request], table: Table, measured: Sequence[Measured]) -> np.ndarray:
    """What each job's estimates are off by where just that was measured, (R, E, 3); else not a number."""
    known: dict[tuple[tuple[str, int], str], list[Measured]] = {}
    for one in measured:
        known.setdefault((one.work, one.backend), []).append(one)
    own = np.full((*table.feasible.shape, 3), np.nan)
    for row, request in enumerate(requests):
        work = work_of(request)
        for column, name in enumerate(table.backends):
            estimate = table.candidates[row * len(table.backends) + column].estimate
            offs = [
                _off(one, estimate.service_s, estimate.fidelity, estimate.energy_j)
                for one in known.get((work, name), ())
            ]
            if offs and table.feasible[row, column]:
                own[row, column] = np.mean(offs, axis=0)
    return own


def _repeats(measured: Sequence[Measured]) -> np.ndarray:
    """Standard deviation of runs of the same program and shots on the same backend, within pairs."""
    groups: dict[tuple[tuple[str, int], str], list[list[float]]] = {}
    for one in measured:
        figures = [math.log(max(one.service_s, 1e-9)), one.fidelity or 0.0, math.log(max(one.energy_j, 1e-12))]
        groups.setdefault((one.work, one.backend), []).append(figures)
    spreads = [np.var(mine, axis=0, ddof=1) for mine in groups.values() if len({each[0] for each in mine}) > 1]
    return np.sqrt(np.median(spreads, axis=0)) if spreads else np.zeros(3)


# ── joined ────────────────────────────────────────────────────────────────────────────────────────────────────────────
def joined(first: Twin, other: Twin) -> Twin:
    """Jobs of both on the places and lanes of the first.

    What a place's estimates are off by is, half and half, what they are off by in each; what a job of the other took on
    places that the first has not is left out, and so is a job that no place takes, then.

    Raises:
        InvalidParameter: one of them has jobs that may be divided.
    """
    if first.division or other.division:
        raise InvalidParameter("twin: wanted two whose jobs are whole, got one with jobs that may be divided")
    shared = [name for name in first.backends if name in other.backends]
    here = [first.backends.index(name) for name in shared]
    there = [other.backends.index(name) for name in shared]
    rows = other.feasible[:, there].any(1)
    held = {name: torch.cat([getattr(first, name), getattr(other, name)[rows]]) for name in OF_JOBS}
    for name in OF_PAIRS:
        mine, its = getattr(first, name), getattr(other, name)[rows]
        nothing = math.nan if name == "own" else 0
        spread = mine.new_full((len(its), *mine.shape[1:]), nothing)
        spread[:, here] = its[:, there]
        held[name] = torch.cat([mine, spread])
    errors = first.errors.clone()
    errors[here] = torch.cat([first.errors[here, ::2], other.errors[there, 1::2]], dim=1)
    return replace(first, **held, errors=errors, repeats=(first.repeats + other.repeats) / 2)


# ── held against what it has not seen ─────────────────────────────────────────────────────────────────────────────────
class Error(NamedTuple):
    """How a twin foretells service times: of measurements that it has not seen, and the same of bare estimates.

    Attributes:
        ratio: median of measured / median drawn.   off: median of its logarithm, without sign.
        coverage: share of the measurements inside of the 90 % of what is drawn.   estimates_off: of estimates alone.
        unslowed_off: ``off``, were no lane slowed by others.   trip_ratio: ``ratio`` of trips; 1 where none is known.
    """

    num_measured: int
    ratio: float
    off: float
    coverage: float
    estimates_off: float
    unslowed_off: float
    trip_ratio: float


def error(twin: Twin, unseen: Sequence[Measured], requests: Sequence[Request]) -> Error:
    """Hold a twin against measurements of other runs.

    A job that the twin has is taken to be known there as the twin's is; another one as its estimate says.
    """
    known: dict[tuple[str, int], int] = {}
    for number, request in enumerate(requests):
        known[work_of(request)] = number  # the last time that it was told is the best known
    ratios, inside, bare, unslowed = [], [], [], []
    for one in unseen:
        row = known.get(one.work)
        if one.backend not in twin.backends or one.estimate.service_s <= 0.0:
            continue
        column = twin.backends.index(one.backend)
        own = math.nan if row is None else twin.own[row, column, 0].item()
        if row is None or math.isnan(own):
            drawn = twin.errors[column, :, 0].numpy() + math.log(one.estimate.service_s)
        else:
            told_s = twin.service_s[row, column].item()
            spread = max(twin.repeats[0].item(), 1e-6)
            drawn = math.log(max(told_s, 1e-12)) + own + spread * np.linspace(-1.645, 1.645, POOL) / 0.9
        found = math.log(one.service_s)
        unslowed.append(abs(found - np.median(drawn)))
        drawn = drawn + math.log(longer(one, twin.lanes, twin.slowed.numpy()))
        low, middle, high = np.quantile(drawn, [0.05, 0.5, 0.95])
        ratios.append(found - middle)
        inside.append(low <= found <= high)
        bare.append(abs(found - math.log(one.estimate.service_s)))
    if not ratios:
        raise InvalidParameter("unseen: wanted measurements on the twin's places, got none")
    median = float(np.median(ratios))
    off, estimates_off, unslowed_off = (float(np.median(np.abs(each))) for each in (ratios, bare, unslowed))
    trip_s, drawn_s = float(np.median(trips_of(unseen, POOL))), float(twin.trips_s.median())
    return Error(
        num_measured=len(ratios),
        ratio=math.exp(median),
        off=off,
        coverage=float(np.mean(inside)),
        estimates_off=estimates_off,
        unslowed_off=unslowed_off,
        trip_ratio=trip_s / drawn_s if drawn_s > 0.0 else 1.0,
    )


# ── on disk ───────────────────────────────────────────────────────────────────────────────────────────────────────────
def save(twin: Twin, path: Path) -> None:
    """Write it down."""
    scales = {item.name: getattr(twin.scales, item.name) for item in fields(Scales)}
    lanes = [{"worker": lane.worker, "slots": lane.slots, "backends": list(lane.backends)} for lane in twin.lanes]
    about = {"format": FORMAT, "backends": list(twin.backends), "lanes": lanes, "scales": scales}
    held = {name: getattr(twin, name).contiguous() for name in HELD} | (twin.division.held() if twin.division else {})
    held["about"] = torch.tensor(list(json.dumps(about, sort_keys=True).encode()), dtype=torch.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(write_tensors(held))


def load(source: str) -> Twin:
    """The built-in twin, or one of a file.

    Raises:
        InvalidParameter: there is none, or it is none of ours.
    """
    is_ours = source in OURS
    path = Path(str(files("policies.envs.measured") / f"{source}.safetensors")) if is_ours else Path(source)
    if not path.is_file():
        raise InvalidParameter(
            f"source: wanted {', '.join(OURS)}, or a file that `qorch twin` wrote, got {short(source)}"
        )
    stamp = path.stat()
    if stamp.st_size > MOST_BYTES:
        raise InvalidParameter(f"{path}: wanted at most {MOST_BYTES} bytes, got {stamp.st_size}")
    return _load(path, stamp.st_mtime_ns)


@cache
def _load(path: Path, _changed: int) -> Twin:
    try:
        held: Mapping[str, Tensor] = read_tensors(path.read_bytes())
        about = json.loads(bytes(held["about"].tolist()))
        if about["format"] not in (1, FORMAT):
            raise InvalidParameter(f"{path}: format: wanted 1 or {FORMAT}, got {short(about['format'])}")
        if about["format"] == 1:
            num_lanes = len(about["lanes"])
            held = {**held, "slowed": torch.zeros(num_lanes, num_lanes), "trips_s": torch.zeros(POOL)}
        some = HELD if set(division.HELD).isdisjoint(held) else (*HELD, *division.HELD)
        required = {*some, "about"}
        check_keys(str(path), held, required=required, known=required)
        lanes = tuple(Lane(one["worker"], one["slots"], tuple(one["backends"])) for one in about["lanes"])
        tensors, parts = {name: held[name] for name in HELD}, Division.read(held)
        twin = Twin(tuple(about["backends"]), lanes, Scales(**about["scales"]), **tensors, division=parts)
        _check_shapes(twin)
        return twin
    except (SafetensorError, ValueError, LookupError, TypeError) as problem:
        raise InvalidParameter(
            f"{path}: wanted a twin as `qorch twin` writes it, got something else: {problem}"
        ) from problem


def _check_shapes(twin: Twin) -> None:
    num_jobs, num_places = twin.feasible.shape
    wanted: dict[str, tuple[int, ...]] = dict.fromkeys(OF_JOBS, (num_jobs,))
    wanted |= dict.fromkeys(OF_PAIRS, (num_jobs, num_places))
    wanted |= {"weights": (num_jobs, 4), "own": (num_jobs, num_places, 3)}
    wanted |= {"errors": (len(twin.backends), POOL, 3), "repeats": (3,)}
    wanted |= {"slowed": (len(twin.lanes), len(twin.lanes)), "trips_s": (POOL,)}
    found = {name: getattr(twin, name) for name in wanted}
    if twin.division:
        wanted |= {"amount": (num_jobs,), "first": (num_jobs, num_places, 4), "merge_s": ()}
        found |= twin.division.held()
    for name, shape in wanted.items():
        if tuple(found[name].shape) != shape:
            raise ValueError(f"{name}: wanted shape {shape}, got {tuple(found[name].shape)}")
    _ = twin.lane

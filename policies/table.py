"""A batch of requests as arrays, made once, and the work that is booked while it is decided.

What is worked out here is what :meth:`orchestrator.placement.Request.cost` and :class:`orchestrator.placement.Backlog`
say one by one, to the last bit: the same operations on the same numbers in the same order.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from operator import attrgetter

import numpy as np
from numpy.typing import NDArray

from orchestrator.job import Estimate, Interval, Intervals
from orchestrator.placement import Backlog, Candidate, Request, Scales, figures

Array = NDArray[np.float64]

HUGE = 1e150
"""What stands for a figure that is no finite number: worse than any other, and still a number after a weight."""

_NOWHERE = Interval(math.nan, math.nan)
_UNKNOWN = Intervals(_NOWHERE, _NOWHERE, _NOWHERE, _NOWHERE)
_NOTHING = Estimate(0.0, 0.0, 0.0, 0.0)


@dataclass(frozen=True)
class Table:
    """A batch as arrays; a row is a job, a column a backend.

    Attributes:
        backends: in the order of their names, so that the first of equals is the one that ``min`` by name takes.
        candidates: of all rows, one after the other.
        feasible: whether the job may go there.   bool (num_jobs, num_backends)
    """

    requests: Sequence[Request]
    scales: Scales
    backends: tuple[str, ...]
    candidates: Sequence[Candidate]
    feasible: NDArray[np.bool_]

    @staticmethod
    def of(requests: Sequence[Request], scales: Scales) -> Table:
        """Read a batch. What a request does not name as a candidate is infeasible for it."""
        backends = sorted({one.backend for request in requests[:1] for one in request.candidates})
        rows = [request.candidates for request in requests]
        if any([one.backend for one in row] != backends for row in rows):
            backends = sorted({one.backend for row in rows for one in row})
            rows = [_in_order(row, backends) for row in rows]
        flat = [one for row in rows for one in row]
        feasible = np.array([not one.rejections for one in flat], dtype=np.bool_)
        return Table(requests, scales, tuple(backends), flat, feasible.reshape(len(rows), len(backends)))

    def take(self, rows: Sequence[int]) -> Table:
        """The table of these rows alone."""
        if len(rows) == len(self.requests):
            return self
        width = len(self.backends)
        candidates = [one for row in rows for one in self.candidates[row * width : (row + 1) * width]]
        return Table([self.requests[row] for row in rows], self.scales, self.backends, candidates, self.feasible[rows])

    @cached_property
    def _estimates(self) -> list[Estimate]:
        return [one.estimate for one in self.candidates]

    @cached_property
    def order(self) -> list[int]:
        """Rows in the order in which they are served."""
        return sorted(range(len(self.requests)), key=lambda row: (self.requests[row].rank, self.requests[row].seq))

    @cached_property
    def service_s(self) -> Array:
        """Seconds of work to book, (num_jobs, num_backends)."""
        return self.read(attrgetter("service_s"))

    @cached_property
    def num_observations(self) -> Array:
        """Measurements behind each estimate, (num_jobs, num_backends)."""
        return self.read(attrgetter("num_observations"))

    @cached_property
    def widths(self) -> Array:
        """Width of the elapsed time's interval, ln(bad / good), (num_jobs, num_backends); 0 where none is known."""

        def width(one: Estimate) -> float:
            ends = one.intervals and one.intervals.elapsed_s
            return math.log(ends.high / ends.low) if ends and 0.0 < ends.low <= ends.high < math.inf else 0.0

        return self.read(width)

    @cached_property
    def elapsed_s(self) -> Array:
        """Seconds from start to result by each job's caution, (num_jobs, num_backends)."""
        return self.figure("elapsed_s")

    @cached_property
    def ends_s(self) -> Array:
        """The same; infinite where a job may not go."""
        return np.where(self.feasible, self.elapsed_s, np.inf)

    @cached_property
    def rest(self) -> Array:
        """Cost of everything but time, (num_jobs, num_backends); infinite where a job may not go."""
        return np.where(self.feasible, self.priced(self.figure), np.inf)

    def priced(self, figure: Callable[[str], Array]) -> Array:
        """Cost of everything but time, (num_jobs, num_backends), by the jobs' own weights.

        Args:
            figure: asked for what matters to any of them by its name in :class:`orchestrator.placement.Figures`.
        """
        scales, total = self.scales, np.zeros(self.feasible.shape)
        if (weights := self.weights("energy")).any():
            total = weights * figure("energy_j") / scales.energy_j
        if (weights := self.weights("fidelity")).any():
            total = total + weights * (1.0 - figure("fidelity")) / scales.infidelity
        if (weights := self.weights("price")).any():
            total = total + weights * figure("cost_usd") / scales.price_usd
        return np.asarray(total)

    def timed(self, latency_s: Array) -> Array:
        """Cost of such times, (num_jobs, num_backends)."""
        return np.asarray(self.weights("latency") * latency_s / self.scales.latency_s)

    @cached_property
    def own(self) -> Array:
        """Cost of the estimates alone, without any waiting, (num_jobs, num_backends); infinite where none may go."""
        return self.rest + self.timed(self.elapsed_s)

    @cached_property
    def own_ends(self) -> tuple[Array, Array]:
        """The same at the good and at the bad ends of all intervals; not a number where there are none."""
        intervals = [one.intervals or _UNKNOWN for one in self._estimates]

        def at(fidelity: str, others: str) -> Array:
            def end(name: str) -> Array:
                return self._raw(map(attrgetter(f"{name}.{fidelity if name == 'fidelity' else others}"), intervals))

            return self.priced(end) + self.timed(end("elapsed_s"))

        return at("high", "low"), at("low", "high")

    def costs(self, row: int, waits_s: Array) -> Array:
        """Cost of one job on every backend after so much waiting, (num_backends,); infinite where it may not go."""
        request = self.requests[row]
        latency_s = request.waited_s + waits_s + self.elapsed_s[row]
        return np.asarray(self.rest[row] + request.spec.objective.latency * latency_s / self.scales.latency_s)

    def weights(self, name: str) -> Array:
        """A weight of the jobs' objectives, (num_jobs, 1)."""
        weights = map(attrgetter(f"spec.objective.{name}"), self.requests)
        return np.fromiter(weights, np.float64, len(self.requests)).reshape(-1, 1)

    def read(self, of: Callable[[Estimate], float], bad: float = HUGE) -> Array:
        """A figure of every estimate, (num_jobs, num_backends): ``bad`` where it is no number, 0 where none may go."""
        found = self._raw(map(of, self._estimates))
        if not np.isfinite(found).all():
            found[~np.isfinite(found)] = bad
        return np.where(self.feasible, found, 0.0)

    def _raw(self, values: Iterable[float]) -> Array:
        """A number for every candidate, row by row, as (num_jobs, num_backends)."""
        return np.fromiter(values, np.float64, len(self.candidates)).reshape(self.feasible.shape)

    def figure(self, name: str) -> Array:
        """A figure of every estimate by each job's caution, by its name in :class:`orchestrator.placement.Figures`."""
        cautions, bad = self.weights("caution").ravel(), -HUGE if name == "fidelity" else HUGE
        if not cautions.any():
            return self.read(attrgetter(name), bad)
        of_each = iter(np.repeat(cautions, len(self.backends)).tolist())
        return self.read(lambda one: getattr(figures(one, next(of_each)), name), bad)


def _in_order(row: Sequence[Candidate], backends: Sequence[str]) -> tuple[Candidate, ...]:
    known = {one.backend: one for one in row}
    return tuple(
        known.get(name) or Candidate(name, _NOTHING, _NOTHING, 0.0, "", ("no candidate",)) for name in backends
    )


class Booking:
    """A :class:`Backlog` by columns: how long a job waits on each backend at this point of the batch.

    Attributes:
        waits_s: on each backend, seconds.   float64 (num_backends,)
    """

    def __init__(self, backends: Sequence[str], backlog: Backlog) -> None:
        self._backlog, self._backends = backlog, backends
        columns = {backend: column for column, backend in enumerate(backends)}
        self._beside: dict[str, tuple[int, ...]] = {}
        """Backend -> the columns whose wait changes with what is booked there."""
        for backend in backends:
            lanes = [lane for lane in backlog.lanes if backend in lane.backends]
            beside = {columns[one] for lane in lanes for one in lane.backends if one in columns}
            self._beside[backend] = tuple(sorted(beside))
        self.waits_s: Array = np.array([backlog.wait_s(backend) for backend in backends], dtype=np.float64)

    def add(self, column: int, service_s: float) -> None:
        """Book ``service_s`` seconds of work."""
        backend = self._backends[column]
        self._backlog.add(backend, service_s)
        for one in self._beside[backend]:
            self.waits_s[one] = self._backlog.wait_s(self._backends[one])

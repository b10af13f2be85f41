"""The store's figures in the words of Prometheus: ``GET /metrics`` and ``qorch metrics``.

Gauges and counters are read from the store, so every process of a cluster shows the same and a restart changes
nothing: scrape one of them, or take the maximum. Histograms are folded from what was measured and decided since the
exporter began, up to a cursor that it keeps in memory; they begin anew with their process, which Prometheus expects of
counters. Labels are states, backends, workers and reasons alone, never a job, so the number of series stays small.

A decision that is committed after one with a higher number may be missed by its histogram.
"""

from __future__ import annotations

import math
import threading
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate
from typing import TypeVar

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

from orchestrator.census import INCIDENTS, LABELS, Census, CensusStore, Sample
from orchestrator.job import FINAL_JOB_STATES, JobState

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

GONE_S = 3600.0
"""A worker that was silent for so long is shown no more (ours): names of workers may be used once only."""

PAGE = 5000
"""Entries of a log that are read together."""

T = TypeVar("T")

_TIMES_S = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0)
_DECISIONS_S = (0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0)
_LOG_RATIOS = (0.05, 0.1, 0.2, 0.4, 0.7, 1.0, 1.5, 2.0, 3.0)
_INFIDELITIES = (0.003, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)

_OF_SAMPLES: dict[str, tuple[str, Sequence[float], Callable[[Sample], float | None]]] = {
    "qorch_wait_seconds": ("From placement to start, of finished assignments.", _TIMES_S, lambda one: one.wait_s),
    "qorch_service_seconds": (
        "From start to result: what the backend was busy with an assignment.",
        _TIMES_S,
        lambda one: one.service_s,
    ),
    "qorch_latency_seconds": (
        "From submission of the job to the result of an assignment.",
        _TIMES_S,
        lambda one: one.latency_s,
    ),
    "qorch_service_prediction_error": (
        "How far the predicted service time was off: |log(measured / predicted)|, dimensionless.",
        _LOG_RATIOS,
        lambda one: _log_ratio(one.service_s, one.expected_s),
    ),
    "qorch_fidelity_prediction_error": (
        "How far the predicted fidelity was off: |measured - predicted|, where it could be measured.",
        _INFIDELITIES,
        lambda one: None if one.fidelity is None else abs(one.fidelity - one.expected_fidelity),
    ),
}


class _Histogram:
    """Counts of values up to each bound, and their sum."""

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self._sum = 0.0

    def add(self, value: float) -> None:
        self._counts[bisect_left(self._bounds, value)] += 1
        self._sum += value

    def into(self, family: HistogramMetricFamily, labels: Sequence[str]) -> None:
        names = [*(f"{bound:g}" for bound in self._bounds), "+Inf"]
        family.add_metric(labels, list(zip(names, accumulate(self._counts), strict=True)), self._sum)


class Exporter:
    """The figures of one store. Safe to use from several threads."""

    def __init__(self, store: CensusStore, *, behind: int = 0) -> None:
        """Begin with what is measured from now on, or with the last ``behind`` measurements and decisions.

        Raises:
            StoreUnavailable: the store does not answer.
        """
        self._store = store
        measured, decided = store.ends()
        self._measured, self._decided = max(0, measured - behind), max(0, decided - behind)
        self._decisions = _Histogram(_DECISIONS_S)
        self._samples: dict[tuple[str, str], _Histogram] = {}
        self._lock = threading.Lock()

    def text(self) -> bytes:
        """Everything in Prometheus' text format. Raises: StoreUnavailable."""
        return self.text_of(self.families())

    @staticmethod
    def text_of(families: Sequence[Metric]) -> bytes:
        """These families in Prometheus' text format."""
        registry = CollectorRegistry(auto_describe=False)
        registry.register(_Families(families))
        return generate_latest(registry)

    def families(self) -> list[Metric]:
        """Everything, family by family. Raises: StoreUnavailable."""
        census = self._store.census(gone_s=GONE_S)
        with self._lock:
            self._fold()
            return [*_gauges(census), *_counters(census), *self._histograms()]

    def _fold(self) -> None:
        for number, sample in _pages(self._store.samples, self._measured):
            self._measured = number
            for name, (_, bounds, value_of) in _OF_SAMPLES.items():
                value = value_of(sample)
                if value is not None:
                    key = name, sample.backend
                    if key not in self._samples:
                        self._samples[key] = _Histogram(bounds)
                    self._samples[key].add(value)
        for number, decide_s in _pages(self._store.decision_times, self._decided):
            self._decided = number
            self._decisions.add(decide_s)

    def _histograms(self) -> Iterator[Metric]:
        family = HistogramMetricFamily("qorch_decision_seconds", "Time to decide on one job, an equal part of a batch.")
        self._decisions.into(family, [])
        yield family
        for name, (what, _, _) in _OF_SAMPLES.items():
            family = HistogramMetricFamily(name, what, labels=["backend"])
            for (of, backend), histogram in sorted(self._samples.items()):
                if of == name:
                    histogram.into(family, [backend])
            yield family


class _Families:
    """What a registry asks for its metrics."""

    def __init__(self, families: Sequence[Metric]) -> None:
        self._families = families

    def collect(self) -> Sequence[Metric]:
        return self._families


def _gauges(census: Census) -> Iterator[Metric]:
    jobs = GaugeMetricFamily("qorch_jobs", "Jobs in the store by state.", labels=["state"])
    for known in JobState:
        jobs.add_metric([known.value], census.jobs.get(known.value, 0))
    yield jobs
    depth = GaugeMetricFamily(
        "qorch_queue_depth", "Assignments that wait for a backend, run or were sent.", labels=["backend", "state"]
    )
    backlog = GaugeMetricFamily(
        "qorch_backlog_seconds", "Expected service time of what waits for a backend or runs there.", labels=["backend"]
    )
    found = {(queue.backend, queue.state): queue for queue in census.queues}
    served = {backend for one in census.workers for backend in one.backends}
    for backend in sorted(served | {queue.backend for queue in census.queues}):  # an empty queue is shown, too
        here = {state: found.get((backend, state)) for state in ("waiting", "running", "sent")}
        for state, queue in here.items():
            depth.add_metric([backend, state], queue.number if queue else 0)
        backlog.add_metric([backend], sum(one.service_s for one in here.values() if one and one.state != "sent"))
    yield depth
    yield backlog
    worker_gauges: tuple[tuple[str, str, Callable[..., float]], ...] = (
        ("qorch_worker_heartbeat_age_seconds", "Since a worker was last heard of.", lambda one: one.silent_s),
        ("qorch_worker_slots", "Assignments that a worker runs at the same time.", lambda one: one.slots),
        ("qorch_worker_backends", "Backends that a worker serves.", lambda one: len(one.backends)),
    )
    for name, what, value_of in worker_gauges:
        family = GaugeMetricFamily(name, what, labels=["worker"])
        for one in census.workers:
            family.add_metric([one.worker], value_of(one))
        yield family


def _counters(census: Census) -> Iterator[Metric]:
    ended = CounterMetricFamily(
        "qorch_jobs_ended", "Jobs that ended, by state; those since removed too.", labels=["state"]
    )
    for final in sorted(state.value for state in FINAL_JOB_STATES):
        ended.add_metric([final], census.jobs.get(final, 0) + census.pruned.get(final, 0))
    yield ended
    for kind, what in INCIDENTS.items():
        family = CounterMetricFamily(f"qorch_{kind}", what, labels=[LABELS.get(kind, "backend")])
        found = {label: number for (of, label), number in census.incidents.items() if of == kind}
        for label, number in sorted((found or {"": 0}).items()):
            family.add_metric([label], number)
        yield family


def _pages(read: Callable[[int, int], list[tuple[int, T]]], after: int) -> Iterator[tuple[int, T]]:
    while page := read(after, PAGE):
        yield from page
        after = page[-1][0]
        if len(page) < PAGE:
            return


def _log_ratio(measured: float, predicted: float) -> float | None:
    return abs(math.log(measured / predicted)) if measured > 0.0 and predicted > 0.0 else None

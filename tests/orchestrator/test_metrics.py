"""What monitoring sees: rare events counted once, for ever; histograms of what is new; text that Prometheus reads."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

pytest.importorskip("prometheus_client", reason="pip install 'qorch[server]'")

from prometheus_client.parser import text_string_to_metric_families

from orchestrator.job import Assignment, Failure, Job, JobState, Measurement
from orchestrator.lifecycle import Broken, Completed, Orphaned, Returned
from orchestrator.metrics import Exporter
from orchestrator.sql.store import SqlStore
from orchestrator.store import Announcement, Ending, Placed
from orchestrator.telemetry import Observation

AER = "aer_statevector"
TRANSIENT = Failure("execute", "worker_lost", "the child died", transient=True)
Labels = tuple[tuple[str, str], ...]


def figures(exporter: Exporter) -> dict[tuple[str, Labels], float]:
    """Every sample of a scrape, as Prometheus' own parser reads it."""
    families = text_string_to_metric_families(exporter.text().decode())
    return {(one.name, tuple(sorted(one.labels.items()))): one.value for family in families for one in family.samples}


def value(exporter: Exporter, name: str, **labels: str) -> float:
    return figures(exporter)[name, tuple(sorted(labels.items()))]


def finished(store: SqlStore, part: Assignment, seen: Observation, measured: Measurement) -> None:
    observed = replace(seen, assignment_id=part.id, job_id=part.job_id, measurement=measured)
    store.finish([Ending(part, Completed(1.0), seen=observed)])


def test_every_rare_event_is_counted_where_it_happens(
    store: SqlStore,
    place: Callable[..., Job],
    placed_on: Callable[..., Placed],
    claim: Callable[..., Assignment],
    end: Callable[..., list[str] | None],
) -> None:
    job = place()
    end(claim(), Returned(1.0))  # nobody is to blame
    stale = claim()
    end(stale, Broken(1.0, TRANSIENT))
    assert end(stale, Completed(1.0)) is None
    claim(lease_s=-1.0)
    store.sweep(silent_s=60.0)
    end(claim(), Broken(1.0, replace(TRANSIENT, transient=False)))
    assert store.job(job.id).to_place == job.spec.shots
    store.count_incident("policy_fallbacks", "slow")
    store.count_incident("policy_fallbacks", "slow")
    exporter = Exporter(store)
    assert value(exporter, "qorch_retries_total", backend=AER) == 2
    assert value(exporter, "qorch_stale_writes_total", backend=AER) == 1
    assert value(exporter, "qorch_expired_leases_total", backend=AER) == 1
    assert value(exporter, "qorch_replacements_total", backend=AER) == 1
    assert value(exporter, "qorch_policy_fallbacks_total", reason="slow") == 2
    assert value(exporter, "qorch_batches_apart_total", backend="") == 0


def test_a_part_that_nobody_serves_is_a_replacement(
    store: SqlStore, place: Callable[..., Job], placed_on: Callable[..., Placed]
) -> None:
    job = place()
    store.place([placed_on(job, "aer_mps", instead_of=[f"{job.id}-0"])])
    assert store.assignments(job.id)[0].story[-1] == Orphaned.__name__
    assert value(Exporter(store), "qorch_replacements_total", backend=AER) == 1


def test_jobs_queues_and_workers(
    store: SqlStore,
    submit: Callable[..., Job],
    place: Callable[..., Job],
    claim: Callable[..., Assignment],
    observation: Observation,
) -> None:
    import backends

    device = backends.load(AER).device()
    store.announce("w@here", [Announcement(AER, "w@here", 3, device), Announcement("aer_mps", "w@here", 3, device)])
    submit()
    place(service_s=2.0)
    place(service_s=2.0)
    claim()
    exporter = Exporter(store)
    found = {state: value(exporter, "qorch_jobs", state=state.value) for state in JobState}
    assert {state: number for state, number in found.items() if number} == {
        JobState.SUBMITTED: 1,
        JobState.PLACED: 1,
        JobState.RUNNING: 1,
    }
    assert value(exporter, "qorch_queue_depth", backend=AER, state="waiting") == 1
    assert value(exporter, "qorch_queue_depth", backend=AER, state="running") == 1
    assert value(exporter, "qorch_queue_depth", backend="aer_mps", state="waiting") == 0, "an empty queue is shown"
    assert value(exporter, "qorch_backlog_seconds", backend=AER) == 4.0
    assert value(exporter, "qorch_worker_slots", worker="w@here") == 3
    assert value(exporter, "qorch_worker_backends", worker="w@here") == 2
    assert 0.0 <= value(exporter, "qorch_worker_heartbeat_age_seconds", worker="w@here") < 60.0


def test_histograms_take_each_measurement_once(
    store: SqlStore,
    place: Callable[..., Job],
    claim: Callable[..., Assignment],
    observation: Observation,
    measurement: Measurement,
) -> None:
    place()
    finished(store, claim(), observation, measurement)
    exporter, late = Exporter(store, behind=100), Exporter(store)
    assert value(exporter, "qorch_service_seconds_count", backend=AER) == 1
    assert ("qorch_service_seconds_count", (("backend", AER),)) not in figures(late), "it began after that"
    place()
    finished(store, claim(), observation, replace(measurement, service_s=4.0, fidelity=None))
    for _ in range(2):
        assert value(exporter, "qorch_service_seconds_count", backend=AER) == 2
        assert value(late, "qorch_service_seconds_count", backend=AER) == 1
    assert value(exporter, "qorch_service_seconds_sum", backend=AER) == 5.0
    assert value(exporter, "qorch_service_seconds_bucket", backend=AER, le="1") == 1, "a bound belongs to its bucket"
    assert value(exporter, "qorch_service_prediction_error_bucket", backend=AER, le="0.05") == 1
    assert value(exporter, "qorch_service_prediction_error_bucket", backend=AER, le="1.5") == 2, "log 4 = 1.39"
    assert value(exporter, "qorch_fidelity_prediction_error_count", backend=AER) == 1, "the other has none"
    assert value(exporter, "qorch_decision_seconds_count") == 2
    assert value(late, "qorch_decision_seconds_count") == 1


def test_what_has_ended_never_gets_less(
    store: SqlStore, submit: Callable[..., Job], spec: object, claim: Callable[..., Assignment]
) -> None:
    for _ in range(3):
        store.request_cancel(submit().id)
    exporter = Exporter(store)
    assert value(exporter, "qorch_jobs_ended_total", state="cancelled") == 3
    assert store.prune(before=store.now() + 60.0, most=2) == 2
    assert value(exporter, "qorch_jobs", state="cancelled") == 1
    assert value(exporter, "qorch_jobs_ended_total", state="cancelled") == 3


def test_no_label_tells_of_a_job(
    store: SqlStore,
    place: Callable[..., Job],
    claim: Callable[..., Assignment],
    observation: Observation,
    measurement: Measurement,
) -> None:
    job = place()
    finished(store, claim(), observation, measurement)
    exporter = Exporter(store, behind=10)
    names = {name for _, labels in figures(exporter) for name, _ in labels}
    assert names <= {"state", "backend", "worker", "reason", "kind", "le"}
    assert job.id not in exporter.text().decode()


def test_the_end_of_an_attempt_says_what_was_measured(
    store: SqlStore,
    place: Callable[..., Job],
    claim: Callable[..., Assignment],
    observation: Observation,
    measurement: Measurement,
) -> None:
    job = place()
    finished(store, claim(), observation, measurement)
    (told,) = [event for event in store.events(job.id) if event.kind == "assignment_done"]
    assert told.data == {
        "backend": AER,
        "attempt": 1,
        "service_s": 1.0,
        "wait_s": 0.0,
        "expected_s": 1.0,
        "fidelity": 0.95,
    }

"""What watches a running cluster: Prometheus, Celery's event receivers, and the log of a job."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from prometheus_client.parser import text_string_to_metric_families

from circuits.program import Program
from orchestrator import Client
from orchestrator.client import job_spec
from orchestrator.errors import JobCancelled
from orchestrator.settings import Settings
from workers.app import make_app
from workers.celery_events import MEASURED, PLACED

TIMEOUT_S = 120.0


def samples(text: str) -> dict[tuple[str, str], float]:
    """Value by name and the one label that is no bucket's bound."""
    found = {}
    for family in text_string_to_metric_families(text):
        for one in family.samples:
            if "le" not in one.labels:
                found[one.name, next(iter(one.labels.values()), "")] = one.value
    return found


def test_prometheus_reads_a_running_cluster(over_celery: Client, http_port: int, bell: Program) -> None:
    url = f"http://127.0.0.1:{http_port}/metrics"
    before = samples(httpx.get(url, timeout=TIMEOUT_S).text)
    over_celery.submit(bell, shots=10, pin="aer_mps").result(TIMEOUT_S)
    answer = httpx.get(url, timeout=TIMEOUT_S)
    after = samples(answer.text)
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    for name in ("qorch_jobs_ended_total", "qorch_service_seconds_count", "qorch_decision_seconds_count"):
        label = {"qorch_jobs_ended_total": "done", "qorch_decision_seconds_count": ""}.get(name, "aer_mps")
        assert after[name, label] >= before.get((name, label), 0.0) + 1.0, name
    workers = {label.partition("@")[0] for name, label in after if name == "qorch_worker_heartbeat_age_seconds"}
    assert {"simulators", "qpus"} <= workers


def test_the_command_prints_the_same_figures(cluster: Settings, over_celery: Client, bell: Program) -> None:
    over_celery.submit(bell, shots=10, pin="aer_mps").result(TIMEOUT_S)
    command = [sys.executable, "-m", "workers", "--data-dir", str(cluster.data_dir)]
    text = subprocess.run([*command, "metrics"], capture_output=True, text=True, check=True).stdout
    assert samples(text)["qorch_jobs_ended_total", "done"] >= 1
    assert samples(text)["qorch_service_seconds_count", "aer_mps"] >= 1, "of what was measured before, too"
    listed = json.loads(subprocess.run([*command, "--json", "metrics"], capture_output=True, check=True).stdout)
    assert {"name": "qorch_jobs_ended_total", "labels": {"state": "failed"}} in [
        {"name": one["name"], "labels": one["labels"]} for one in listed
    ]


class Heard:
    """Our events as any receiver of Celery's gets them."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        self._more = threading.Condition()

    def hear(self, event: dict[str, Any]) -> None:
        with self._more:
            self.events.append(event)
            self._more.notify_all()

    def wait_for(self, kind: str, ids: set[str]) -> None:
        with self._more:
            told = self._more.wait_for(lambda: ids <= set(self.jobs(kind)), TIMEOUT_S)
        assert told, f"no {kind} of some of {ids}"

    def jobs(self, kind: str) -> dict[str, dict[str, Any]]:
        return {job["job_id"]: job for event in self.events if event["type"] == kind for job in event["jobs"]}


@contextmanager
def celery_events(settings: Settings) -> Iterator[Heard]:
    """Listens for as long as the block lasts."""
    app = make_app(settings, settings.url or "")
    heard = Heard()
    ready, end = threading.Event(), threading.Event()

    def listen() -> None:
        with app.connection_for_read() as connection:
            receiver = app.events.Receiver(connection, handlers={PLACED: heard.hear, MEASURED: heard.hear})
            with receiver.consumer_context() as (listening, _, _):
                while not end.is_set():
                    with suppress(TimeoutError):
                        listening.drain_events(timeout=0.2)
                    ready.set()  # it has subscribed, since it has listened once

    thread = threading.Thread(target=listen)
    thread.start()
    ready.wait(TIMEOUT_S)
    try:
        yield heard
    finally:
        end.set()
        thread.join()
        app.close()


def test_celery_hears_of_what_was_placed_and_measured(cluster: Settings, over_celery: Client, bell: Program) -> None:
    with celery_events(cluster) as heard:
        jobs = over_celery.submit_many([job_spec(bell, shots=10, pin="aer_mps") for _ in range(5)])
        ids = {job.id for job in jobs}
        for kind in (PLACED, MEASURED):
            heard.wait_for(kind, ids)
    one = jobs[0].id
    assert heard.jobs(PLACED)[one] == {"job_id": one, "policy": "eft", "shares": {"aer_mps": 10}}
    measured = heard.jobs(MEASURED)[one]
    assert measured["backend"] == "aer_mps"
    assert measured["service_s"] > 0.0
    assert measured["expected_s"] > 0.0
    assert 0.0 <= measured["fidelity"] <= 1.0
    assert {event["hostname"].partition("@")[0] for event in heard.events} == {"placement", "simulators"}


def test_a_job_keeps_the_last_words_of_its_child(tmp_path: Path, slow_qasm: Path) -> None:
    settings = Settings(data_dir=tmp_path, backends=("aer_statevector",), heartbeat_s=0.5)
    before = set(psutil.Process().children(recursive=True))
    with Client(settings=settings) as client:
        job = client.submit(slow_qasm, shots=1_000_000)
        events = job.events(TIMEOUT_S)
        assert any(event.kind == "running" for event in events)
        for child in set(psutil.Process().children(recursive=True)) - before:
            child.rlimit(psutil.RLIMIT_CORE, (0, 0))
            child.send_signal(6)
        said = next(event.data for event in events if event.kind == "log")
        job.cancel()
        with pytest.raises(JobCancelled):
            job.result(TIMEOUT_S)
    assert "Fatal Python error: Aborted" in said["message"]
    assert (said["level"], said["logger"]) == ("warning", "qorch.child")
    assert said["worker"].startswith("embedded@")

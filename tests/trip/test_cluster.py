"""What a cluster adds: Celery's own tools see it, and it outlives its parts."""

from __future__ import annotations

import json
from pathlib import Path

import psutil
import pytest
import urllib3

from circuits.program import Program
from orchestrator import Client
from orchestrator.errors import JobCancelled, ServerUnreachable
from orchestrator.settings import Settings
from workers.app import make_app
from workers.launch import running

TIMEOUT_S = 120.0


def test_flower_sees_workers_and_tasks(over_celery: Client, flower_port: int, bell: Program) -> None:
    over_celery.submit(bell, shots=10, pin="aer_mps").result(TIMEOUT_S)
    patience = urllib3.Retry(total=60, backoff_factor=0.2, backoff_max=0.5, status_forcelist=[404, 500, 502, 503])
    with urllib3.PoolManager(retries=patience) as http:
        base = f"http://127.0.0.1:{flower_port}"
        workers = json.loads(http.request("GET", f"{base}/api/workers?refresh=1").data)
        over_celery.submit(bell, shots=10, pin="aer_mps").result(TIMEOUT_S)
        tasks = json.loads(http.request("GET", f"{base}/api/tasks").data)
    assert {name.partition("@")[0] for name in workers} == {"placement", "simulators", "qpus"}
    queues = {queue["name"] for name in workers for queue in workers[name]["active_queues"]}
    assert {"placement", "backend.aer_mps", "backend.fake_guadalupe"} <= queues
    assert "qorch.execute" in {task["name"] for task in tasks.values()}


def test_celery_inspects_it(cluster: Settings) -> None:
    app = make_app(cluster, cluster.url or "")
    with app.connection_for_read() as connection:
        registered = app.control.inspect(connection=connection, timeout=5.0).registered()
    app.close()
    assert {name for names in registered.values() for name in names} == {"qorch.place", "qorch.execute"}


def test_a_second_client_re_attaches(cluster: Settings, over_celery: Client, bell: Program) -> None:
    job = over_celery.submit(bell, shots=25)
    with Client(settings=cluster) as other:
        assert sum(other.job(job.id).result(TIMEOUT_S).counts.values()) == 25


def test_nothing_answers_is_said_so(settings: Settings, tmp_path: Path) -> None:
    with pytest.raises(ServerUnreachable, match="qorch up"):
        Client(f"redis+socket://{tmp_path / 'nobody.sock'}", settings=settings)


def test_a_killed_worker_loses_no_job_and_leaves_no_process(tmp_path: Path, slow_qasm: Path, bell: Program) -> None:
    settings = Settings(data_dir=tmp_path, heartbeat_s=0.5, lease_s=2.0)
    me = psutil.Process()
    before = set(me.children(recursive=True))
    with (
        running(settings, {"one": ["aer_statevector"], "two": ["aer_statevector"]}) as url,
        Client(url, settings=settings) as client,
    ):
        job = client.submit(slow_qasm, shots=1_000_000)
        events = job.events(TIMEOUT_S)
        victim = next(event.data["worker"] for event in events if event.kind == "running")
        name = victim.partition("@")[0]
        alive = [child for child in me.children() if child.status() != psutil.STATUS_ZOMBIE]
        (process,) = [child for child in alive if {"--name", name} <= set(child.cmdline())]
        process.kill()
        assert next(event.kind for event in events if event.kind != "progress") == "assignment_released"
        assert next(event.data["worker"] for event in events if event.kind == "running") != victim, "the other took it"
        job.cancel()
        with pytest.raises(JobCancelled):
            job.result(TIMEOUT_S)
        assert sum(client.submit(bell, shots=10).result(TIMEOUT_S).counts.values()) == 10
    _, left = psutil.wait_procs(set(me.children(recursive=True)) - before, timeout=10)
    assert left == []

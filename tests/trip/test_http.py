"""The HTTP interface as a process: it ends when it is told to, and its clients outlive it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from typer.testing import CliRunner

from circuits.program import Program
from orchestrator import Client
from orchestrator.errors import JobCancelled, NotAuthorised, OrchestratorError
from orchestrator.job import FINAL_JOB_STATES, JobSpec
from orchestrator.settings import Settings
from policies.evaluate import app as evaluate

TIMEOUT_S = 120.0
QORCH = [sys.executable, "-m", "workers"]


def qorch(folder: Path, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    variables = os.environ | {"QORCH_DATA_DIR": str(folder)} | environment
    return subprocess.run([*QORCH, *words], env=variables, capture_output=True, text=True, timeout=60, check=False)


@contextmanager
def serving(folder: Path, *words: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """A server on the loopback with an engine of its own, and its address."""
    variables = os.environ | {"QORCH_DATA_DIR": str(folder), "QORCH_BACKENDS": "aer_statevector"}
    server = subprocess.Popen(
        [*QORCH, "serve", "--json", *words],
        env=variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert server.stdout is not None
    try:
        yield json.loads(server.stdout.readline())["url"], server
    finally:
        if server.poll() is None:
            server.terminate()
        server.communicate(timeout=60)


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL])
def test_a_client_that_waits_outlives_its_server(tmp_path: Path, slow_qasm: Path, end: signal.Signals) -> None:
    told: list[str] = []
    with serving(tmp_path, "--port", "0") as (url, first), Client(url, settings=Settings(patience_s=60.0)) as client:
        job = client.submit(slow_qasm, shots=1_000_000)

        def wait() -> None:
            try:
                job.result()
            except OrchestratorError as error:
                told.append(type(error).__name__)

        waiting = threading.Thread(target=wait)
        waiting.start()
        next(event for event in job.events(TIMEOUT_S) if event.kind == "running")
        first.send_signal(end)
        first.communicate(timeout=60)
        assert first.returncode == (0 if end is signal.SIGTERM else -end), "an open stream keeps no server from ending"
        with serving(tmp_path, "--port", url.rpartition(":")[2]) as (again, _):
            assert again == url
            job.cancel()
            waiting.join(TIMEOUT_S)
            assert told == ["JobCancelled"]
            with pytest.raises(JobCancelled):
                job.result(TIMEOUT_S)


def test_a_client_that_closes_wakes_who_waits(over_http: Client, cluster: Settings, slow_qasm: Path) -> None:
    told: list[str] = []
    closing = Client(str(over_http._transport._shown), settings=cluster)  # type: ignore[attr-defined]
    job = closing.submit(slow_qasm, shots=1_000_000, pin="aer_statevector")

    def wait() -> None:
        try:
            job.result()
        except OrchestratorError as error:
            told.append(type(error).__name__)

    waiting = threading.Thread(target=wait)
    waiting.start()
    closing.close()
    waiting.join(TIMEOUT_S)
    assert told == ["ClientClosed"]
    over_http.job(job.id).cancel()


def test_in_bulk(over_http: Client, bell: Program) -> None:
    transport = over_http._transport
    handles = over_http.submit_many([JobSpec(program=bell, shots=10 + number) for number in range(50)])
    ids = [handle.id for handle in over_http.as_completed(handles, timeout=TIMEOUT_S)]
    assert sorted(ids) == sorted(handle.id for handle in handles)
    results = transport.results([*ids, "nobody"])
    assert {job_id: sum(result.counts.values()) for job_id, result in results.items()} == {
        handle.id: 10 + number for number, handle in enumerate(handles)
    }
    states = transport.states([*ids, "nobody"])
    assert states.keys() == set(ids)
    assert set(states.values()) <= FINAL_JOB_STATES


def test_tokens_from_the_command_line(tmp_path: Path, bell: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    refused = qorch(tmp_path, "serve", "--host", "0.0.0.0", "--port", "0")
    assert refused.returncode == 1
    assert "qorch token add" in refused.stderr
    made = json.loads(qorch(tmp_path, "token", "add", "ada", "--project", "lab", "--json").stdout)
    assert made["token"] not in qorch(tmp_path, "token", "list", "--json").stdout
    assert "revoke" in qorch(tmp_path, "token", "add", "ada", "--project", "lab").stderr
    with serving(tmp_path, "--port", "0") as (url, _):
        with pytest.raises(NotAuthorised, match="QORCH_TOKEN"):
            Client(url, settings=Settings())
        with Client(url, settings=Settings(token=made["token"])) as client:  # type: ignore[arg-type]
            job = client.submit(bell, shots=10)
            assert sum(job.result(TIMEOUT_S).counts.values()) == 10
            assert job.status().project == "lab"
        listed = qorch(tmp_path, "jobs", "--json", QORCH_URL=url, QORCH_TOKEN=made["token"])
        assert [each["job_id"] for each in json.loads(listed.stdout)] == [job.id]
        away = qorch(tmp_path, "jobs", QORCH_URL=url)
        assert (away.returncode, away.stderr.count("\n")) == (1, 1)
        live = ["--live", url, "--policies", "greedy", "--slots", "1"]
        for token, code, said in ((made["token"], 0, "(1 jobs)"), ("another", 2, "this token is not known here")):
            monkeypatch.setattr("orchestrator.settings.settings", lambda token=token: Settings(token=token))
            done = CliRunner().invoke(evaluate, live)
            assert (done.exit_code, done.output.count("\n")) == (code, 1)
            assert said in done.output
    assert json.loads(qorch(tmp_path, "token", "revoke", "ada", "--json").stdout) == {"revoked": "ada"}
    assert qorch(tmp_path, "token", "revoke", "ada").returncode == 1


def test_a_port_that_is_taken(tmp_path: Path, http_port: int, cluster: Settings) -> None:
    taken = qorch(tmp_path, "serve", "--port", str(http_port))
    assert taken.returncode == 1
    assert "choose another --host or --port" in taken.stderr


def test_it_answers_beside_a_cluster(cluster: Settings, http_port: int) -> None:
    assert httpx.get(f"http://127.0.0.1:{http_port}/healthz", trust_env=False).json() == {"ok": True}

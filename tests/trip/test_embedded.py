"""The embedded orchestrator is durable, and shared by the processes of one machine."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest
from pydantic import SecretStr

from circuits.program import Program
from orchestrator import Client, JobHandle
from orchestrator.client import job_spec
from orchestrator.errors import JobCancelled
from orchestrator.job import JobState
from orchestrator.settings import Settings

TIMEOUT_S = 120.0

OWNER = """
import sys
from pathlib import Path
from orchestrator import Client
from orchestrator.settings import Settings

with Client(settings=Settings(data_dir=Path(sys.argv[1]), backends=("aer_statevector",), heartbeat_s=0.5)) as client:
    job = client.submit(Path(sys.argv[2]), shots=1_000_000)
    for event in job.events():
        if event.kind == "running":
            print(job.id, flush=True)
    sys.stdin.read()
"""


@contextmanager
def owner(folder: Path, program: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Another process that owns the folder and is busy with a long job; the process and the job's id."""
    process = subprocess.Popen(
        [sys.executable, "-c", OWNER, str(folder), str(program)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield process, process.stdout.readline().strip()
    finally:
        process.kill()
        process.wait()
        process.stdin.close()
        process.stdout.close()


@pytest.fixture
def small(settings: Settings) -> Settings:
    """One backend, one folder."""
    return settings.model_copy(update={"backends": ("aer_statevector",)})


def test_an_unfinished_job_goes_on_at_the_next_start(small: Settings, bell: Program) -> None:
    with Client(settings=small) as client:
        jobs = [client.submit(bell, shots=100).id for _ in range(20)]
    with Client(settings=small) as client:
        for job_id in jobs:
            assert sum(client.job(job_id).result(TIMEOUT_S).counts.values()) == 100


def wait_for(job: JobHandle, kind: str) -> None:
    """Until such a thing has happened to the job."""
    assert any(event.kind == kind for event in job.events(TIMEOUT_S)), f"{kind} never came"


def test_a_graph_goes_on_at_the_next_start(small: Settings, slow_qasm: Path, bell: Program) -> None:
    with Client(settings=small) as client:
        first = client.submit(slow_qasm, shots=1_000_000)
        other = client.submit(bell, shots=20)
        last = client.submit(bell, shots=30, after=[client.submit(bell, shots=10, after=[other]), other])
        gone = client.submit(bell, after=[first])
    with Client(settings=small) as client:
        client.job(first.id).cancel()
        with pytest.raises(JobCancelled):
            client.job(gone.id).result(TIMEOUT_S)
        assert sum(client.job(last.id).result(TIMEOUT_S).counts.values()) == 30


@pytest.mark.parametrize("fixed", [{"pin": "aer_statevector"}, {"allow": ["aer_statevector"]}], ids=["pin", "allow"])
def test_what_cannot_move_does_not_keep_others_from_moving(
    small: Settings, slow_qasm: Path, bell: Program, fixed: dict[str, Any]
) -> None:
    """More jobs than one look takes wait for a backend that was closed, and have nowhere else to go."""
    both = ("aer_statevector", "cirq_simulator")
    fleet = small.model_copy(update={"backends": (*both, "aer_mps"), "placement_batch": 2})
    with Client(settings=fleet) as client:
        slow = client.submit(slow_qasm, shots=1_000_000, pin="aer_mps")
        wait_for(slow, "running")
        client.switch("cirq_simulator", "drained")
        stuck = client.submit_many([job_spec(bell, shots=10, **fixed) for _ in range(5)])
        free = client.submit(bell, shots=20, allow=both)
        for job in (*stuck, free):
            wait_for(job, "placed")
        client.switch("cirq_simulator", "on")
        client.switch("aer_statevector", "disabled")
        slow.cancel()
        assert free.result(TIMEOUT_S / 4).placement.shares[0].backend == "cirq_simulator"
        client.switch("aer_statevector", "on")
        assert {job.result(TIMEOUT_S).placement.shares[0].backend for job in stuck} == {"aer_statevector"}


def test_work_in_progress_is_given_back_and_costs_no_attempt(small: Settings, slow_qasm: Path) -> None:
    with Client(settings=small) as client:
        job = client.submit(slow_qasm, shots=1_000_000)
        for event in job.events(TIMEOUT_S):
            if event.kind == "running":
                break
    with Client(settings=small) as client:
        kinds = [event.kind for event in client.job(job.id)._transport.events(job.id, after=0)]
        assert "assignment_released" in kinds
        client.job(job.id).cancel()
        with pytest.raises(JobCancelled):
            client.job(job.id).result(TIMEOUT_S)
        assert client._transport.assignments(job.id)[0].num_failures == 0


def test_two_processes_share_a_folder_and_the_second_inherits(small: Settings, slow_qasm: Path, bell: Program) -> None:
    with owner(small.data_dir, slow_qasm) as (process, slow_id):
        children = psutil.Process(process.pid).children()
        assert children, "the owner works through child processes"
        with Client(settings=small) as client:
            mine = client.submit(bell, shots=100)
            assert client.job(slow_id).status().state is JobState.RUNNING
            client.job(slow_id).cancel()  # reaches the other process
            assert sum(mine.result(TIMEOUT_S).counts.values()) == 100, "the owner ran it"
            last = client.submit(slow_qasm, shots=1_000_000)
            for event in last.events(TIMEOUT_S):
                if event.kind == "running":
                    break
            process.kill()
            after = client.submit(bell, shots=50)
            released = [event.kind for event in last.events(TIMEOUT_S) if _cancel_once(client, event.kind, last.id)]
            assert "assignment_released" in released
            assert sum(after.result(TIMEOUT_S).counts.values()) == 50, "this process ran it"
        _, alive = psutil.wait_procs(children, timeout=10)
        assert alive == [], "a child dies with its worker, even in the middle of a run"


def _cancel_once(client: Client, kind: str, job_id: str) -> bool:
    """Withdraw the job as soon as it has been handed on, so that the test need not wait for its end."""
    if kind == "assignment_released":
        client.job(job_id).cancel()
    return True


def test_a_closed_client_leaves_nothing_behind(small: Settings, bell: Program) -> None:
    me = psutil.Process()
    before = {child.pid for child in me.children(recursive=True)}
    threads = me.num_threads()
    with Client(settings=small) as client:
        client.submit(bell, shots=10).result(TIMEOUT_S)
    assert {child.pid for child in me.children(recursive=True)} <= before
    assert me.num_threads() <= threads


def test_the_trip_runs_on_postgresql(small: Settings, bell: Program, postgres: str) -> None:
    on_postgres = small.model_copy(update={"store_url": SecretStr(postgres)})
    with Client(settings=on_postgres) as client:
        results = list(client.map([bell] * 5, timeout=TIMEOUT_S, shots=20))
        assert [sum(result.counts.values()) for result in results] == [20] * 5
        assert client.costs()[0].num_observations == 5
    assert not (small.data_dir / "qorch.sqlite").exists()


def _lasting() -> int:
    """Threads, but for those that deliver one message and end."""
    return sum(thread.name != "qorch-bus-owed" for thread in threading.enumerate())


def test_in_one_process_the_next_client_inherits_and_the_line_does_not_grow(small: Settings, bell: Program) -> None:
    with Client(settings=small) as owner_here:
        for _ in range(3):
            with Client(settings=small) as guest:
                assert sum(guest.submit(bell, shots=10).result(TIMEOUT_S).counts.values()) == 10
        threads = _lasting()
        for _ in range(5):
            Client(settings=small).close()
        assert _lasting() <= threads, "closed clients wait for nothing"
        heir = Client(settings=small)
        owner_here.close()
        assert sum(heir.submit(bell, shots=10).result(TIMEOUT_S).counts.values()) == 10
        heir.close()

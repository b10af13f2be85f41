"""Ends that come at a bad moment: a client closed while somebody waits, children killed while they work."""

from __future__ import annotations

import threading
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from circuits.program import Program
from orchestrator import Client
from orchestrator.errors import ClientClosed, OrchestratorError
from orchestrator.job import JobSpec
from orchestrator.settings import Settings

TIMEOUT_S = 120.0


def test_a_closed_client_says_so_and_wakes_who_waits(settings: Settings, slow_qasm: Path) -> None:
    small = settings.model_copy(update={"backends": ("aer_statevector",)})
    closing = Client(settings=small)
    job = closing.submit(slow_qasm, shots=1_000_000)
    told: list[str] = []

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
    closing.close()
    for ask in (closing.jobs, closing.costs, job.status, job.cancel, lambda: closing.submit(slow_qasm)):
        with pytest.raises(ClientClosed, match="open a new one"):
            ask()


def test_children_killed_at_any_moment_lose_no_job(settings: Settings, bell: Program) -> None:
    small = settings.model_copy(update={"backends": ("aer_statevector",), "max_attempts": 20})
    with Client(settings=small) as client:
        stop = threading.Event()

        def kill() -> None:
            while not stop.wait(0.7):
                for child in psutil.Process().children():
                    with suppress(psutil.Error):  # it ended just now
                        if "workers.child" in child.cmdline():
                            child.kill()

        killer = threading.Thread(target=kill)
        killer.start()
        jobs = client.submit_many([JobSpec(program=bell, shots=100 + number) for number in range(20)])
        stop.wait(5.0)
        stop.set()
        killer.join()
        assert all(sum(job.result(TIMEOUT_S).counts.values()) == job.status().spec.shots for job in jobs)

"""Jobs that come after others, over every transport."""

from __future__ import annotations

from pathlib import Path

import pytest
from qiskit import QuantumCircuit

from circuits.program import Program
from orchestrator import Client, JobHandle
from orchestrator.client import job_spec
from orchestrator.errors import JobCancelled, JobFailed, JobNotFound
from orchestrator.job import JobState

TIMEOUT_S = 120.0
PINNED = "aer_statevector"


def told(job: JobHandle) -> dict[str, float]:
    """When each kind of thing happened to a job that ends, by the store's clock."""
    return {event.kind: event.at for event in job.events(TIMEOUT_S)}


def too_wide() -> QuantumCircuit:
    """More than any device of this fleet holds as amplitudes."""
    circuit = QuantumCircuit(30)
    for qubit in range(30):
        circuit.t(qubit)
        circuit.h(qubit)
    circuit.measure_all()
    return circuit


def test_a_diamond_runs_from_top_to_bottom(client: Client, bell: Program) -> None:
    top = client.submit(bell, shots=10, pin=PINNED)
    sides = client.submit_many([job_spec(bell, shots=20, pin=PINNED, after=[top]) for _ in range(2)])
    bottom = client.submit(bell, shots=30, pin=PINNED, after=[*sides, top.id])
    assert sum(bottom.result(TIMEOUT_S).counts.values()) == 30
    assert {job.status().state for job in (top, *sides)} == {JobState.DONE}, "it came last"
    began = {job.id: told(job)["running"] for job in (top, *sides, bottom)}
    for side in sides:
        assert told(top)["done"] <= told(side)["unblocked"] <= began[side.id]
        assert told(side)["done"] <= began[bottom.id]
    assert bottom.status().num_blockers == 0
    late = client.submit(bell, shots=40, after=[bottom])
    assert sum(late.result(TIMEOUT_S).counts.values()) == 40, "what it comes after has ended long ago"


def test_a_failure_is_handed_down_with_its_reason(client: Client, bell: Program) -> None:
    parent = client.submit(too_wide(), pin=PINNED)
    child = client.submit(bell, after=[parent])
    grandchild = client.submit(bell, after=[child])
    with pytest.raises(JobFailed) as caught:
        grandchild.result(TIMEOUT_S)
    for word in (parent.id, child.id, "comes after, failed", PINNED):
        assert word in caught.value.reason
    assert grandchild.assignments() == child.assignments() == []
    with pytest.raises(JobFailed, match=parent.id):
        client.submit(bell, after=[parent]).result(TIMEOUT_S)


def test_a_cancel_is_handed_down(client: Client, bell: Program, slow_qasm: Path) -> None:
    parent = client.submit(slow_qasm, shots=1_000_000, pin=PINNED)
    child = client.submit(bell, after=[parent])
    grandchild = client.submit(bell, after=[child])
    for event in parent.events(TIMEOUT_S):
        if event.kind == "running":
            break
    assert child.status().state is JobState.SUBMITTED
    parent.cancel()
    for job in (grandchild, child, parent):
        with pytest.raises(JobCancelled):
            job.result(TIMEOUT_S)


def test_a_child_that_is_cancelled_leaves_its_parent_alone(client: Client, bell: Program) -> None:
    parent = client.submit(bell, shots=10)
    child = client.submit(bell, after=[parent])
    other = client.submit(bell, shots=11, after=[parent])
    child.cancel()
    assert sum(parent.result(TIMEOUT_S).counts.values()) == 10
    assert sum(other.result(TIMEOUT_S).counts.values()) == 11


def test_nothing_comes_after_a_job_that_is_not_there(client: Client, bell: Program) -> None:
    before = len(client.jobs(limit=1000))
    with pytest.raises(JobNotFound) as caught:
        client.submit_many([job_spec(bell), job_spec(bell, after=["nobody"])])
    assert caught.value.job_id == "nobody"
    assert len(client.jobs(limit=1000)) == before, "nothing of it was written"

"""Backends that fail, drain and close, and many small jobs that are run together, over every transport."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from qiskit import QuantumCircuit

from circuits.program import Program
from orchestrator import Client, JobHandle, Limits
from orchestrator.client import job_spec
from orchestrator.errors import JobCancelled, JobFailed
from orchestrator.job import AssignmentState
from orchestrator.purchase import Budget
from orchestrator.sql.store import SqlStore

TIMEOUT_S = 120.0

ENDLESS = """OPENQASM 3.0;
include "stdgates.inc";
qubit[1] q;
bit[1] c;
c[0] = measure q[0];
while (!c[0]) { reset q[0]; c[0] = measure q[0]; }
"""
"""It looks like three operations and never ends."""


def wait_for(job: JobHandle, kind: str) -> None:
    """Until such a thing has happened to the job."""
    assert any(event.kind == kind for event in job.events(TIMEOUT_S)), f"{kind} never came"


@contextmanager
def busy(client: Client, program: Path) -> Iterator[None]:
    """While inside, the worker of the simulators is busy, so that what is placed there waits."""
    job = client.submit(program, shots=1_000_000, pin="aer_mps")
    wait_for(job, "running")
    try:
        yield
    finally:
        job.cancel()
        with pytest.raises(JobCancelled):
            job.result(TIMEOUT_S)


@contextmanager
def switched(client: Client, backend: str, mode: str) -> Iterator[None]:
    """While inside, an operator has switched a backend."""
    client.switch(backend, mode)
    try:
        yield
    finally:
        client.switch(backend, "on")


def wide_clifford() -> QuantumCircuit:
    """Quick for a stabilizer simulator; minutes for one that holds 2^20 amplitudes for every single shot."""
    circuit = QuantumCircuit(20, 20)
    for turn in range(10):
        for qubit in range(19):
            circuit.h(qubit)
            circuit.cx(qubit, qubit + 1)
        circuit.measure(turn, turn)
        with circuit.if_test((circuit.clbits[turn], 1)):
            circuit.x(turn)
    circuit.measure(range(20), range(20))
    return circuit


def test_what_fails_for_good_on_one_backend_is_placed_on_another(client: Client) -> None:
    """The first place breaks the hard limit; the second one keeps it with ease."""
    both, limits = ["aer_statevector", "aer_stabilizer"], Limits(timeout_s=5.0)
    with switched(client, "aer_stabilizer", "drained"):
        job = client.submit(wide_clifford(), shots=2_000, seed=5, allow=both, limits=limits)
        wait_for(job, "running")
    result = job.result(TIMEOUT_S)
    assert sum(result.counts.values()) == 2_000
    assert [share.backend for share in result.placement.shares] == ["aer_stabilizer"]
    parts = job.assignments()
    assert [(part.backend, part.state) for part in parts] == [
        ("aer_statevector", AssignmentState.REPLACED),
        ("aer_stabilizer", AssignmentState.DONE),
    ]
    assert parts[0].failure is not None
    assert (parts[0].failure.kind, parts[0].num_failures) == ("timeout", 1)
    kinds = [event.kind for event in job.events(TIMEOUT_S)]
    assert kinds == [
        "submitted",
        "placed",
        "running",
        "assignment_replaced",
        "placed",
        "running",
        "assignment_done",
        "done",
    ]
    decision = client.why(job.id)
    assert decision is not None
    (again,) = [one for one in decision.request.candidates if one.backend == "aer_statevector"]
    assert "has failed there" in again.rejections[0]
    assert "hard limit of 5 s" in again.rejections[0]
    assert result.placement.decision == decision.id
    first, last = client.explain(job.id)
    assert last.decision == decision
    assert (first.measurement, first.basis) == (None, "expected")
    assert (last.measurement, last.basis) == (result.measurement, "measured")


def test_what_fails_everywhere_says_so(client: Client) -> None:
    limits = Limits(timeout_s=1.0)
    job = client.submit(ENDLESS, shots=1, limits=limits, allow=["aer_statevector", "aer_mps"])
    with pytest.raises(JobFailed, match=r"hard limit of 1 s") as caught:
        job.result(TIMEOUT_S)
    assert {part.backend for part in job.assignments()} == {"aer_statevector", "aer_mps"}
    assert "no backend can take this job" in caught.value.reason


def test_a_drained_backend_does_what_it_has_and_gets_nothing_new(
    client: Client, slow_qasm: Path, bell: Program
) -> None:
    both = ["aer_statevector", "cirq_simulator"]
    with busy(client, slow_qasm):
        before = client.submit(bell, shots=10, allow=both[:1])
        wait_for(before, "placed")
        with switched(client, "aer_statevector", "drained"):
            moved = client.submit(bell, shots=20, allow=both)
            nowhere = client.submit(bell, shots=30, allow=both[:1])
            with pytest.raises(JobFailed, match="an operator has drained it"):
                nowhere.result(TIMEOUT_S)
            wait_for(moved, "placed")
    assert before.result(TIMEOUT_S).placement.shares[0].backend == "aer_statevector"
    assert len(before.assignments()) == 1, "it stayed where it was"
    assert moved.result(TIMEOUT_S).placement.shares[0].backend == "cirq_simulator"


def test_what_waits_for_a_disabled_backend_moves(client: Client, slow_qasm: Path, bell: Program) -> None:
    both = ["aer_statevector", "cirq_simulator"]
    with busy(client, slow_qasm):
        job = client.submit(bell, shots=25, allow=both)
        pinned = client.submit(bell, shots=15, pin=both[0])
        for one in (job, pinned):
            wait_for(one, "placed")
        first = job.assignments()[0].backend
        (other,) = set(both) - {first}
        with switched(client, first, "disabled"):
            wait_for(job, "assignment_replaced")
            assert [part.backend for part in job.assignments()] == [first, other]
    result = job.result(TIMEOUT_S)
    assert [(share.backend, share.shots) for share in result.placement.shares] == [(other, 25)]
    assert sum(result.counts.values()) == 25
    assert pinned.result(TIMEOUT_S).placement.shares[0].backend == both[0], "who is pinned waits for its place"
    assert len(pinned.assignments()) == 1


def test_the_most_urgent_goes_first_on_whichever_backend_of_a_worker_it_waits(
    client: Client, slow_qasm: Path, bell: Program
) -> None:
    one, two, three, four = "cirq_simulator", "aer_mps", "sparse", "aer_stabilizer"
    by_urgency = [one, two, three, four, two, one, four, three]  # in no order in which queues could take turns
    with busy(client, slow_qasm):
        jobs = [client.submit(bell, shots=10, pin=there, priority=n) for n, there in enumerate(reversed(by_urgency))]
        for job in jobs:
            wait_for(job, "placed")
    begun = {}
    for job in jobs:
        begun[job.id] = next(event.at for event in job.events(TIMEOUT_S) if event.kind == "running")
    assert sorted(begun, key=lambda job_id: begun[job_id]) == [job.id for job in reversed(jobs)]


def batches(jobs: list[JobHandle]) -> list[list[str]]:
    """The jobs that were claimed together: their events were written at the same moment."""
    at: dict[float, list[str]] = {}
    for job in jobs:
        for event in job.events(TIMEOUT_S):
            if event.kind == "running":
                at.setdefault(event.at, []).append(job.id)
    return [at[moment] for moment in sorted(at)]


def test_jobs_that_are_run_together_give_what_each_gives_alone(client: Client, bell: Program) -> None:
    seeds = range(40)
    alone = [client.submit(bell, shots=100, seed=seed, pin="aer_statevector") for seed in seeds[:3]]
    expected = [job.result(TIMEOUT_S).counts for job in alone]
    jobs = client.submit_many([job_spec(bell, shots=100, seed=seed, pin="aer_statevector") for seed in seeds])
    results = [job.result(TIMEOUT_S) for job in jobs]
    assert len(batches(jobs)) < len(jobs), "some were run together, or this tests nothing"
    assert [result.counts for result in results[:3]] == expected
    assert len({tuple(sorted(result.counts.items())) for result in results}) > 5, "each has its own seed"
    assert all(result.measurement.service_s >= result.measurement.run_s > 0 for result in results)


def test_an_endless_program_costs_its_neighbours_nothing(client: Client, bell: Program) -> None:
    """It looks small, so it is taken together with others; all of them have their results, it has its failure."""
    good = [job_spec(bell, shots=10 + number, seed=number, pin="aer_statevector") for number in range(8)]
    bad = job_spec(ENDLESS, shots=1, pin="aer_statevector", limits=Limits(timeout_s=1.0))
    jobs = client.submit_many([*good[:4], bad, *good[4:]])
    endless = jobs.pop(4)
    for spec, job in zip(good, jobs, strict=True):
        assert sum(job.result(TIMEOUT_S).counts.values()) == spec.shots
        (part,) = job.assignments()
        assert (part.attempt, part.num_failures) == (1, 0), "nobody is to blame but one"
    with pytest.raises(JobFailed, match=r"hard limit of 1 s"):
        endless.result(TIMEOUT_S)
    assert any(endless.id in batch and len(batch) > 1 for batch in batches([*jobs, endless])), "it was in a batch"


def test_budgets_are_shown_with_what_was_taken_from_them(client: Client, request: pytest.FixtureRequest) -> None:
    settings = request.getfixturevalue(
        "embedded_settings" if client is request.getfixturevalue("embedded") else "cluster"
    )
    assert client.budgets() == []
    with closing(SqlStore(settings.resolved_store_url)) as store:
        store.set_budget(Budget("lab", max_usd=5.0))
        store.set_budget(Budget("*", max_qpu_s=60.0))
        try:
            found = client.budgets()
        finally:
            store.set_budget(Budget("lab"))
            store.set_budget(Budget("*"))
    assert [(one.budget.project, one.budget.max_usd, one.budget.max_qpu_s) for one in found] == [
        ("*", None, 60.0),
        ("lab", 5.0, None),
    ]
    assert all((one.reserved_usd, one.spent_usd, one.spent_s) == (0.0, 0.0, 0.0) for one in found)
    assert client.budgets() == []

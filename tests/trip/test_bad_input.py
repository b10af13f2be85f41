"""What a stranger may send: it is refused in words, and the worker and the store are none the worse for it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from qiskit import QuantumCircuit

from backends.errors import BackendError
from circuits.errors import CircuitError
from circuits.program import Program
from orchestrator import Client, Limits, TranspileOptions
from orchestrator.client import JobHandle, Options
from orchestrator.errors import InvalidJob, JobFailed, JobNotFound, OrchestratorError
from orchestrator.job import FINAL_JOB_STATES, JobSpec

TIMEOUT_S = 120.0
OURS_ERRORS = (OrchestratorError, CircuitError, BackendError)
STRANGE: tuple[Any, ...] = (
    None, True, 1.5, -1, 0, 10**30, 10**400, float("nan"), float("inf"), "1", "", b"x", [], {}, [1], {"a": 1}, int,
    object(), "\0", "x" * 100_000, "\udc80", ("a", "b"), 2j, [None], [[]],
)  # fmt: skip


@pytest.fixture(autouse=True)
def the_next_good_job_works(client: Client, bell: Program) -> Iterator[None]:
    """Whatever a test did."""
    yield
    assert sum(client.submit(bell, shots=10, pin="aer_mps").result(TIMEOUT_S).counts.values()) == 10


@pytest.mark.parametrize("option", Options.__annotations__)
def test_an_option_of_the_wrong_kind_is_refused_or_means_something(client: Client, bell: Program, option: str) -> None:
    before = {job.id for job in client.jobs(limit=10_000)}
    refused = 0
    told: list[str] = []
    for value in STRANGE:
        try:
            client.submit(bell, **{option: value}).cancel()
        except OURS_ERRORS as error:
            refused += 1
            told.append(str(error))
    assert refused >= len(STRANGE) - 8
    assert all(10 < len(words) < 1_000 for words in told)
    assert len({job.id for job in client.jobs(limit=10_000)} - before) <= len(STRANGE) - refused


def test_programs_batches_and_ids_of_the_wrong_kind(client: Client) -> None:
    for value in STRANGE:
        for ask in (client.submit, client.submit_many, client.map, client.job, client.why):
            with pytest.raises(OURS_ERRORS):
                ask(value)
        with pytest.raises(OURS_ERRORS):
            client.submit_many([value])


def test_a_batch_without_end_is_refused(client: Client, bell: Program) -> None:
    spec = JobSpec(program=bell)
    with pytest.raises(InvalidJob, match="QORCH_MAX_BATCH"):
        client.submit_many(iter(lambda: spec, None))
    with pytest.raises(InvalidJob, match="at least one"):
        client.submit_many([])


def test_one_bad_job_keeps_its_whole_batch_out(client: Client, bell: Program) -> None:
    before = client.jobs(limit=1)[0].seq if client.jobs(limit=1) else 0
    good = JobSpec(program=bell, tags=("together",))
    with pytest.raises(OrchestratorError, match="eff"):
        client.submit_many([good, good, JobSpec(program=bell, policy="eff")])
    assert not [job for job in client.jobs(tag="together") if job.seq > before]


def test_who_waits_for_nobody_is_told(client: Client) -> None:
    nobody = JobHandle("nobody", client._transport)
    for ask in (nobody.result, nobody.status, nobody.cancel, lambda: next(nobody.events())):
        with pytest.raises(JobNotFound):
            ask()


@pytest.mark.parametrize("timeout", ["1", float("nan"), -1, [], True])
def test_a_time_limit_that_is_none(client: Client, bell: Program, timeout: Any) -> None:
    job = client.submit(bell, shots=10)
    for ask in (lambda: job.result(timeout), lambda: next(job.events(timeout))):
        with pytest.raises(InvalidJob, match="timeout"):
            ask()
    assert job.result(1e300).counts


def test_a_gate_that_wears_a_standard_name_is_refused(client: Client) -> None:
    inner = QuantumCircuit(1, name="h")
    inner.x(0)
    circuit = QuantumCircuit(1)
    circuit.append(inner.to_gate(), [0])
    with pytest.raises(CircuitError, match="another name"):
        client.submit(circuit)
    with pytest.raises(CircuitError, match="another name"):
        client.submit("OPENQASM 2.0; gate h a { U(pi,0,pi) a; } qreg q[1]; h q[0];")


def test_a_loop_that_never_ends_is_ended(client: Client) -> None:
    text = "OPENQASM 3.0; qubit q; bit c; c = measure q; while (c == false) { c = measure q; }"
    job = client.submit(text, limits=Limits(timeout_s=1.0), allow=["aer_statevector", "aer_mps"])
    with pytest.raises(JobFailed):
        job.result(TIMEOUT_S)
    assert job.status().state in FINAL_JOB_STATES


def test_layouts_that_fit_no_device_end_the_job(client: Client, bell: Program) -> None:
    for layout in ((0,), (0, 99), (0, 1, 2)):
        options = TranspileOptions(initial_layout=layout)
        with pytest.raises(JobFailed):
            client.submit(bell, transpile=options, pin="fake_guadalupe").result(TIMEOUT_S)


def test_several_threads_may_submit(client: Client, bell: Program) -> None:
    ids: list[str] = []
    threads = [threading.Thread(target=lambda: ids.append(client.submit(bell, shots=10).id)) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(ids)) == 16
    assert all(client.job(job_id).result(TIMEOUT_S).counts for job_id in ids)

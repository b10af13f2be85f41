"""What a client may expect, over every transport."""

from __future__ import annotations

from pathlib import Path

import pytest
from qiskit import QuantumCircuit

from circuits.autoencoder import Autoencoder
from circuits.errors import InvalidProgram
from circuits.program import Program
from circuits.raytracing import RayTracing
from circuits.steane import Steane
from orchestrator import Client, Limits, Objective, TranspileOptions
from orchestrator.errors import InvalidJob, JobCancelled, JobFailed, JobNotFound, JobTimeout, UnknownPolicy
from orchestrator.job import JobState
from policies import POLICIES

TIMEOUT_S = 120.0
IDEAL = ["aer_statevector", "aer_mps", "cirq_simulator"]


def test_a_circuit_comes_back_measured(client: Client, bell: Program) -> None:
    job = client.submit(bell, shots=2000, seed=3, allow=IDEAL)
    result = job.result(TIMEOUT_S)
    assert sum(result.counts.values()) == 2000
    assert set(result.counts) == {"00", "11"}
    measured = result.measurement
    assert measured.fidelity is not None
    assert measured.fidelity > 0.99
    assert measured.latency_s >= measured.service_s >= measured.run_s > 0
    assert measured.energy_j > 0
    assert result.placement.shares[0].shots == 2000
    assert [event.kind for event in job.events(TIMEOUT_S)] == [
        "submitted",
        "placed",
        "running",
        "assignment_done",
        "done",
    ]
    assert job.status().state is JobState.DONE


def test_a_qiskit_circuit_keeps_its_bits(client: Client) -> None:
    circuit = QuantumCircuit(3, 2)
    circuit.x(2)
    circuit.measure(2, 0)
    assert client.submit(circuit, shots=50, allow=IDEAL).result(TIMEOUT_S).counts == {"01": 50}


@pytest.mark.parametrize("family", [Autoencoder(), Autoencoder(estimator="swap"), Steane()], ids=str)
def test_a_family_is_scored_against_its_ideal(client: Client, family: object) -> None:
    result = client.submit(family, shots=1000, pin="aer_mps").result(TIMEOUT_S)  # type: ignore[arg-type]
    assert result.measurement.fidelity_kind == "score"
    assert result.measurement.fidelity is not None
    assert result.measurement.fidelity > 0.95
    assert result.measurement.score is not None


def test_an_adaptive_job_steps_and_tells_its_progress(client: Client) -> None:
    job = client.submit(RayTracing(), shots=16, pin="aer_statevector")
    result = job.result(TIMEOUT_S)
    assert result.measurement.fidelity == 1.0
    assert result.outcome["score"] == 1.0
    rounds = [event.data["round"] for event in job.events(TIMEOUT_S) if event.kind == "progress"]
    assert rounds == list(range(1, len(rounds) + 1))
    assert rounds
    partial = [event.data["partial"] for event in job.events(TIMEOUT_S) if event.kind == "progress"]
    assert partial[0]["num_pixels_left"] == 1


def test_shares_run_apart_and_are_merged(client: Client, bell: Program) -> None:
    job = client.submit(bell, shots=1001, pin={"aer_statevector": 0.5, "fake_guadalupe": 0.5}, memory=True)
    result = job.result(TIMEOUT_S)
    shares = {share.backend: share.shots for share in result.placement.shares}
    assert sorted(shares.values()) == [500, 501]
    assert sum(result.counts.values()) == 1001
    assert result.memory is not None
    assert len(result.memory) == 1001
    assert {shot: result.memory.count(shot) for shot in set(result.memory)} == result.counts
    assert result.measurement.fidelity is not None
    assert 0.8 < result.measurement.fidelity < 1.0, "one half is noisy"
    assert len([event for event in job.events(TIMEOUT_S) if event.kind == "assignment_done"]) == 2


def test_an_adaptive_job_cannot_be_shared(client: Client) -> None:
    job = client.submit(RayTracing(), shots=16, pin={"aer_statevector": 0.5, "aer_mps": 0.5})
    with pytest.raises(JobFailed, match="pin it to one"):
        job.result(TIMEOUT_S)


def test_the_same_seed_gives_the_same_counts(client: Client, bell: Program) -> None:
    runs = [client.submit(bell, shots=500, seed=11, pin="fake_guadalupe").result(TIMEOUT_S).counts for _ in range(2)]
    other = client.submit(bell, shots=500, seed=12, pin="fake_guadalupe").result(TIMEOUT_S).counts
    assert runs[0] == runs[1] != other


def test_map_keeps_the_order(client: Client) -> None:
    programs = []
    for value in range(4):
        circuit = QuantumCircuit(2, 2)
        for bit in range(2):
            if value >> bit & 1:
                circuit.x(bit)
        circuit.measure([0, 1], [0, 1])
        programs.append(circuit)
    results = list(client.map(programs, timeout=TIMEOUT_S, shots=10, allow=IDEAL))
    assert [list(result.counts) for result in results] == [["00"], ["01"], ["10"], ["11"]]


def test_a_key_gives_the_first_job_again(client: Client, bell: Program) -> None:
    first = client.submit(bell, shots=10, idempotency_key="once")
    assert client.submit(bell, shots=20, idempotency_key="once").id == first.id
    assert sum(first.result(TIMEOUT_S).counts.values()) == 10


def test_any_handle_finds_the_job_again(client: Client, bell: Program) -> None:
    job = client.submit(bell, shots=10, tags=["find-me"])
    job.result(TIMEOUT_S)
    assert client.job(job.id).result(TIMEOUT_S).counts == job.result(TIMEOUT_S).counts
    assert job.id in [found.id for found in client.jobs(tag="find-me")]
    with pytest.raises(JobNotFound):
        client.job("nobody")


def test_the_compiled_circuit_on_request(client: Client, bell: Program) -> None:
    options = TranspileOptions(optimization_level=3, seed=1)
    result = client.submit(bell, shots=10, pin="fake_guadalupe", return_compiled=True, transpile=options).result(
        TIMEOUT_S
    )
    assert result.compiled is not None
    assert "cx $" in result.compiled["fake_guadalupe"][0]


def test_a_running_job_can_be_cancelled(client: Client, slow_qasm: Path) -> None:
    job = client.submit(slow_qasm, shots=1_000_000, pin="aer_statevector")
    for event in job.events(TIMEOUT_S):
        if event.kind == "running":
            break
    job.cancel()
    with pytest.raises(JobCancelled):
        job.result(TIMEOUT_S)
    job.cancel()
    assert job.status().state is JobState.CANCELLED


def test_a_hard_limit_ends_the_run_and_not_the_worker(client: Client, slow_qasm: Path, bell: Program) -> None:
    limits = Limits(timeout_s=0.5)
    job = client.submit(slow_qasm, shots=1_000_000, pin="aer_statevector", limits=limits)
    with pytest.raises(JobFailed, match=r"hard limit of 0\.5 s"):
        job.result(TIMEOUT_S)
    assert client.submit(bell, shots=10, pin="aer_statevector").result(TIMEOUT_S).counts


def test_who_stops_waiting_loses_nothing(client: Client, slow_qasm: Path) -> None:
    job = client.submit(slow_qasm, shots=1_000_000, pin="aer_statevector")
    with pytest.raises(JobTimeout, match="it goes on"):
        job.result(timeout=0.2)
    job.cancel()
    with pytest.raises(JobCancelled):
        job.result(TIMEOUT_S)


def test_nowhere_to_run_says_why_for_each(client: Client) -> None:
    circuit = QuantumCircuit(30)
    for qubit in range(30):
        circuit.t(qubit)
        circuit.h(qubit)
    circuit.measure_all()
    job = client.submit(circuit, allow=["aer_statevector", "aer_stabilizer", "fake_guadalupe", "braket_local"])
    with pytest.raises(JobFailed) as caught:
        job.result(TIMEOUT_S)
    assert caught.value.stage == "place"
    for reason in ("aer_stabilizer runs Clifford", "fake_guadalupe has 16 qubits", "braket_local: no worker"):
        assert reason in caught.value.reason


@pytest.mark.parametrize(
    ("limits", "word"),
    [
        (Limits(min_fidelity=0.999), "min_fidelity"),
        (Limits(deadline_s=0.0), "deadline_s"),
        (Limits(max_cost_usd=0.0), "max_cost_usd"),
    ],
)
def test_limits_exclude(client: Client, limits: Limits, word: str) -> None:
    job = client.submit(Autoencoder(), limits=limits, allow=["fake_guadalupe"])
    with pytest.raises(JobFailed, match=word):
        job.result(TIMEOUT_S)


def test_why_names_every_candidate(client: Client, bell: Program) -> None:
    job = client.submit(bell, exclude=["aer_mps"], objective=Objective(latency=0, fidelity=1), policy="greedy")
    result = job.result(TIMEOUT_S)
    decision = client.why(job.id)
    assert decision is not None
    candidates = {candidate.backend: candidate for candidate in decision.request.candidates}
    assert candidates["aer_mps"].rejections == ("the job excludes it",)
    assert candidates["fake_guadalupe"].estimate.fidelity < candidates["aer_statevector"].prior.fidelity == 1.0
    assert list(decision.choice) == [result.placement.shares[0].backend]
    assert decision.id == result.placement.decision


def test_an_explanation_says_what_it_came_to_and_what_else_would_have(client: Client, bell: Program) -> None:
    job = client.submit(bell, exclude=["aer_mps"], allow=["aer_statevector", "aer_mps", "cirq_simulator"])
    result = job.result(TIMEOUT_S)
    (found,) = client.explain(job.id)
    decision = client.why(job.id)
    assert decision is not None
    assert found.decision == decision
    assert decision.situation is not None
    assert (decision.situation.policy, decision.situation.num_asked, decision.group) == ("eft", 1, "program")
    assert {one for lane in decision.situation.lanes for one in lane.backends} >= set(decision.choice)
    assert found.measurement == result.measurement
    assert found.basis == "measured"
    assert found.cursor > decision.cursor, "its own measurement is known by now"
    told = {one.backend: one for one in found.options}
    assert told["aer_mps"].cost_now is None
    assert found.cost is not None
    others = [one.cost_now for one in found.options if one.cost_now is not None and not one.share]
    assert found.regret == pytest.approx(found.cost - min(found.cost, *others))
    with pytest.raises(JobNotFound):
        client.explain("nobody")


@pytest.mark.parametrize("policy", ["random", "round_robin", "shortest_queue", "greedy", "eft"])
def test_every_policy_places(client: Client, bell: Program, policy: str) -> None:
    jobs = [client.submit(bell, shots=10, policy=policy) for _ in range(3)]
    assert all(job.result(TIMEOUT_S).placement.policy == policy for job in jobs)


def test_the_door_refuses(client: Client, bell: Program) -> None:
    before = len(client.jobs(limit=1000))
    with pytest.raises(UnknownPolicy, match="Did you mean"):
        client.submit(bell, policy="etf")
    for shots in (0, -1, 10**9, True, 1.5, float("nan")):
        with pytest.raises(InvalidJob, match="shots"):
            client.submit(bell, shots=shots)  # type: ignore[arg-type]
    with pytest.raises(InvalidJob, match="batch"):
        client.submit_many([])
    with pytest.raises(InvalidProgram):
        client.submit("OPENQASM 2.0; nonsense")
    assert len(client.jobs(limit=1000)) == before, "nothing of it was written"


def test_it_says_what_it_has(client: Client) -> None:
    assert {entry.backend for entry in client.backends()} >= {"aer_statevector", "fake_guadalupe"}
    assert {info.name for info in client.policies()} == set(POLICIES)
    assert all(info.summary for info in client.policies())

"""A quote over every transport: every backend has its say, nothing is submitted, and the job goes where it said."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from qiskit import QuantumCircuit

from circuits.errors import InvalidProgram
from circuits.program import Program
from circuits.steane import Steane
from orchestrator import Client, JobSpec, Limits, Objective
from orchestrator.errors import InvalidJob, UnknownPolicy
from policies.envs.measured.live import TAG, LiveWorld, played, players

TIMEOUT_S = 120.0


def test_every_backend_makes_an_offer_and_nothing_is_submitted(client: Client, bell: Program) -> None:
    before = [job.id for job in client.jobs()]
    quote = client.quote(bell, shots=300, limits=Limits(min_fidelity=0.999))
    assert [job.id for job in client.jobs()] == before
    offers = {offer.backend: offer for offer in quote.offers}
    assert set(offers) == {each.backend for each in client.backends()}
    assert "below min_fidelity" in offers["fake_guadalupe"].rejections[0]
    assert offers["cpu"].rejections
    chosen = offers[next(iter(quote.choice))]
    assert not chosen.rejections
    assert chosen.latency_s is not None
    assert chosen.latency_s.low is not None
    assert chosen.latency_s.expected is not None
    assert chosen.latency_s.low <= chosen.latency_s.expected


def test_the_job_goes_where_the_quote_said(client: Client) -> None:
    """Fidelity alone matters: what is learned meanwhile of times cannot change the choice."""
    options = {"objective": Objective(latency=0, energy=0, price=0, fidelity=1), "policy": "greedy", "seed": 3}
    allowed = ["aer_stabilizer", "fake_guadalupe"]
    quote = client.quote(Steane(rounds=1), shots=64, allow=allowed, **options)
    result = client.submit(Steane(rounds=1), shots=64, allow=allowed, **options).result(TIMEOUT_S)
    assert list(quote.choice) == [share.backend for share in result.placement.shares]
    energy = {offer.backend: offer.energy_model for offer in quote.offers}[result.placement.shares[0].backend]
    assert result.measurement.energy_model in (energy, "rapl")


def test_measurements_narrow_what_is_quoted(client: Client) -> None:
    circuit = QuantumCircuit(3)
    circuit.h(range(3))
    circuit.measure_all()
    for result in client.map([circuit] * 3, shots=50, pin="aer_statevector", timeout=TIMEOUT_S):
        assert result.measurement.energy_j > 0.0
        assert result.measurement.energy_model in ("cpu_time", "rapl")
    (offer,) = [one for one in client.quote(circuit, shots=50).offers if one.backend == "aer_statevector"]
    assert offer.num_observations >= 3
    assert offer.elapsed_s is not None
    assert offer.elapsed_s.basis == "measured"


def test_a_job_that_nobody_can_take_is_quoted_with_the_reasons(client: Client) -> None:
    wide = QuantumCircuit(45)
    wide.rx(0.3, range(45))
    wide.measure_all()
    quote = client.quote(wide, allow=["aer_statevector", "fake_guadalupe"])
    assert not quote.choice
    assert "no backend can take this job" in quote.failure
    assert "choose a larger backend" in quote.failure


def test_what_is_no_job_is_refused_as_if_it_were_submitted(client: Client, bell: Program) -> None:
    with pytest.raises(UnknownPolicy, match="eft"):
        client.quote(bell, policy="eftt")
    with pytest.raises(InvalidJob, match="shots"):
        client.quote(bell, shots=0)
    with pytest.raises(InvalidProgram):
        client.quote("OPENQASM 2.0; qreg q[1]; nonsense q[0];")


def test_policies_play_on_it_as_in_a_world(client: Client, spec: JobSpec) -> None:
    specs = [replace(spec, allow=("aer_statevector", "aer_stabilizer"))]
    before = {job.id for job in client.jobs(tag=TAG)}
    for name, player in players(["greedy", "placing:b6ed2ebc"]).items():
        world = LiveWorld(client, users=2, jobs=2, specs=specs)
        assert {"cpu", "fake_guadalupe"} < set(world.places)
        assert all(0.0 < cost < math.inf for cost in played(world, player, seed=1)), name
    fresh = [job for job in client.jobs(tag=TAG) if job.id not in before]
    assert len(fresh) == 4
    assert {place for job in fresh for place in job.spec.pin} <= set(specs[0].allow)

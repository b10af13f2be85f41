"""The classical candidate on the trip: chosen where a job names it, never unasked."""

import pytest

from circuits.raytracing import RayTracing
from orchestrator import Client
from orchestrator.errors import JobFailed


def test_a_job_goes_there_where_it_names_it(client: Client) -> None:
    family = RayTracing(width=3, height=3, x0=6, y0=6)
    chosen = client.submit(family, allow=["cpu", "aer_statevector"], shots=16)
    found = chosen.result(60.0)
    assert {part.backend for part in found.placement.shares} == {"cpu"}  # by far the fastest, and exact
    searched = client.submit(family, pin="aer_statevector", shots=16).result(60.0)
    assert found.outcome["value"]["depth"] == searched.outcome["value"]["depth"]
    silent = client.submit(family, shots=16)
    silent.result(60.0)
    decision = client.why(silent.id)
    assert decision is not None
    (cpu,) = [each for each in decision.request.candidates if each.backend == "cpu"]
    assert "allow it by name" in cpu.rejections[0]
    with pytest.raises(JobFailed, match="no classical algorithm"):
        client.submit('OPENQASM 2.0;include "qelib1.inc";qreg q[1];x q[0];', allow=["cpu"]).result(60.0)

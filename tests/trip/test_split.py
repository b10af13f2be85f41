"""One job that a policy shares between two backends: parts run at the same time, and their counts add up."""

from __future__ import annotations

from pathlib import Path

from circuits.program import Program
from orchestrator import Client, Objective
from orchestrator.settings import Settings

TIMEOUT_S = 120.0
TWO = ("fake_guadalupe", "fake_hanoi")
TIME_ALONE = Objective(latency=1.0, fidelity=0.0, price=0.0)


def test_a_policy_shares_the_shots_of_a_job_that_allows_it(tmp_path: Path, bell: Program) -> None:
    with Client(settings=Settings(data_dir=tmp_path, backends=TWO, slots=2)) as client:
        for backend in TWO:  # so that neither waits for its imports
            client.submit(bell, shots=10, pin=backend).result(TIMEOUT_S)
        whole = client.submit(bell, shots=20_001, policy="split", objective=TIME_ALONE)
        assert len(whole.result(TIMEOUT_S).placement.shares) == 1, "it does not allow more"
        job = client.submit(bell, shots=20_001, policy="split", objective=TIME_ALONE, max_parts=2)
        result = job.result(TIMEOUT_S)
        decision = client.why(job.id)
    shares = {share.backend: share for share in result.placement.shares}
    assert set(shares) == set(TWO)
    assert sum(share.shots for share in shares.values()) == sum(result.counts.values()) == 20_001
    assert decision is not None
    alone_s = min(one.estimate.service_s for one in decision.request.feasible)
    assert max(share.estimate.service_s for share in shares.values()) < alone_s

"""Five identical jobs: what was measured of the first ones is what the next decision expects, and `why` shows it."""

from __future__ import annotations

from circuits.autoencoder import Autoencoder
from orchestrator import Client, Objective

with Client() as client:
    for number in range(5):
        job = client.submit(Autoencoder(estimator="swap"), shots=2_000, objective=Objective(latency=1, fidelity=1))
        backend = job.result(timeout=120.0).placement.shares[0].backend
        decision = client.why(job.id)
        print(f"job {number + 1} went to {backend}")
        for candidate in decision.request.feasible if decision else ():
            estimate = candidate.estimate
            known = f"{estimate.num_observations:.0f} measured" if estimate.num_observations else "prior alone"
            time_s = candidate.wait_s + estimate.service_s
            print(f"    {candidate.backend:20} {time_s:8.3f} s   fidelity {estimate.fidelity:.3f}   {known}")

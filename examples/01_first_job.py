"""The first job: a Steane code block with one round of error correction, wherever it costs least."""

from __future__ import annotations

from circuits.steane import Steane
from orchestrator import Client, Objective

with Client() as client:  # embedded; Client("redis+socket:///…") for a cluster
    job = client.submit(Steane(rounds=1), shots=4_096, objective=Objective(fidelity=0.7, latency=0.3))
    result = job.result(timeout=60.0)  # raises JobFailed with the worker's own words

print(result.placement.shares[0].backend, f"fidelity {result.measurement.fidelity:.3f}", f"{result.counts}"[:60])

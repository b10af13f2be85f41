"""A logical qubit kept in three ways: each is a job, placed where it can run; its score is the logical success."""

from __future__ import annotations

from circuits.steane import Steane
from circuits.steane.memory import Memory
from orchestrator import Client

FAMILIES = {scheme: Steane(rounds=2, scheme=scheme, ancillas="reset") for scheme in ("bare", "steane", "flag")}

with Client() as client:
    jobs = {scheme: client.submit(family, shots=2_000) for scheme, family in FAMILIES.items()}
    for scheme, job in jobs.items():
        result = job.result(timeout=120.0)
        kept = FAMILIES[scheme].acceptance(result.counts)
        backend = result.placement.shares[0].backend
        print(f"{scheme:7} {backend:16} logical success {result.measurement.fidelity:.3f}, kept {kept:.3f}")

for scheme in FAMILIES:  # the same circuits with noise: one error in a thousand gates
    tally = Memory(p=1e-3, shots=200_000, scheme=scheme).run()
    low, high = tally.interval()
    print(f"{scheme:7} p = 0.001: logical error per round {low:.1e} to {high:.1e}, kept {tally.acceptance:.3f}")

"""How well are eight qubits kept in three? Three ways to measure it, beside the exact value and the best there is."""

from __future__ import annotations

from circuits.autoencoder import Autoencoder
from circuits.autoencoder.estimators import ESTIMATORS, estimate
from orchestrator import Client

SHOTS = 20_000

with Client() as client:
    families = [Autoencoder(num_qubits=8, num_latent=3, field=0.9, estimator=name) for name in ESTIMATORS]
    jobs = [client.submit(family, shots=SHOTS, pin="aer_statevector") for family in families]
    for family, job in zip(families, jobs, strict=True):
        found = estimate(family.estimator, job.result(timeout=120.0).counts)
        interval = f"{found.value:.5f} (95 %: {found.low:.5f} to {found.high:.5f})"
        print(f"{family.estimator:7} {family.build().num_qubits:2} qubits  {interval}  exact {family.ideal_score:.5f}")

print(f"Ky Fan bound of the mean trash fidelity over the ensemble: {families[0].ky_fan_bound():.5f}")

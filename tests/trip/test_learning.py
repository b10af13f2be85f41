"""What is measured changes where the next job goes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

import workers.local
from backends.backend import CostCurve, Device
from circuits.autoencoder import Autoencoder
from orchestrator import Client, JobHandle
from orchestrator.settings import Settings
from workers.node import devices_here

TIMEOUT_S = 120.0


def test_five_identical_jobs_move_away_from_a_device_that_promised_too_much(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The noisy device announces that it takes no time, the other one a second; measured, nobody believes them."""

    def boastful(names: Sequence[str]) -> dict[str, Device]:
        devices = {name: replace(device, warm_up_s=0.0) for name, device in devices_here(names).items()}
        promised_s = {"fake_guadalupe": 0.0, "cirq_simulator": 1.0}
        return {
            name: replace(device, cost_curve=CostCurve(promised_s[name], 0.0, 0.0, 0.0))
            for name, device in devices.items()
        }

    monkeypatch.setattr(workers.local, "devices_here", boastful)
    fleet = settings.model_copy(update={"backends": ("cirq_simulator", "fake_guadalupe")})
    with Client(settings=fleet) as client:
        jobs: list[JobHandle] = []
        for _ in range(5):
            jobs.append(client.submit(Autoencoder(estimator="swap"), shots=500, policy="eft"))
            jobs[-1].result(TIMEOUT_S)
        went_to = [job.result().placement.shares[0].backend for job in jobs]
        expected_s = [
            {candidate.backend: candidate.estimate.service_s for candidate in decision.request.candidates}
            for decision in map(client.why, (job.id for job in jobs))
            if decision is not None
        ]
        learned = {row.backend: row for row in client.costs()}
    assert went_to[0] == "fake_guadalupe", "calibration and features alone believe the promise"
    assert set(went_to[1:]) == {"cirq_simulator"}, "one measurement is enough"
    assert expected_s[1]["fake_guadalupe"] > 5 * expected_s[0]["fake_guadalupe"]
    assert learned["fake_guadalupe"].time_ratio > 5
    assert learned["fake_guadalupe"].num_observations == 1
    assert learned["cirq_simulator"].num_observations == 4


def test_the_prediction_comes_closer_with_every_job(settings: Settings) -> None:
    fleet = settings.model_copy(update={"backends": ("fake_guadalupe",)})
    with Client(settings=fleet) as client:
        results = [client.submit(Autoencoder(), shots=1000).result(TIMEOUT_S) for _ in range(6)]
    errors = [abs(r.estimate.fidelity - (r.measurement.fidelity or 0.0)) for r in results]
    assert max(errors[3:]) < errors[0] / 2, "the prior is far off here; measurements bring it closer"
    assert max(errors[3:]) < 0.05
    assert [r.estimate.num_observations for r in results] == [0, 1, 2, 3, 4, 5]

"""An experiment over the whole trip: emulated devices in another time, waiting that is accounted for and not slept."""

from __future__ import annotations

from datetime import UTC, datetime

from orchestrator import Client
from orchestrator.job import Times
from orchestrator.settings import Settings
from workers import render, render_why

BELL = 'OPENQASM 2.0; include "qelib1.inc"; qreg q[2]; creg c[2]; h q[0]; cx q[0],q[1]; measure q -> c;'
START = datetime(2023, 1, 5, 12, tzinfo=UTC)
TIMEOUT_S = 120.0


def test_hours_of_waiting_pass_in_no_time_and_send_the_next_job_elsewhere(settings: Settings) -> None:
    fleet = settings.model_copy(
        update={
            "backends": ("ibm_perth_replay", "fake_guadalupe"),
            "experiment_start": START,
            "experiment_speed": 60.0,
            "times": Times.EMULATED,
        }
    )
    with Client(settings=fleet) as client:
        job = client.submit(BELL, shots=1000, pin="ibm_perth_replay")
        found = job.result(TIMEOUT_S)
        measured, estimate = found.measurement, found.estimate
        assert measured.times is Times.EMULATED
        assert measured.device_s is not None
        assert measured.queue_s is not None
        assert measured.queue_s > 600.0, "the machine had a thousand jobs waiting"
        assert measured.latency_s > measured.queue_s > 10 * measured.service_s
        assert estimate.queue_s is not None
        assert estimate.queue_s != measured.queue_s, "what was announced is not what was met"
        assert measured.at is not None
        assert 0.0 <= measured.at - START.timestamp() < 60.0 * TIMEOUT_S
        elsewhere = client.submit(BELL, shots=1000, policy="eft").result(TIMEOUT_S)
        assert elsewhere.placement.shares[0].backend == "fake_guadalupe"
        assert elsewhere.measurement.queue_s is None
        (explained,) = client.explain(elsewhere.job_id)
        row = next(row for row in render_why.candidates(explained) if row["backend"] == "ibm_perth_replay")
        assert row["queue_s"] > row["device_s"] > 0.0
    console = render.console()
    with console.capture() as shown:
        console.print(render.result(found))
    assert "in front of the device, emulated" in " ".join(shown.get().split())

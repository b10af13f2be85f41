"""Queues of emulated devices: what is announced is stale and biased, what is met can be repeated."""

from __future__ import annotations

import math
from itertools import pairwise
from statistics import mean, pstdev

import pytest
from qiskit import QuantumCircuit

from backends import clock
from backends.backend import TranspileOptions
from backends.queues import _BIAS, _DRIFT, _SPREAD, RecordedQueue
from backends.recorded import DAY_S
from backends.virtual.ibm import fake_guadalupe
from circuits.family import Run

BEGINS = 1_700_143_200.0  # 2023-11-16 14:00 UTC
HANOI = RecordedQueue("ibm_hanoi")


def test_what_is_announced_is_the_record_times_a_stated_pace() -> None:
    announced = RecordedQueue("ibm_hanoi", job_s=10.0).availability(BEGINS + 100.0)
    assert (announced.state, announced.pending_jobs, announced.heard_at) == ("online", 18, BEGINS)
    assert announced.queue_s == 180.0


def test_a_wait_can_be_repeated_and_another_job_waits_differently() -> None:
    assert HANOI.wait_s(BEGINS, 1) == HANOI.wait_s(BEGINS, 1)
    assert len({HANOI.wait_s(BEGINS, seed) for seed in range(20)}) == 20
    assert HANOI.wait_s(BEGINS, 1) != HANOI.wait_s(BEGINS + 1.0, 1), "of the same seed, too, at another moment"


def test_waits_scatter_around_a_pace_that_is_not_announced() -> None:
    announced_s = HANOI.availability(BEGINS).queue_s
    assert announced_s is not None
    logs = [math.log(HANOI.wait_s(BEGINS, seed) / announced_s) for seed in range(2000)]
    assert pstdev(logs) == pytest.approx(_SPREAD, rel=0.1)
    assert mean(logs) == pytest.approx(HANOI._pace(BEGINS), abs=0.03)


def test_the_pace_drifts_without_jumps() -> None:
    moments = [BEGINS + day * DAY_S / 24 for day in range(24 * 400)]
    paces = [HANOI._pace(moment) for moment in moments]
    assert max(abs(after - before) for before, after in pairwise(paces)) < 0.1
    own = {name: mean(RecordedQueue(name)._pace(m) for m in moments[::12]) for name in ("ibm_hanoi", "ibm_perth")}
    assert own["ibm_hanoi"] != pytest.approx(own["ibm_perth"], abs=1e-3), "each machine has its own"
    assert all(abs(value) < 3 * _BIAS for value in own.values())
    assert 0.0 < pstdev(paces) < _DRIFT


def test_any_emulated_device_may_have_a_queue() -> None:
    plain, queued = fake_guadalupe(), fake_guadalupe(queue=HANOI)
    circuit = QuantumCircuit(1)
    circuit.measure_all()
    with clock.at(BEGINS):
        before = queued.device()
        assert before is queued.device()
        assert before.availability == HANOI.availability(BEGINS)
        prepared = queued.prepare([circuit], TranspileOptions())
        done = queued.run(prepared, [Run(10)], seed=1)
        assert done.queue_s is not None
        assert done.queue_s > 0
        assert queued.run(prepared, [Run(10)], seed=1).queue_s == done.queue_s
        assert plain.run(prepared, [Run(10)], seed=1).queue_s is None
    with clock.at(BEGINS + 3600.0):
        after = queued.device()
        assert after.availability != before.availability
        assert after.target_version == before.target_version == plain.device().target_version
        assert queued.run(prepared, [Run(10)], seed=1).counts == done.counts, "a queue changes no result"

"""The fleet read off the roll, and the work in front of it."""

from __future__ import annotations

from dataclasses import replace

import pytest

import backends
from backends.backend import Availability
from orchestrator.fleet import Fleet
from orchestrator.store import Announcement, Outstanding
from tests.far.provider import device

MPS, CIRQ = (backends.load(name).device() for name in ("aer_mps", "cirq_simulator"))


def fleet(*, cirq_is_warm: bool = True) -> Fleet:
    return Fleet.of(
        [
            Announcement("aer_mps", "w1", 1, MPS, heartbeat_at=1.0),
            Announcement("cirq_simulator", "w1", 1, CIRQ, warm=cirq_is_warm, heartbeat_at=1.0),
            Announcement("aer_mps", "w2", 2, MPS, heartbeat_at=2.0),
        ]
    )


def test_the_roll_gives_devices_and_lanes() -> None:
    found = fleet()
    assert list(found.devices) == ["aer_mps", "cirq_simulator"]
    assert [(lane.worker, lane.slots, lane.backends) for lane in found.lanes] == [
        ("w1", 1, ("aer_mps", "cirq_simulator")),
        ("w2", 2, ("aer_mps",)),
    ]


def test_what_waits_and_what_is_left_of_what_runs_is_the_backlog() -> None:
    running = Outstanding("cirq_simulator", 1.0, started_at=9.75)
    late = Outstanding("cirq_simulator", 1.0, started_at=1.0)
    waiting = Outstanding("cirq_simulator", 1.0, started_at=None)
    backlog = fleet().backlog([running, late, waiting], now=10.0)
    assert backlog.wait_s("cirq_simulator") == pytest.approx(0.75 + 0.0 + 1.0)
    assert backlog.wait_s("aer_mps") == 0.0, "the other worker is free"


def test_who_serves_a_remote_device_gives_no_slot_to_what_waits_there() -> None:
    far = replace(device("far"), availability=Availability(queue_s=60.0))
    both = Fleet.of([Announcement("far", "w1", 1, far), Announcement("aer_mps", "w1", 1, MPS)])
    backlog = both.backlog([Outstanding("far", 5.0, started_at=None, number=2)], now=0.0)
    assert backlog.wait_s("far") == 5.0, "behind our own; how long its other users take, the estimate says"
    assert backlog.wait_s("aer_mps") == 0.0
    assert both.remote
    assert not fleet().remote


def test_what_waits_for_an_offline_device_waits_in_vain() -> None:
    off = replace(device("far"), availability=Availability("offline"))
    assert Fleet.of([Announcement("far", "w1", 1, off)]).strands("far")
    assert not Fleet.of([Announcement("far", "w1", 1, device("far"))]).strands("far")


def test_a_cold_backend_is_not_free() -> None:
    cold = fleet(cirq_is_warm=False).backlog([], now=0.0)
    assert cold.wait_s("cirq_simulator") == CIRQ.warm_up_s > 0
    cold.add("cirq_simulator", 1.0)
    assert cold.wait_s("cirq_simulator") == pytest.approx(CIRQ.warm_up_s + 1.0), "it warms up once"
    assert fleet().backlog([], now=0.0).wait_s("cirq_simulator") == 0.0

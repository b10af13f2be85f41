"""A twin of a log: what of it counts, how far it is off, and when it says too little."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from circuits.errors import InvalidParameter
from orchestrator.decision import Decision
from orchestrator.job import Measurement, Times
from policies.envs.measured.logged import LEAST_MEASURED, held_out, read
from policies.envs.measured.twin import load, save
from policies.envs.measured.world import MeasuredSetting, World
from policies.learners.kit.placer import Placer
from tests.policies.conftest import MakeLog

OFF = 3.0
"""Everything takes so many times as long as it was said to."""


@pytest.fixture
def log(make_log: MakeLog) -> list[Decision]:
    """Jobs of a program and of numbers of shots of their own, so that each is another work."""
    made = make_log("random", (20, 40, 20))
    return [
        replace(one, request=replace(one.request, spec=replace(one.request.spec, shots=100 + number)))
        for number, one in enumerate(made)
    ]


def ends(log: list[Decision], some: Measurement) -> dict[int, Measurement]:
    found = {}
    for one in log:
        (name,) = one.choice
        told = next(each.estimate for each in one.request.candidates if each.backend == name)
        found[one.id] = replace(some, service_s=OFF * told.service_s, fidelity=told.fidelity, energy_j=told.energy_j)
    return found


def test_a_twin_of_a_log_draws_what_was_measured(log: list[Decision], measurement: Measurement) -> None:
    logged = read(log, ends(log, measurement))
    assert (len(logged.asked), len(logged.measured)) == (80, 80)
    off = held_out(logged)
    assert off.num_measured == 20
    assert off.ratio == pytest.approx(1.0, rel=1e-5)
    assert off.estimates_off == pytest.approx(math.log(OFF))
    twin = logged.twin()
    assert twin.backends == ("a", "b", "c", "d")
    assert torch.allclose(twin.errors[..., 0], torch.tensor(math.log(OFF)))
    assert int((~twin.own[..., 0].isnan()).sum()) == 80


def test_it_is_a_world_like_any_other(log: list[Decision], measurement: Measurement, tmp_path) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / "folder" / "twin.safetensors"
    save(read(log, ends(log, measurement)).twin(), path)
    assert len(load(str(path)).priority) == 80
    world = World(MeasuredSetting(servers=4, source=str(path), jobs=5), 3, 1)
    for _ in range(5):
        assert bool((world.step(Placer().act(world.observe())).outcome.cost > 0.0).all())
    with pytest.raises(InvalidParameter, match="at most 4"):
        World(MeasuredSetting(servers=5, source=str(path)))


def test_what_counts(log: list[Decision], measurement: Measurement) -> None:
    measured = ends(log, measurement)
    pinned = replace(log[0], request=replace(log[0].request, spec=replace(log[0].request.spec, pin={"a": 1.0})))
    known = replace(pinned, id=99, request=replace(pinned.request, spec=replace(pinned.request.spec, shots=101)))
    old = replace(log[1], id=98, situation=None)
    found = read([pinned, *log[1:], old, known], measured | {98: measured[2], 99: measured[1]})
    assert 1 not in found.measured, "pinned, and no policy was asked about such a job"
    assert 99 in found.measured, "pinned, but of a job that a policy was asked about"
    assert 99 not in found.asked
    assert 98 not in found.asked, "it was not kept what its policy was told"


def test_what_is_no_longer_served_is_left_out(log: list[Decision], measurement: Measurement) -> None:
    last = log[-1].situation
    assert last is not None
    now = replace(last, lanes=tuple(lane for lane in last.lanes if lane.worker != "w3"))
    log = [replace(one, situation=now) for one in log]
    logged = read(log, ends(log, measurement))
    assert logged.twin().backends == ("a", "b", "c")
    assert {one.backend for one in logged.measured.values()} <= {"a", "b", "c"}


def test_too_little_is_refused_in_words(log: list[Decision], measurement: Measurement) -> None:
    with pytest.raises(InvalidParameter, match="got none"):
        read([], {})
    few = dict(list(ends(log, measurement).items())[: LEAST_MEASURED - 1])
    with pytest.raises(InvalidParameter, match=f"at least {LEAST_MEASURED} jobs .* got {LEAST_MEASURED - 1}; run more"):
        read(log, few)


def test_who_else_was_busy_and_how_long_the_trip_was_is_in_the_log(
    log: list[Decision], measurement: Measurement
) -> None:
    found = ends(log, replace(measurement, wait_s=0.5, latency_s=1e6))
    apart = [replace(one, at=1e5 * number) for number, one in enumerate(log)]
    assert not any(one.busy for one in read(apart, found).measured.values())
    together = read([replace(one, at=0.0) for one in log], found)
    assert {len(one.busy) for one in together.measured.values()} == {2}, "three workers, all of them busy from then on"
    assert not together.twin().slowed.any(), "nothing was measured twice"
    for number, one in together.measured.items():
        waited_s = together.asked[number].waited_s
        assert one.trip_s == pytest.approx(1e6 - waited_s - 0.5 - one.service_s)
    emulated = {number: replace(one, times=Times.EMULATED) for number, one in found.items()}
    assert not read(log, emulated).twin().trips_s.any()

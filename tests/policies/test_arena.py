"""The arena: jobs arrive, the real decision code places them, and they take what was measured."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import backends
from orchestrator.job import Estimate, Objective
from orchestrator.placement import Lane
from policies import load
from policies.arena import Ended, World, as_itself, on_its_clock, play, run_of
from tests.policies.worlds import alone, run, task, world

BASELINES = ("random", "round_robin", "shortest_queue", "greedy", "eft", "best_fidelity")
NAMES = ("a", "b", "c")
LANES = (Lane("one", 1, ("a", "b")), Lane("two", 2, ("b", "c")))

runs = st.dictionaries(st.sampled_from(NAMES), st.floats(1e-3, 5.0), min_size=1)


@st.composite
def worlds(draw: st.DrawFn, lanes: tuple[Lane, ...] = LANES, most: int = 8) -> World:
    arrivals = sorted(draw(st.lists(st.floats(0.0, 3.0), min_size=1, max_size=most)))
    tasks = [
        task(
            at_s,
            {name: run(time_s, fidelity=draw(st.floats(0.1, 1.0))) for name, time_s in mine.items()},
            [name for name in NAMES if name not in mine],
            seed=number,
            priority=draw(st.integers(0, 9)),
            objective=draw(st.sampled_from([Objective(), Objective(latency=2.0, fidelity=0.1)])),
        )
        for number, at_s in enumerate(arrivals)
        for mine in [draw(runs)]
    ]
    return world(tasks, lanes, dict.fromkeys(NAMES, draw(st.floats(0.01, 2.0))))


def test_a_schedule_computed_by_hand() -> None:
    """a takes 1 s and b 2 s, as foretold: ends at 1, 2 (a again) and 2 (b); at 0.5 a is free first, from 2 on."""
    times_s = {"a": 1.0, "b": 2.0}
    tasks = [task(at_s, times_s, seed=number) for number, at_s in enumerate((0.0, 0.0, 0.0, 0.2))]
    ends, model = play(world(tasks, alone("a", "b"), times_s), load("eft"))
    assert [dict(end.choice) for end in ends] == [{"a": 1.0}, {"a": 1.0}, {"b": 1.0}, {"a": 1.0}]
    assert [end.latency_s for end in ends] == pytest.approx([1.0, 2.0, 2.0, 2.8])
    assert [end.wait_s for end in ends] == pytest.approx([0.0, 1.0, 0.0, 1.8])
    assert [end.cost for end in ends] == pytest.approx([1.0, 2.0, 2.0, 2.8]), "latency alone counts here"
    assert model.cursor == 4, "every result was learned from"


def test_the_urgent_one_is_served_first() -> None:
    tasks = [task(0.0, {"a": 1.0}, priority=priority) for priority in (4, 2, 8)]
    ends, _ = play(world(tasks, alone("a"), {"a": 1.0}), load("eft"))
    assert [end.latency_s for end in ends] == pytest.approx([2.0, 3.0, 1.0])


def test_a_backend_of_two_workers_is_served_by_both() -> None:
    lanes = (Lane("one", 1, ("a",)), Lane("two", 1, ("a",)))
    ends, _ = play(world([task(0.0, {"a": 1.0}) for _ in range(4)], lanes, {"a": 1.0}), load("eft"))
    assert [end.latency_s for end in ends] == pytest.approx([1.0, 1.0, 2.0, 2.0])


def test_what_was_measured_changes_the_next_decision() -> None:
    """a is foretold to be quick and is not: one policy that learns goes there once."""
    measured_s = {"a": 3.0, "b": 1.0}
    tasks = [task(10.0 * number, measured_s, seed=number) for number in range(4)]
    ends, _ = play(world(tasks, alone("a", "b"), {"a": 0.5, "b": 1.0}), load("eft"))
    assert [next(iter(end.choice)) for end in ends] == ["a", "b", "b", "b"]
    taken = [next(iter(end.estimates.values())).service_s for end in ends[1:]]
    assert taken[0] > 1.0, "a slow run elsewhere makes b suspect too, until it has run"
    assert taken[-1] == pytest.approx(1.0, rel=0.3)


def test_a_queue_at_the_device_keeps_no_lane_busy() -> None:
    tasks = [task(0.0, {"a": run(1.0, queue_s=5.0)}) for _ in range(2)]
    ends, _ = play(world(tasks, alone("a"), {"a": 1.0}), load("eft"))
    assert [end.latency_s for end in ends] == pytest.approx([6.0, 7.0])


def test_shares_of_a_job_run_side_by_side_and_end_together() -> None:
    spread = task(0.0, {"a": run(1.0, fidelity=0.5), "b": run(4.0, energy_j=8.0)}, pin={"a": 0.25, "b": 0.75})
    (end,), _ = play(world([spread], alone("a", "b"), {"a": 1.0, "b": 4.0}), load("eft"))
    assert dict(end.choice) == {"a": 0.25, "b": 0.75}
    assert end.latency_s == pytest.approx(4.0), "these curves know of no shots, so a part takes as long as all of it"
    assert end.fidelity == pytest.approx(0.25 * 0.5 + 0.75 * 1.0)


def test_a_part_of_a_run_takes_the_part_that_the_priors_say() -> None:
    whole = run(2.0, device_s=2.0, energy_j=10.0, cost_usd=3.0)
    before, part = Estimate(4.0, 1.0, 0.0, 2.0), Estimate(1.0, 1.0, 0.0, 1.0)
    found = run_of(whole, before, part)
    assert (found.service_s, found.device_s, found.energy_j, found.cost_usd) == (0.5, 0.5, 2.5, 1.5)
    assert run_of(whole, before, before) is whole


def test_a_job_that_fits_nowhere_is_refused_and_costs_as_if_it_had_failed() -> None:
    hopeless = task(0.25, {}, ["a"], objective=Objective(latency=1.0, fidelity=1.0))
    (end,), _ = play(world([hopeless], alone("a"), {"a": 1.0}), load("eft"))
    assert end.choice == {}
    assert "no run" in end.failure
    assert end.cost == pytest.approx(0.25 + 10.0), "until the look at 0.5, and all of the fidelity"


def test_an_emulated_device_is_busy_for_its_own_time() -> None:
    virtual = backends.load("fake_hanoi").device()
    assert as_itself(virtual).cost_curve is None
    assert as_itself(virtual).target_version == virtual.target_version
    simulator = backends.load("aer_mps").device()
    assert as_itself(simulator) is simulator
    assert on_its_clock(run(9.0, device_s=0.5)).service_s == 0.5
    assert on_its_clock(run(9.0)).service_s == 9.0


@pytest.mark.parametrize("name", BASELINES)
@settings(max_examples=12, deadline=None)
@given(one=worlds())
def test_every_job_ends_once_no_slot_runs_two_and_a_play_repeats(name: str, one: World) -> None:
    ends, model = play(one, load(name))
    assert [end.index for end in ends] == list(range(len(one.tasks)))
    assert model.cursor == len(ends)
    for job, end in zip(one.tasks, ends, strict=True):
        (backend,) = end.choice
        assert end.latency_s == pytest.approx(end.wait_s + job.runs[backend].service_s)
        assert end.wait_s >= one.looked_at(job) - job.at_s - 1e-9
    assert busiest(one, ends) <= sum(lane.slots for lane in LANES)
    assert play(one, load(name)) == (ends, model)


def busiest(one: World, ends: list[Ended]) -> int:
    """Most runs at the same time."""
    steps: Counter[float] = Counter()
    for job, end in zip(one.tasks, ends, strict=True):
        begun = job.at_s + end.wait_s
        steps[round(begun, 9)] += 1
        steps[round(begun + end.service_s, 9)] -= 1
    most = now = 0
    for moment in sorted(steps):
        now += steps[moment]
        most = max(most, now)
    return most


def test_no_policy_sees_what_is_recorded() -> None:
    """The same priors and other runs: the first decision is the same."""
    times_s = {"a": 1.0, "b": 2.0}
    first = world([task(0.0, times_s)], alone("a", "b"), times_s)
    other = replace(first, tasks=(task(0.0, {"a": 99.0, "b": 0.1}),))
    for name in BASELINES:
        (one,), _ = play(first, load(name))
        (two,), _ = play(other, load(name))
        assert one.choice == two.choice, name


def test_what_waits_goes_elsewhere_when_another_place_is_better() -> None:
    """A short job that waits behind a long one moves as soon as the other worker has done more than was expected."""
    tasks = [task(0.0, {"a": 9.0}, ["b"]), task(0.0, {"b": 1.0}, ["a"]), task(0.5, {"a": 1.0, "b": 1.0})]
    expected = {"a": 3.0, "b": 8.0}  # so that it waits for `a` first
    ends = {name: play(world(tasks, alone("a", "b"), expected), load(name))[0] for name in ("smith", "joint")}
    assert [dict(end[2].choice) for end in ends.values()] == [{"a": 1.0}, {"b": 1.0}]
    assert ends["smith"][2].latency_s == pytest.approx(9.5), "it waited for the long one"
    assert ends["joint"][2].latency_s == pytest.approx(1.5), "it moved when the other worker had nothing to do"

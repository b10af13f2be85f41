"""Objective, order of service, shares and masks: pure rules."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.job import Estimate, Interval, Intervals, JobSpec, Limits, Objective
from orchestrator.placement import (
    PRIORITY_STEP_S,
    Backlog,
    Lane,
    Scales,
    cost,
    figures,
    rank,
    rejections,
    split_amount,
)

finite = st.floats(0, 1e6)


@given(finite, finite, st.floats(0, 1), finite)
def test_cost_is_the_weighted_sum_in_reference_scales(
    latency_s: float, energy_j: float, fidelity: float, cost_usd: float
) -> None:
    scales = Scales(latency_s=2.0, energy_j=10.0, infidelity=0.1, price_usd=4.0)
    got = cost(
        Objective(latency=1, energy=2, fidelity=3, price=4),
        scales,
        latency_s=latency_s,
        energy_j=energy_j,
        fidelity=fidelity,
        cost_usd=cost_usd,
    )
    assert got == pytest.approx(latency_s / 2 + energy_j / 5 + 30 * (1 - fidelity) + cost_usd, rel=1e-9)


@given(st.integers(0, 9), st.integers(0, 9), st.floats(0, 1e5))
def test_waiting_makes_up_for_priority(low: int, high: int, later_s: float) -> None:
    early = rank(submitted_at=1000.0, priority=low, deadline_at=None)
    late = rank(submitted_at=1000.0 + later_s, priority=high, deadline_at=None)
    assert (early <= late) == (later_s >= (high - low) * PRIORITY_STEP_S)


@st.composite
def streams(draw: st.DrawFn) -> list[tuple[float, float, int]]:
    """Jobs on one lane: (submitted at, seconds of service, priority), in order of submission."""
    at, jobs = 0.0, []
    for _ in range(draw(st.integers(2, 40))):
        at += draw(st.floats(0.1, 120.0))
        jobs.append((at, draw(st.floats(0.1, 200.0)), draw(st.sampled_from([0, 4, 9]))))
    return jobs


def begins(jobs: list[tuple[float, float, int]], ranks: list[float]) -> list[float]:
    """When each job begins on a lane that serves the smallest rank of those that wait and interrupts none."""
    begun, waiting, now = [0.0] * len(jobs), set(range(len(jobs))), 0.0
    while waiting:
        here = [job for job in waiting if jobs[job][0] <= now]
        if not here:
            now = min(jobs[job][0] for job in waiting)
            continue
        served = min(here, key=lambda job: (ranks[job], job))
        begun[served] = now
        now += jobs[served][1]
        waiting.remove(served)
    return begun


@settings(max_examples=50)
@given(streams())
def test_nobody_starves(jobs: list[tuple[float, float, int]]) -> None:
    """A job waits longer than first come, first served by the work of the more urgent soon after it, and no more."""
    ranks = [rank(submitted_at=at, priority=priority, deadline_at=None) for at, _, priority in jobs]
    fair = begins(jobs, [float(number) for number in range(len(jobs))])
    for number, (begun, (at, _, priority)) in enumerate(zip(begins(jobs, ranks), jobs, strict=True)):
        overtaking = [
            service_s
            for later, service_s, other in jobs[number + 1 :]
            if later - at <= max(0, other - priority) * PRIORITY_STEP_S
        ]
        assert begun <= fair[number] + sum(overtaking) + 1e-6


ENDS = Intervals(Interval(0.5, 2.0), Interval(0.8, 0.95), Interval(5.0, 20.0), Interval(0.0, 0.4))


@given(st.floats(0, 1))
def test_caution_goes_from_what_is_expected_to_the_bad_end(caution: float) -> None:
    estimate = Estimate(1.0, 0.9, 10.0, 0.1, intervals=ENDS)
    found = figures(estimate, caution)
    assert found == pytest.approx((1.0 + caution, 0.9 - 0.1 * caution, 10.0 + 10.0 * caution, 0.1 + 0.3 * caution))
    better = Estimate(3.0, 0.7, 30.0, 0.5, intervals=ENDS)
    assert figures(better, caution) == (3.0, 0.7, 30.0, 0.5), "never better than expected"
    assert figures(Estimate(1.0, 0.9, 10.0, 0.1), caution) == (1.0, 0.9, 10.0, 0.1), "without intervals as expected"


def test_who_is_cautious_holds_limits_against_the_bad_ends(spec: JobSpec) -> None:
    estimate = Estimate(1.0, 0.9, 10.0, 0.1, intervals=ENDS)
    limits = Limits(min_fidelity=0.85, deadline_s=1.8, max_cost_usd=0.3)
    for caution, number in ((0.0, 0), (0.4, 0), (0.6, 1), (0.75, 2), (1.0, 3)):
        asked = JobSpec(program=spec.program, limits=limits, objective=Objective(caution=caution))
        assert len(rejections(asked, "mine", estimate, wait_s=0.0, waited_s=0.0, cannot=None)) == number


def test_a_near_deadline_goes_first() -> None:
    assert rank(submitted_at=1000.0, priority=4, deadline_at=1001.0) == pytest.approx(1000.0 - 4 * PRIORITY_STEP_S)
    assert rank(submitted_at=1000.0, priority=0, deadline_at=1001.0) < rank(
        submitted_at=1000.0, priority=0, deadline_at=None
    )


@given(
    st.integers(1, 10_000),
    st.lists(st.floats(0.001, 1.0), min_size=1, max_size=8),
)
def test_shares_of_shots_add_up_and_nobody_gets_nothing(shots: int, weights: list[float]) -> None:
    total = sum(weights)
    choice = {f"b{number}": weight / total for number, weight in enumerate(weights)}
    if shots < len(choice):
        with pytest.raises(ValueError, match="cannot be shared"):
            split_amount(shots, choice)
        return
    split = split_amount(shots, choice)
    assert sum(split.values()) == shots
    assert min(split.values()) >= 1
    for backend, share in choice.items():
        assert abs(split[backend] - share * shots) < len(choice) + 1


def test_backends_of_one_worker_wait_for_each_other() -> None:
    backlog = Backlog((Lane("w1", 2, ("a", "b")), Lane("w2", 1, ("c",))))
    backlog.add("a", 4.0)
    assert (backlog.wait_s("a"), backlog.wait_s("b"), backlog.wait_s("c")) == (2.0, 2.0, 0.0)
    planned = backlog.copy()
    planned.add("c", 1.0)
    assert (backlog.wait_s("c"), planned.wait_s("c")) == (0.0, 1.0)


def test_two_workers_share_a_backend() -> None:
    backlog = Backlog((Lane("w1", 1, ("a",)), Lane("w2", 1, ("a",))))
    backlog.add("a", 3.0)
    assert backlog.wait_s("a") == 0.0, "the other worker is free"
    backlog.add("a", 5.0)
    assert backlog.wait_s("a") == 3.0


def test_every_reason_is_given_at_once(spec: JobSpec) -> None:
    strict = JobSpec(
        program=spec.program,
        limits=Limits(min_fidelity=0.99, deadline_s=2.0, max_cost_usd=0.1),
        allow=("other",),
        exclude=("mine",),
    )
    estimate = Estimate(service_s=1.0, fidelity=0.5, energy_j=0.0, cost_usd=1.0)
    why = rejections(strict, "mine", estimate, wait_s=1.5, waited_s=0.0, cannot=None)
    assert [reason.split()[0] for reason in why] == ["the", "the", "expected", "expected", "expected"]
    assert "0.5000 is below min_fidelity 0.99" in why[2]
    assert "2.50 s is beyond deadline_s 2" in why[4]


def test_an_impossible_circuit_is_not_judged_by_its_estimate(spec: JobSpec) -> None:
    strict = JobSpec(program=spec.program, limits=Limits(min_fidelity=0.99))
    nothing = Estimate(0.0, 0.0, 0.0, 0.0)
    assert rejections(strict, "mine", nothing, wait_s=0.0, waited_s=0.0, cannot="too wide") == ("too wide",)

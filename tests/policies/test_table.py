"""Arrays say what the records say, to the last bit."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.job import Estimate
from orchestrator.placement import Backlog, Request, Scales
from policies.baselines import ByTable, EarliestFinish, Greedy, OneByOne
from policies.table import HUGE, Booking, Table
from tests.policies.batches import BACKENDS, LANES, batches, one


@pytest.mark.parametrize("policy", [EarliestFinish(), Greedy()], ids=lambda policy: type(policy).__name__)
@settings(max_examples=30)
@given(batch=batches(), busy_s=st.floats(0, 1e3), cold_s=st.sampled_from([0.0, 2.0]))
def test_a_batch_is_decided_as_its_jobs_one_by_one(
    policy: ByTable, batch: list[Request], busy_s: float, cold_s: float
) -> None:
    backlog = Backlog(LANES, {"w1": busy_s}, {"b": cold_s})
    alone, together = backlog.copy(), backlog.copy()
    assert OneByOne.place(policy, batch, alone, Scales()) == policy.decide(Table.of(batch, Scales()), together)
    assert alone == together, "and booked the same"


@pytest.mark.parametrize("policy", [EarliestFinish(), Greedy()], ids=lambda policy: type(policy).__name__)
def test_equals_are_told_apart_in_the_same_way(policy: ByTable) -> None:
    cheap, dear = Estimate(1.0, 0.9, 0.0, 0.0), Estimate(1.0, 0.9, 0.0, 1.0)
    batch = [one(number, d=cheap, c=dear, a=cheap, b=dear) for number in range(8)]
    backlog = Backlog(LANES)
    assert OneByOne.place(policy, batch, backlog.copy(), Scales()) == policy.place(batch, backlog.copy(), Scales())


@settings(max_examples=30)
@given(batch=batches(), wait_s=st.floats(0, 1e3))
def test_costs_are_those_of_the_requests(batch: list[Request], wait_s: float) -> None:
    table = Table.of(batch, Scales())
    for row, request in enumerate(batch):
        costs = table.costs(row, np.full(len(BACKENDS), wait_s))
        for column, candidate in enumerate(sorted(request.candidates, key=lambda one: one.backend)):
            expected = math.inf if candidate.rejections else request.cost(candidate, Scales(), wait_s)
            assert costs[column] == expected


def test_jobs_may_know_different_backends() -> None:
    batch = [one(1, c=1.0, a=2.0), one(2, b=1.0)]
    table = Table.of(batch, Scales())
    assert table.backends == ("a", "b", "c")
    assert table.feasible.tolist() == [[True, False, True], [False, True, False]]
    assert EarliestFinish().decide(table, Backlog(LANES)) == [{"c": 1.0}, {"b": 1.0}]
    assert table.take([1]).service_s.tolist() == [[0.0, 1.0, 0.0]]


def test_what_is_no_number_is_worse_than_any_number() -> None:
    nothing = Estimate(math.nan, math.nan, math.inf, 0.0)
    table = Table.of([one(number, a=nothing, b=1e9) for number in range(9)], Scales())
    assert table.elapsed_s[0].tolist() == [HUGE, 1e9]
    assert np.isfinite(table.rest).all()
    for policy in (EarliestFinish(), Greedy()):
        assert policy.decide(table, Backlog(LANES)) == [{"b": 1.0}] * 9


@given(st.lists(st.tuples(st.integers(0, 3), st.floats(0, 1e3)), max_size=20))
def test_booking_waits_as_the_backlog_does(booked: list[tuple[int, float]]) -> None:
    expected = Backlog(LANES, {"w2": 3.0}, {"a": 1.0, "c": 5.0})
    booking = Booking(BACKENDS, expected.copy())
    for column, service_s in booked:
        booking.add(column, service_s)
        expected.add(BACKENDS[column], service_s)
        assert booking.waits_s.tolist() == [expected.wait_s(name) for name in BACKENDS]


def test_caution_moves_every_figure() -> None:
    from orchestrator.job import Objective
    from tests.policies.batches import PROGRAM, around

    bold = around(Estimate(1.0, 0.9, 10.0, 1.0), 2.0)
    spec = replace(one(1, a=1.0).spec, program=PROGRAM, objective=Objective(caution=0.5))
    table = Table.of([one(1, spec=spec, a=bold)], Scales())
    assert table.elapsed_s[0, 0] == pytest.approx(1.5)
    assert table.rest[0, 0] == pytest.approx((1 - 0.85) / 0.1 + 1.5)

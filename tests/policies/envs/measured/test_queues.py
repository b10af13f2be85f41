"""Waiting is counted once, at whose placement causes it, and the sums are those of a queue that is played out."""

from __future__ import annotations

import heapq
import math

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.envs.measured.queues import Queues

PARTS = st.lists(
    st.tuples(st.floats(0.01, 3.0), st.integers(0, 3), st.floats(0.1, 4.0), st.floats(0.1, 2.0)),
    min_size=1,
    max_size=12,
)


def played_out(parts: list[tuple[float, int, float, float]]) -> float:
    """Cost of all waiting on one lane: the most urgent part begins whenever the lane is free."""
    arrivals, at_s = [], 0.0
    for number, (gap_s, rank, work_s, weight) in enumerate(parts):
        at_s += gap_s
        arrivals.append((at_s, rank, number, work_s, weight))
    waiting: list[tuple[int, int, float, float, float]] = []
    free_s, cost = 0.0, 0.0
    while arrivals or waiting:
        while arrivals and (not waiting or arrivals[0][0] < free_s):
            came_s, rank, number, work_s, weight = arrivals.pop(0)
            free_s = max(free_s, came_s) if not waiting else free_s
            heapq.heappush(waiting, (rank, number, came_s, work_s, weight))
        _, _, came_s, work_s, weight = heapq.heappop(waiting)
        cost += weight * (free_s - came_s)
        free_s += work_s
    return cost


@settings(max_examples=30, deadline=None)
@given(parts=PARTS)
def test_what_placements_add_is_what_waiting_costs(parts: list[tuple[float, int, float, float]]) -> None:
    queues = Queues(1, torch.tensor([1]), 24, torch.float64)
    lane, total = torch.zeros(1, dtype=torch.long), 0.0
    for gap_s, rank, work_s, weight in parts:
        queues.pass_by(torch.tensor([gap_s], dtype=torch.float64))
        rank_, weight_, work = (torch.tensor([float(one)], dtype=torch.float64) for one in (rank, weight, work_s))
        added = queues.place(lane, rank_, weight_, work, work)
        total += float(weight_ * added.wait_s + added.delayed)
    expected = played_out(parts)
    assert abs(total - expected) <= 1e-6 * max(1.0, expected)


def test_a_full_lane_loses_no_work() -> None:
    queues = Queues(1, torch.tensor([2, 1]), 4, torch.float64)
    one = torch.ones(1, dtype=torch.float64)
    for number in range(10):
        queues.place(torch.zeros(1, dtype=torch.long), one * number, one, one, 2.0 * one)
    assert float(queues.left_s.sum()) == 10.0
    assert queues.waits_s().tolist() == [[10.0, 0.0]], "told 20 seconds, on two slots"
    queues.pass_by(one * 3.0)
    assert float(queues.left_s.sum()) == 4.0
    queues.pass_by(one * 100.0)
    assert float(queues.left_s.sum()) == float(queues.told_s.sum()) == 0.0


def test_a_part_takes_longer_where_other_lanes_are_busy_as_it_begins() -> None:
    slowed = torch.tensor([[0.0, 0.5], [0.25, 0.0]], dtype=torch.float64)
    queues = Queues(1, torch.tensor([1, 1]), 4, torch.float64, slowed)
    one = torch.ones(1, dtype=torch.float64)

    def work_s(lane: int, alone_s: float) -> float:
        return float(queues.place(torch.tensor([lane]), one, one, alone_s * one, one).work_s)

    assert work_s(0, 4.0) == 4.0, "nobody else is there"
    assert work_s(1, 2.0) == 2.0 * math.exp(0.25)
    assert work_s(1, 2.0) == 2.0 * math.exp(0.25), "it begins before the other lane is through"
    assert work_s(1, 2.0) == 2.0, "and this one afterwards"
    assert work_s(0, 2.0) == 2.0 * math.exp(0.5)
    assert float(queues.told_s.sum()) == 5.0, "nobody was told"

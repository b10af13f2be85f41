"""The best placement in hindsight: never worse than a policy, never better than its bound."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import product

import pytest
from hypothesis import given, settings

from orchestrator.errors import PlacementError
from orchestrator.placement import Lane
from policies import load, oracle
from policies.arena import Task, World, play
from policies.oracle import Puzzle, hindsight, improved, least_span_s, pools, relaxed
from tests.policies.test_arena import BASELINES, LANES, worlds
from tests.policies.worlds import alone, run, task, world


def test_lanes_that_share_a_backend_are_one_pool() -> None:
    assert [[lane.worker for lane in pool] for pool in pools(LANES)] == [["one", "two"]]
    assert [len(pool) for pool in pools([*alone("a", "b"), Lane("c", 1, ("c", "a"))])] == [1, 2]


def test_the_shortest_span_divides_the_work() -> None:
    assert least_span_s(alone("a", "b"), [{"a": 2.0, "b": 2.0}] * 3) == pytest.approx(3.0)
    assert least_span_s([Lane("w", 2, ("a",))], [{"a": 2.0}] * 3) == pytest.approx(3.0)
    assert least_span_s(alone("a", "b"), [{"a": 1.0, "b": 9.0}, {"b": 4.0}]) == pytest.approx(4.0)
    with pytest.raises(PlacementError, match="task 1 was run on no backend"):
        least_span_s(alone("a"), [{"a": 1.0}, {}])


@settings(max_examples=20, deadline=None)
@given(one=worlds())
def test_its_schedule_is_the_arena_s(one: World) -> None:
    """What it says of a placement is what the arena does with it."""
    places = [min(job.runs) for job in one.tasks]
    pinned = replace(
        one,
        tasks=tuple(
            replace(job, spec=replace(job.spec, pin={name: 1.0})) for job, name in zip(one.tasks, places, strict=True)
        ),
    )
    ends, _ = play(pinned, load("eft"))
    costs = Puzzle(one).costs(places)
    assert [costs[end.index] for end in ends] == pytest.approx([end.cost for end in ends])


@settings(max_examples=20, deadline=None)
@given(one=worlds(most=6))
def test_it_is_the_best_of_all_and_at_least_its_bound(one: World) -> None:
    found = hindsight(one)
    assert found.method == "exhaustive"
    assert found.bound == pytest.approx(found.mean_cost)
    puzzle = Puzzle(one)
    every = [
        math.fsum(in_order.costs(places).values()) / len(places)
        for in_order in (puzzle, Puzzle(one, by_smith=True))
        for places in product(*puzzle.options)
    ]
    assert found.mean_cost == pytest.approx(min(every))
    rounded, bound = relaxed(puzzle)
    assert bound <= found.mean_cost + 1e-6
    searched = math.fsum(puzzle.costs(improved(puzzle, rounded)).values()) / len(one.tasks)
    assert found.mean_cost - 1e-9 <= searched <= math.fsum(puzzle.costs(rounded).values()) / len(one.tasks) + 1e-9
    for name in BASELINES:
        ends, _ = play(one, load(name))
        assert found.mean_cost <= math.fsum(end.cost for end in ends) / len(ends) + 1e-9, name


def test_a_search_is_no_worse_than_what_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(oracle, "MOST_TRIED", 0)
    tasks = [task(0.3 * k, {"a": run(1.0, fidelity=0.7), "b": 1.0 + 0.1 * k}, priority=k % 3) for k in range(9)]
    one = world(tasks, alone("a", "b"), {"a": 1.0, "b": 1.0})
    places = ["a", "b", "b", "a", "b", "a", "a", "b", "a"]
    known = math.fsum(Puzzle(one).costs(places).values()) / 9
    found = hindsight(one, [places], sweeps=1)
    assert found.method == "search"
    assert found.bound <= found.mean_cost <= known


def test_unit_tasks_are_an_assignment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Equal tasks that differ in fidelity by backend: the assignment finds what trying all finds."""
    tasks = [task(0.0, {"a": run(1.0, energy_j=k), "b": run(1.0, energy_j=7.0 - k)}) for k in range(7)]
    one = world(tasks, alone("a", "b"), {"a": 1.0, "b": 1.0})
    one = replace(one, tasks=tuple(_weighing_energy(job) for job in one.tasks))
    tried = hindsight(one)
    monkeypatch.setattr(oracle, "MOST_TRIED", 0)
    assigned = hindsight(one)
    assert (tried.method, assigned.method) == ("exhaustive", "assignment")
    assert assigned.mean_cost == assigned.bound == pytest.approx(tried.mean_cost)


def _weighing_energy(job: Task) -> Task:
    return replace(job, spec=replace(job.spec, objective=replace(job.spec.objective, energy=3.0)))


def test_nothing_to_place_costs_nothing() -> None:
    assert hindsight(world([], alone("a"), {"a": 1.0})).mean_cost == 0.0


def test_a_task_without_a_run_is_named() -> None:
    with pytest.raises(PlacementError, match="task 1"):
        hindsight(world([task(0.0, {"a": 1.0}), task(0.0, {}, ["a"])], alone("a"), {"a": 1.0}))

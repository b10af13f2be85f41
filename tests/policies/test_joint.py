"""Joint placement: optimal where that can be known, close to it elsewhere, and never worse than one after the other."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.job import Estimate, JobSpec, Objective
from orchestrator.placement import Backlog, Lane, Queued, Request, Scales
from policies import load, nsga2
from policies.baselines import Greedy
from policies.joint import Joint, Places, Plan, Schedule
from policies.table import Table
from tests.policies.batches import LANES, PROGRAM, batches, one

THREE = (Lane("w1", 1, ("a",)), Lane("w2", 2, ("b",)), Lane("w3", 1, ("c",)))
BUSY = {"w1": 0.5}


def total(plan: Plan, places: Places) -> float:
    """Cost of a placement, added up anew."""
    return Schedule(plan).put(places).total()


def least(plan: Plan) -> float:
    """The optimum, by looking at every placement."""
    return min(total(plan, np.array(each)) for each in product(*(np.flatnonzero(np.isfinite(row)) for row in plan.own)))


def drawn(seed: int, num: int, *, unit: bool, names: str = "abc") -> list[Request]:
    """Jobs whose tasks last equally long on each backend, or differ in everything."""
    rng = np.random.default_rng(seed)
    same = {name: float(rng.lognormal()) for name in names}
    batch = []
    for number in range(num):
        spec = JobSpec(
            program=PROGRAM, objective=Objective(latency=1.0 if unit else float(rng.choice([0.3, 1.0, 3.0])))
        )
        of = {
            name: Estimate(same[name] if unit else float(rng.lognormal()), float(rng.uniform(0.7, 1)), 0.0, 0.0)
            for name in names
        }
        some = [name for name in names if rng.random() < 0.8] or ["a"]
        batch.append(replace(one(number, spec=spec, **{name: of[name] for name in some}), rank=float(rng.random())))
    return batch


@pytest.mark.parametrize("seed", range(12))
def test_unit_tasks_are_placed_at_the_least_cost_there_is(seed: int) -> None:
    plan = Plan(Table.of(drawn(seed, 6, unit=True), Scales()), Backlog(THREE, dict(BUSY), {"c": 0.2}))
    assert plan._is_unit()
    assert total(plan, plan.best()) == pytest.approx(least(plan), rel=1e-9)


def test_many_unit_tasks_on_one_lane_get_a_turn_each() -> None:
    estimates = {"a": Estimate(0.01, 0.99, 0.0, 0.0), "b": Estimate(50.0, 0.9, 0.0, 0.0)}
    plan = Plan(Table.of([one(number, **estimates) for number in range(30)], Scales()), Backlog(THREE))
    assert set(plan.columns[plan.best()].tolist()) == {0}


def test_other_batches_come_close_to_the_optimum() -> None:
    gaps = []
    for seed in range(16):
        plan = Plan(Table.of(drawn(100 + seed, 6, unit=False), Scales()), Backlog(THREE, dict(BUSY)))
        gaps.append(total(plan, plan.best()) / least(plan) - 1.0)
    assert min(gaps) >= -1e-9
    assert np.mean(gaps) < 0.01
    assert np.median(gaps) < 1e-9


@pytest.mark.parametrize("seed", range(8))
def test_what_waits_already_is_part_of_the_plan_and_stays_where_it_is(seed: int) -> None:
    rng = np.random.default_rng(seed)
    queue = tuple(
        Queued(str(rng.choice(["a", "b"])), float(rank) - 30.0, float(rng.lognormal()), float(rng.choice([0.3, 3.0])))
        for rank in sorted(rng.uniform(size=4))
    )
    load_s = {w: 0.5 + sum(q.service_s for q in queue if q.backend == b) for w, b in (("w1", "a"), ("w2", "b"))}
    plan = Plan(Table.of(drawn(200 + seed, 3, unit=False), Scales()), Backlog(THREE, load_s, queue=queue))
    assert len(plan.own) == 7
    stays = [plan.own[turn].argmin() for turn in plan.waiting]
    places = np.empty(7, dtype=np.intp)
    places[plan.waiting], places[plan.turns] = stays, plan.best()
    assert [plan.columns[place] for place in stays] == [("a", "b").index(one.backend) for one in queue]
    assert total(plan, places) == pytest.approx(least(plan), rel=1e-2)


def test_a_job_keeps_clear_of_those_whom_it_would_hold_up() -> None:
    job = one(1, a=1.0, b=1.2)
    dear = tuple(Queued("a", 0.0, 0.1, 1.0) for _ in range(9))
    assert placed_beside(job, ()) == {"a": 1.0}
    assert placed_beside(job, dear) == {"b": 1.0}, "they would each wait a second longer"
    assert placed_beside(replace(job, rank=1e6), dear[:1]) == {"a": 1.0}, "who is served later holds up nobody"


def placed_beside(job: Request, queue: tuple[Queued, ...]) -> dict[str, float]:
    load_s = {"w1": sum(one.service_s for one in queue)}
    behind = tuple(replace(one, rank=job.rank) for one in queue) if job.rank < 1e6 else queue
    lanes = (Lane("w1", 1, ("a",)), Lane("w2", 1, ("b",)))
    (choice,) = load("joint").place([job], Backlog(lanes, load_s, queue=behind), Scales())
    return dict(choice)


@settings(max_examples=30)
@given(batch=batches(), busy_s=st.floats(0, 100))
def test_it_is_never_dearer_than_greedy(batch: list[Request], busy_s: float) -> None:
    table, backlog = Table.of(batch, Scales()), Backlog(LANES, {"w1": busy_s})
    plan = Plan(table, backlog)
    listed = Schedule(plan).listed(range(len(batch)))
    assert total(plan, plan.best()) <= listed.total() * (1 + 1e-9)
    assert listed.total() == pytest.approx(total(plan, listed.at))


def test_it_beats_greedy_where_greedy_jobs_are_in_the_way_of_others() -> None:
    long_first = [one(1, a=9.0, b=9.5)] + [one(number, a=0.1) for number in range(2, 12)]
    backlog = Backlog((Lane("w1", 1, ("a",)), Lane("w2", 1, ("b",))))
    assert Greedy().place(long_first, backlog.copy(), Scales())[0] == {"a": 1.0}
    assert load("joint").place(long_first, backlog.copy(), Scales())[0] == {"b": 1.0}, "ten others are served before it"


@pytest.mark.parametrize("seed", range(4))
def test_what_an_exchange_saves_is_what_was_worked_out(seed: int) -> None:
    plan = Plan(Table.of(drawn(seed, 8, unit=False, names="a"), Scales()), Backlog(THREE))
    assert Schedule(plan).listed(range(8)).improved().total() == pytest.approx(total(plan, plan.best()))
    plan = Plan(Table.of(drawn(seed, 9, unit=False), Scales()), Backlog(THREE))
    somewhere = [int(np.flatnonzero(np.isfinite(row))[-1]) for row in plan.own]  # so that there is something to gain
    schedule = Schedule(plan).put(somewhere)
    before = schedule.total()
    while schedule._exchange(1e-9):
        assert schedule.total() == pytest.approx(total(plan, schedule.at))
        assert schedule.total() < before
        before = schedule.total()


def test_a_backend_that_nobody_owns_makes_nobody_wait() -> None:
    batch = [one(number, z=1.0, a=0.9) for number in range(5)]
    assert Joint().decide(Table.of(batch, Scales()), Backlog(THREE)).count({"z": 1.0}) == 4


def test_nsga2_trades_time_for_fidelity_by_what_jobs_want() -> None:
    pytest.importorskip("pymoo", reason="pip install 'qorch[peers]'")
    good, quick = Estimate(5.0, 0.99, 0.0, 0.0), Estimate(0.1, 0.80, 0.0, 0.0)
    for latency, place in ((0.001, "a"), (10.0, "b")):
        spec = JobSpec(program=PROGRAM, objective=Objective(latency=latency))
        batch = [one(number, spec=spec, a=good, b=quick) for number in range(4)]
        assert load("nsga2").place(batch, Backlog(THREE), Scales()) == [{place: 1.0}] * 4


def test_nsga2_enumerates_what_it_would_search_through() -> None:
    rng = np.random.default_rng(3)
    values = rng.integers(0, 6, (60, 2)).astype(float)
    beaten = [any((other <= one).all() and (other < one).any() for other in values) for one in values]
    front = {tuple(row) for row in values[nsga2._front(values)]}
    assert front == {tuple(row) for row, worse in zip(values, beaten, strict=True) if not worse}


def test_nsga2_without_pymoo_names_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    from backends.errors import DependencyNotInstalled

    monkeypatch.setitem(sys.modules, "pymoo", None)
    with pytest.raises(DependencyNotInstalled, match=r"pip install 'qorch\[peers\]'"):
        load("nsga2").place([one(1, a=1.0)], Backlog(THREE), Scales())

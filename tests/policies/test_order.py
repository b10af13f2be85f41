"""The order of the equally urgent: by what a job costs for its work, within one level of priority."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.errors import PlacementError
from orchestrator.job import Estimate, JobSpec, Objective
from orchestrator.placement import PRIORITY_STEP_S, Backlog, Instead, Lane, Request, Scales, Sooner, rank, sooner_s
from orchestrator.shares import assignments_of
from policies import arena, load
from policies.order import by_smith_s
from tests.policies.batches import one
from tests.policies.worlds import PROGRAM, alone, task, world

SECONDS = st.floats(1e-6, 1e6)


@given(SECONDS, SECONDS, SECONDS, SECONDS)
def test_what_costs_more_for_its_work_goes_first_and_nobody_a_level(w: float, p: float, v: float, q: float) -> None:
    first, second = by_smith_s(w, p), by_smith_s(v, q)
    assert 0.0 <= first <= PRIORITY_STEP_S
    if w / p > v / q * (1.0 + 1e-6):
        assert first >= second
    assert by_smith_s(0.0, p) == 0.0
    assert by_smith_s(w, 0.0) == pytest.approx(PRIORITY_STEP_S, rel=2e-3)


@given(SECONDS, st.integers(0, 8))
def test_a_level_of_priority_outweighs_any_order(service_s: float, priority: int) -> None:
    short = rank(submitted_at=0.0, priority=priority, deadline_at=None) - by_smith_s(1.0, service_s)
    assert rank(submitted_at=0.0, priority=priority + 1, deadline_at=None) <= short


def placed(policy: str, *requests: Request) -> list[float]:
    """By how much each goes before its rank."""
    backlog = Backlog((Lane("w", 1, ("a",)),))
    return [sooner_s(choice) for choice in load(policy).place(requests, backlog, Scales())]


@pytest.mark.parametrize("policy", ["smith", "joint"])
def test_the_short_and_the_dear_go_first(policy: str) -> None:
    dear = JobSpec(program=PROGRAM, objective=Objective(latency=4.0))
    long, short, wanted = placed(policy, one(1, a=2.0), one(2, a=0.5), one(3, spec=dear, a=2.0))
    assert long < short
    assert wanted == pytest.approx(short), "four times the cost of waiting, four times the work"
    assert placed("eft", one(1, a=2.0)) == [0.0]


@pytest.mark.parametrize("policy", ["smith", "joint"])
def test_whoever_pays_more_for_waiting_overtakes_what_waits_already(policy: str) -> None:
    tasks = [task(0.0, {"a": 2.0}), task(0.5, {"a": 1.0})]
    tasks.append(task(1.0, {"a": 1.0}, objective=Objective(latency=4.0, fidelity=0.0, price=0.0)))
    plain, ordered = (arena.play(world(tasks, alone("a"), {"a": 1.0}), load(name))[0] for name in ("eft", policy))
    assert [round(end.wait_s, 6) for end in plain] == [0.0, 1.5, 2.0], "first come, first served"
    assert [round(end.wait_s, 6) for end in ordered] == [0.0, 2.5, 1.0], "what runs is not interrupted"


def test_a_choice_says_how_far_it_goes_and_may_not_go_further() -> None:
    request, backlog = one(1, a=1.0), Backlog((Lane("w", 1, ("a",)),))

    def ranked(choice: dict[str, float]) -> float:
        estimate = Estimate(1.0, 1.0, 0.0, 0.0)
        (part,) = assignments_of(request, choice, backlog.copy(), lambda *_: (estimate, estimate))
        return part.rank

    assert ranked({"a": 1.0}) == ranked(Instead({"a": 1.0}, policy="eft", reason="slow")) == request.rank
    assert ranked(Sooner({"a": 1.0}, 12.5)) == request.rank - 12.5
    for by_s in (-1.0, PRIORITY_STEP_S + 1.0, float("nan")):
        with pytest.raises(PlacementError, match="from 0 to 60 s sooner than its rank says, got"):
            ranked(Sooner({"a": 1.0}, by_s))

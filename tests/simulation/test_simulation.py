"""Simulated clusters hold what is promised; and what breaks a promise is found."""

from __future__ import annotations

from typing import Any

import pytest

from orchestrator import remote_trip
from orchestrator.case import Case
from orchestrator.job import AssignmentState, Event
from orchestrator.preparer import Preparer
from orchestrator.purchase import Purchase, Step, step
from orchestrator.sql import jobs as sql_jobs
from orchestrator.sql import purchases as sql_purchases
from orchestrator.sql.desk import Desk
from tests.simulation.play import Failed, play

NUM_WORLDS = 120
PATIENCE = 1_500
"""Worlds by which a broken promise must have been noticed."""


def test_nothing_is_lost_doubled_or_untold() -> None:
    summary = play(range(NUM_WORLDS))
    assert summary.states.total() > NUM_WORLDS
    assert summary.happened["stale write refused"] > 0
    assert summary.happened["assignment_released"] > 0
    assert summary.happened["reconsidered"] > 0
    assert summary.happened["sent"] > NUM_WORLDS / 5
    assert summary.happened["outcome_unknown"] > 0


def test_a_seed_tells_the_same_story_again() -> None:
    stories: list[str] = []
    for _ in range(2):
        play([11, 122], tell=stories.append)  # the second one has a provider that is asked often
    assert stories[:2] == stories[2:]
    assert all("FAULT" in story for story in stories)


def whoever_runs_holds(claimed: Any, mine: Any) -> bool:
    return mine.state is AssignmentState.RUNNING


def nothing_untold(*_: Any) -> list[Event]:
    return []


def children_are_forgotten(desk: Desk) -> None:
    return None


def every_place_is_awaited(case: Case, parts: Any) -> bool:
    return not case.ended


def nothing_is_unconcluded(*_: Any) -> list[str]:
    return []


def bought_again(purchase: Purchase | None, **said: Any) -> Step:
    told = step(purchase, **said)
    return Step.BUY if told is Step.FIND and said["wanted"] else told


def no_limit(*_: Any) -> None:
    return None


FIRST = {"holds": 630, "_all_parts_done": 640, "awaits": 220, "_check": 210}
"""Worlds to begin with where it takes many to notice; when other code tells other stories, only time is lost."""


@pytest.mark.parametrize(
    ("owner", "name", "broken"),
    [
        pytest.param(sql_jobs, "holds", whoever_runs_holds, id="fencing"),
        pytest.param(sql_jobs, "_untold", nothing_untold, id="outbox"),
        pytest.param(Desk, "_tell_children", children_are_forgotten, id="children"),
        pytest.param(Case, "awaits", every_place_is_awaited, id="placed twice"),
        pytest.param(sql_jobs, "_all_parts_done", nothing_is_unconcluded, id="unconcluded"),
        pytest.param(remote_trip, "QUIET", 0.0, id="still on its way"),
        pytest.param(remote_trip, "step", bought_again, id="bought again"),
        pytest.param(sql_purchases, "_check", no_limit, id="budget"),
    ],
)
def test_a_broken_promise_is_noticed(monkeypatch: pytest.MonkeyPatch, owner: object, name: str, broken: Any) -> None:
    monkeypatch.setattr(owner, name, broken)
    with pytest.raises(Failed, match="again: python -m tests"):
        play(range(FIRST.get(name, 0), PATIENCE))


def test_preparations_that_are_gone_are_worked_out_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    saved, lost = Preparer._save, []

    def forgetful(preparer: Preparer, new: Any) -> None:
        if preparer._store.now() % 1.0 > 0.5:
            saved(preparer, new)
        else:
            lost.extend(new)

    monkeypatch.setattr(Preparer, "_save", forgetful)
    summary = play(range(NUM_WORLDS // 2, NUM_WORLDS + 5))
    assert lost
    assert summary.states["done"] > 0

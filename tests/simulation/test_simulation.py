"""Simulated clusters hold what is promised; and what breaks a promise is found."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from orchestrator.case import Case
from orchestrator.job import Event
from orchestrator.preparer import Preparer
from orchestrator.sql import jobs as sql_jobs
from orchestrator.sql.desk import Desk
from tests.simulation.play import Failed, play

NUM_WORLDS = 200
PATIENCE = 1_500
"""Worlds by which a broken promise must have been noticed."""


def test_nothing_is_lost_doubled_or_untold() -> None:
    summary = play(range(NUM_WORLDS))
    assert summary.states.total() > NUM_WORLDS
    assert summary.happened["stale write refused"] > 0
    assert summary.happened["assignment_released"] > 0


def test_a_seed_tells_the_same_story_again() -> None:
    stories: list[str] = []
    for _ in range(2):
        play([11], tell=stories.append)
    assert stories[0] == stories[1]
    assert "FAULT" in stories[0]


def nobody_holds(part: Any) -> int:
    return 0


def nothing_untold(*_: Any) -> list[Event]:
    return []


def children_are_forgotten(desk: Desk) -> None:
    return None


def every_place_is_awaited(case: Case, parts: Any) -> bool:
    return not case.ended


def nothing_is_unconcluded(*_: Any) -> list[str]:
    return []


def kept_but_not_saved(preparer: Preparer, new: Any) -> None:
    if new and preparer._store.now() % 1.0 > 0.1:  # the rest is lost
        preparer._store.save_prepared(new)


@pytest.mark.parametrize(
    ("owner", "name", "broken"),
    [
        pytest.param(sql_jobs, "_holder", nobody_holds, id="fencing"),
        pytest.param(sql_jobs, "_untold", nothing_untold, id="outbox"),
        pytest.param(Desk, "_tell_children", children_are_forgotten, id="children"),
        pytest.param(Case, "awaits", every_place_is_awaited, id="placed twice"),
        pytest.param(sql_jobs, "_all_parts_done", nothing_is_unconcluded, id="unconcluded"),
        pytest.param(Preparer, "_save", kept_but_not_saved, id="preparation"),
    ],
)
def test_a_broken_promise_is_noticed(
    monkeypatch: pytest.MonkeyPatch, owner: object, name: str, broken: Callable[..., Any]
) -> None:
    monkeypatch.setattr(owner, name, broken)
    with pytest.raises(Failed, match="again: python -m tests"):
        play(range(PATIENCE))

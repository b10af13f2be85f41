"""When jobs that come after others are expected."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

import backends
from orchestrator.coming import expected_at
from orchestrator.job import Assignment, AssignmentState, Job, JobSpec, JobState
from orchestrator.store import Waiting
from tests.far.provider import device

Make = Callable[..., Assignment]
DEVICES = {"aer_mps": backends.load("aer_mps").device(), "far": device("far")}


@pytest.fixture
def parts(new_assignment: Make) -> tuple[Assignment, Assignment]:
    """One that waits and one that runs, of a second each."""
    waits = new_assignment(backend="aer_mps", placed_at=100.0, wait_s=3.0)
    waits = replace(waits, estimate=replace(waits.estimate, service_s=1.0))
    return waits, replace(waits, id="j-1", state=AssignmentState.RUNNING, started_at=110.0)


def before(spec: JobSpec, *parts: Assignment, **changes: Any) -> Waiting:
    return Waiting(replace(Job("j", 1, spec, JobState.PLACED, 100.0), **changes), parts)


def test_a_job_is_expected_when_the_last_share_of_all_before_it_ends(
    spec: JobSpec, parts: tuple[Assignment, Assignment]
) -> None:
    waits, runs = parts
    assert expected_at([before(spec, waits)], DEVICES) == 104.0, "behind what was waiting as it was placed"
    assert expected_at([before(spec, waits, runs)], DEVICES) == 111.0
    assert expected_at([before(spec, waits), before(spec, runs)], DEVICES) == 111.0
    done = replace(runs, state=AssignmentState.DONE, finished_at=120.0)
    assert expected_at([before(spec, waits, done)], DEVICES) == 120.0
    gone = replace(done, state=AssignmentState.REPLACED)
    assert expected_at([before(spec, waits, gone)], DEVICES) == 104.0, "what was replaced counts no more"


def test_nobody_knows_when_what_is_not_placed_or_not_here_ends(
    spec: JobSpec, parts: tuple[Assignment, Assignment]
) -> None:
    waits, _ = parts
    assert expected_at([], DEVICES) is None
    for unknown in (
        before(spec),
        before(spec, waits, to_place=10),
        before(spec, waits, cancel_requested=True),
        before(spec, replace(waits, backend="nowhere")),
        before(spec, replace(waits, backend="far")),
    ):
        assert expected_at([before(spec, waits), unknown], DEVICES) is None

"""Items of a job that is divided by them: each is given once, whatever was lost before."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.case import Case
from orchestrator.cost_model.prior import CONVERSATION_S, part_of
from orchestrator.job import Assignment, AssignmentState, Estimate, Job, JobSpec, JobState
from orchestrator.placement import Request
from orchestrator.shares import divided, missing_items

Make = Callable[..., Assignment]


@given(data=st.data(), num_items=st.integers(1, 60))
def test_what_is_missing_and_what_is_there_are_all_items(data: st.DataObject, num_items: int) -> None:
    cuts = sorted({0, num_items, *data.draw(st.lists(st.integers(0, num_items), max_size=6))})
    stretches = [(first, last) for first, last in pairwise(cuts) if data.draw(st.booleans())]
    none = Estimate(0.0, 1.0, 0.0, 0.0)
    parts = [
        Assignment(f"j-{n}", "j", "b", 1, 0.0, none, none, 0.0, 0, "v", 0.0, items=items)
        for n, items in enumerate(stretches)
    ]
    missing = missing_items(num_items, data.draw(st.permutations(parts)))
    assert sorted(item for items in (*missing, *stretches) for item in range(*items)) == list(range(num_items))
    assert all(before[1] < after[0] for before, after in pairwise(missing)), "as few as there are"
    lost = [replace(part, state=AssignmentState.REPLACED) for part in parts]
    assert missing_items(num_items, lost) == ((0, num_items),)


@given(data=st.data())
def test_every_item_is_given_once_and_every_part_is_one_stretch(data: st.DataObject) -> None:
    cuts = data.draw(st.lists(st.integers(0, 50), min_size=2, max_size=8, unique=True).map(sorted))
    items = tuple(zip(cuts[::2], cuts[1::2], strict=False))
    wanted = [item for stretch in items for item in range(*stretch)]
    names = data.draw(st.lists(st.sampled_from("abcd"), min_size=1, max_size=min(4, len(wanted)), unique=True))
    weights = [data.draw(st.floats(0.01, 1.0)) for _ in names]
    choice = {name: weight / sum(weights) for name, weight in zip(names, weights, strict=True)}
    spec = JobSpec.__new__(JobSpec)  # nothing of it is looked at
    found = list(divided(Request("j", 1, spec, 0.0, 0.0, (), items=items), choice))
    assert {name for name, _, _ in found} == set(names)
    assert [item for _, _, own in found for item in range(*(own or ()))] == wanted
    assert all(own is not None and own[1] - own[0] == amount > 0 for _, amount, own in found)


def test_places_are_for_just_the_items_that_wait(spec: JobSpec, new_assignment: Make) -> None:
    job = Job("job", 1, spec, JobState.SUBMITTED, 0.0, to_place=spec.shots)
    first = [new_assignment(id=f"job-{n}", items=items) for n, items in enumerate([(0, 3), (3, 9)])]
    assert Case(job).awaits(first), "nobody knew before how many there are"
    lost = replace(first[1], state=AssignmentState.REPLACED)
    case = Case(replace(job, to_place=6, num_placements=1), (first[0], lost))
    assert case.awaits([new_assignment(id="job-2", items=(3, 9))])
    assert not case.awaits([new_assignment(id="job-2", items=(3, 8))])
    assert not case.awaits([new_assignment(id="job-1", items=(3, 9))])


def test_a_part_pays_for_its_items_its_circuits_and_the_conversation(estimate: Estimate) -> None:
    half, own_s = part_of(estimate, 0.5), CONVERSATION_S + estimate.prepare_s
    assert half.service_s - own_s == pytest.approx(0.5 * (estimate.service_s - own_s))
    assert half.prepare_s == estimate.prepare_s
    assert (half.energy_j, half.cost_usd) == (0.5 * estimate.energy_j, 0.5 * estimate.cost_usd)
    assert half.fidelity == estimate.fidelity

"""Demands for pairs: what none can be, and what a circuit's shots come to."""

from __future__ import annotations

import math
from typing import Any

import pytest

from orchestrator.entanglement import PairDemand, shots_demands
from orchestrator.errors import EntanglementError, InvalidDemand
from orchestrator.records import from_json, to_json


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("num_pairs", 0),
        ("num_pairs", 2.0),
        ("min_fidelity", 0.2),
        ("min_fidelity", 1.1),
        ("release_s", -1.0),
        ("deadline_s", math.nan),
        ("spacing_s", "soon"),
        ("dst", "a"),
    ],
)
def test_a_demand_that_cannot_be_is_refused_by_its_field(field: str, value: Any) -> None:
    good: dict[str, Any] = {"job_id": "j", "src": "a", "dst": "b", "num_pairs": 1}
    with pytest.raises(InvalidDemand, match=f"^{field}: wanted") as refused:
        PairDemand(**good | {field: value})
    assert isinstance(refused.value, EntanglementError)


def test_without_a_deadline_a_demand_is_still_its_json() -> None:
    demand = PairDemand("j", "a", "b", 2)
    assert from_json(PairDemand, to_json(demand)) == demand


def test_every_shot_uses_up_its_own_pairs() -> None:
    needs = {(0, 1): [1e-6, 4e-6, 7e-6], (1, 2): [2e-6]}
    first, second = shots_demands("j", needs, ("a", "b", "c"), 100, min_fidelity=0.9, deadline_s=60.0)
    assert (first.src, first.dst, first.num_pairs) == ("a", "b", 300)
    assert (first.release_s, first.spacing_s) == (1e-6, pytest.approx(3e-6))
    assert (second.num_pairs, second.spacing_s, second.min_fidelity, second.deadline_s) == (100, 0.0, 0.9, 60.0)

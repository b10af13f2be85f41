"""The real stack under fire: twenty faults, nothing lost, nothing doubled, everybody told."""

from __future__ import annotations

import pytest

from tests.faults import far
from tests.faults.campaign import campaign


@pytest.mark.slow
def test_nothing_is_bought_twice() -> None:
    kinds = ("kill_between", "kill_in_submit", "stop_in_submit", "cancel_sent")
    report = far.campaign(seed=7, num_faults=1, store="sqlite", kinds=kinds)
    assert report.num_rounds == len(kinds)
    assert report.faults.total() > 2 * len(kinds)
    assert report.wrong == ()


@pytest.mark.slow
@pytest.mark.parametrize("store", ["sqlite", "postgresql"])
def test_nothing_is_lost_or_doubled(store: str) -> None:
    report = campaign(seed=7, num_faults=10, stores=[store])
    assert len(report.fights) == 10
    assert report.wrong == ()

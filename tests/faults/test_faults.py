"""The real stack under fire: twenty faults, nothing lost, nothing doubled, everybody told."""

from __future__ import annotations

import pytest

from tests.faults.campaign import campaign


@pytest.mark.slow
@pytest.mark.parametrize("store", ["sqlite", "postgresql"])
def test_nothing_is_lost_or_doubled(store: str) -> None:
    report = campaign(seed=7, num_faults=10, stores=[store])
    assert len(report.fights) == 10
    assert report.wrong == ()

"""A few purchases while everything goes wrong; ``python -m tests.faults.purchases`` makes a hundred and fifty."""

from __future__ import annotations

from tests.faults.purchases import campaign


def test_nothing_is_bought_twice_or_lost() -> None:
    report = campaign(seed=2, num_purchases=5)
    assert report.faults.total() > 5
    assert report.faults["buyer killed"] > 0
    assert (report.doubles, report.lost) == ((), ())
    assert report.num_tasks == report.num_runs

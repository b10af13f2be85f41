"""The report of the placement benchmark: which policy is held against the targets, and what its regret is over."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from workers.compare.standings import Score

SCRIPT = Path(__file__).parents[2] / "examples" / "benchmarks" / "placement_report.py"


@pytest.fixture(scope="module")
def report() -> Iterator[ModuleType]:
    """The script as a module."""
    spec = importlib.util.spec_from_file_location("placement_report", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["placement_report"] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules["placement_report"]


def score(policy: str, seed: int, cost: float, best: float | None = None, failed: int = 0) -> Score:
    return Score(policy, seed, 10, cost, 2.0 * cost, 0.9, 0.0, 0.0, 1.0, failed, 4, 1, best, best and best / 2)


def test_the_best_schedule_known_is_whoever_s_found_it(report: ModuleType) -> None:
    cells = [
        report.Cell("f", "light", "cold", score("eft", 1, 4.0, best=3.0)),
        report.Cell("f", "light", "warm", score("eft", 1, 2.5, best=3.0)),
        report.Cell("f", "light", "warm", score("greedy", 1, 1.0, best=3.0, failed=1)),
        report.Cell("f", "light", "cold", score("eft", 2, 4.0, best=3.5)),
        report.Cell("f", "medium", "cold", score("eft", 1, 4.0)),
    ]
    found = [cell.score.best for cell in report.consistent(cells)]
    assert found == [2.5, 2.5, 2.5, 3.5, None], "one that refused a job has no schedule of all"


def test_the_policy_is_chosen_by_its_cost_over_eft(report: ModuleType, tmp_path: Path) -> None:
    costs = {"eft": (4.0, 2.0), "greedy": (3.0, 1.9), "random": (2.0, 9.0)}
    cells = [
        report.Cell("f", load, "cold", score(policy, seed, mine[place] * seed, best=1.0))
        for policy, mine in costs.items()
        for place, load in enumerate(("light", "overload"))
        for seed in (1, 2)
    ]
    assert report.chosen(cells, list(costs)) == "greedy"
    ratio = report.ratio(cells, ("f", "cold", "light"), "greedy", "eft", lambda one: one.cost)
    assert (ratio.value, ratio.low, ratio.high) == (0.75, 0.75, 0.75)
    with_fcfs = [
        *cells,
        *(report.Cell("f", load, "cold", score("best_fidelity", 1, 8.0, best=1.0)) for load in ("light",)),
    ]
    report.write_table(cells, with_fcfs, list(costs), tmp_path / "t.md", ["about"])
    text = (tmp_path / "t.md").read_text()
    assert "## `greedy`, chosen on the tuning seeds" in text
    assert "| f, cold, light | 0.750 ± 0.000 | 0.375 |" in text
    assert "2 of 8" in text
    report.draw(cells, list(costs), tmp_path / "t.png")
    assert (tmp_path / "t.png").read_bytes().startswith(b"\x89PNG")

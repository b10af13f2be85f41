"""The picture of the demo: whoever plays, every text can be read."""

from __future__ import annotations

import importlib.util
from itertools import combinations
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

Text = pytest.importorskip("matplotlib.text", reason="pip install 'qorch[plots]'").Text

SCRIPT = Path(__file__).parents[2] / "examples" / "report.py"
POLICIES = ("round_robin", "eft", "greedy", "random", "shortest_queue", "placing:f3d6afe1a942", "nsga2")
BACKENDS = (
    *("aer_statevector", "aer_mps", "aer_stabilizer", "aer_density_matrix"),
    *("fake_guadalupe", "fake_hanoi", "cirq_simulator", "braket_local"),
)


@pytest.fixture(scope="module")
def report() -> ModuleType:
    """The script as a module."""
    spec = importlib.util.spec_from_file_location("report", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def rows(num_policies: int, num_jobs: int) -> list[dict[str, Any]]:
    """Rows as the demo's, of what the picture shows."""
    chance = np.random.default_rng(num_policies)
    return [
        {
            "policy": policy,
            "index": index,
            "backend": BACKENDS[index % len(BACKENDS)],
            "cost": chance.exponential(3.0),
            "measurement": {"latency_s": chance.lognormal(0.0, 2.0), "service_s": chance.lognormal(0.0, 1.0)},
            "prior": {"service_s": 1.0},
            "estimate": {"service_s": 1.0},
        }
        for policy in POLICIES[:num_policies]
        for index in range(num_jobs)
    ]


def texts_of(figure: Any, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """All that is written there; labels of ticks beyond an axis are not."""
    found: dict[Any, None] = {}
    draw = Text.draw

    def noted(text: Any, renderer: Any) -> None:
        found[text] = None
        draw(text, renderer)

    monkeypatch.setattr(Text, "draw", noted)
    figure.canvas.draw()
    return [text for text in found if text.get_visible() and text.get_text().strip()]


@pytest.mark.parametrize(("num_policies", "num_jobs"), [(2, 6), (5, 72), (6, 72), (7, 72)])
def test_no_text_lies_on_another_or_outside(
    num_policies: int, num_jobs: int, report: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[Any] = []
    monkeypatch.setattr(report.plt, "close", drawn.append)
    report.draw(rows(num_policies, num_jobs), tmp_path / "overview.png")
    (figure,) = drawn
    texts = texts_of(figure, monkeypatch)
    monkeypatch.undo()
    shown = {text.get_text() for text in texts}
    assert {policy.partition("afe1")[0] for policy in POLICIES[:num_policies]} <= shown
    assert {"with learning", "without learning", "What the jobs cost", *BACKENDS[: min(num_jobs, 8)]} <= shown
    boxes = {text: text.get_window_extent() for text in texts}
    for one, box in boxes.items():
        assert figure.bbox.x0 <= box.x0 < box.x1 <= figure.bbox.x1, one
        assert figure.bbox.y0 <= box.y0 < box.y1 <= figure.bbox.y1, one
    for one, other in combinations(texts, 2):
        assert not boxes[one].overlaps(boxes[other]), (one, other)
    report.plt.close(figure)

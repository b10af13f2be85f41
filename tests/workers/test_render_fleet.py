"""Tables of places: what is paused, unknown or far behind is said in its row, and fits a narrow screen."""

from __future__ import annotations

from dataclasses import replace

import pytest

from backends import load
from backends.backend import Availability
from orchestrator.store import Announcement
from tests.workers.test_render import shown
from workers import render_fleet

NOW = 1_000_000.0


def announced(name: str, **fields: object) -> Announcement:
    return Announcement(name, "w@host", 1, replace(load("fake_hanoi").device(), name=name, **fields))


@pytest.mark.parametrize("width", [80, 160])
def test_state_queue_and_unknown_price(width: int) -> None:
    paused = Availability("paused", "maintenance", 1234, 7200.0, NOW + 600.0, NOW)
    found = [announced("far", kind="qpu", availability=paused, price=None), announced("near")]
    words = " ".join(shown(render_fleet.backends(found, NOW, {"near": "drained"}, width=width), width).split())
    for expected in ("paused for 10 min", "maintenance", "234 · 2.0 h", "QPU", "unknown", "drained", "15 kW"):
        assert expected in words, expected
    assert ("installation" in words) == (width == 160)

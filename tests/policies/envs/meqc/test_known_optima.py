"""Optima that are remembered: the same as those that are found, and never believed when they are not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from policies.envs.meqc.batch import Slots, settle
from policies.envs.meqc.known_optima import best_actions
from policies.envs.meqc.model import MODES
from policies.envs.meqc.optimum import optimum
from policies.envs.meqc.world import Setting, World

MODEL = MODES["calibrated"]


@pytest.fixture
def slots() -> Slots:
    return World(Setting(users=3, servers=3), 4, 1_000_000, dtype=torch.float64).slots


def test_slots_come_apart_and_together_again(slots: Slots) -> None:
    again = Slots.stacked(slots.unstacked())
    assert all(torch.equal(value, getattr(again, name)) for name, value in vars(slots).items() if value is not None)


def test_what_is_remembered_is_what_is_found(slots: Slots, tmp_path: Path) -> None:
    heard: list[tuple[int, int]] = []
    found = best_actions(MODEL, slots, tmp_path, tell=lambda done, of: heard.append((done, of)))
    again = best_actions(MODEL, slots, tmp_path)
    assert found.total.tolist() == pytest.approx([optimum(MODEL, one).total for one in slots.unstacked()], rel=1e-12)
    assert torch.equal(found.total, again.total)
    assert torch.equal(found.action.servers, again.action.servers)
    assert found.exact.all()
    assert heard == [(4, 4)]
    assert settle(MODEL, slots, again.action).cost.sum(-1).tolist() == pytest.approx(found.total.tolist(), rel=1e-9)


def test_another_question_has_another_answer(slots: Slots, tmp_path: Path) -> None:
    best_actions(MODEL, slots, tmp_path)
    best_actions(MODES["physical"], slots, tmp_path)
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize("damage", ["nonsense", "cheaper", "nowhere", "fewer", "gone"])
def test_a_damaged_memory_is_not_believed(slots: Slots, tmp_path: Path, damage: str) -> None:
    found = best_actions(MODEL, slots, tmp_path)
    (path,) = tmp_path.iterdir()
    held = dict(np.load(path))
    if damage == "nonsense":
        path.write_bytes(b"PK nonsense")
    elif damage == "gone":
        path.unlink()
    else:
        held["total"] = held["total"] * (0.9 if damage == "cheaper" else 1.0)
        held["servers"] = held["servers"] + (7 if damage == "nowhere" else 0)
        held["shares"] = held["shares"][: 3 if damage == "fewer" else 4]
        np.savez(path, **held)
    again = best_actions(MODEL, slots, tmp_path)
    assert torch.equal(found.total, again.total)
    assert torch.equal(best_actions(MODEL, slots, tmp_path).total, found.total)


def test_a_folder_that_cannot_be_written_is_no_error(slots: Slots, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert best_actions(MODEL, slots, tmp_path / "file").exact.all()

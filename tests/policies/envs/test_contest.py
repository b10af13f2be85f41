"""Contests: everybody plays the same slots, and what they come to is computed from costs alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from circuits.errors import InvalidParameter
from policies.envs.contest import Cell, Entrant, contest, costs, entrants, lower_bound, rule
from policies.envs.meqc.baselines import BASELINES
from policies.envs.meqc.batch import settle
from policies.envs.meqc.model import MODES
from policies.envs.meqc.sequential import SequentialSetting
from policies.envs.meqc.world import Setting, World
from policies.envs.scores import overall, rows_of
from policies.learners.kit.checkpoint import Run
from policies.train import train
from tests.policies.learners.toy import Config

SMALL = Setting(users=3, servers=3)
CELL = Cell("MEQC-v1", SMALL, (1_000_000, 1_000_001), 100)


def test_a_policy_plays_the_worlds_own_slots() -> None:
    world = World(SMALL, CELL.num_worlds, 1_000_001, dtype=torch.float64)
    first = settle(SMALL.model, world.slots, BASELINES["local"](SMALL.model, world.slots, torch.Generator()))
    found = costs(CELL, rule(CELL, "local"))
    assert found.shape == (200,)
    assert found[100:].tolist() == first.cost.sum(-1).tolist()


@pytest.mark.usefixtures("optima")
def test_nobody_is_below_the_optimum_and_it_is_the_same_for_all() -> None:
    played = contest(CELL, entrants([*BASELINES, "optimum"]))
    for costs_of in played.values():
        assert costs_of.shape == (1, 200)
        assert (costs_of >= played["optimum"] * (1.0 - 1e-12)).all()
    assert lower_bound(CELL) <= played["optimum"].mean()


def test_a_bound_is_below_what_is_best_known(optima: Path) -> None:
    cell = Cell("MEQC-v1", Setting(users=1, servers=2, model=MODES["physical"]), (1_000_000,), 100)
    assert lower_bound(cell) <= costs(cell, rule(cell, "optimum")).mean() * (1.0 + 1e-12)
    assert list(optima.iterdir())


def test_figures_follow_from_costs() -> None:
    slots = np.random.default_rng(0).uniform(1.0, 2.0, size=(1, 400))
    learned = np.concatenate([1.2 * slots, 1.4 * slots, 1.4 * slots, 9.0 * slots])
    played = {"optimum": slots, "local": 2.0 * slots, "random_offload": 3.0 * slots, "mine": learned}
    rows = {row.policy: row for row in rows_of(CELL, played)}
    assert list(rows) == ["optimum", "mine", "local", "random_offload"]  # the cheapest first
    mine = rows["mine"]
    assert mine.naive == "local"
    assert mine.num_runs == 4
    assert mine.cost.value == pytest.approx(1.4 * slots.mean())  # the middle half of the runs
    assert mine.below["local"].value == pytest.approx(0.3)
    assert mine.above_optimum is not None
    assert mine.above_optimum.value == pytest.approx(0.4)
    assert mine.score is not None
    assert mine.score.value == pytest.approx(0.6)
    assert mine.scores == pytest.approx((0.8, 0.6, 0.6, -7.0))
    worse = rows["random_offload"].above_optimum
    assert worse is not None
    assert (worse.low, worse.high) == pytest.approx((2.0, 2.0))  # slots cancel
    assert rows["optimum"].score is not None
    assert rows["optimum"].score.value == 1.0


def test_the_overall_score_takes_runs_and_cells_together() -> None:
    other = Cell("MEQC-v1", Setting(users=4, servers=4), (1,), 100)
    slots = np.ones((1, 10))
    rows = [
        row
        for cell, best in ((CELL, 1.2), (other, 1.6))
        for row in rows_of(cell, {"optimum": slots, "local": 2.0 * slots, "mine": best * np.ones((2, 10))})
    ]
    found = {one.policy: one for one in overall(rows)}
    assert list(found) == ["optimum", "mine", "local"]
    assert (found["mine"].num_runs, found["mine"].num_cells) == (2, 2)
    assert found["mine"].score.value == pytest.approx(0.6)
    assert found["mine"].beats == {"optimum": 0.0, "local": 1.0}


@pytest.mark.usefixtures("toy")
def test_runs_of_one_learner_are_one_policy_and_play_where_they_fit(tmp_path: Path) -> None:
    for seed in (1, 2):
        train(Run("toy", "MEQC-v1", seed, Config(), SMALL), 1, tmp_path / "toys" / str(seed))
    train(Run("toy", "MEQC-v1", 1, Config(steps=2), SMALL), 1, tmp_path / "short")
    found = entrants(["local", str(tmp_path / "toys"), str(tmp_path / "short"), f"mine={tmp_path / 'short'}"])
    assert [(one.name, len(one.runs)) for one in found] == [("local", 0), ("toy", 2), ("toy 2", 1), ("mine", 1)]
    played = contest(CELL, found)
    assert played["toy"].shape == (2, 200)
    elsewhere = Cell("MEQC-v1", Setting(users=3, servers=4), (1_000_000,), 100)
    assert set(contest(elsewhere, found)) == {"local"}  # the toy was made for three servers
    with pytest.raises(InvalidParameter, match="made for 3 users and 4 servers, got none"):
        contest(elsewhere, found[1:])
    with pytest.raises(InvalidParameter, match="toy cannot act in MEQC-v2"):
        contest(Cell("MEQC-v2", SequentialSetting(users=3, servers=3), (1_000_000,), 64), found[1:2])


@pytest.mark.usefixtures("toy")
def test_runs_made_for_just_this_cell_go_first(tmp_path: Path) -> None:
    settings = {"fixed": SMALL, "drawn": Setting(users=3, servers=3, weights="drawn")}
    for name, setting in settings.items():
        train(Run("toy", "MEQC-v1", 1, Config(), setting), 1, tmp_path / name)
    (both,) = entrants([f"mine={tmp_path}"])
    assert [run.run.setting.weights for run in both.fitting(SMALL)] == ["fixed"]
    assert [run.run.setting.weights for run in both.fitting(Setting(users=3, servers=3, delay_weight=1.0))] == ["drawn"]
    assert Entrant("mine", both.runs[:1]).fitting(Setting(users=9)) == both.runs[:1]


def test_what_is_neither_rule_nor_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidParameter, match=r"policies: wanted local, .*, optimum or a folder"):
        entrants(["teacher"])
    with pytest.raises(InvalidParameter, match="wanted a name of its own"):
        entrants([f"optimum={tmp_path}"])
    with pytest.raises(InvalidParameter, match="which has none"):
        entrants([str(tmp_path)])

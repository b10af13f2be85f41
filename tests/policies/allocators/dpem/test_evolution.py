"""The search finds what is best, goes on as if nothing had been, and begins at the hand rule."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

pytest.importorskip("numba", reason="pip install 'qorch[sparse]'")

from circuits.errors import InvalidParameter
from policies.allocators.dpem import forecast as forecasts
from policies.allocators.dpem.deployment import deploy
from policies.allocators.dpem.evaluation import rule_on
from policies.allocators.dpem.evolution import begun_at, drawn, moved
from policies.allocators.dpem.federation import Federation
from policies.allocators.dpem.learner import Config, Run, read_run
from policies.envs.entanglement import state as states
from policies.envs.entanglement.play import play
from policies.envs.entanglement.setting import EntanglementSetting
from policies.learners.kit import checkpoint

WORLD = EntanglementSetting(num_nodes=14, duration_s=20.0, offered_hz=2.0)


def run_of(topologies: tuple[int, ...] = (0, 1), **config: Any) -> Run:
    few = {"forecast": "none", "history_s": 0.0, "shares": "pulls", "paths": "hand", "training": "evolved"}
    more = {**few, "candidates": 6, "networks": 1, "windows": 2, **config}
    return Run(Config(**more), Federation(), forecasts.Config(), WORLD, topologies, 1)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_it_finds_the_bottom_of_a_narrow_valley(seed: int) -> None:
    chance = torch.Generator().manual_seed(seed)
    scales = torch.logspace(0, 3, 8).double()
    search = begun_at(torch.full((8,), 2.0).double(), 0.5)
    for _ in range(400):
        found = drawn(search, 12, chance)
        search = moved(search, found, -(scales * (found - 1.0) ** 2).sum(1))
    assert torch.allclose(search.mean, torch.ones(8).double(), atol=1e-4)


def test_only_the_order_of_candidates_counts() -> None:
    chance = torch.Generator().manual_seed(3)
    search = begun_at(torch.zeros(5).double(), 1.0)
    found = drawn(search, 8, chance)
    worth = -found.square().sum(1)
    one, other = moved(search, found, worth), moved(search, found, worth.exp() * 7.0)
    assert all(torch.equal(mine, its) for mine, its in zip(one, other, strict=True))


def test_pulls_of_those_in_need_alone_are_the_hand_rule() -> None:
    episode = deploy(WORLD, 3, history_s=0.0).episode(0, 5)
    begun = rule_on(run_of().begin().actor(), episode)
    begun.pull[states.NUM_PULL_FEATURES] = -30.0  # who has a pair does not pull
    mine = play(episode, begun, record=1)
    its = play(episode, states.rule(states.LOCAL, states.S_LOCAL), record=1)
    assert np.allclose(mine.state.share_log, its.state.share_log, atol=1e-5)
    assert mine.state.tally.tolist() == its.state.tally.tolist()


@pytest.mark.parametrize("searched", ["pulls", "constants"])
def test_it_searches_and_goes_on_as_if_nothing_had_been(tmp_path: Path, searched: str) -> None:
    run = run_of(searched=searched)
    learner = run.begin()
    curve = [learner.epoch()]
    checkpoint.save(tmp_path, run, learner, curve, [1.0])
    found = checkpoint.load(tmp_path, read_run)
    restored = found.learner()
    assert learner.epoch() == restored.epoch()
    mine, its = learner.state(), restored.state()
    assert mine.keys() == its.keys()
    assert all(torch.equal(each, its[name]) for name, each in mine.items())
    moved_by = learner.actor().pull.detach().numpy() - states.hand_pulls()
    assert np.flatnonzero(moved_by).tolist() == sorted(
        range(states.NUM_PULLS) if searched == "pulls" else states.HAND_PULLS
    )


def test_paths_are_learned_on_top_of_pulls(tmp_path: Path) -> None:
    run = run_of()
    learner = run.begin()
    curve = [learner.epoch()]
    checkpoint.save(tmp_path, run, learner, curve, [1.0])
    found = checkpoint.load(tmp_path, read_run)
    on_top = Run(
        Config(forecast="none", history_s=0.0, shares="pulls", passes=1, parts=2, windows=2),
        *(Federation(), forecasts.Config(), WORLD, (0,), 2, found.name),
    )
    second = on_top.begin(found)
    second.epoch()
    assert torch.equal(second.actor().pull, learner.actor().pull)
    assert not torch.equal(second.actor().path, learner.actor().path)


def test_a_search_of_other_shares_is_refused() -> None:
    with pytest.raises(InvalidParameter, match="shares: wanted pulls"):
        run_of(shares="hand")


def test_runs_from_before_the_search_are_read() -> None:
    run = run_of(shares="learned", training="central")
    document = run.document() | {"start": ""}
    config = document["config"]["config"]
    for name in ("searched", "candidates", "networks", "spread"):
        del config[name]
    found = read_run(document)
    assert found.config.candidates == Config().candidates
    assert "pull" not in found.begin().actor().state_dict()

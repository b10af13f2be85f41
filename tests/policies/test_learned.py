"""Checkpoints as policies: found by name, refused in words, the same in the twin and live, never less than guarded."""

from __future__ import annotations

import math
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from circuits.errors import InvalidParameter
from orchestrator.door import check_batch
from orchestrator.errors import UnknownPolicy
from orchestrator.job import JobSpec
from orchestrator.placement import Backlog, Instead, Scales
from orchestrator.settings import Settings
from policies import POLICIES, load
from policies.envs.measured.observation import observed, quantities
from policies.learned import Placed, sight_of
from policies.learners.kit import checkpoint as checkpoints
from policies.shelf import entries, find, is_name, put, shelves
from policies.table import Table
from tests.policies.batches import LANES, one

(SHIPPED, *_) = [entry for entry in entries() if entry.folder.parent == shelves()[1]]


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("QORCH_CHECKPOINTS", str(tmp_path / "shelf"))
    return tmp_path / "shelf"


def batch(num: int = 4) -> list[object]:
    return [one(number, a=0.2, b=0.5, c=0.01, d=0.02) for number in range(1, num + 1)]


def test_what_is_shipped_decides_and_says_what_it_was_trained_on() -> None:
    policy = load(SHIPPED.name)
    choices = policy.place(batch(), Backlog(LANES), Scales())  # type: ignore[arg-type]
    assert not any(isinstance(choice, Instead) for choice in choices)
    assert choices == policy.place(batch(), Backlog(LANES), Scales())  # type: ignore[arg-type]
    far = Backlog(LANES, {lane.worker: 1e6 for lane in LANES})
    assert {choice.reason for choice in policy.place(batch(), far, Scales())} == {"range"}  # type: ignore


def test_a_batch_is_seen_as_the_twin_shows_it() -> None:
    requests = batch(3)
    table, backlog = Table.of(requests, Scales()), Backlog(LANES, {"w2": 3.0})  # type: ignore[arg-type]
    known = quantities(observed(sight_of(table, backlog)))
    told = torch.from_numpy(table.elapsed_s).float()
    assert torch.allclose(known.elapsed_s[0], told, rtol=1e-3, atol=1e-5)
    waits = torch.tensor([backlog.wait_s(name) for name in table.backends])
    assert torch.allclose(known.wait_s[0], waits.expand(3, -1).float(), rtol=1e-3, atol=1e-5)
    assert torch.equal(known.feasible[0], torch.from_numpy(table.feasible))


def test_it_decides_on_one_thread_and_leaves_the_others_to_whoever_had_them(monkeypatch: pytest.MonkeyPatch) -> None:
    placed, seen = Placed(checkpoints.load(SHIPPED.folder)), []
    monkeypatch.setattr(
        placed._actor, "costs", lambda sight: seen.append(torch.get_num_threads()) or sight.pair[..., 0]
    )
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        placed.decide(Table.of(batch(), Scales()), Backlog(LANES))  # type: ignore[arg-type]
        assert seen == [1]
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_infeasible_places_are_never_chosen() -> None:
    requests = [
        replace(
            each, candidates=tuple(replace(c, rejections=("no",) if c.backend != "b" else ()) for c in each.candidates)
        )  # type: ignore
        for each in batch()
    ]
    placed = Placed(checkpoints.load(SHIPPED.folder))
    for policy in (
        placed.decide,
        lambda table, backlog: placed._one_by_one(table, backlog, observed(sight_of(table, backlog))),
    ):
        assert policy(Table.of(requests, Scales()), Backlog(LANES)) == [{"b": 1.0}] * 4


def test_names_are_digests_and_may_be_cut_short() -> None:
    digits = SHIPPED.folder.name
    assert is_name(f"{SHIPPED.learner}:{digits}")
    assert find(f"{SHIPPED.learner}:{digits[:4]}").folder == SHIPPED.folder
    for wrong in (
        f"{SHIPPED.learner}:{digits[:3]}",
        f"ppo:{digits}",
        "eft",
        f"../{digits}",
        f"{SHIPPED.learner}:ffffffff",
    ):
        with pytest.raises(InvalidParameter):
            find(wrong)
        assert wrong not in POLICIES or wrong == "eft"


def test_jobs_may_name_checkpoints_that_are_there() -> None:
    spec = JobSpec(one(1, a=1.0).spec.program, policy=SHIPPED.name)
    check_batch([spec], Settings(), POLICIES)
    with pytest.raises(UnknownPolicy, match=SHIPPED.name):
        check_batch([replace(spec, policy="placing:00000000")], Settings(), POLICIES)


def test_a_checkpoint_that_went_is_replaced_and_told() -> None:
    choices = load("placing:00000000").place(batch(), Backlog(LANES), Scales())  # type: ignore[arg-type]
    assert {choice.reason for choice in choices} == {"checkpoint"}  # type: ignore[attr-defined]
    assert choices == load("eft").place(batch(), Backlog(LANES), Scales())  # type: ignore[arg-type]


def test_what_is_put_on_the_shelf_is_listed(shelf: Path) -> None:
    entry = put(SHIPPED.folder, shelf)
    assert entry.folder.parent == shelf
    assert put(SHIPPED.folder, shelf) == entry, "twice is once"
    assert [one.name for one in entries()].count(SHIPPED.name) == 1
    assert find(SHIPPED.name).folder.parent == shelf, "one's own comes first"


@pytest.mark.parametrize("file", ["weights.safetensors", "curve.csv"])
def test_a_damaged_one_is_refused_in_words_and_does_not_decide(shelf: Path, file: str) -> None:
    shutil.copytree(SHIPPED.folder, shelf / SHIPPED.folder.name)
    path = shelf / SHIPPED.folder.name / file
    content = bytearray(path.read_bytes())
    content[-2] ^= 1
    path.write_bytes(bytes(content))
    with pytest.raises(InvalidParameter, match=r"changed|renamed"):
        put(path.parent, shelf.parent / "other")
    assert not (shelf.parent / "other").exists()
    choices = load(SHIPPED.name).place(batch(), Backlog(LANES), Scales())  # type: ignore[arg-type]
    assert {choice.reason for choice in choices} == {"checkpoint"}  # type: ignore[attr-defined]


def test_a_foreign_one_is_refused_in_words(tmp_path: Path) -> None:
    from policies.envs.meqc.world import Setting
    from policies.learners.scoring import ScoringConfig

    run = checkpoints.Run(
        "scoring", "MEQC-v1", 1, ScoringConfig(width=2, slots=1, updates=1), Setting(users=2, servers=2)
    )
    folder = checkpoints.save(tmp_path, run, run.begin(), [], [])
    with pytest.raises(InvalidParameter, match="Measured-v1"):
        put(folder, tmp_path / "shelf")


def test_other_learners_place_too_one_by_one(tmp_path: Path) -> None:
    from policies.envs.measured.world import MeasuredSetting
    from policies.learners.ppo import Config

    run = checkpoints.Run("ppo", "Measured-v1", 1, Config(width=2), MeasuredSetting(jobs=4, servers=4))
    placed = Placed(checkpoints.load(checkpoints.save(tmp_path, run, run.begin(), [], [])))
    assert all(low <= high for low, high in placed.trained_on.values())
    choices = placed.decide(Table.of(batch(), Scales()), Backlog(LANES))  # type: ignore[arg-type]
    assert all(math.isclose(sum(choice.values()), 1.0) for choice in choices)

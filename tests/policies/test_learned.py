"""Checkpoints as policies: found by name, refused in words, the same in the twin and live, never less than guarded."""

from __future__ import annotations

import math
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given

from circuits.errors import InvalidParameter
from orchestrator.door import check_batch
from orchestrator.errors import UnknownPolicy
from orchestrator.job import JobSpec
from orchestrator.placement import Backlog, Instead, Queued, Request, Scales
from orchestrator.settings import Settings
from policies import POLICIES, load
from policies.envs.contract import Action, Observation
from policies.envs.measured.observation import observed, quantities
from policies.envs.measured.twin import load as load_twin
from policies.learned import Placed, as_tensors, beside, sight_of
from policies.learners.kit import checkpoint as checkpoints
from policies.shelf import entries, find, is_name, put, shelves
from policies.table import Table
from tests.policies.batches import APART, LANES, batches, one

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
    assert known.elapsed_s[0] == pytest.approx(table.elapsed_s, rel=1e-9)
    waits_s = [backlog.wait_s(name) for name in table.backends]
    assert known.wait_s[0] == pytest.approx(np.tile(waits_s, (3, 1)), rel=1e-9, abs=1e-9)
    assert (known.feasible[0] == table.feasible).all()


def test_what_stands_in_the_queues_is_seen_as_it_matters_to_the_job() -> None:
    before, behind = Queued("a", -1e6, 2.0, 1.0), Queued("a", 1e6, 5.0, 3.0)
    table = Table.of([one(1, a=1.0, b=2.0)], Scales())
    backlog = Backlog(APART, {"w-a": 7.5, "w-b": 0.5}, {"b": 0.25}, queue=(before, behind))
    waits_s, delayed = beside(table, backlog)
    assert waits_s[0] == pytest.approx([2.5, 0.75]), "what runs, who is served before it, and what is cold"
    assert delayed[0] == pytest.approx([3.0, 0.0]), "a second longer for whom a second costs 3"
    seen, told = quantities(observed(sight_of(table, backlog))), table.rest + delayed
    assert seen.rest[0] == pytest.approx(told, rel=1e-6)
    assert seen.wait_s[0] == pytest.approx(waits_s, rel=1e-6)
    assert (beside(table, replace(backlog, queue=()))[0][0] == [7.5, 0.75]).all(), "unseen, all of it is before the job"


def test_the_shipped_one_thinks_again_and_one_that_never_saw_a_queue_does_not() -> None:
    shipped = checkpoints.load(SHIPPED.folder)
    older = replace(shipped, run=replace(shipped.run, setting=replace(shipped.run.setting, order="smith")))
    assert [Placed(one).reconsiders for one in (shipped, older)] == [True, False]
    queue = (Queued("a", 1e6, 0.5, 100.0),)
    table, backlog = Table.of([one(1, a=0.1, b=0.3)], Scales()), Backlog(APART, {"w-a": 0.5}, queue=queue)
    (choice,) = Placed(shipped).decide(table, backlog)
    assert set(choice) == {"b"}, "who waits on `a` would wait at a high price"


@given(batches())
def test_arrays_cost_what_tensors_do(requests: list[Request]) -> None:
    actor = checkpoints.load(SHIPPED.folder).actor()
    seen = observed(sight_of(Table.of(requests, Scales()), Backlog(LANES, {"w2": 3.0})))
    tensors = Observation(torch.from_numpy(seen.user), torch.from_numpy(seen.pair))
    assert actor.costs(seen) == pytest.approx(actor.double().costs(tensors).numpy(), rel=1e-6)  # type: ignore[attr-defined]


def test_what_has_no_costs_acts_on_one_thread_and_leaves_the_others_to_whoever_had_them() -> None:
    placed, seen = Placed(checkpoints.load(SHIPPED.folder)), []

    class Acts:
        def act(self, sight: Observation) -> Action:
            seen.append(torch.get_num_threads())
            servers = sight.pair[..., 0].argmax(-1)
            return Action(servers, torch.zeros(servers.shape))

    placed._actor = Acts()  # type: ignore[assignment]
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        placed.decide(Table.of(batch(2), Scales()), Backlog(LANES))  # type: ignore[arg-type]
        assert seen == [1, 1]
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
        lambda table, backlog: placed._one_by_one(table, backlog, as_tensors(observed(sight_of(table, backlog)))),
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


TINY: dict[str, dict[str, object]] = {
    "ppo": {"width": 2, "slots": 8, "updates": 1, "passes": 1, "parts": 1},
    "dqn": {"width": 2, "worlds": 2, "steps": 4, "batch": 4, "capacity": 8},
    "hmadrl": {"width": 8, "steps": 8, "batch": 8},
    "hmadrl_vqc": {"width": 8, "steps": 8, "batch": 8},
    "vqc_q": {"circuits": 1, "worlds": 2, "steps": 4, "batch": 4, "capacity": 8},
    "vqc_pg": {"circuits": 1, "slots": 8, "updates": 1},
}
ANY_FLEET = {"ppo", "dqn"}


def trained(learner: str, root: Path, **more: object) -> checkpoints.Checkpoint:
    """Two epochs of four jobs each in the twin."""
    from policies.envs.measured.world import MeasuredSetting
    from policies.train import train

    config = checkpoints.learner_type(learner).config_type(**TINY[learner])
    setting = MeasuredSetting(jobs=4, servers=4, **more)  # type: ignore[arg-type]
    return checkpoints.load(train(checkpoints.Run(learner, "Measured-v1", 1, config, setting), 2, root).folder)


@pytest.mark.parametrize("learner", TINY)
def test_what_other_learners_left_places_by_its_name(learner: str, tmp_path: Path, shelf: Path) -> None:
    twin = load_twin("recorded").taking(4)
    trained(learner, tmp_path / "run")
    name = put(tmp_path / "run", shelf).name
    policy = Placed(checkpoints.load(find(name).folder))
    assert policy.places == (() if learner in ANY_FLEET else twin.backends)
    assert all(low <= high for low, high in policy.trained_on.values())
    fleet = dict.fromkeys(twin.backends, 0.2)
    requests = [one(number, **fleet) for number in range(1, 5)]
    table = Table.of(requests, Scales())
    choices = policy.decide(table, Backlog(twin.lanes))
    assert all(math.isclose(sum(choice.values()), 1.0) and set(choice) <= set(fleet) for choice in choices)
    assert choices == policy.decide(table, Backlog(twin.lanes)), "without chance"
    strange = load(name).place([one(1, **fleet, elsewhere=0.1)], Backlog(twin.lanes), Scales())
    assert isinstance(strange[0], Instead)
    assert strange[0].reason == ("range" if learner in ANY_FLEET else "fleet")


def test_an_actor_for_a_fixed_fleet_is_shown_each_backend_in_its_own_place(tmp_path: Path) -> None:
    policy = Placed(trained("hmadrl", tmp_path))
    shown: list[torch.Tensor] = []

    class Watching:
        def act(self, seen: Observation) -> Action:
            shown.append(seen.pair[0, 0])
            return Action(torch.tensor([[3]]), torch.zeros(1, 1))

    policy._actor = Watching()  # type: ignore[assignment]
    first, second, third, fourth = policy.places
    requests = [one(1, **{fourth: 0.4, second: 0.2})]
    assert policy.decide(Table.of(requests, Scales()), Backlog(())) == [{fourth: 1.0}]
    assert torch.equal(shown[0][:, 0], torch.tensor([0.0, 1.0, 0.0, 1.0])), "whether the job may go there"
    assert not shown[0][[0, 2]].any()
    assert policy.decide(Table.of([one(1, **{first: 0.4, third: 0.2})], Scales()), Backlog(())) == [{third: 1.0}]


def test_one_for_several_users_is_refused_in_words(tmp_path: Path) -> None:
    with pytest.raises(InvalidParameter, match=r"job by job \(--users 1\), got one of vqc_pg for 2"):
        Placed(trained("vqc_pg", tmp_path, users=2))

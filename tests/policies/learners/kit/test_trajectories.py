"""Logged play: what is read is what was written, what is not ours is refused, and returns are sums of rewards."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save as write
from typer.testing import CliRunner

from circuits.errors import InvalidParameter
from policies.envs.contract import Action
from policies.envs.meqc.sequential import SequentialSetting, SequentialWorld
from policies.envs.meqc.world import Setting
from policies.learners.kit.recording import recorded, rule_of
from policies.learners.kit.trajectories import HEADER, TENSORS, Trajectories, load, save
from policies.record import app

SETTING = SequentialSetting(users=3, servers=2, episode_slots=6, battery_j=2.0)
PLAYS = ("random", "local", "priced:2:8")


@pytest.fixture(scope="module")
def log() -> Trajectories:
    return recorded(SETTING, PLAYS, 4, seed=3)


def test_what_is_read_is_what_was_written(log: Trajectories, tmp_path: Path) -> None:
    digest = save(log, tmp_path / "play.safetensors")
    found, same = load(tmp_path / "play.safetensors", digest)
    assert same == digest
    assert found.document() == log.document()
    assert all(torch.equal(getattr(found, name), getattr(log, name)) for name in TENSORS)
    assert save(found, tmp_path / "again.safetensors") == digest


def test_a_log_is_what_the_world_says(log: Trajectories) -> None:
    world = SequentialWorld(SETTING, 4, seed=3 + 2, dtype=torch.float64)
    mine = log.of(log.play == 2)
    for slot in range(SETTING.episode_slots):
        seen = world.observe()
        assert torch.equal(seen.pair.float(), mine.pair[:, slot])
        step = world.step(Action(mine.servers[:, slot], mine.shares[:, slot].double(), mine.asks[:, slot]))
        torch.testing.assert_close(step.reward.float(), mine.reward[:, slot])
        torch.testing.assert_close(step.outcome.cost.sum(-1).float(), mine.cost[:, slot])
    assert mine.terminated[:, -1].all()
    assert not mine.terminated[:, :-1].any()


def test_the_reference_has_no_lead_over_itself() -> None:
    itself = recorded(SETTING, ["selfish"], 3, seed=1)
    assert torch.equal(itself.rewards("baseline"), torch.zeros(3, 6, 3))
    assert not torch.equal(itself.rewards("raw"), torch.zeros(3, 6, 3))


def test_the_reference_sees_no_hidden_quality() -> None:
    log = recorded(SETTING, ("priced:0:0",), 16, seed=3)
    assert torch.equal(log.reward, log.reference)


def test_returns_to_go_are_sums_to_the_end(log: Trajectories) -> None:
    for kind in ("raw", "baseline"):
        returns, rewards = log.returns_to_go(kind), log.rewards(kind)
        torch.testing.assert_close(returns[:, 0], rewards.sum(1))
        torch.testing.assert_close(returns[:, :-1] - returns[:, 1:], rewards[:, :-1], atol=1e-2, rtol=1e-4)


def test_slots_without_episodes_are_logged_too() -> None:
    log = recorded(Setting(users=2, servers=2), ["local", "greedy"], 2, seed=1)
    assert log.env == "MEQC-v1"
    assert not log.terminated.any()


SPOILT: dict[str, Callable[[dict[str, Any], dict[str, Any]], object]] = {
    "format": lambda document, tensors: document.update(format=2),
    "seed": lambda document, tensors: document.update(seed="1"),
    "plays": lambda document, tensors: document.update(plays=[]),
    "users": lambda document, tensors: document["setting"].update(users=-1),
    "env": lambda document, tensors: document.update(env=7),
    "header": lambda document, tensors: document.update(more=1),
    "reference": lambda document, tensors: tensors.update(other=tensors.pop("reference")),
    "reward": lambda document, tensors: tensors["reward"].fill_(float("nan")),
    "servers": lambda document, tensors: tensors["servers"].fill_(2),
    "shares": lambda document, tensors: tensors["shares"].fill_(-0.1),
    "play": lambda document, tensors: tensors["play"].fill_(3),
    "asks": lambda document, tensors: tensors.update(asks=tensors["asks"].long()),
    "pair": lambda document, tensors: tensors.update(pair=tensors["pair"][..., :1].contiguous()),
    "cost": lambda document, tensors: tensors.update(cost=tensors["cost"].flatten()),
}


@pytest.mark.parametrize("field", SPOILT)
def test_what_is_not_as_it_was_written_is_refused_by_name(field: str, log: Trajectories, tmp_path: Path) -> None:
    document, tensors = log.document(), {name: getattr(log, name).clone().contiguous() for name in TENSORS}
    SPOILT[field](document, tensors)
    path = tmp_path / "play.safetensors"
    path.write_bytes(write(tensors, {HEADER: json.dumps(document)}))
    with pytest.raises(InvalidParameter, match=rf"play.safetensors: .*{field}"):
        load(path)


@pytest.mark.parametrize("content", [b"", b"\x80\x04K\x01.", b"\x02\0\0\0\0\0\0\0{}", b"\xff" * 64])
def test_a_file_of_another_kind_is_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "play.safetensors"
    path.write_bytes(content)
    with pytest.raises(InvalidParameter, match="header"):
        load(path)
    with pytest.raises(InvalidParameter, match="digest"):
        load(path, "0" * 64)
    with pytest.raises(InvalidParameter, match="logged play"):
        load(tmp_path / "none.safetensors")


@pytest.mark.parametrize("word", ["nobody", "priced:1", "priced:one:two", "central:1:2:3"])
def test_who_is_nobody_is_refused(word: str) -> None:
    with pytest.raises(InvalidParameter, match="plays"):
        rule_of(SETTING, word)
    with pytest.raises(InvalidParameter, match="plays"):
        rule_of(Setting(), "priced:1:2")


@pytest.mark.parametrize(("env", "play"), [("MEQC-v2", "priced:2:8"), ("QCN-v2", "best_edge")])
def test_the_command_leaves_a_log_and_says_what_it_cost(env: str, play: str, tmp_path: Path) -> None:
    small = ["--env", env, "--users", "2", "--servers", "2", "--world", "episode_slots=4", "--episodes", "2"]
    out = tmp_path / "play.safetensors"
    told = CliRunner().invoke(app, [*small, "--plays", f"random,{play}", "--out", str(out), "--json"])
    assert told.exit_code == 0, told.output
    said = json.loads(told.stdout)
    log, digest = load(out)
    assert (said["digest"], said["episodes"], log.plays) == (digest, 4, ("random", play))
    assert log.env == env
    for words, name in (
        (["--plays", "nobody"], "plays"),
        (["--seed", "999999"], "seed"),
        (["--out", "play.pt"], "out"),
    ):
        refused = CliRunner().invoke(app, [*small, "--out", str(out), *words])
        assert refused.exit_code == 2
        assert f"error: {name}: wanted" in refused.stderr


def test_a_log_of_another_setting_is_another(log: Trajectories) -> None:
    other = recorded(replace(SETTING, battery_j=4.0), ["local"], 2, seed=4)
    assert other.document() != log.document()

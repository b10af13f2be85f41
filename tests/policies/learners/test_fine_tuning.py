"""A checkpoint goes on learning in the twin of a service that has changed."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import torch
from typer.testing import CliRunner

from policies.envs.measured import twin as twins
from policies.envs.measured.world import MeasuredSetting, World
from policies.learned import Placed
from policies.learners.kit import checkpoint
from policies.learners.learner import Actor
from policies.shelf import entries, put, shelves
from policies.train import app

(SHIPPED, *_) = [entry for entry in entries() if entry.folder.parent == shelves()[1]]
SLOWER = 16.0
SERVERS, PLACE = 6, 5
SMALL = ("--epochs", "8", "--set", "worlds=12", "--set", "pairs=8", "--set", "updates=4", "--set", "learning_rate=0.1")


def part_there(actor: Actor, setting: MeasuredSetting) -> float:
    """Part of the jobs of an episode that it sends to the slow place."""
    world, there, ended = World(setting, 48, 1_000_001), [], False
    while not ended:
        action = actor.act(world.observe())
        there.append((action.servers == PLACE).float().mean())
        ended = world.step(action).terminated
    return float(torch.stack(there).mean())


def twin_at(path: Path, factor: float) -> Path:
    """Some places of the built-in twin; one of them really takes longer, and nobody has told the estimates."""
    twin = twins.load(twins.BUILT_IN).taking(SERVERS)
    errors, own = twin.errors.clone(), twin.own.clone()
    errors[PLACE, :, 0] += math.log(factor)
    own[:, PLACE, 0] += math.log(factor)
    twins.save(replace(twin, errors=errors, own=own), path)
    return path


def tuned(folder: Path, factor: float) -> checkpoint.Checkpoint:
    """What the shipped checkpoint becomes there."""
    source = twin_at(folder / f"{factor:g}", factor)
    words = ["placing", "--env", "Measured-v1", "--servers", str(SERVERS), "--from", SHIPPED.name, *SMALL]
    words += ["--world", f"source={source}", "--world", "jobs=20", "--world", "fleets=all"]
    done = CliRunner().invoke(app, [*words, "--out", str(folder / f"run-{factor:g}"), "--json"])
    assert done.exit_code == 0, done.output
    return checkpoint.load(Path(json.loads(done.stdout)["checkpoint"]))


def test_fine_tuned_where_a_place_is_slow_it_places_less_there(tmp_path: Path) -> None:
    as_told, slow = (tuned(tmp_path, factor) for factor in (1.0, SLOWER))
    setting = MeasuredSetting(servers=SERVERS, source=str(tmp_path / f"{SLOWER:g}"), jobs=20, fleets="all")
    before, same, after = (part_there(one.actor(), setting) for one in (checkpoint.load(SHIPPED.folder), as_told, slow))
    assert after < 0.75 * before
    assert after < 0.75 * same, "and it is not the training alone that does it"
    assert slow.run.start == SHIPPED.folder.name


def test_it_is_a_run_of_its_own_that_says_where_it_began_and_decides(tmp_path: Path) -> None:
    source = twin_at(tmp_path / "twin", 1.0)
    words = ["placing", "--env", "Measured-v1", "--servers", str(SERVERS), "--world", f"source={source}"]
    words += ["--world", "jobs=2", "--set", "worlds=1", "--set", "pairs=1", "--set", "updates=1"]
    words += ["--out", str(tmp_path / "run"), "--json"]
    begun = ("--from", SHIPPED.name)

    def call(*more: str) -> str:
        return CliRunner().invoke(app, [*words, *more]).output

    assert '"epochs": 1' in call(*begun, "--epochs", "1")
    assert "start: wanted" in call("--epochs", "2", "--resume"), "without --from it would be another run"
    assert '"epochs": 2' in call(*begun, "--epochs", "2", "--resume")
    again = put(tmp_path / "run", tmp_path / "shelf")
    trained_on, first = (Placed(checkpoint.load(one.folder)).trained_on for one in (again, SHIPPED))
    for name, (low, high) in first.items():
        assert trained_on[name][0] <= low <= high <= trained_on[name][1]


def test_where_nothing_can_begin_is_said_in_words(tmp_path: Path) -> None:
    for algo, start, *more, why in (
        ("ppo", SHIPPED.name, "wanted a checkpoint of ppo"),
        ("placing", "placing:00000000", "no checkpoint begins so"),
        ("placing", str(tmp_path), "config.json"),
        ("placing", SHIPPED.name, "--set", "width=3", "wanted shape"),
    ):
        done = CliRunner().invoke(
            app, [algo, "--env", "Measured-v1", "--from", start, *more, "--out", str(tmp_path / "run")]
        )
        assert (done.exit_code, why in done.output, "Traceback" in done.output) == (2, True, False), done.output

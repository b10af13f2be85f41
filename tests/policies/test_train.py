"""``python -m policies.train``: the same seed gives the same curve, in one go or in several; mistakes in one line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from typer.testing import CliRunner

from policies.learners.kit import checkpoint
from policies.train import KEPT_OUT, app

pytestmark = pytest.mark.usefixtures("toy")
SMALL = ("--users", "2", "--servers", "2")


def call(*words: object) -> Result:
    return CliRunner().invoke(app, ["toy", *SMALL, *map(str, words)])


def answer(*words: object) -> dict[str, Any]:
    result = call(*words, "--json")
    assert result.exit_code == 0, result.output
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def test_the_same_seed_gives_the_same_curve_and_another_one_another(tmp_path: Path) -> None:
    names = [Path(answer("--seed", seed, "--epochs", 3, "--out", tmp_path / run)["checkpoint"]).name
             for run, seed in (("a", 1), ("b", 1), ("c", 2))]  # fmt: skip
    curves = [(next((tmp_path / run).glob("*/curve.csv"))).read_text() for run in "abc"]
    assert names[0] == names[1] != names[2]
    assert curves[0] == curves[1] != curves[2]
    assert curves[0].splitlines()[0] == "epoch,slots,cost,share"


def test_in_several_goes_it_comes_to_the_same_bit_for_bit(tmp_path: Path) -> None:
    whole = answer("--epochs", 5, "--out", tmp_path / "whole")
    answer("--epochs", 2, "--out", tmp_path / "parts")
    resumed = answer("--epochs", 5, "--out", tmp_path / "parts", "--resume")
    assert Path(whole["checkpoint"]).name == Path(resumed["checkpoint"]).name
    assert resumed["epochs"] == 5
    assert resumed["slots"] == 40


def test_an_interrupt_ends_the_epoch_saves_it_and_says_how_to_go_on(tmp_path: Path) -> None:
    stopped = call("--epochs", 4, "--out", tmp_path / "run", "--set", "trouble=stop")
    assert stopped.exit_code == 130
    assert f"stopped after 2 of 4 epochs; go on with --resume --out {tmp_path / 'run'}" in stopped.stderr
    assert len(checkpoint.load(tmp_path / "run").curve) == 2
    whole = answer("--epochs", 4, "--out", tmp_path / "run", "--set", "trouble=stop", "--resume")
    assert whole["finished"]


def test_a_second_interrupt_does_not_wait(tmp_path: Path) -> None:
    stopped = call("--epochs", 4, "--out", tmp_path / "run", "--set", "trouble=stop at once")
    assert stopped.exit_code == 130
    assert "nothing was saved yet" in stopped.stderr
    assert "Traceback" not in stopped.output


def test_it_tells_of_every_epoch(tmp_path: Path) -> None:
    result = call("--epochs", 2, "--out", tmp_path)
    assert [line[:9] for line in result.stderr.splitlines()] == ["epoch 1/2", "epoch 2/2"]
    assert "cost" in result.stdout


def test_options_come_from_the_config() -> None:
    described = json.loads(call("--describe", "--json").stdout)
    assert described["steps"] == {"default": 8, "wanted": "an integer in [1, 1000]", "doc": "slots of an epoch"}
    assert "learning_rate" in call("--describe").stdout


def test_a_world_is_set_from_the_command_line(tmp_path: Path) -> None:
    words = ("--weights", "drawn", "--reward", "own", "--mode", "physical", "--override", "gamma_inv=0.01")
    answer("--epochs", 1, "--out", tmp_path, *words, "--world", "circuits=compiled")
    setting = checkpoint.load(tmp_path).run.setting
    assert (setting.weights, setting.reward, setting.circuits) == ("drawn", "own", "compiled")
    assert setting.model.mode == "physical"
    assert setting.model.cryogenics.decay_time_s == 0.01


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--users", 0), "Setting.users: wanted an integer in [1, 100000], got 0"),
        (("--weights", "1.5:0"), "Setting.delay_weight: wanted a finite number in [0, 1], got 1.5"),
        (("--weights", "nan:0"), "Setting.delay_weight"),
        (("--weights", "0.5"), "weights: wanted DELAY:ENERGY"),
        (("--weights", "0:0"), "wanted one of them above 0"),
        (("--reward", "fame"), "Setting.reward: wanted one of"),
        (("--mode", "poetic"), "mode: wanted one of literal, calibrated, physical"),
        (("--override", "gama_inv=1"), "'gama_inv'"),
        (("--override", "gamma_inv"), "--override: wanted NAME=VALUE"),
        (("--set", "steps=few"), "Config.steps: wanted an integer in [1, 1000], got 'few'"),
        (("--set", "steps=0"), "Config.steps: wanted an integer in [1, 1000], got 0"),
        (("--set", "stride=1"), "Config has no parameter 'stride'"),
        (("--world", "colour=red"), "'colour'"),
        (("--env", "Chess-v1"), "no world is called 'Chess-v1'"),
        (("--env", "MEQC-v2"), "env: wanted MEQC-v1, which toy plays, got MEQC-v2"),
        (("--seed", KEPT_OUT), "seed: wanted an integer in [0, 999999]"),
        (("--seed", -1), "seed: wanted"),
        (("--epochs", 0), "epochs: wanted"),
        (("--resume",), "wanted a file of a checkpoint"),
    ],
)
def test_a_mistake_is_one_line_with_the_field(tmp_path: Path, words: tuple[object, ...], said: str) -> None:
    result = call("--out", tmp_path / "run", *words)
    assert result.exit_code == 2
    assert said in result.stderr
    assert result.stderr.startswith("error: ")
    assert len(result.stderr.splitlines()) == 1
    assert not (tmp_path / "run").exists()


def test_an_unknown_learner_is_refused() -> None:
    result = CliRunner().invoke(app, ["oracle"])
    assert result.exit_code == 2
    assert "no learner is called 'oracle'" in result.stderr


def test_a_run_is_neither_overwritten_nor_gone_on_with_as_another_one(tmp_path: Path) -> None:
    answer("--epochs", 2, "--out", tmp_path)
    assert "has a checkpoint; go on with --resume" in call("--epochs", 3, "--out", tmp_path).stderr
    for words, said in (
        (("--set", "steps=9"), "config.steps: wanted 8"),
        (("--weights", "1:0"), "setting.delay_weight: wanted 0.5"),
        (("--seed", 2), "seed: wanted 1"),
        (("--epochs", 1), "epochs: wanted at least the 2"),
    ):
        result = call("--epochs", 3, "--out", tmp_path, "--resume", *words)
        assert result.exit_code == 2
        assert said in result.stderr

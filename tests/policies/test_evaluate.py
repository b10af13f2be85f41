"""``python -m policies.evaluate``, end to end on small worlds: table, JSON, CSV and pictures; mistakes in one line."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from policies.envs.meqc.world import Setting
from policies.evaluate import app
from policies.learners.kit.checkpoint import Run
from policies.train import train
from tests.policies.learners.toy import Config

SMALL = ("--users", "2,3", "--servers", "3", "--slots", "100")


def call(*words: object) -> Result:
    return CliRunner().invoke(app, list(map(str, words)))


@pytest.mark.usefixtures("toy", "optima")
def test_rules_a_checkpoint_and_the_optimum_side_by_side(tmp_path: Path) -> None:
    train(Run("toy", "MEQC-v1", 1, Config(), Setting(users=2, servers=3)), 1, tmp_path / "run")
    playing = f"local,random_offload,quantum_blind,greedy,optimum,{tmp_path / 'run'}"
    result = call(*SMALL, "--policies", playing, "--out", tmp_path / "out", "--json")
    assert result.exit_code == 0, result.output
    answer = json.loads(result.stdout)
    assert answer["kept_out"]
    assert len(answer["rows"]) == 2 * 6
    first = {row["policy"]: row for row in answer["rows"][:6]}
    assert first["optimum"]["above_optimum"] == 0.0
    assert first["greedy"]["cost"] >= first["optimum"]["cost"]
    toy = first["toy"]
    assert toy["cost_low"] <= toy["cost"] <= toy["cost_high"]
    assert toy["below_greedy"] == pytest.approx(1.0 - toy["cost"] / first["greedy"]["cost"])
    assert {one["policy"] for one in answer["overall"]} == {row["policy"] for row in answer["rows"]}
    with (tmp_path / "out" / "costs.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [float(row["cost"]) for row in rows] == pytest.approx([row["cost"] for row in answer["rows"]], rel=1e-5)
    assert all((tmp_path / "out" / name).read_bytes()[:4] == b"\x89PNG" for name in ("costs.png", "profiles.png"))


@pytest.mark.usefixtures("optima")
def test_a_person_gets_a_table_that_says_whose_slots_they_are() -> None:
    result = call(*SMALL, "--policies", "local,optimum", "--seeds", "1")
    assert result.exit_code == 0, result.output
    assert "MEQC-v1, calibrated: U = 2, E = 3, λ = (0.5, 0.5); 100 paired slots" in result.stdout
    assert "these figures are not kept-out ones" in result.stdout
    assert "all cells" in result.stdout


def test_rules_alone_need_no_optimum() -> None:
    result = call("--users", "2", "--slots", "100", "--policies", "local,greedy", "--json")
    assert json.loads(result.stdout)["rows"][0]["above_optimum"] is None


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--users", "0"), "Setting.users: wanted"),
        (("--users", "two"), "users: wanted an integer, got 'two'"),
        (("--users", "2,3", "--servers", "1,2,3"), "servers: wanted one number, or 2"),
        (("--weights", "0.5:2"), "Setting.energy_weight: wanted"),
        (("--weights", "nan:1"), "Setting.delay_weight: wanted"),
        (("--weights", "drawn"), "weights: wanted DELAY:ENERGY"),
        (("--policies", "local,"), "or a folder of a checkpoint, got"),
        (("--slots", "0"), "slots: wanted an integer in [1, "),
        (("--seeds", "1,1"), "seeds: wanted different integers"),
        (("--policies", "teacher"), "policies: wanted local"),
        (("--mode", "poetic"), "mode: wanted"),
        (("--override", "gamma_inv=-1"), "overrides.gamma_inv"),
        (("--env", "Chess-v1"), "no world is called"),
    ],
)
def test_a_mistake_is_one_line_with_the_field(words: tuple[str, ...], said: str) -> None:
    result = call(*words)
    assert result.exit_code == 2
    assert said in result.stderr
    assert len(result.stderr.splitlines()) == 1

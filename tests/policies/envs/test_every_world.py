"""Training, checkpoints and evaluation in every world by its name: a learner that knows nothing but the contract."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
from torch import Tensor
from typer.testing import CliRunner

from policies import evaluate, train
from policies.envs import ENVS, load, of
from policies.envs.batched import has_model
from policies.envs.contract import Action, Observation
from policies.learners import LEARNERS
from policies.learners.learner import Progress
from tests.policies.learners.toy import Config

COMPARED = [name for name in ENVS if has_model(load(name).setting_type)]
"""Worlds that evaluation plays."""


class Keeper(torch.nn.Module):
    """Keeps a share by its observation, and sends the rest to the first server."""

    def __init__(self, num_features: int) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(num_features, 1)
        torch.nn.init.zeros_(self.layer.weight)

    def act(self, observation: Observation, chance: torch.Generator | None = None) -> Action:
        shares = torch.sigmoid(self.layer(observation.user)).squeeze(-1)
        return Action(torch.zeros_like(shares, dtype=torch.long), shares)


class Anywhere:
    """Keeps a little less after every epoch."""

    config_type = Config
    envs: ClassVar[tuple[str, ...]] = tuple(ENVS)

    def __init__(self, config: Config, setting: Any, seed: int) -> None:
        self.config, kind = config, of(setting)
        self.world = kind(setting, config.steps, seed)
        self.keeper = Keeper(kind.num_features[0])
        self.epochs = 0

    def epoch(self) -> Progress:
        with torch.no_grad():
            cost = self.world.step(self.keeper.act(self.world.observe())).outcome.cost.sum(-1).mean()
            self.keeper.layer.bias -= 0.1
        self.epochs += 1
        return Progress(self.epochs, self.epochs * self.config.steps, float(cost))

    def actor(self) -> Keeper:
        return self.keeper

    def state(self) -> dict[str, Tensor]:
        return {name: value.clone() for name, value in self.keeper.state_dict().items()}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        self.keeper.load_state_dict(dict(state))


@pytest.mark.usefixtures("optima")
@pytest.mark.parametrize("env", COMPARED)
def test_from_training_to_a_table(env: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(LEARNERS, "anywhere", f"{__name__}:Anywhere")
    size = ["--env", env, "--users", "2", "--servers", "3"]
    run = tmp_path / "run"
    trained = CliRunner().invoke(train.app, ["anywhere", *size, "--epochs", "3", "--out", str(run), "--json"])
    assert trained.exit_code == 0, trained.output
    kind = load(env)
    playing = [*kind.rules, str(run), *(["optimum"] if kind.source else [])]
    words = [*size, "--policies", ",".join(playing), "--slots", "64", "--out", str(tmp_path / "out"), "--json"]
    told = CliRunner().invoke(evaluate.app, words)
    assert told.exit_code == 0, told.output
    rows = {row["policy"]: row for row in json.loads(told.stdout)["rows"]}
    assert set(rows) == {*kind.rules, "anywhere", *(["optimum"] if kind.source else [])}
    assert all(row["env"] == env for row in rows.values())
    assert rows["anywhere"]["best_naive"] in kind.naive
    if kind.source:
        assert min(row["cost"] for row in rows.values()) == rows["optimum"]["cost"]
        assert (tmp_path / "out" / "costs.png").exists()


def test_a_world_says_what_it_is_compared_with() -> None:
    for env in COMPARED:
        kind = load(env)
        assert {*kind.naive, *kind.compared} <= set(kind.rules)
        assert kind.setting_type().model.mode


def test_a_world_without_a_model_is_compared_elsewhere() -> None:
    told = CliRunner().invoke(evaluate.app, ["--env", "Measured-v1"])
    assert told.exit_code == 2
    assert "qorch compare" in told.stderr


def test_a_learner_is_refused_in_a_world_that_it_does_not_play() -> None:
    told = CliRunner().invoke(train.app, ["hmadrl", "--env", "QCN-v1"])
    assert told.exit_code == 2
    assert "env: wanted" in told.stderr

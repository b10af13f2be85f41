"""Training in small networks: begun as the hand rules, resumed as if nothing had been, every part switched off."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

pytest.importorskip("numba", reason="pip install 'qorch[sparse]'")

from circuits.errors import InvalidParameter
from policies.allocators.dpem import forecast as forecasts
from policies.allocators.dpem.__main__ import app
from policies.allocators.dpem.deployment import deploy, link_forecasts, pair_forecasts, taken
from policies.allocators.dpem.episodes import lessons, rule_of
from policies.allocators.dpem.evaluation import evaluate, rule_on
from policies.allocators.dpem.federation import Federation
from policies.allocators.dpem.learner import Config, Run, read_run
from policies.allocators.dpem.learning import BARRED
from policies.allocators.dpem.privacy import gaussian_epsilon
from policies.envs.entanglement import state as states
from policies.envs.entanglement.play import play
from policies.envs.entanglement.setting import EntanglementSetting
from policies.learners.kit import checkpoint

WORLD = EntanglementSetting(num_nodes=14, duration_s=40.0, offered_hz=2.0, share_s=1.0)
FORECASTER = forecasts.Config(width=4, embedding=2, horizon=3, window=8, pieces=2, steps=2)


def run_of(topologies: tuple[int, ...] = (0,), federation: Federation | None = None, **config: Any) -> Run:
    few = {"forecast": "none", "history_s": 0.0, "windows": 2, "passes": 1, "parts": 2, "most": 32, **config}
    return Run(Config(**few), federation or Federation(), FORECASTER, WORLD, topologies, 1)


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def test_an_untrained_agent_is_the_hand_rule() -> None:
    run = run_of()
    agent = run.begin().actor()
    episode = deploy(WORLD, 3, history_s=0.0).episode(0, 5)
    mine = play(episode, rule_on(agent, episode), record=1)
    its = play(episode, states.rule(states.LOCAL, states.S_LOCAL), record=1)
    assert np.allclose(mine.state.share_log[0], its.state.share_log[0])
    actions = [each.state.decisions[: each.state.count[states.NUM_DECISIONS], states.D_ACTION] for each in (mine, its)]
    size = min(len(each) for each in actions)
    assert (actions[0][:size] == actions[1][:size]).mean() > 0.97


def test_every_decision_is_taught_once() -> None:
    run = run_of()
    agent = run.begin().actor()
    played = play(deploy(WORLD, 0, history_s=0.0).episode(0, 5), rule_of(agent, None, explore=True), record=2)
    taught = lessons(played, agent)
    num = int(played.state.count[states.NUM_DECISIONS])
    assert len(taught.choices.chosen) == len(taught.chooser) == num
    assert bool((taught.choices.base.gather(1, taught.choices.chosen[:, None]) > BARRED).all())
    with torch.no_grad():
        from policies.allocators.dpem.network import scores

        logits = taught.choices.base + scores(agent.path_shape, agent.path, taught.choices.features)
        found = logits.log_softmax(-1).gather(1, taught.choices.chosen[:, None])[:, 0]
    assert torch.allclose(found, taught.choices.log_prob, atol=1e-3)
    noise = (taught.splits.added - taught.splits.mean)[taught.splits.weight > 0] / agent.config.deviation
    assert abs(float(noise.mean())) < 0.1
    assert float(noise.std()) == pytest.approx(1.0, abs=0.1)


@pytest.mark.parametrize(
    ("config", "federation"),
    [
        ({}, Federation()),
        ({"training": "federated"}, Federation(sigma=1.0, clipping="adaptive", count_sigma=0.6, poisoned=0.2)),
        ({"training": "federated", "paths": "hand"}, Federation(trimmed=0.1)),
        ({"training": "alone", "shares": "hand"}, Federation()),
        ({"shares": "uniform"}, Federation()),
        ({"forecast": "gru", "history_s": 600.0}, Federation()),
    ],
    ids=["central", "private", "trimmed", "alone", "paths alone", "forecast"],
)
def test_it_learns_and_goes_on_as_if_nothing_had_been(config: dict[str, Any], federation: Federation) -> None:
    run = run_of(federation=federation, **config)
    learner = run.begin()
    first = {name: value.clone() for name, value in learner.actor().state_dict().items()}
    progress = learner.epoch()
    assert progress.epoch == 1
    assert 0.0 <= progress.figures["delivery"] <= 1.0
    assert not same(first, learner.actor().state_dict())
    restored = run.begin()
    restored.restore(learner.state())
    assert learner.epoch() == restored.epoch()
    assert same(learner.state(), restored.state())
    for part, name in (("path", "paths"), ("share", "shares")):
        moved = not torch.equal(first[part], learner.actor().state_dict()[part])
        assert moved == (getattr(run.config, name) == "learned")


def test_noise_without_federation_is_refused() -> None:
    with pytest.raises(InvalidParameter, match="sigma: wanted 0 unless training is federated"):
        run_of(federation=Federation(sigma=1.0))


def test_networks_that_are_kept_out_are_refused() -> None:
    with pytest.raises(InvalidParameter, match=r"topologies: wanted seeds in \[0, 99\]"):
        run_of((100,))


def test_a_checkpoint_comes_back(tmp_path: Path) -> None:
    run = run_of()
    learner = run.begin()
    curve = [learner.epoch()]
    checkpoint.save(tmp_path, run, learner, curve, [1.0])
    found = checkpoint.load(tmp_path, read_run)
    assert found.run == run
    assert same(found.actor().state_dict(), learner.actor().state_dict())
    again = Run(run.config, run.federation, run.forecaster, WORLD, (0,), 2, found.name).begin(found)
    assert torch.equal(again.actor().path, learner.actor().path)


def test_a_forecaster_may_be_federated_with_a_budget_of_its_own(tmp_path: Path) -> None:
    of: dict[str, Any] = {"forecast": "gru", "history_s": 100.0}
    run = replace(run_of(**of), forecast_federation=Federation(**forecasts.FEDERATED, sigma=20.0))
    learner, central = run.begin(), run_of(**of).begin()
    checkpoint.save(tmp_path, run, learner, [learner.epoch()], [1.0])
    assert checkpoint.load(tmp_path, read_run).run == run
    central.epoch()
    one, other = (each.actor().state_dict()["forecaster.leave.weight"] for each in (learner, central))
    assert not torch.equal(one, other)
    with pytest.raises(InvalidParameter, match="forecaster: wanted federated with forecast gru alone"):
        replace(run_of(), forecast_federation=Federation())


def test_everybody_plays_the_same_episodes() -> None:
    run = run_of()
    scores = list(evaluate(run, run.begin().actor(), (200, 201), physics=(0,)))
    assert len(scores) == 10
    for seed in (200, 201):
        assert len({each.metrics.num_requests for each in scores if each.topology == seed}) == 1


def test_forecasts_reach_the_links_of_first_paths() -> None:
    deployment = deploy(WORLD, 1, history_s=600.0)
    rates = pair_forecasts(deployment, "truth", FORECASTER)
    links = link_forecasts(deployment, rates, 1.0, 0)
    assert links.shape == (41, deployment.topology.num_links)
    hops = deployment.paths.hops[:, 0]
    assert links[3].sum() == pytest.approx((rates[:, 602] * hops).sum())


def test_forecasts_may_be_spread_over_the_paths_that_were_taken() -> None:
    deployment = deploy(WORLD, 1, history_s=600.0)
    spread = taken(deployment, states.local("local"), -1, 0)
    paths = deployment.paths
    assert spread.shape == paths.hops.shape
    np.testing.assert_allclose(spread.sum(axis=1), 1.0)
    assert (spread[paths.hops == 0] == 0.0).all(), "candidates that there are not"
    assert (spread[:, 0] > 0.0).all()
    assert (spread[:, 1:] > 0.0).any()
    only_shortest = taken(deployment, states.local("shortest"), -1, 0)
    np.testing.assert_array_equal(only_shortest, np.eye(1, paths.hops.shape[1]).repeat(len(spread), axis=0))

    rates = pair_forecasts(deployment, "truth", FORECASTER)
    links = link_forecasts(deployment, rates, 1.0, 0, spread)
    assert links[3].sum() == pytest.approx((rates[:, 602] * (spread * paths.hops).sum(axis=1)).sum())
    usual = link_forecasts(deployment, rates, 1.0, 0, only_shortest)
    np.testing.assert_array_equal(usual, link_forecasts(deployment, rates, 1.0, 0))


def test_an_episode_is_a_piece_of_the_whole_time() -> None:
    deployment = deploy(WORLD, 1, history_s=600.0, windows=2)
    asked = [deployment.episode(window, 0).requests for window in (0, 1)]
    assert sum(each.num for each in asked) == int((deployment.requests.arrival_slot >= 3000).sum())
    assert all(0 <= each.arrival_slot.min() <= each.arrival_slot.max() < 200 for each in asked)
    with pytest.raises(InvalidParameter, match="history_s: wanted at least 0"):
        deploy(WORLD, 1, history_s=-1.0)


@pytest.mark.parametrize("history_s", [0.0, 100.0, 130.4])
def test_the_clock_of_an_episode_is_that_of_the_whole_time(history_s: float) -> None:
    deployment, slots = deploy(WORLD, 1, history_s=history_s, windows=3), np.arange(WORLD.num_slots)
    for window in range(3):
        mine = deployment.episode(window, 0).demand.rates_hz(slots)
        np.testing.assert_array_equal(mine, deployment.demand.rates_hz(deployment.begin_slot(window) + slots))


TINY = [
    *("--set", "forecast=none", "--set", "history_s=0", "--set", "passes=1", "--topologies", "0"),
    *("--world", "num_nodes=14", "--world", "duration_s=20", "--world", "offered_hz=2"),
]


def test_train_resume_and_evaluate_on_the_command_line(tmp_path: Path) -> None:
    out = ["--out", str(tmp_path / "run")]
    first = CliRunner().invoke(app, ["train", *TINY, *out, "--epochs", "1", "--json"])
    assert first.exit_code == 0, first.output
    again = CliRunner().invoke(app, ["train", *TINY, *out, "--epochs", "2"])
    assert again.exit_code == 2
    assert "--resume" in again.output
    more = CliRunner().invoke(app, ["train", *TINY, *out, "--epochs", "2", "--resume", "--json"])
    assert json.loads(more.stdout)["epochs"] == 2
    logs = ["--logs", str(tmp_path / "logs")]
    told = CliRunner().invoke(app, ["evaluate", str(tmp_path / "run"), "--topologies", "200", *logs, "--json"])
    means = json.loads(told.stdout)["means"]
    assert set(means) == {"dpem", "local", "shortest", "static"}
    assert all(0.0 <= each["delivery"] <= 1.0 for each in means.values())
    again = CliRunner().invoke(app, ["replay", str(tmp_path / "logs" / "200-1"), "--json"])
    assert json.loads(again.stdout)["same"], again.output


def test_what_parts_cost_in_privacy_is_told_by_part_and_together(tmp_path: Path) -> None:
    words = ["train", *TINY, "--epochs", "1", "--json", "--set", "training=federated", "--federate", "sigma=3"]
    words += ["--set", "forecast=gru", "--set", "history_s=30", "--forecast", "steps=2", "--forecast", "window=5"]
    for more, infinite in (
        ([], True),
        (["--forecaster", "federated"], True),
        (["--forecaster", "federated", "--federate-forecast", "sigma=4"], False),
    ):
        told = CliRunner().invoke(app, [*words, *more, "--out", str(tmp_path / str(len(more)))])
        assert told.exit_code == 0, told.output
        cost = json.loads(told.stdout)["privacy"]
        assert cost["heads"] == pytest.approx(gaussian_epsilon(1 / 3, 1e-5))
        assert (cost["forecaster"] is None) == (cost["epsilon"] is None) == infinite
        assert ("infinite" in cost["words"]) == infinite
    assert cost["epsilon"] == pytest.approx(gaussian_epsilon((1 / 9 + 2 / 16) ** 0.5, 1e-5))
    assert cost["epsilon"] > max(cost["heads"], cost["forecaster"])


def test_evaluate_asks_what_a_file_says(tmp_path: Path) -> None:
    words, mine = ["--out", str(tmp_path / "run"), "--epochs", "1"], tmp_path / "mine.csv"
    assert CliRunner().invoke(app, ["train", *TINY, *words]).exit_code == 0
    mine.write_text("time_s,source,target\n1,2,3\n2.5,4,9\n70,1,2\n")
    asked = ["evaluate", str(tmp_path / "run"), "--topologies", "200", "--demand", str(mine), "--json"]
    runs = json.loads(CliRunner().invoke(app, asked).stdout)["runs"]
    assert {row["num_requests"] for row in runs} == {2}
    mine.write_text("time_s,source,target\n1,2,33\n")
    told = CliRunner().invoke(app, asked)
    assert told.exit_code == 2
    assert "target" in told.output
    mine.write_text("time_s,source,target\n1,2,3\n")
    with pytest.raises(InvalidParameter, match=r"mine\.csv\.time_s: wanted a request after the history of 30 s"):
        deploy(WORLD, 1, history_s=30.0, own=mine)


@pytest.mark.parametrize(
    ("words", "field"),
    [
        (["privacy", "--epsilon", "0"], "epsilon"),
        (["privacy", "--epsilon", "-1"], "epsilon"),
        (["privacy"], "sigma, epsilon"),
        (["privacy", "--sigma", "1", "--delta", "2"], "delta"),
        (["train", "--set", "beta=-1"], "Config.beta"),
        (["train", "--set", "what=1"], "what"),
        (["train", "--federate", "clip=0"], "Federation.clip"),
        (["train", "--topologies", "200"], "topologies"),
        (["train", "--topologies", "x"], "topologies"),
        (["train", "--world", "offered_hz=-1"], "offered_hz"),
        (["train", "--forecaster", "shared"], "forecaster"),
        (["train", "--federate-forecast", "sigma=2"], "federate-forecast"),
        (["train", "--forecast", "horizon=0"], "Config.horizon"),
        (["evaluate", "nowhere", "--policies", "dpem,best"], "policies"),
        (["evaluate", "nowhere"], "nowhere"),
    ],
)
def test_what_cannot_be_is_refused_in_words(words: list[str], field: str) -> None:
    told = CliRunner().invoke(app, words)
    assert told.exit_code == 2
    assert field in told.output
    assert "Traceback" not in told.output

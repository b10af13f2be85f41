"""Batch jobs that are announced: what links expect of them, and what is left to forecasts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("numba", reason="pip install 'qorch[sparse]'")

from policies.allocators.dpem import forecast as forecasts
from policies.allocators.dpem.deployment import FORECASTS, announcements, base_of, deploy, pair_forecasts
from policies.allocators.dpem.evaluation import Keep, evaluate
from policies.allocators.dpem.federation import Federation
from policies.allocators.dpem.learner import Config, Run
from policies.envs.entanglement import logs, tables
from policies.envs.entanglement.announced import Announced, of_jobs, table
from policies.envs.entanglement.episode import build
from policies.envs.entanglement.replay import replay, same
from policies.envs.entanglement.setting import EntanglementSetting

WORLD = EntanglementSetting(num_nodes=14, duration_s=60.0, offered_hz=1.0, job_hz=0.3, job_form="each")
FORECASTER = forecasts.Config(width=4, embedding=2, horizon=3, window=8, pieces=2, steps=2)


@pytest.mark.parametrize("form", ["one", "each"])
def test_jobs_ask_for_their_pairs_at_once_or_one_by_one(form: str) -> None:
    episode = build(WORLD.but(job_form=form))
    jobs, asked = episode.demand.jobs, episode.requests
    requests = WORLD.job_pairs if form == "each" else 1
    for first, pair, num in zip(jobs.request.tolist(), jobs.pair.tolist(), jobs.num_pairs.tolist(), strict=True):
        mine = slice(first, first + requests)
        assert asked.num_pairs[mine].sum() == num == WORLD.job_pairs
        assert (asked.pair[mine] == pair).all()
        assert len({*asked.arrival_slot[mine].tolist()}) == len({*asked.min_fidelity[mine].tolist()}) == 1
    assert asked.num == episode.requests.num
    assert jobs.pair.size > 5


def test_links_expect_a_job_from_a_while_before_it_is_due_until_then() -> None:
    episode = build(WORLD)
    jobs = episode.demand.jobs
    for one, known, due in zip(of_jobs(episode, 4.0), jobs.known_slot.tolist(), jobs.due_slot.tolist(), strict=True):
        assert max(known, due - 20) == one.begin
        assert one.end == max(due, one.begin + 1)
        expected = table(episode, [one])
        assert expected.sum() * WORLD.share_s == pytest.approx(8 * len(one.links))
        assert (expected[: one.begin] == 0.0).all()
        assert (expected[one.end :] == 0.0).all()
    assert Announced(0, 10, (), 8).rate_hz(0.2) == pytest.approx(4.0)


def test_what_is_announced_is_left_to_announcements() -> None:
    deployment = deploy(WORLD, 1, history_s=60.0)
    every, others = (deployment.counts(1.0, announced=announced) for announced in (True, False))
    assert (every - others).sum() == deployment.demand.jobs.num_pairs.sum() > 0
    assert others.min() >= 0.0
    alone, beside = (pair_forecasts(deployment, name, FORECASTER) for name in ("truth", "announced+truth"))
    assert (alone - beside).sum(0) == pytest.approx(np.full(alone.shape[1], WORLD.job_hz * WORLD.job_pairs))
    for name in FORECASTS:
        assert (announcements(deployment.episode(0, 0), name) is None) == ("announced" not in name)
    assert [base_of(name) for name in ("announced", "announced+gru", "gru")] == ["none", "gru", "gru"]


def test_agents_learn_and_act_with_announcements_and_their_runs_are_played_again(tmp_path: Path) -> None:
    config = Config(forecast="announced", history_s=0.0, windows=1, passes=1, parts=2, most=32)
    run = Run(config, Federation(), FORECASTER, WORLD, (0,), 1)
    learner = run.begin()
    learner.epoch()
    list(evaluate(run, learner.actor(), (200,), physics=(0,), policies=("dpem",), keep=Keep(tmp_path, "mine")))
    again, recorded = replay(tmp_path / "200-0")
    assert same(again, recorded) == []
    assert tables.read(tmp_path / "200-0" / "announced.parquet", logs.FORECAST)["expected_hz"].max() > 0.0
    expected = announcements(again.episode, "announced")
    assert expected is not None
    written = tables.read(tmp_path / "200-0" / "announced.parquet", logs.FORECAST)["expected_hz"]
    np.testing.assert_array_equal(written, expected.ravel())

"""What a picture of a run shows is what its metrics say; and forecasts are logged."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

pytest.importorskip("numba", reason="pip install 'qorch[sparse]'")
pytest.importorskip("pyarrow", reason="pip install 'qorch[export]'")

from policies.envs.entanglement import logs, tables
from policies.envs.entanglement import state as states
from policies.envs.entanglement.__main__ import app
from policies.envs.entanglement.episode import build
from policies.envs.entanglement.metrics import metrics
from policies.envs.entanglement.pictures import SPENT, read_probes
from policies.envs.entanglement.play import Run, play
from policies.envs.entanglement.setting import EntanglementSetting

SMALL = EntanglementSetting(num_nodes=20, duration_s=30.0, offered_hz=6.0, topology_seed=5)


def logged(folder: Path, *, trace: bool = True) -> Run:
    run = play(build(SMALL), states.local("local", hold=2), record=1, trace=trace)
    logs.write_run(run, folder, {"name": "local"})
    return run


def test_probes_of_the_logs_are_those_of_the_tallies(tmp_path: Path) -> None:
    run = logged(tmp_path)
    _, probes, _ = read_probes(tmp_path)
    every, tally = np.ones(probes.slot.size, bool), run.state.tally
    assert probes.slot.size == tally[states.PROBES]
    links = run.episode.topology.num_links
    assert probes.contention(every, links) == pytest.approx(metrics(run).contention_literal)
    assert probes.per_link(probes.kind == states.DELIVER, links).sum() == tally[states.USED]
    swaps = probes.per_node(np.isin(probes.kind, SPENT), SMALL.num_nodes)
    hops = (probes.links[np.isin(probes.kind, SPENT)] >= 0).sum(axis=1)
    assert swaps.sum() == (hops - 1).sum()
    ended = [int((run.state.status == each).sum()) for each in (states.DELIVERED, states.EXPIRED)]
    assert [int((probes.ends[:, 1] == each).sum()) for each in (states.DELIVER, states.EXPIRE)] == ended


def test_the_command_draws_and_refuses_a_run_without_events(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="pip install 'qorch[plots]'")
    logged(tmp_path / "run")
    drawn = CliRunner().invoke(app, ["map", str(tmp_path / "run"), "--picture", str(tmp_path / "map.png"), "--json"])
    assert drawn.exit_code == 0, drawn.output
    assert json.loads(drawn.output)["most_claims"] > 0.0
    assert (tmp_path / "map.png").read_bytes()[:4] == b"\x89PNG"
    logged(tmp_path / "bare", trace=False)
    for words, said in (
        (["map", str(tmp_path / "bare"), "--picture", str(tmp_path / "no.png")], "events.parquet"),
        (["map", str(tmp_path / "run"), "--picture", str(tmp_path / "no.xyz")], "picture"),
    ):
        refused = CliRunner().invoke(app, words)
        assert refused.exit_code != 0
        assert said in refused.output
        assert "Traceback" not in refused.output


def test_what_a_policy_expected_is_logged(tmp_path: Path) -> None:
    episode = build(SMALL)
    forecast = np.random.default_rng(1).random((SMALL.num_slots + 1, episode.topology.num_links))
    run = play(episode, states.local("local", forecast=forecast), record=1)
    logs.write_run(run, tmp_path, {"name": "local"})
    digest = logs.read_run(tmp_path)["sha256"]["forecast"]
    read = tables.read(tmp_path / "forecast.parquet", logs.FORECAST, digest)
    assert read["expected_hz"].reshape(forecast.shape).tolist() == forecast.tolist()
    assert read["link"][: forecast.shape[1]].tolist() == list(range(forecast.shape[1]))

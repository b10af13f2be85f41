"""Networks, demand, paths and logs: pure functions of seeds, and refusals that name the field."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import networkx as nx
import numpy as np
import pytest
from typer.testing import CliRunner

pytest.importorskip("numba", reason="pip install 'qorch[sparse]'")
pytest.importorskip("pyarrow", reason="pip install 'qorch[export]'")

from circuits.errors import InvalidParameter
from policies.envs.entanglement import faults, logs, metrics, replay, traces
from policies.envs.entanglement import state as st
from policies.envs.entanglement.__main__ import app
from policies.envs.entanglement.demand import asking
from policies.envs.entanglement.episode import build
from policies.envs.entanglement.faults import Fault, Faults
from policies.envs.entanglement.paths import candidates
from policies.envs.entanglement.play import advance, begin, play
from policies.envs.entanglement.setting import KINDS, EntanglementSetting
from policies.envs.entanglement.topology import Topology

SMALL = EntanglementSetting(num_nodes=20, duration_s=30.0, offered_hz=4.0, topology_seed=5, hop_delay_s=0.2)


@pytest.mark.parametrize("kind", KINDS)
def test_a_network_is_connected_and_a_function_of_its_seed(kind: str) -> None:
    one, same, other = (Topology.generate(kind, 100, seed) for seed in (3, 3, 4))
    graph = nx.Graph(one.ends.tolist())
    assert one.document() == same.document() != other.document()
    assert nx.is_connected(graph)
    assert len(graph) == 100
    assert 4.5 < 2 * one.num_links / 100 < 7.0
    assert Topology.read(json.loads(json.dumps(one.document()))).document() == one.document()


@pytest.mark.parametrize("size", [2, 3, 9, 11])
def test_small_networks_are_connected_too(size: int) -> None:
    assert nx.is_connected(nx.Graph(Topology.generate("rgg", size, 1).ends.tolist()))


def test_shares_lie_where_links_are() -> None:
    topology = Topology.generate("rgg", 30, 1)
    for link, (ends, places) in enumerate(zip(topology.ends.tolist(), topology.place.tolist(), strict=True)):
        assert topology.incident[places].tolist() == [link, link]
        assert topology.owner[places].tolist() == ends
    np.testing.assert_allclose(np.add.reduceat(topology.uniform_shares(), topology.first[:-1]), 1.0)


def test_candidates_are_the_paths_with_the_fewest_hops() -> None:
    episode = build(SMALL)
    topology, paths = episode.topology, episode.paths
    graph = nx.Graph(topology.ends.tolist())
    for pair in range(episode.demand.num_pairs):
        hops = paths.hops[pair][paths.hops[pair] > 0].tolist()
        source, target = int(episode.demand.source[pair]), int(episode.demand.target[pair])
        assert hops[0] == nx.shortest_path_length(graph, source, target)
        found = [len(path) - 1 for path in nx.all_simple_paths(graph, source, target, cutoff=hops[-1])]
        assert hops == sorted(found)[: len(hops)]
        for place, num in enumerate(hops):
            nodes = paths.nodes[pair, place, : num + 1].tolist()
            assert len(set(nodes)) == num + 1
            steps = [sorted(step) for step in pairwise(nodes)]
            assert topology.ends[paths.links[pair, place, :num]].tolist() == steps


def test_demand_is_what_its_rates_say() -> None:
    setting = EntanglementSetting(duration_s=2400.0, offered_hz=20.0, job_hz=0.1)
    episode, same = build(setting), build(setting.but(physics_seed=9, swap_success=0.5))
    demand, requests = episode.demand, episode.requests
    assert requests.pair.tolist() == same.requests.pair.tolist()
    rates = demand.rates_hz(np.arange(setting.num_slots))
    single = requests.num_pairs == 1
    mean = rates.sum() * setting.slot_s
    assert abs(single.sum() - mean) < 4.0 * np.sqrt(mean)
    assert rates.mean(axis=0).sum() == pytest.approx(setting.offered_hz, rel=0.15)
    assert (np.diff(requests.arrival_slot) >= 0).all()
    jobs = demand.jobs
    assert (requests.num_pairs[jobs.request] == setting.job_pairs).all()
    assert np.abs(requests.arrival_slot[jobs.request] - jobs.due_slot).max() <= 3
    assert (jobs.known_slot <= requests.arrival_slot[jobs.request]).all()


def test_a_fault_takes_what_a_link_holds_and_it_returns() -> None:
    setting = SMALL.but(hop_delay_s=0.0)
    down = Faults((Fault(10, 20, "link", 3), Fault(15, 30, "node", 0), Fault(40, 45, "controller")))
    episode = build(setting, faults=down)
    run = begin(episode, st.local("local"))
    mine = (episode.topology.ends == 0).any(axis=1)
    for until, link, node in ((12, True, False), (18, True, True), (25, False, True), (35, False, False)):
        advance(run, until)
        assert (run.state.rate[3] == 0.0) == (link or (node and bool(mine[3])))
        assert (run.state.rate[mine] == 0.0).all() == node
        assert not node or run.state.stock[mine].sum() == 0
    assert run.state.tally[st.LOST] > 0
    assert [down.out("controller", slot) for slot in (39, 40, 44, 45)] == [False, True, True, False]


@pytest.mark.parametrize("name", ["static", "local"])
def test_a_run_is_replayed_bit_for_bit_without_its_policy(name: str, tmp_path: Path) -> None:
    first = build(SMALL)
    out = faults.draw(first.topology, SMALL.num_slots, 2, links=0.2)
    run = play(build(SMALL, faults=out), st.local(name), record=1, trace=True)
    logs.write_run(run, tmp_path, {"name": name})
    again, recorded = replay.replay(tmp_path)
    assert replay.same(again, recorded) == []
    assert recorded["num_delivered"] > 0
    for field in ("tally", "status", "blocked", "fidelity", "births"):
        np.testing.assert_array_equal(getattr(again.state, field), getattr(run.state, field))


def test_decisions_from_outside_are_replayed_too(tmp_path: Path) -> None:
    episode = build(SMALL)
    run, chance = begin(episode, record=1), np.random.default_rng(1)
    for _ in range(SMALL.num_slots):
        shares = np.array(chance.random(run.state.shares.size))
        shares /= np.add.reduceat(shares, episode.topology.first[:-1])[episode.topology.owner]
        advance(run, run.slot + 1, choice=chance.integers(-1, 4, episode.requests.num), shares=shares)
    logs.write_run(run, tmp_path, {"name": "chance"})
    again, recorded = replay.replay(tmp_path)
    assert replay.same(again, recorded) == []
    assert metrics.metrics(again) == metrics.metrics(run)


@pytest.mark.parametrize("file", ["setting.json", "decisions.parquet", "links.parquet", "run.json"])
@pytest.mark.parametrize("damage", ["gone", "cut", "other"])
def test_damaged_logs_are_refused_by_name(file: str, damage: str, tmp_path: Path) -> None:
    logs.write_run(play(build(SMALL), st.local("static"), record=1), tmp_path, {})
    target = tmp_path / file
    if damage == "gone":
        target.unlink()
    else:
        target.write_bytes(target.read_bytes()[:40] if damage == "cut" else b'{"slots": "x"}')
    with pytest.raises(InvalidParameter, match=file):
        replay.replay(tmp_path)


@pytest.mark.parametrize(
    ("changed", "match"),
    [
        ({"generation_hz": [-1.0, 1.0, 1.0]}, "generation_hz"),
        ({"swap_hz": [1.0, -0.1, 1.0]}, "swap_hz"),
        ({"fidelity": [0.2, 0.9]}, "fidelity"),
        ({"fidelity": [1.01, 0.9]}, "fidelity"),
        ({"fidelity": [float("nan"), 0.9]}, "fidelity"),
        ({"length_km": [-1.0, 1.0]}, "length_km"),
        ({"ends": [[0, 1], [1, 3]]}, "ends"),
        ({"ends": [[0, 1], [0, 1]]}, "ends"),
        ({"x_km": ["a", 1.0, 2.0]}, "x_km"),
        ({"extra": []}, "extra"),
    ],
)
def test_bad_networks_are_refused_by_the_name_of_the_field(changed: dict[str, Any], match: str) -> None:
    three = [1.0, 2.0, 3.0]
    good = {"x_km": three, "y_km": three, "generation_hz": three, "swap_hz": three}
    good |= {"ends": [[0, 1], [1, 2]], "length_km": [1.0, 2.0], "fidelity": [0.9, 0.98]}
    assert Topology.read(good).num_links == 2
    with pytest.raises(InvalidParameter, match=match):
        Topology.read({**good, **changed})


def test_demand_between_parts_that_are_not_connected_is_refused() -> None:
    ones = np.ones(4)
    two = Topology(ones, ones, ones, ones, np.array([[0, 1], [2, 3]]), ones[:2], ones[:2])
    with pytest.raises(InvalidParameter, match=r"demand.*from 0 to 3"):
        candidates(two, np.array([0]), np.array([3]), 4, 16)
    with pytest.raises(InvalidParameter, match=r"pairs\.target"):
        asking(SMALL, two, np.array([0]), np.array([4]))


@pytest.mark.parametrize(("name", "value"), [("offered_hz", -1.0), ("swap_success", 0.0), ("kind", "star")])
def test_bad_settings_are_refused_by_the_name_of_the_field(name: str, value: Any) -> None:
    with pytest.raises(InvalidParameter, match=name):
        EntanglementSetting(**{name: value})


def test_bad_decisions_are_refused() -> None:
    run = begin(build(SMALL))
    with pytest.raises(InvalidParameter, match="choice"):
        advance(run, 1, choice=np.full(run.state.wanted.size, 4))
    with pytest.raises(InvalidParameter, match="shares"):
        advance(run, 1, shares=np.full(run.state.shares.size, 0.9))
    with pytest.raises(InvalidParameter, match="policy"):
        st.local("oracle")
    with pytest.raises(InvalidParameter, match=r"faults\[0\].number"):
        build(SMALL, faults=Faults((Fault(0, 1, "link", 10_000),)))


def test_own_requests_come_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "mine.csv"
    file.write_text("time_s,source,target,min_fidelity\n3.0,1,2,0.6\n1.0,2,1,\n99.0,1,2,\n")
    topology = Topology.generate("rgg", 20, 5)
    demand, requests = traces.read_csv(file, SMALL, topology)
    assert requests.arrival_slot.tolist() == [5, 15]
    assert demand.source[requests.pair].tolist() == [2, 1]
    assert requests.min_fidelity.tolist() == [0.55, 0.6]
    for text, match in (
        ("time_s,source\n1,2\n", "target"),
        ("time_s,source,target\n-1,1,2\n", "time_s"),
        ("time_s,source,target,min_fidelity\n1,1,2,0.2\n", "min_fidelity"),
        ("time_s,source,target\n1,1,1\n", "target"),
        ("time_s,source,target\n1,1,77\n", "target"),
    ):
        file.write_text(text)
        with pytest.raises(InvalidParameter, match=match):
            traces.read_csv(file, SMALL, topology)


def test_traffic_of_sndlib_is_read(tmp_path: Path) -> None:
    file = tmp_path / "abilene.xml"
    one = "<demand id='a'><source>A</source><target>B</target><demandValue>{}</demandValue></demand>"
    body = "<network xmlns='http://sndlib.zib.de/network'><demands>{}</demands></network>"
    file.write_text(body.format(one.format("2.5")))
    assert traces.read_sndlib(file) == {("A", "B"): 2.5}
    for text in (body.format(one.format("-1")), body.format(""), "<a", "<!DOCTYPE a><a/>"):
        file.write_text(text)
        with pytest.raises(InvalidParameter, match=r"abilene\.xml"):
            traces.read_sndlib(file)


def test_own_traffic_is_asked_in_its_parts(tmp_path: Path) -> None:
    file, called = tmp_path / "abilene.xml", CliRunner()
    one = "<demand><source>{}</source><target>{}</target><demandValue>{}</demandValue></demand>"
    body = "<network><demands>{}</demands></network>"
    file.write_text(body.format(one.format("B", "A", 3) + one.format("A", "C", 1) + one.format("A", "A", 9)))
    setting = SMALL.but(offered_hz=20.0, duration_s=200.0)
    demand, requests = traces.read(file, setting, Topology.generate("rgg", 20, 5))
    assert (demand.source.tolist(), demand.target.tolist()) == ([1, 0], [0, 2])
    np.testing.assert_allclose(demand.rates_hz(np.arange(3)), [[15.0, 5.0]] * 3)
    assert np.bincount(requests.pair) / setting.duration_s == pytest.approx([15.0, 5.0], rel=0.2)
    words = ["generate", "--nodes", "20", "--seed", "3", "--set", "duration_s=20", "--demand", str(file), "--json"]
    made = called.invoke(app, [*words, "--out", str(tmp_path / "net")])
    assert json.loads(made.stdout)["num_pairs"] == 2
    for text in (body.format(one.format("A", "A", 1)), body.format("".join(one.format(k, -k, 1) for k in range(20)))):
        file.write_text(text)
        said = called.invoke(app, [*words, "--out", str(tmp_path / "no")])
        assert said.exit_code == 2
        assert "abilene.xml.demands" in said.output


def test_commands_write_networks_and_runs_and_play_them_again(tmp_path: Path) -> None:
    called = CliRunner()
    small = ["--nodes", "20", "--seed", "3", "--set", "duration_s=20", "--json"]
    made = called.invoke(app, ["generate", *small, "--out", str(tmp_path / "net")])
    assert made.exit_code == 0, made.output
    assert json.loads(made.stdout)["num_nodes"] == 20
    assert logs.read_episode(tmp_path / "net").topology.num_nodes == 20
    played = json.loads(called.invoke(app, ["play", *small, "--out", str(tmp_path / "run")]).stdout)
    again = json.loads(called.invoke(app, ["replay", str(tmp_path / "run"), "--json"]).stdout)
    assert again["same"] is True
    assert again["delivery"] == played["delivery"]
    for bad, match in (
        (["generate", "--nodes", "1", "--out", str(tmp_path / "no")], "num_nodes"),
        (["generate", "--set", "offered_hz=-2", "--out", str(tmp_path / "no")], "offered_hz"),
        (["play", "--policy", "best", "--out", str(tmp_path / "no")], "policy"),
        (["replay", str(tmp_path / "nothing")], "run.json"),
    ):
        said = called.invoke(app, bad)
        assert said.exit_code == 2
        assert match in said.output

"""The QCN world: costs against reference vectors, the batch against the reference, optima against all assignments."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from circuits.errors import InvalidParameter
from policies.envs import load
from policies.envs.batched import read_setting, setting_of, written_setting
from policies.envs.contract import Action
from policies.envs.qcn import optimum as search
from policies.envs.qcn.__main__ import app
from policies.envs.qcn.alone import priced
from policies.envs.qcn.batch import Slots, settle
from policies.envs.qcn.circuits import COMPILED, DATA_QUBITS, GATES, LATENT_QUBITS, compiled, num_qubits
from policies.envs.qcn.cost import evaluate
from policies.envs.qcn.document import read_cases
from policies.envs.qcn.instance import written
from policies.envs.qcn.model import MODES, Model
from policies.envs.qcn.moves import counted, table
from policies.envs.qcn.optimum import optima, optimum
from policies.envs.qcn.sequential import SequentialSetting, SequentialWorld
from policies.envs.qcn.world import Setting, World

VECTORS: list[dict[str, Any]] = json.loads(Path(__file__).with_name("vectors.json").read_text())
MODEL = MODES["cited"]


def slots_of(num_slots: int = 8, seed: int = 1, **asked: Any) -> Slots:
    return World(Setting(**asked), num_slots, seed, dtype=torch.float64).slots


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: str(vector["id"]))
def test_reference_vectors(vector: dict[str, Any]) -> None:
    (case,) = read_cases({**vector, "mode": "vectors"})
    assert case.servers is not None
    assert case.shares is not None
    for found, wanted in zip(
        evaluate(case.model, case.instance, case.servers, case.shares).users, vector["expected"], strict=True
    ):
        assert (found.qubits, found.forwarded, found.reached) == (wanted["q"], wanted["fw"], wanted["dest"])
        got = (found.work_flop, found.delay_s, found.energy_j, found.cost)
        assert got == pytest.approx([wanted[key] for key in ("W", "lat", "en", "cost")], rel=1e-6)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 6), st.integers(2, 5), st.sampled_from(sorted(MODES)), st.data())
def test_the_batch_is_the_reference(seed: int, users: int, servers: int, mode: str, data: st.DataObject) -> None:
    clouds = data.draw(st.integers(1, servers - 1))
    setting = Setting(users=users, servers=servers, clouds=clouds, weights="drawn", model=MODES[mode])
    slots = World(setting, 3, seed, dtype=torch.float64).slots
    chance = torch.Generator().manual_seed(seed)
    shares = torch.rand((3, users), generator=chance, dtype=torch.float64)
    shares[shares > 0.7] = 1.0
    action = Action(torch.randint(servers, (3, users), generator=chance), shares)
    outcome = settle(setting.model, slots, action)
    for row, instance in enumerate(slots.unstacked()):
        told = evaluate(setting.model, instance, action.servers[row].tolist(), shares[row].tolist())
        for name in ("cost", "delay_s", "energy_j"):
            wanted = [getattr(user, name) for user in told.users]
            assert getattr(outcome, name)[row].tolist() == pytest.approx(wanted, rel=1e-9)


def test_who_else_goes_there_is_paid_for() -> None:
    slots = slots_of(users=3)
    place, nothing = torch.zeros((8, 3), dtype=torch.long), torch.zeros((8, 3), dtype=torch.float64)
    alone = nothing.clone()
    alone[:, 1:] = 1.0
    together, by_itself = (settle(MODEL, slots, Action(place, shares)).cost[:, 0] for shares in (nothing, alone))
    assert (together > by_itself).all()


def test_large_circuits_are_forwarded_to_the_cloud() -> None:
    slots = slots_of(64)
    reached = settle(MODEL, slots, Action(torch.zeros((64, 10), dtype=torch.long), slots.data * 0.0)).reached
    assert torch.equal(reached == 5, slots.qubits > MODEL.edge_qubits)
    assert (reached == 5).any()
    assert (reached == 0).any()


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 4), st.floats(0.0, 1.0))
def test_no_share_beats_the_best_one(seed: int, crowd: int, share: float) -> None:
    slots = slots_of(2, seed, users=crowd, servers=3, weights="drawn")
    known = priced(MODEL, slots, float(crowd))
    for server in range(3):
        everybody = torch.full((2, crowd), server)
        if not bool((settle(MODEL, slots, Action(everybody, slots.data * 0.0)).crowd == crowd).all()):
            continue  # some were forwarded elsewhere
        mine = torch.zeros((2, crowd), dtype=torch.float64)
        mine[:, 0] = min(share, 0.999999)
        found = settle(MODEL, slots, Action(everybody, mine)).cost[:, 0]
        assert (found >= known.cost[:, 0, server] * (1.0 - 1e-9)).all()


def by_force(slots: Slots) -> float:
    """Least cost over all assignments, shares being best at each."""
    known, (_, num_users, num_servers) = table(MODEL, slots), slots.shape
    every = torch.tensor(list(product(range(-1, num_servers), repeat=num_users)))
    costs = [float(known.priced(one[None], counted(one[None], num_servers)).sum()) for one in every]
    return min(costs)


def test_optima_are_those_of_all_assignments() -> None:
    slots = slots_of(5, users=4, servers=3, weights="drawn")
    for row, found in enumerate(optima(MODEL, slots)):
        assert found.exact
        assert found.total == pytest.approx(by_force(slots.at(slice(row, row + 1))), rel=1e-9)


def test_a_program_finds_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    slots = slots_of(2, users=5, servers=4)
    searched = optima(MODEL, slots)
    monkeypatch.setattr(search, "MOST_COUNTS", 0)
    for found, wanted in zip(optima(MODEL, slots), searched, strict=True):
        assert found.total == pytest.approx(wanted.total, rel=1e-7)
        assert found.lower_bound <= wanted.total * (1.0 + 1e-9)
        assert found.lower_bound == pytest.approx(wanted.total, rel=1e-6)


def test_nobody_is_below_the_optimum() -> None:
    world = World(Setting(), 4, 3, dtype=torch.float64)
    best = [one.total for one in optima(MODEL, world.slots)]
    for name, rule in World.rules.items():
        action = rule(world, torch.Generator().manual_seed(1))
        cost = settle(MODEL, world.slots, action).cost.sum(-1).tolist()
        assert all(one >= least * (1.0 - 1e-9) for one, least in zip(cost, best, strict=True)), name


def test_what_is_seen_is_what_is_paid_alone() -> None:
    world = World(Setting(users=1, weights="drawn"), 50, 2, dtype=torch.float64)
    seen, slots = world.observe(), world.slots
    assert seen.user.shape == (50, 1, 11)
    assert seen.pair.shape == (50, 1, 6, 9)
    assert 0.0 <= float(seen.flat().min()) <= float(seen.flat().max()) <= 1.0 + 1e-9
    for server in range(6):
        action = Action(torch.full((50, 1), server), torch.zeros((50, 1), dtype=torch.float64))
        cost = settle(MODEL, slots, action).cost
        squashed = seen.pair[:, :, server, 6]
        assert torch.allclose(cost / (1.0 + cost), squashed, rtol=1e-9)
        best = settle(MODEL, slots, replace(action, shares=seen.pair[:, :, server, 7])).cost
        assert torch.allclose(best / (1.0 + best), seen.pair[:, :, server, 8], rtol=1e-9)


@pytest.mark.parametrize("reward", ["own", "global", "difference"])
def test_rewards(reward: str) -> None:
    world = World(Setting(users=3, servers=3, reward=reward), 6, 5, dtype=torch.float64)
    slots, action = world.slots, World.rules["random"](world, torch.Generator().manual_seed(2))
    found, cost = world.step(action).reward, settle(MODEL, slots, action).cost
    if reward == "difference":
        away = replace(action, shares=action.shares.clone())
        away.shares[:, 1] = 1.0
        wanted = settle(MODEL, slots, away).cost.sum(-1) - cost.sum(-1)
        assert found[:, 1].tolist() == pytest.approx(wanted.tolist())
    else:
        wanted = -cost if reward == "own" else -cost.sum(-1, keepdim=True).expand_as(cost)
        assert torch.equal(found, wanted)


def test_a_backlog_is_waited_for_and_worked_off() -> None:
    setting = SequentialSetting(users=2, servers=2, episode_slots=4, slot_s=0.1)
    world = SequentialWorld(setting, 3, 1, dtype=torch.float64)
    away = Action(torch.zeros((3, 2), dtype=torch.long), torch.zeros((3, 2), dtype=torch.float64))
    home = replace(away, shares=torch.ones((3, 2), dtype=torch.float64))
    first = world.step(away).outcome
    load_s = torch.zeros((3, 2), dtype=torch.float64).scatter_add(1, first.reached, first.load_s)
    left_s = (load_s - 0.1).clamp(min=0.0)
    assert torch.allclose(world.backlog_s, left_s)
    free = replace(world.slots, backlog_s=torch.zeros_like(left_s))
    waited = settle(MODEL, world.slots, away).delay_s - settle(MODEL, free, away).delay_s
    assert (waited >= 0.0).all()
    assert world.observe().pair.shape == (3, 2, 2, 10)
    world.step(home)
    assert torch.allclose(world.backlog_s, (left_s - 0.1).clamp(min=0.0))
    assert not world.step(home).terminated
    assert world.step(home).terminated
    assert float(world.backlog_s.max()) == 0.0


def test_gates_are_those_of_circuits_that_are_built() -> None:
    assert COMPILED.keys() == set(product(DATA_QUBITS, LATENT_QUBITS))
    assert [num_qubits(6, 5), num_qubits(9, 3)] == [8, 16]  # as the paper says
    assert {size: compiled(*size) for size in ((6, 3), (6, 5), (7, 4))} == {(6, 3): 165, (6, 5): 109, (7, 4): 226}
    assert float(slots_of(64, circuits="compiled").gates.max()) == max(GATES["compiled"].values())


@given(
    st.sampled_from(sorted(MODES)),
    st.fixed_dictionaries({}, optional={"edge_flops": st.floats(1e6, 1e15), "edge_qubits": st.integers(1, 20)}),
)
def test_a_setting_comes_back(mode: str, overrides: dict[str, Any]) -> None:
    for env in ("QCN-v1", "QCN-v2"):
        setting = setting_of({"mode": mode, "overrides": overrides, "clouds": 2}, load(env).setting_type)
        assert read_setting(env, json.loads(json.dumps(written_setting(setting)))) == setting


def test_an_instance_comes_back() -> None:
    instance = slots_of(1).unstacked()[0]
    (case,) = read_cases(json.loads(json.dumps(written(instance))))
    for name, value in vars(instance).items():
        assert np.array_equal(value, getattr(case.instance, name)), name
    assert torch.equal(Slots.stacked([case.instance]).rate_bps, Slots.stacked([instance]).rate_bps)


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"n": [6, 9]}, "k: wanted a list of 2"),
        ({"n": [3, 9, 7], "k": [5, 5, 3]}, "k: wanted less than n = 3"),
        ({"n": [12, 9, 7]}, "G: wanted this field, .* got n = 12, k = 5"),
        ({"n": [12, 9, 7], "G": [9, 9, 9]}, "n, k: wanted circuits of at most 16 qubits"),
        ({"rate": [[1.0] * 6] * 2}, "rate: wanted a list of 3"),
        ({"Fm": [1e9, -1.0, 1e9]}, "Fm: wanted finite numbers more than 0, got -1"),
        ({"rho": [0.5, 0.5, 2]}, "rho: wanted finite numbers at least 0, at most 1, got 2"),
        ({"a": [0, 0, 6]}, "a: wanted places below 6, got 6"),
        ({"norm": [5.0]}, "norm: wanted a list of 2"),
        ({"cap": [16, 14.5, 20]}, "cap: wanted integers"),
        ({"mode": "tuned"}, "mode: wanted one of cited, vectors"),
        ({"overrides": {"edge_flop": 1}}, "no parameter 'edge_flop'"),
        ({"overrides": [1]}, "overrides: wanted an object"),
        ({"frequency": 1}, "instance: wanted only"),
    ],
)
def test_a_file_is_refused_by_the_field(changed: dict[str, Any], named: str) -> None:
    vector = {**VECTORS[0], **changed}
    with pytest.raises(InvalidParameter, match=named):
        read_cases(vector)


def test_a_setting_is_refused_by_the_field() -> None:
    with pytest.raises(InvalidParameter, match=r"Setting\.clouds: wanted fewer than servers = 2"):
        Setting(servers=2, clouds=2)
    with pytest.raises(InvalidParameter, match="delay_weight, energy_weight"):
        Setting(delay_weight=0.0, energy_weight=0.0)
    with pytest.raises(InvalidParameter, match=r"Model\.uplink_high_bps"):
        Model(uplink_low_bps=2e6, uplink_high_bps=1e6)
    with pytest.raises(InvalidParameter, match=r"Action\.asks"):
        World(Setting()).step(Action(torch.zeros(1, 10, dtype=torch.long), torch.ones(1, 10), torch.ones(1, 10) > 0))


def test_the_command(tmp_path: Path) -> None:
    file = tmp_path / "one.json"
    file.write_text(json.dumps({**VECTORS[0], "mode": "vectors"}))
    told = json.loads(CliRunner().invoke(app, ["evaluate", str(file), "--json"]).stdout)
    assert told["total"] == pytest.approx(sum(user["cost"] for user in VECTORS[0]["expected"]), rel=1e-6)
    best = json.loads(CliRunner().invoke(app, ["optimum", str(file), "--json"]).stdout)
    assert best["exact"]
    assert best["lower_bound"] <= best["total"] <= told["total"]
    (case,) = read_cases({**VECTORS[0], "mode": "vectors"})
    assert optimum(case.model, case.instance).total == pytest.approx(best["total"])
    shown = CliRunner().invoke(app, ["optimum", str(file)])
    assert "the least there is" in shown.stdout
    wrong = CliRunner().invoke(app, ["evaluate", str(tmp_path / "none.json")])
    assert wrong.exit_code == 2
    assert len(wrong.stderr.splitlines()) == 1

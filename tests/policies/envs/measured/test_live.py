"""A world whose steps are real jobs on a running fleet."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from circuits.errors import InvalidParameter
from circuits.program import Program
from orchestrator import Client, Objective
from orchestrator.settings import Settings
from policies.envs.contract import Action
from policies.envs.measured.live import TAG, LiveWorld, contest, done_before, players
from policies.envs.measured.observation import NUM_PAIR, NUM_USER, quantities
from policies.evaluate import app

TIMEOUT_S = 120.0
PLACES = ("aer_statevector", "fake_guadalupe")
SETTINGS = {"backends": PLACES, "slots": 2}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("live")


@pytest.fixture(scope="module")
def client(folder: Path) -> Iterator[Client]:
    bell = Program.from_any('OPENQASM 2.0;include "qelib1.inc";qreg q[2];creg c[2];h q[0];cx q[0],q[1];measure q->c;')
    with Client(settings=Settings(data_dir=folder, **SETTINGS)) as client:
        for place in PLACES:
            client.submit(bell, shots=200, pin=place, objective=Objective(latency=0.0)).result(TIMEOUT_S)
        yield client


def test_a_step_is_jobs_on_the_fleet_and_costs_what_was_measured(client: Client) -> None:
    world = LiveWorld(client, users=2, jobs=4)
    assert world.places == PLACES
    seen = world.observe()
    assert (seen.user.shape, seen.pair.shape) == ((1, 2, NUM_USER), (1, 2, 2, NUM_PAIR))
    assert quantities(seen).feasible.all()
    before = {job.id for job in client.jobs(tag=TAG)}
    step = world.step(world.action(torch.tensor([0, 1])))
    fresh = [job for job in client.jobs(tag=TAG) if job.id not in before]
    assert sorted(dict(job.spec.pin).popitem() for job in fresh) == [(place, 1.0) for place in PLACES]
    found = {next(iter(job.spec.pin)): client.job(job.id).result(TIMEOUT_S).measurement for job in fresh}
    for user, place in enumerate(PLACES):
        assert step.outcome.latency_s[0, user] == pytest.approx(found[place].latency_s)
        assert step.outcome.fidelity[0, user] == pytest.approx(found[place].fidelity)
    assert torch.equal(step.reward, -step.outcome.cost)
    assert step.outcome.cost[0, 1] > step.outcome.cost[0, 0], "one of them is noisy"
    assert not step.terminated
    assert world.step(world.action(torch.tensor([0, 0]))).terminated
    assert len(done_before(client)) == 1, "what was submitted here is not drawn again"


def test_everybody_plays_the_same_jobs(client: Client) -> None:
    worlds = [LiveWorld(client, seed=5, jobs=3) for _ in range(2)]
    assert worlds[0].slots == worlds[1].slots
    costs = contest(client, players(["greedy", "eft"]), seeds=[1], jobs=2)
    assert {name: len(each) for name, each in costs.items()} == {"greedy": 2, "eft": 2}


def test_what_it_cannot_do_says_so(client: Client, tmp_path: Path) -> None:
    world = LiveWorld(client)
    with pytest.raises(InvalidParameter, match="asks"):
        world.step(Action(torch.zeros(1, 1, dtype=torch.int64), torch.zeros(1, 1), torch.ones(1, 1, dtype=torch.bool)))
    (nowhere,) = (replace(one, allow=("aer_mps",)) for one in done_before(client))
    lost = LiveWorld(client, specs=(nowhere,))
    with pytest.raises(InvalidParameter, match=r"aer_statevector: the job allows only aer_mps.*qorch up"):
        lost.step(lost.action(torch.tensor([0])))
    with Client(settings=Settings(data_dir=tmp_path, **SETTINGS)) as fresh:
        with pytest.raises(InvalidParameter, match="submit some there"):
            LiveWorld(fresh)
        fresh.backends = list  # type: ignore[method-assign]
        with pytest.raises(InvalidParameter, match="qorch up"):
            LiveWorld(fresh)


def test_one_command_evaluates_live(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("orchestrator.Client", lambda _: client)
    monkeypatch.setattr(client, "close", lambda: None)
    done = CliRunner().invoke(
        app, ["--live", "here", "--policies", "greedy,placing:b6ed2ebc", "--slots", "2", "--json"]
    )
    assert done.exit_code == 0, done.output
    answer = json.loads(done.stdout)
    assert answer["live"] == "here"
    assert [(row["policy"], row["num_jobs"]) for row in answer["rows"]] == [
        ("greedy", 2),
        ("placing:b6ed2ebc", 2),
    ]


@pytest.mark.parametrize("form", [(), ("--json",)])
@pytest.mark.parametrize(
    "url",
    [
        "redis://:secret@host:6379/0",
        "http://user:secret@host",
        "https://secret@host",
        "http://host/?token=secret",
        "redis://:se/cret@host",
        f"http://host/qorch_{'secret' * 8}"[:61],
    ],
)
def test_no_secret_of_an_address_is_repeated(
    url: str, form: tuple[str, ...], client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("orchestrator.Client", lambda _: nullcontext(client))
    monkeypatch.setattr("policies.envs.measured.live.contest", lambda *_: {"greedy": [1.0]})
    done = CliRunner().invoke(app, ["--live", url, "--policies", "greedy", *form])
    assert done.exit_code == 0, done.output
    assert "cret" not in done.output


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--live", "http://127.0.0.1:1"), "nothing answers at http://127.0.0.1:1"),
        (("--live", "redis+tcp://127.0.0.1:1/0"), "no Redis answers at redis+tcp://127.0.0.1:1/0"),
        (("--live", "ftp://here"), "a client speaks to http://"),
        (("--live", "redis://:se/cret@here"), "'***' is no address of a Redis server: wanted redis://"),
        (("--live", "http://user:se/cret@here"), "the address of a server cannot be read: wanted http://host:port"),
        (("--live", "http://127.0.0.1:1", "--policies", "gredy"), "wanted random, eft, greedy, LEARNER:HASH or a"),
    ],
)
def test_what_is_wrong_is_one_line(words: tuple[str, ...], said: str) -> None:
    done = CliRunner().invoke(app, words)
    assert (done.exit_code, done.stderr.count("\n")) == (2, 1)
    assert done.stderr.startswith("error: ")
    assert said in done.stderr
    assert "cret" not in done.output


def test_jobs_that_allow_only_what_is_gone_are_not_done_again(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    (spec,) = done_before(client)
    (job,) = client.submit_many([replace(spec, shots=50, allow=PLACES[:1])])
    job.result(TIMEOUT_S)
    assert {one.shots for one in done_before(client)} == {50, 200}
    left = [one for one in client.backends() if one.backend == PLACES[1]]
    monkeypatch.setattr(client, "backends", lambda: left)
    assert {one.shots for one in done_before(client)} == {200}

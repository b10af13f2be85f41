"""The log of real jobs played back from the command line: `qorch why`, `replay` and `evaluate`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, text
from typer.testing import CliRunner

from orchestrator import Client
from orchestrator.client import job_spec
from orchestrator.settings import Settings
from policies import POLICIES
from workers.cli import app

BELL = 'OPENQASM 2.0;\ninclude "qelib1.inc";\nqreg q[2];\ncreg c[2];\nh q[0];\ncx q[0],q[1];\nmeasure q -> c;\n'
FLEET = ("aer_statevector", "aer_mps", "fake_guadalupe")
NUM_EACH = 4


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder after jobs of every policy, in batches, and one that was pinned."""
    folder = tmp_path_factory.mktemp("replay")
    settings = Settings(data_dir=folder / "data", backends=FLEET)
    with Client(settings=settings) as client:
        for seed in range(NUM_EACH):
            batch = [job_spec(BELL, shots=50 + seed, policy=name, seed=seed, tags=[name]) for name in sorted(POLICIES)]
            for handle in client.submit_many(batch):
                handle.result(60.0)
        client.submit(BELL, shots=50, pin={"aer_statevector": 0.5, "aer_mps": 0.5}, tags=["pinned"]).result(60.0)
    return folder


def said(folder: Path, *words: str, columns: int = 80) -> Any:
    variables = {"COLUMNS": str(columns), "QORCH_BACKENDS": ",".join(FLEET)}
    return CliRunner().invoke(app, ["--data-dir", str(folder / "data"), *words], env=variables)


def document(folder: Path, *words: str) -> Any:
    done = said(folder, *words, "--json")
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def jobs(folder: Path, tag: str) -> Sequence[str]:
    return [job["job_id"] for job in document(folder, "jobs", "--tag", tag)]


# ── why ───────────────────────────────────────────────────────────────────────────────────────────────────────────────
def test_why_shows_what_was_measured_and_the_regret(folder: Path) -> None:
    job_id = jobs(folder, "random")[0]
    found = document(folder, "why", job_id, "--all")
    assert found["num_decisions"] == 1
    assert found["decisions"] == [found["decision"]]
    decision = found["decision"]
    assert (decision["policy"], decision["answered_by"], decision["instead"]) == ("random", "random", "")
    hindsight = decision["hindsight"]
    assert hindsight["basis"] == "measured"
    costs = {one["backend"]: one["cost_now"] for one in decision["candidates"]} | {
        decision["candidates"][0]["backend"]: hindsight["cost"]
    }
    assert hindsight["regret"] == pytest.approx(hindsight["cost"] - min(costs.values()))
    assert hindsight["best"] == min(costs, key=costs.__getitem__)
    assert decision["measurement"]["latency_s"] > 0


@pytest.mark.parametrize("columns", [80, 120])
def test_a_person_reads_why_in_lines_that_fit(folder: Path, columns: int) -> None:
    for tag, words in (("random", "measured"), ("pinned", "pinned by its submitter")):
        shown = said(folder, "why", jobs(folder, tag)[0], columns=columns)
        assert shown.exit_code == 0, shown.output
        assert words in shown.stdout
        assert "in hindsight" in shown.stdout
        assert max(map(len, shown.stdout.splitlines())) <= columns


# ── replay ────────────────────────────────────────────────────────────────────────────────────────────────────────────
def test_every_decision_and_every_estimate_is_the_same_again(folder: Path) -> None:
    found = document(folder, "replay")
    number = found["replayed"]["num_decisions"]
    assert number == found["replayed"]["num_same"] >= NUM_EACH * len(POLICIES), "second thoughts are decisions, too"
    assert found["left_out"] == {"num_pinned": 1, "num_too_old": 0, "num_incomplete": 0}
    assert found["estimates"]["num_decisions"] == number + 1
    assert found["estimates"]["num_same"] == (number + 1) * len(FLEET)
    shown = said(folder, "replay")
    assert shown.exit_code == 0
    assert "pinned" in shown.stdout


def test_a_part_of_the_log_is_played_back_alone(folder: Path) -> None:
    assert document(folder, "replay", "--tag", "random")["replayed"]["num_same"] >= NUM_EACH
    one = jobs(folder, "random")[0]
    found = document(folder, "replay", "--jobs", one)["replayed"]
    assert found["num_calls"] == 1
    assert document(folder, "replay", "--since", "2999-01-01")["replayed"]["num_calls"] == 0


def test_another_policy_is_asked_and_its_answers_are_compared(folder: Path) -> None:
    found = document(folder, "replay", "--policy", "round_robin")["replayed"]
    assert found["num_same"] + found["num_different"] == found["num_decisions"] >= NUM_EACH * len(POLICIES)
    assert found["num_different"] > 0
    assert found["different"][0]["again"]
    shown = said(folder, "replay", "--policy", "round_robin")
    assert (shown.exit_code, "round_robin asked instead" in " ".join(shown.stdout.split())) == (0, True)
    assert max(map(len, shown.stdout.splitlines())) <= 80


def test_an_export_is_played_back_as_its_store(folder: Path) -> None:
    out = folder / "out"
    document(folder, "export", str(out), "--format", "jsonl")
    found, store = document(folder, "replay", "--log", str(out)), document(folder, "replay")
    assert found["replayed"] == store["replayed"]
    assert found["estimates"] is None
    whole, judged = (document(folder, "evaluate", "--policy", "random", *more) for more in ([], ["--log", str(out)]))
    assert judged["off_policy"] == whole["off_policy"]
    assert judged["measured"] == whole["measured"]


def test_a_log_that_was_tampered_with_is_found_out(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    assert said(folder, "backup", str(tmp_path / "data" / "qorch.sqlite")).exit_code == 0
    engine = create_engine(f"sqlite:///{tmp_path / 'data' / 'qorch.sqlite'}")
    with engine.begin() as tx:
        record = tx.execute(text("SELECT record FROM decisions WHERE id = 2")).scalar_one()
        chosen = next(iter(json.loads(record)["choice"]))
        other = next(name for name in FLEET if name != chosen)
        forged = record.replace(f'"choice":{{"{chosen}"', f'"choice":{{"{other}"')
        tx.execute(text("UPDATE decisions SET record = :r WHERE id = 2"), {"r": forged})
        seen = tx.execute(text("SELECT record FROM telemetry WHERE id = 1")).scalar_one()
        wrong = json.loads(seen)
        wrong["measurement"]["service_s"] *= 2
        tx.execute(text("UPDATE telemetry SET record = :r WHERE id = 1"), {"r": json.dumps(wrong)})
    engine.dispose()
    done = said(tmp_path, "replay", "--json")
    assert done.exit_code == 1
    found = json.loads(done.stdout)
    assert found["replayed"]["num_different"] == 1
    assert found["replayed"]["different"][0]["logged"] == {other: 1.0}
    assert found["estimates"]["num_different"] > 0
    shown = said(tmp_path, "replay")
    assert shown.exit_code == 1
    assert found["replayed"]["different"][0]["job_id"] in shown.stdout


# ── evaluate ──────────────────────────────────────────────────────────────────────────────────────────────────────────
def test_a_mixed_log_refuses_what_it_cannot_know_in_words(folder: Path) -> None:
    found = document(folder, "evaluate", "--policy", "random")
    assert set(found["off_policy"]["values"]) == {"direct"}
    assert "never makes" in found["off_policy"]["refused"]
    alone = document(folder, "evaluate", "--policy", "eft", "--logged-by", "random")["off_policy"]
    assert alone["num_jobs"] == NUM_EACH
    assert "direct" in alone["values"], "what else there is depends on where chance sent four jobs"
    shown = said(folder, "evaluate", "--policy", "random")
    assert "direct" in shown.stdout
    assert max(map(len, shown.stdout.splitlines())) <= 80


def test_a_log_of_random_judges_whom_one_likes(folder: Path, tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path / "data", backends=FLEET)
    with Client(settings=settings) as client:
        for seed in range(24):
            client.submit(BELL, shots=50, policy="random", seed=seed).result(60.0)
    found = document(tmp_path, "evaluate", "--policy", "greedy", "--level", "0.9")
    off = found["off_policy"]
    assert set(off["values"]) == {"inverse_propensity", "self_normalised", "direct", "doubly_robust"}
    assert (off["refused"], off["num_jobs"], off["num_batches"], off["level"]) == ("", 24, 24, 0.9)
    assert off["largest_weight"] == pytest.approx(len(FLEET))
    assert all(one["low"] <= one["value"] <= one["high"] for one in off["values"].values())
    played = found["played"]
    assert played["policy"]["value"] - played["logged"]["value"] == pytest.approx(played["difference"]["value"])
    assert played["difference"]["value"] < 0, "greedy leaves the noisy device alone"
    shown = said(tmp_path, "evaluate", "--policy", "greedy")
    assert "doubly robust" in shown.stdout
    assert max(map(len, shown.stdout.splitlines())) <= 80


@pytest.mark.parametrize(
    ("words", "code", "said_so"),
    [
        (["replay", "--policy", "gredy"], 1, "Did you mean"),
        (["evaluate", "--policy", "gredy"], 1, "Did you mean"),
        (["evaluate"], 2, "--policy"),
        (["evaluate", "--policy", "eft", "--since", "2999-01-01"], 1, "no job in the log"),
        (["evaluate", "--policy", "eft", "--level", "1.5"], 2, "--level"),
        (["replay", "--log", "/nowhere"], 1, "is no whole export"),
        (["replay", "--log", "/nowhere", "--tag", "x"], 2, "read as a whole"),
        (["replay", "--since", "yesterday"], 2, "such as 30d"),
        (["replay", "--state", "asleep"], 2, "none of"),
    ],
)
def test_mistakes_are_one_line(folder: Path, words: list[str], code: int, said_so: str) -> None:
    done = said(folder, *words)
    assert done.exit_code == code, done.output
    assert said_so in " ".join(done.output.split())
    assert "Traceback" not in done.output


# ── twin ──────────────────────────────────────────────────────────────────────────────────────────────────────────────
def test_a_twin_is_made_of_the_log_and_says_how_far_it_is_off(folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "twin.safetensors"
    found = document(folder, "twin", str(path))
    assert (found["num_backends"], found["twin"]) == (len(FLEET), str(path))
    assert found["num_jobs"] == NUM_EACH * len(POLICIES)
    assert 0.0 < found["held_out"]["ratio"] < 1000.0
    assert path.exists()
    shown = said(folder, "twin", str(path))
    assert f"--servers {len(FLEET)} --world source={path}" in shown.stderr
    few = said(folder, "twin", str(tmp_path / "other"), "--tag", "random", "--json")
    assert (few.exit_code, "run more of them" in json.loads(few.stdout)["error"]["message"]) == (1, True)
    assert not (tmp_path / "other").exists()

"""Quotes, dry runs, prices and calibration from the command line: nothing is submitted, mistakes are one line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import backends.curves
from backends.curves import Effort
from backends.pricing import COLUMNS
from workers.cli import app

BELL = 'OPENQASM 2.0;\ninclude "qelib1.inc";\nqreg q[2];\ncreg c[2];\nh q[0];\ncx q[0],q[1];\nmeasure q -> c;\n'
FLEET = "aer_stabilizer,fake_hanoi,stim,cpu"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder for all tests of this file, with a program and a price table beside it."""
    folder = tmp_path_factory.mktemp("quotes")
    (folder / "bell.qasm").write_text(BELL)
    (folder / "prices.csv").write_text(",".join(COLUMNS) + "\nfake_*,0.5,0.001,,2026-11-21,our contract\n")
    return folder


def said(folder: Path, *words: str, columns: int = 80, **environment: str) -> Any:
    """What a command says."""
    variables = {"COLUMNS": str(columns), "QORCH_BACKENDS": FLEET} | environment
    return CliRunner().invoke(app, ["--data-dir", str(folder / "data"), *words], env=variables)


def document(folder: Path, *words: str, **environment: str) -> Any:
    done = said(folder, *words, "--json", **environment)
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def bell(folder: Path) -> str:
    return str(folder / "bell.qasm")


def test_a_quote_has_every_backend_and_the_users_prices(folder: Path) -> None:
    own = {"QORCH_PRICES": str(folder / "prices.csv")}
    quote = document(folder, "quote", bell(folder), "--shots", "1000", "--policy", "greedy", **own)
    offers = {offer["backend"]: offer for offer in quote["offers"]}
    assert set(offers) == set(FLEET.split(","))
    assert offers["fake_hanoi"]["cost_usd"] == {"expected": 1.5, "low": 1.5, "high": 1.5, "basis": "known"}
    assert offers["fake_hanoi"]["price_source"] == "our contract (2026-11-21)"
    assert offers["cpu"]["rejections"]
    assert set(quote["choice"]) < {"stim", "aer_stabilizer"}
    assert document(folder, "jobs") == []


def test_families_are_quoted_as_they_are_run(folder: Path) -> None:
    quote = document(folder, "quote", "steane", "--set", "rounds=1", "--shots", "100")
    assert quote["choice"]
    assert not quote["adaptive"]
    assert "--set is for families" in " ".join(said(folder, "quote", bell(folder), "--set", "a=1").stderr.split())


@pytest.mark.parametrize("command", ["run", "submit"])
def test_a_dry_run_decides_and_submits_nothing(folder: Path, command: str) -> None:
    quote = document(folder, command, bell(folder), "--dry-run", "--pin", "stim")
    assert quote["choice"] == {"stim": 1.0}
    assert quote["policy"] == "pin"
    done = said(folder, command, bell(folder), "--dry-run", "--pin", "stim")
    assert "would go to stim as pinned; nothing was submitted" in done.stdout
    assert document(folder, "jobs") == []


def test_a_dry_run_without_a_place_ends_as_the_job_would(folder: Path) -> None:
    done = said(folder, "run", bell(folder), "--dry-run", "--pin", "cpu", "--json")
    assert done.exit_code == 1
    assert "no backend can take this job" in json.loads(done.stdout)["error"]["message"]


@pytest.mark.parametrize("columns", [80, 160])
def test_tables_fit_the_screen(folder: Path, columns: int) -> None:
    for words in (["quote", bell(folder)], ["backends"], ["backends", "--all"], ["prices"]):
        lines = said(folder, *words, columns=columns).stdout.splitlines()
        assert max(map(len, lines)) <= columns, words
        assert not any("…" in line for line in lines), words
    assert "aer_stabilizer" in said(folder, "quote", bell(folder), columns=columns).stdout


def test_what_is_not_served_is_named_with_what_it_needs(folder: Path) -> None:
    assert "could be turned on: qorch backends --all" in said(folder, "backends").stdout
    record = document(folder, "backends", "--all")
    served = [one["backend"] for one in record if one["worker"] is not None]
    assert sorted(served) == sorted(FLEET.split(","))
    others = {one["backend"]: one for one in record if one["worker"] is None}
    assert "QORCH_BACKENDS" in others["aer_mps"]["needs"][0]
    hanoi = next(one for one in record if one["backend"] == "fake_hanoi")
    assert hanoi["energy"]["model"] == "installation"
    assert hanoi["energy"]["kind"] == "modelled"
    assert hanoi["device"]["availability"]["state"] == "online"


def test_a_price_table_that_cannot_be_read_is_one_line(folder: Path) -> None:
    bad = folder / "bad.csv"
    bad.write_text(",".join(COLUMNS) + "\nfake_hanoi,a lot,,,2026-11-21,x\n")
    for words in (["prices"], ["backends"], ["quote", bell(folder)]):
        done = said(folder, *words, QORCH_PRICES=str(bad))
        assert done.exit_code == 1
        assert "line 2, field per_task_usd" in " ".join(done.stderr.split())
    assert document(folder, "prices", QORCH_PRICES=str(folder / "prices.csv"))[-1]["table"] == "in force"


def test_calibration_is_kept_shown_and_forgotten(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backends.curves, "QUICK", Effort(num_repeats=2, patience_s=0.0, within_s=0.02))
    record = document(folder, "calibrate", "aer_stabilizer")
    (found,) = record["backends"]
    assert found["backend"] == "aer_stabilizer"
    assert found["num_rows"] > 8
    assert found["factor"] >= 1.0
    assert Path(record["file"]).exists() == found["improved"]
    (device,) = [one["device"] for one in document(folder, "backends") if one["backend"] == "aer_stabilizer"]
    assert (device["cost_curve"]["measured_at"] is not None) == found["improved"]
    if found["improved"]:
        assert "measured" in said(folder, "backends", columns=160).stdout
    assert document(folder, "calibrate", "--reset") == {"forgotten": ["aer_stabilizer"] if found["improved"] else []}
    assert not Path(record["file"]).exists()


def test_what_cannot_be_calibrated_is_said(folder: Path) -> None:
    done = said(folder, "calibrate", "cpu")
    assert done.exit_code == 2
    assert "cpu simulates nothing" in " ".join(done.stderr.split())
    assert "no backend is called 'aer'" in " ".join(said(folder, "calibrate", "aer").stderr.split())

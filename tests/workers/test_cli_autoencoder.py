"""`qorch autoencoder train`: its answer, an interruption and what follows it, and mistakes."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from circuits.autoencoder import training
from circuits.autoencoder.records import read_encoder
from circuits.autoencoder.training import Checkpoint, Problem, Tell
from workers.cli import app

SMALL = ("-n", "4", "-k", "3", "--layers", "2", "--starts", "2", "--seed", "3")


def said(tmp_path: Path, *words: str) -> Any:
    command = ["--data-dir", str(tmp_path / "data"), "autoencoder", "train", *words]
    return CliRunner().invoke(app, command, env={"COLUMNS": "80"})


def test_it_prints_bound_fidelities_and_gap_and_leaves_the_encoder(tmp_path: Path) -> None:
    done = said(tmp_path, *SMALL, "--json")
    assert done.exit_code == 0, done.output
    record = json.loads(done.stdout)
    bound, train = record["ky_fan_bound"], record["train_fidelity"]["mean"]
    assert record["gap"] == pytest.approx(bound - train)
    assert 0.9 < record["train_fidelity"]["min"] <= train <= bound <= 1.0
    assert record["test_fidelity"]["mean"] ** 2 - 1e-9 <= record["decode_fidelity"]["mean"]
    assert record["decode_fidelity"]["mean"] <= record["test_fidelity"]["mean"]
    assert record["process_s"] > 0
    encoder = read_encoder(Path(record["encoder"]))
    assert encoder.circuit().count_ops()["cx"] == record["num_cx"]
    assert (encoder.seed, record["num_swap_test_qubits"]) == (3, 6)


def test_a_person_reads_a_table_and_states_may_come_from_a_file(tmp_path: Path) -> None:
    rows = np.random.default_rng(0).normal(size=(8, 8))
    np.save(tmp_path / "mine.npy", rows / np.linalg.norm(rows, axis=1, keepdims=True))
    done = said(tmp_path, "--states", str(tmp_path / "mine.npy"), "-k", "1", "--layers", "1", "--starts", "1")
    assert done.exit_code == 0, done.output
    for words in ("Ky Fan bound", "unseen states", "gap to the bound", "3 → 1 qubits"):
        assert words in done.stdout


def test_after_an_interruption_it_goes_on_where_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = json.loads(said(tmp_path, *SMALL, "--json", "--out", str(tmp_path / "whole")).stdout)
    advance, num_calls = training.advance, 0

    def interrupted(problem: Problem, before: Checkpoint, tell: Tell) -> Checkpoint:
        nonlocal num_calls
        num_calls += 1
        if num_calls == 3:
            raise KeyboardInterrupt
        return advance(problem, before, tell)

    out = ("--out", str(tmp_path / "cut"))
    with monkeypatch.context() as patched:
        patched.setattr(training, "advance", interrupted)
        done = said(tmp_path, *SMALL, *out)
    assert done.exit_code != 0
    assert "--resume" in done.stderr
    assert [path.name for path in (tmp_path / "cut").iterdir()] == ["checkpoint.json"]
    resumed = json.loads(said(tmp_path, *SMALL, *out, "--resume", "--json").stdout)
    assert read_encoder(Path(resumed["encoder"])).angles_rad == read_encoder(Path(whole["encoder"])).angles_rad
    other = said(tmp_path, *SMALL[:-1], "4", *out, "--resume")
    assert other.exit_code == 1
    assert "wanted a checkpoint of" in other.stderr


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("-n", "6", "-k", "6"), "num_latent: wanted an integer in [1, 5], got 6"),
        (("-n", "11"), "num_qubits: tfim states exist for"),
        (("--states", "hubbard", "-n", "7"), "num_qubits: hubbard states exist for 4, 6, 8, 10, got 7"),
        ((), "num_qubits: wanted -n"),
        (("--states", "none.npy"), "none.npy: cannot be read"),
        (("-n", "4", "-k", "2", "--resume"), "resume: there is no"),
    ],
)
def test_a_mistake_is_one_line(words: tuple[str, ...], message: str, tmp_path: Path) -> None:
    done = said(tmp_path, *words)
    assert done.exit_code == 1
    assert message in done.stderr
    assert "Traceback" not in done.output


def test_without_torch_it_names_the_command_that_installs_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.delitem(sys.modules, "circuits.autoencoder.training")
    done = said(tmp_path, *SMALL, "--json")
    assert json.loads(done.stdout)["error"] == {
        "kind": "DependencyNotInstalled",
        "message": "training an autoencoder needs 'torch', which is not installed: pip install 'qorch[learn]'",
    }

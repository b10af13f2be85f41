"""`qorch compare`: from programs to a table, a picture and raw data; mistakes in one line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from workers.cli import app
from workers.compare import live

FLIP = 'OPENQASM 2.0;\ninclude "qelib1.inc";\nqreg q[1];\ncreg c[1];\nx q[0];\nmeasure q -> c;\n'
SMALL = ("--policies", "eft,random", "--backends", "aer_statevector,aer_stabilizer", "--jobs", "6", "--seeds", "2")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two programs."""
    folder = tmp_path_factory.mktemp("compare")
    (folder / "programs").mkdir()
    (folder / "programs" / "flip.qasm").write_text(FLIP)
    (folder / "programs" / "coin.qasm").write_text(FLIP.replace("x q[0]", "h q[0]"))
    return folder


def qorch(folder: Path, *words: str) -> Any:
    return CliRunner().invoke(app, ["--data-dir", str(folder / "data"), *words], env={"COLUMNS": "100"})


def test_a_small_comparison_records_once_and_plays(folder: Path) -> None:
    out = folder / "out"
    words = ("compare", "--workload", str(folder / "programs"), *SMALL, "--out", str(out))
    done = qorch(folder, *words, "--json")
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert {one["policy"] for one in found["standings"]} == {"eft", "random"}
    assert all(one["regret"]["value"] >= -1e-9 and one["failed"] == 0.0 for one in found["standings"])
    assert found["hindsight"]["best_known"] >= found["hindsight"]["bound"] > 0.0
    assert found["seeds"] == [1, 2]
    assert len((out / "jobs.jsonl").read_text().splitlines()) == 2 * 2 * 6
    assert (out / "overview.png").read_bytes().startswith(b"\x89PNG")
    recording = folder / "data" / "recording.jsonl"
    before = recording.read_bytes()
    again = qorch(folder, *words)
    assert again.exit_code == 0, again.output
    assert recording.read_bytes() == before, "what is recorded is used again"
    assert "regret" in again.stdout
    assert json.loads((out / "declaration.json").read_text())["hindsight"] == found["hindsight"], (
        "same world, same ends"
    )


def test_the_same_jobs_for_real(folder: Path) -> None:
    words = ("compare", "--live", "--workload", str(folder / "programs"), "--policies", "eft", "--jobs", "3")
    words += ("--seeds", "1", "--backends", "aer_statevector", "--load", "overload", "--out", str(folder / "live"))
    done = qorch(folder, *words, "--json")
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    (one,) = found["standings"]
    assert (one["num_jobs"], one["failed"], one["regret"]) == (3, 0.0, None)
    assert one["latency_s"]["value"] > 0.0
    assert live.PATIENCE_S > 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--load", "heavy"), "'heavy' is none of light, medium, overload"),
        (("--policies", "gredy"), "no policy is called 'gredy'"),
        (("--workload", "/no/such/folder"), "wanted 'mixed' or a folder"),
        (("--workload", "."), "holds none"),
        (("--backends", "abacus"), "no backend is called 'abacus'"),
        (("--jobs", "0"), "--jobs"),
    ],
)
def test_a_mistake_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    done = qorch(tmp_path, "compare", *words)
    assert done.exit_code in (1, 2)
    assert said in " ".join(done.output.split())
    assert "Traceback" not in done.output
    assert not (tmp_path / "runs").exists()

"""``python -m policies.envs.meqc``: what it prints, and how it refuses."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from policies.envs.meqc.__main__ import app
from tests.policies.envs.meqc.cases import DOCUMENT, VECTORS

FILE = Path(__file__).parent / "vectors.json"


def run(*arguments: str) -> tuple[int, str, str]:
    done = CliRunner().invoke(app, list(arguments))
    return done.exit_code, done.stdout, done.stderr


@pytest.fixture
def one(tmp_path: Path) -> Path:
    file = tmp_path / "one.json"
    file.write_text(json.dumps({key: VECTORS[1][key] for key in ("mode", "overrides", "inputs", "a", "phi")}))
    return file


def test_evaluate_prints_the_vectors(tmp_path: Path) -> None:
    file = tmp_path / "few.json"
    file.write_text(json.dumps({"instances": VECTORS[:4]}))
    status, printed, _ = run("evaluate", str(file), "--json")
    assert status == 0
    for got, vector in zip(json.loads(printed)["instances"], VECTORS[:4], strict=True):
        assert got["total"] == pytest.approx(vector["expected"]["total"], rel=DOCUMENT["rtol"])
        assert got["powers_W"] == pytest.approx(vector["powers_W"], rel=DOCUMENT["rtol"])


def test_the_optimum_of_one_instance(one: Path) -> None:
    status, printed, _ = run("optimum", str(one), "--json")
    found = json.loads(printed)
    assert status == 0
    assert found["exact"] is True
    assert found["total"] == pytest.approx(VECTORS[1]["optimum"]["total"], rel=1e-9)
    assert [user["a"] for user in found["users"]] == [action[0] for action in found["actions"]]


@pytest.mark.parametrize(("command", "word"), [("evaluate", "total"), ("optimum", "the least there is")])
def test_people_get_a_table(one: Path, command: str, word: str) -> None:
    status, printed, _ = run(command, str(one))
    assert status == 0
    assert "own share" in printed
    assert word in printed


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("{", "wanted a JSON file"),
        ("[" * 100_000, "wanted a JSON file"),
        ("3", "wanted an object"),
        ('{"inputs": {}}', "inputs.D: wanted this field"),
    ],
)
def test_a_bad_file_is_refused_in_one_line(tmp_path: Path, text: str, named: str) -> None:
    file = tmp_path / "bad.json"
    file.write_text(text)
    status, printed, told = run("evaluate", str(file))
    assert (status, printed) == (2, "")
    assert told.startswith("error: ")
    assert named in told
    assert told.count("\n") == 1


def test_no_file_and_no_action_are_told(tmp_path: Path, one: Path) -> None:
    assert run("evaluate", str(tmp_path / "none.json"))[0] == 2
    free = json.loads(one.read_text())
    del free["a"], free["phi"]
    one.write_text(json.dumps(free))
    status, _, told = run("evaluate", str(one))
    assert status == 2
    assert "`optimum` needs none" in told
    assert run("optimum", str(one), "--json")[0] == 0


def test_evaluating_needs_no_torch(one: Path) -> None:
    script = (
        "import sys; from policies.envs.meqc.__main__ import app; from policies.envs import ENVS\n"
        "try: app()\n"
        "finally: assert not {'torch', 'scipy.optimize', 'qiskit'} & set(sys.modules), 'loaded too much'"
    )
    command = [sys.executable, "-c", script, "evaluate", str(one), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
